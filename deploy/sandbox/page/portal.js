// Left: what a patient's portal shows where one writes.

import { ask } from "./api.js";
import { forgetThreads, heard, showThreads } from "./conversation.js";
import { element, find } from "./elements.js";
import { notice, withNumbers } from "./notices.js";
import { choosePatient, loadPeople, patient } from "./people.js";
import { lookSoon, noteRefused, noteSent } from "./sent.js";
import { listen } from "./stream.js";
import { EXAMPLES, pageLanguage, say } from "./words.js";

const MOST = 16384;
let leave = () => {};

export async function openPortal() {
  const people = await loadPeople();
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
  leave();
  find("portal").ariaBusy = "true";
  choosePatient(id);
  find("language").value = patient().language;
  find("answer").replaceChildren();
  forgetThreads();
  countCharacters();
  showLife(false);
  leave = listen(patient().token, heard, showLife);
  lookSoon();
  await Promise.allSettled([showComposeNotice(), showTerms(), showThreads()]);
  find("portal").ariaBusy = "false";
}

function showLife(lives) {
  find("live").dataset.say = lives ? "live" : "not_live";
  find("live").textContent = say(find("live").dataset.say);
}

async function showTerms() {
  const { said } = await ask("/v1/terms", { token: patient().token });
  find("terms").hidden = !said.to_accept;
  find("terms").dataset.version = said.version ?? "";
}

async function acceptTerms() {
  const version = find("terms").dataset.version;
  await ask("/v1/terms", { token: patient().token, method: "POST", body: { version, language: "nl" } });
  await choose(patient().id);
}

async function showComposeNotice() {
  const language = find("language").value;
  const { said } = await ask(`/v1/compose-notice?language=${language}`, { token: patient().token });
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
  const writer = patient();
  const answer = await post(writer, message, crypto.randomUUID()).catch(() => null);
  button.disabled = false;
  if (writer !== patient()) return;
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
  if (answer.status === 202) noteSent(answer.said.id, writer.id, message);
  if (answer.status === 422) noteRefused();
  return answer;
}

function explained(answer, message) {
  if (!answer?.said?.title && !answer?.ok) return [element("p", { class: "notice refused" }, say("gone"))];
  const { status, said } = answer;
  if (status === 202) {
    const day = new Date(`${said.reply_by}T12:00`).toLocaleDateString(pageLanguage(), { dateStyle: "full" });
    return [...(said.notice ? [notice(said.notice, "emergency")] : []), element("p", {}, say("reply_by", day))];
  }
  const parts = said.span ? [element("strong", {}, say("refused", said.category)), marked(message[said.span.field], said.span)]
    : [element("strong", {}, say("failed")), ` ${said.title}. ${said.detail}`];
  return [element("div", { class: "notice refused" }, ...parts), ...(said.notice ? [notice(said.notice, "calm")] : [])];
}

// The span counts UTF-16 units of what was submitted, as JavaScript's strings do.
function marked(text, { start, end }) {
  const mark = element("mark", {}, text.slice(start, end));
  return element("p", { class: "typed" }, text.slice(0, start), mark, text.slice(end));
}

async function sendMany() {
  const writer = patient();
  const numbers = Array.from({ length: 20 }, (_, index) => index + 1);
  const answers = await Promise.all(numbers.map((number) => post(writer, {
    subject: `Vraag ${number}`, body: `Hoe laat is de poli open op dag ${number}?`, language: "nl",
  }, crypto.randomUUID()).catch(() => null)));
  const failed = answers.find((answer) => !answer?.ok);
  find("answer").replaceChildren(...failed === undefined ? [] : explained(failed, {}));
  await showThreads();
}
