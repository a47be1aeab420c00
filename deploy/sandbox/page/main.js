// Puts the three parts together and keeps them true once a second.

import { find } from "./elements.js";
import { openInbox, showInbox } from "./inbox.js";
import { countCharacters, follow, openPortal, showThreads } from "./portal.js";
import { openQueues, showLedger, showQueues } from "./queues.js";
import { speak } from "./words.js";

const preferred = localStorage.getItem("language") ?? (navigator.language.startsWith("nl") ? "nl" : "en");
find("page-language").value = preferred;
speak(preferred);
find("page-language").addEventListener("change", async () => {
  localStorage.setItem("language", find("page-language").value);
  speak(find("page-language").value);
  countCharacters();
  await refresh();
});

async function refresh() {
  await Promise.allSettled([showThreads(), follow(), showInbox(), showQueues()]);
  showLedger();
}

async function keepTrue() {
  await refresh();
  setTimeout(keepTrue, 1000);
}

openInbox();
openQueues();
await openPortal();
await keepTrue();
