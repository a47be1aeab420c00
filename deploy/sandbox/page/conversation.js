// A patient's threads and how far each message is: read anew when the stream tells of them.

import { ask } from "./api.js";
import { element, find, show } from "./elements.js";
import { notice } from "./notices.js";
import { patient } from "./people.js";
import { catchUp, noteState, notStored } from "./sent.js";
import { pageLanguage, say } from "./words.js";

const SHOWN = 8;
const TRY_AGAIN = 2000;
const STEPS = ["accepted", "persisted", "filed", "read"];
const REACHED = { accepted: 0, persisted: 1, delivered: 1, parked: 1, closed: 1, filed: 2 };
const known = new Map();
let changes = 0;
let busy = false;
let again = false;

export function heard({ type, message, thread }) {
  changes += 1;
  if (type === "message.filed") noteState(message, "filed");
  if (type === "message.parked") noteState(message, "parked");
  if (type === "ready" || type === "reset") {
    known.clear();
    catchUp();
  } else known.delete(thread);
  return showThreads();
}

// Another patient sits at the portal: of the one before nothing stays on the screen.
export function forgetThreads() {
  known.clear();
  show(find("threads"), null, () => []);
}

// One at a time: what is told meanwhile is read after it.
export async function showThreads() {
  again = true;
  if (busy) return;
  busy = true;
  while (again) {
    again = false;
    if (!await readAndShow().catch(() => false)) setTimeout(showThreads, TRY_AGAIN);
  }
  busy = false;
}

async function readAndShow() {
  const asked = patient();
  const { ok, status, said } = await ask(`/v1/threads?limit=${SHOWN}`, { token: asked.token });
  if (!ok) return status === 403; // the terms come first; once they are accepted it begins anew
  const threads = await Promise.all(said.threads.map((thread) => whole(thread, asked.token)));
  if (asked !== patient()) return true;
  for (const message of threads.flatMap((thread) => thread?.messages ?? [])) noteState(message.id, message.status);
  draw(asked, threads.filter(Boolean));
  return threads.every(Boolean);
}

// The list tells the last message of each thread: read in full what is not known yet or has changed.
async function whole(listed, token) {
  const newest = listed.messages.at(-1);
  const last = known.get(listed.id)?.messages.at(-1);
  if (last?.id === newest.id && last.status === newest.status) return known.get(listed.id);
  const asOf = changes;
  const { ok, said } = await ask(`/v1/threads/${listed.id}`, { token });
  if (ok && asOf === changes) known.set(listed.id, said);
  return ok ? said : null;
}

function draw(asked, threads) {
  const waiting = notStored().map((message) => ({ id: message.id, messages: [message] }));
  const all = [...waiting, ...threads].slice(0, SHOWN);
  show(find("threads"), [asked.id, pageLanguage(), all], () => all.length ? all.map(threadShown) : [element("p", { class: "quiet" }, say("nothing_yet"))]);
}

const threadShown = (thread) => element("article", { class: "card" }, ...thread.messages.map(messageShown));

function messageShown(message) {
  const theirs = message.written_by === "clinician";
  const who = theirs ? `${say("clinician")} ${message.name ?? ""}` : say("you");
  const at = message.accepted_at ? new Date(message.accepted_at).toLocaleTimeString(pageLanguage(), { timeStyle: "short" }) : "";
  return element("div", { class: theirs ? "message theirs" : "message" },
    element("div", { class: "who" }, `${who} · ${at}`, message.subject ? ` · ${message.subject}` : ""),
    body(message),
    message.notice ? notice(message.notice, "emergency") : null,
    theirs ? null : steps(message));
}

function body(message) {
  const shown = element("div", { class: "typed", dir: "auto" });
  if (message.format === "html") {
    // The service answers with markup that is safe to show; scripts would not run under this page's policy either.
    shown.append(...new DOMParser().parseFromString(message.body, "text/html").body.childNodes);
    shown.classList.remove("typed");
  } else shown.textContent = message.body ?? "";
  return shown;
}

function steps(message) {
  const reached = message.read_by_care_team ? STEPS.indexOf("read") : REACHED[message.status];
  const items = STEPS.map((step, index) => element("li", { class: index <= reached ? "done" : "" }, say(step)));
  if (["parked", "closed"].includes(message.status)) items.splice(2, 2, element("li", { class: "stuck" }, message.advice ?? say("parked")));
  return element("ol", { class: "steps" }, ...items);
}
