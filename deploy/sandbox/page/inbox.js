// Right: the sandbox EPD as a clinician sees it.

import { ask } from "./api.js";
import { element, find, show } from "./elements.js";
import { pageLanguage, say } from "./words.js";

const UNSENT = ["", "AR"];
const opened = new Set();
let documents = [];
let telling = false;
let open = null;

export function openInbox() {
  find("reply").addEventListener("submit", (event) => { event.preventDefault(); answer(); });
}

export async function showInbox() {
  const { ok, said } = await ask("/epd/inbox");
  if (!ok) return;
  documents = said.documents.toReversed();
  const key = [pageLanguage(), open, documents.map((d) => [d.document, d.count, d.withdrawn, d.corrected, isRead(d)])];
  show(find("documents"), key, () => documents.length ? documents.map(row) : [element("p", { class: "quiet" }, say("inbox_empty"))]);
  const radio = document.querySelector(`[name=mode][value=${said.mode}]`);
  if (radio) radio.checked = true;
  tellWhatWasRead();
}

const isRead = ({ document, read }) => read || opened.has(document);

// Each receipt until the service has it: an EPD sends again what nobody acknowledged.
async function tellWhatWasRead() {
  if (telling) return;
  telling = true;
  for (const { document, hospital } of documents.filter((each) => isRead(each) && UNSENT.includes(each.receipt))) {
    await ask("/epd/read", { method: "POST", body: { document, hospital } }).catch(() => null);
  }
  telling = false;
}

function row(document) {
  const button = element("button", { type: "button", class: isRead(document) ? "" : "unread" },
    element("span", {}, ...badges(document), subject(document)),
    element("span", { class: "quiet" }, `${document.patient_name} · ${team(document)}`, document.count > 1 ? ` · ${say("times", document.count)}` : ""));
  button.setAttribute("aria-current", document.document === open);
  button.addEventListener("click", () => choose(document.document));
  return button;
}

const lines = (document, code) => document.lines.filter(([given]) => given === code).map(([, text]) => text);
const subject = (document) => lines(document, "SUBJECT").join(" ").replace(/^Onderwerp: /, "") || document.document;
const team = (document) => document.attending.replaceAll("^", " ").trim();
const isCaution = (document) => lines(document, "NOTE").some((text) => text.startsWith("LET OP"));

const badges = (document) => [
  ...(document.urgent ? [element("span", { class: "badge urgent" }, say("urgent"))] : []),
  ...(isCaution(document) ? [element("span", { class: "badge caution" }, say("caution"))] : []),
];

function choose(id) {
  open = id;
  opened.add(id);
  const chosen = documents.find((document) => document.document === id);
  const paragraphs = chosen.lines
    .filter(([code]) => !["SUBJECT", "BODY"].includes(code))
    .map(([code, text]) => element("p", { class: code === "PRIORITY" ? "notice emergency" : text.startsWith("LET OP") ? "notice refused" : "quiet" }, text));
  find("document").replaceChildren(
    element("h3", {}, ...badges(chosen), subject(chosen)),
    element("p", { class: "quiet" }, `${chosen.patient_name} · ${team(chosen)} · ${chosen.document}`),
    ...paragraphs,
    element("p", { class: "typed", dir: "auto" }, chosen.body));
  find("document").hidden = find("reply").hidden = false;
  find("reply-result").textContent = "";
  showInbox();
}

async function answer() {
  const chosen = documents.find((document) => document.document === open);
  const text = find("reply-text").value;
  if (!chosen || !text.trim()) return;
  const body = { document: chosen.document, hospital: chosen.hospital, text };
  const { ok, said } = await ask("/epd/answer", { method: "POST", body }).catch(() => ({ ok: false }));
  const code = ok ? said.answer.match(/MSA\|(\w+)/)?.[1] : undefined;
  find("reply-result").textContent = code ? `${say("answered")} ${code}.` : say("not_answered");
  if (code === "AA") find("reply-text").value = "";
}
