// Puts the three parts together. The portal is told by the service; inbox and queues are looked at once a second.

import { find } from "./elements.js";
import { showThreads } from "./conversation.js";
import { openInbox, showInbox } from "./inbox.js";
import { countCharacters, openPortal } from "./portal.js";
import { openQueues, showLedger, showQueues } from "./queues.js";
import { openSent } from "./sent.js";
import { speak } from "./words.js";

const preferred = localStorage.getItem("language") ?? (navigator.language.startsWith("nl") ? "nl" : "en");
find("page-language").value = preferred;
speak(preferred);
find("page-language").addEventListener("change", async () => {
  localStorage.setItem("language", find("page-language").value);
  speak(find("page-language").value);
  countCharacters();
  await Promise.allSettled([showThreads(), look()]);
});

async function look() {
  await Promise.allSettled([showInbox(), showQueues()]);
  showLedger();
}

async function keepTrue() {
  await look();
  setTimeout(keepTrue, 1000);
}

openSent(showThreads);
openInbox();
openQueues();
await openPortal();
await keepTrue();
