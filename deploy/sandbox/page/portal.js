// Left: what a patient's portal shows.

import { ask } from "./api.js";
import { element, find, show } from "./elements.js";
import { EXAMPLES, pageLanguage, say } from "./words.js";

const MOST = 16384;
const SHOWN = 8;
const STEPS = ["accepted", "persisted", "filed"];
const read = new Map();
const sent = new Map(JSON.parse(sessionStorage.getItem("sent") ?? "[]"));
let refused = Number(sessionStorage.getItem("refused") ?? 0);
let people = [];
let patient = null;

export async function openPortal() {
  people = (await ask("/people")).all;
  find("patient").replaceChildren(
    ...people.map((person) => element("option", { value: person.id }, `${person.name} · ${person.hospital} · ${person.language}`)),
  );
  find("patient").addEventListener("change", () => choose(find("patient").value));
  find("language").addEventListener("change", showComposeNotice);
  find("body").addEventListener("input", countCharacters);
  find("compose").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  find("accept-terms").addEventListener("click", acceptTerms);
  find("many").addEventListener("click", sendMany);
  for (const button of document.querySelectorAll("[data-example]")) {
    button.addEventListener("click", () => fill(...EXAMPLES[button.dataset.example]));
  }
  await choose(people[0].id);
}

async function choose(id) {
  patient = people.find((person) => person.id === id);
  find("language").value = patient.language;
  find("answer").replaceChildren();
  countCharacters();
  await Promise.all([showComposeNotice(), showTerms(), showThreads()]);
}

async function showTerms() {
  const { said } = await ask("/v1/terms", { token: patient.token });
  find("terms").hidden = !said.to_accept;
  find("terms").dataset.version = said.version ?? "";
}

async function acceptTerms() {
  const version = find("terms").dataset.version;
  await ask("/v1/terms", { token: patient.token, method: "POST", body: { version, language: "nl" } });
  find("answer").replaceChildren();
  await showTerms();
}

async function showComposeNotice() {
  const language = find("language").value;
  const { said } = await ask(`/v1/compose-notice?language=${language}`, { token: patient.token });
  find("compose-notice").replaceChildren(...said.notice ? withNumbers(said.notice) : []);
  find("compose-notice").lang = find("body").lang = language;
}

export function countCharacters() {
  const text = find("body").value;
  const fits = new TextEncoder().encode(text).length <= MOST;
  find("count").textContent = fits ? say("count", text.length, MOST) : say("too_long");
}

function fill(subject, body) {
  find("subject").value = subject;
  find("body").value = body;
  find("language").value = "nl";
  countCharacters();
  showComposeNotice();
  find("body").focus();
}

async function submit() {
  const message = {
    subject: find("subject").value || say("message"),
    body: find("body").value,
    language: find("language").value,
  };
  const button = find("compose").querySelector("[type=submit]");
  button.disabled = true;
  const answer = await post(patient, message, crypto.randomUUID()).catch(() => null);
  button.disabled = false;
  find("answer").replaceChildren(...explained(answer, message));
  if (answer?.status === 202) {
    find("subject").value = find("body").value = "";
    countCharacters();
  }
  await showThreads();
}

async function post(writer, message, key) {
  const headers = { "Idempotency-Key": key };
  const answer = await ask("/v1/messages", { token: writer.token, method: "POST", body: message, headers });
  if (answer.status === 202) sent.set(answer.said.id, { writer: writer.id, state: "accepted" });
  if (answer.status === 422) refused += 1;
  keep();
  return answer;
}

function explained(answer, message) {
  if (answer === null) return [element("p", { class: "notice refused" }, say("gone"))];
  const { status, said } = answer;
  if (status === 202) {
    const day = new Date(`${said.reply_by}T12:00`).toLocaleDateString(pageLanguage(), { dateStyle: "full" });
    return [...(said.notice ? [notice(said.notice, "emergency")] : []), element("p", {}, say("reply_by", day))];
  }
  const parts = said.span ? [element("strong", {}, say("refused")), marked(message[said.span.field], said.span)]
    : [element("strong", {}, say("failed")), ` ${said.title}. ${said.detail}`];
  return [element("div", { class: "notice refused" }, ...parts), ...(said.notice ? [notice(said.notice, "calm")] : [])];
}

// The span counts UTF-16 units of what was submitted, as JavaScript's strings do.
function marked(text, { start, end }) {
  const mark = element("mark", {}, text.slice(start, end));
  return element("p", { class: "typed" }, text.slice(0, start), mark, text.slice(end));
}

const notice = (said, kind) => element("p", { class: `notice ${kind}`, lang: said.language }, ...withNumbers(said));

// Telephone numbers in the text as links.
function withNumbers({ text, telephone }) {
  const numbers = [...telephone].sort((one, other) => other.length - one.length);
  const pieces = text.split(new RegExp(`(?<![0-9-])(${numbers.join("|")})(?![0-9-])`));
  return pieces.map((piece) => (numbers.includes(piece) ? element("a", { href: `tel:${piece.replace(/-/g, "")}` }, piece) : piece));
}

async function sendMany() {
  const writer = patient;
  const numbers = Array.from({ length: 20 }, (_, index) => index + 1);
  await Promise.all(numbers.map((number) => post(writer, {
    subject: `Vraag ${number}`, body: `Hoe laat is de poli open op dag ${number}?`, language: "nl",
  }, crypto.randomUUID())));
  await showThreads();
}

// The list tells the last message of each thread; a thread is read in full when that one is new.
export async function showThreads() {
  const asked = patient;
  const { ok, said } = await ask(`/v1/threads?limit=${SHOWN}`, { token: asked.token });
  if (!ok) return;
  const threads = await Promise.all(said.threads.map((thread) => whole(thread, asked.token)));
  if (asked !== patient) return;
  for (const message of threads.flatMap((thread) => thread.messages)) note(message.id, message.status);
  const key = [asked.id, pageLanguage(), threads.map(lastKnown)];
  show(find("threads"), key, () => threads.length ? threads.map(threadShown) : [element("p", { class: "quiet" }, say("nothing_yet"))]);
}

const lastKnown = (thread) => [thread.id, ...thread.messages.map((m) => `${m.id} ${m.status} ${m.body !== undefined}`)];

async function whole(thread, token) {
  const key = lastKnown(thread).join();
  if (read.get(thread.id)?.key !== key) {
    const { ok, said } = await ask(`/v1/threads/${thread.id}`, { token });
    if (!ok) return thread;
    read.set(thread.id, { key, thread: said });
  }
  return read.get(thread.id).thread;
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
  const reached = STEPS.indexOf(message.status);
  const items = STEPS.map((step, index) => element("li", { class: index <= reached ? "done" : "" }, say(step)));
  if (message.status === "parked") items.splice(2, 1, element("li", { class: "stuck" }, message.advice ?? say("parked")));
  return element("ol", { class: "steps" }, ...items);
}

// How far everything that was posted from this page is.
export async function follow() {
  const open = [...sent].filter(([, { state }]) => !["filed", "parked", "closed"].includes(state)).slice(0, 20);
  await Promise.all(open.map(async ([id, { writer }]) => {
    const { token } = people.find((person) => person.id === writer) ?? {};
    const { ok, said } = await ask(`/v1/messages/${id}`, { token });
    if (ok) note(id, said.status);
  }));
}

function note(id, state) {
  const known = sent.get(id);
  if (known && known.state !== state) { known.state = state; keep(); }
}

function keep() {
  sessionStorage.setItem("sent", JSON.stringify([...sent]));
  sessionStorage.setItem("refused", refused);
}

export function counts() {
  const states = [...sent.values()].map(({ state }) => state);
  const filed = states.filter((state) => state === "filed").length;
  const parked = states.filter((state) => ["parked", "closed"].includes(state)).length;
  return { accepted: states.length, filed, parked, waiting: states.length - filed - parked, refused };
}
