// The messages behind a number, and the parked ones of one kind with what can be done about them.

import { asked } from "./api.js";
import { cell, element, head, line, table } from "./elements.js";
import { askClose, askGive, askRetry, askRetryAll } from "./mending.js";
import { messageLink, reasonText } from "./overview.js";
import { moment, number, say } from "./words.js";

export const back = () => element("p", {}, element("a", { href: "#/" }, `← ${say("back")}`));

// A number's messages, page by page; below what notify has not done, what the portal did not take.
export async function showBehind(main, stage, narrowed) {
  const title = titleOf(stage, narrowed), sections = [await behind(stage, narrowed, title)];
  if (stage === "notify") sections.push(await behind("webhook", undefined, say("behind_titles", "webhook")));
  main.replaceChildren(back(), element("h1", {}, title), ...sections);
}

function titleOf(stage, narrowed) {
  if (stage === "failed") return say("behind_failed", narrowed.split(".").map((part, at) => say(at ? "lanes" : "steps", part)).join(", "));
  const titles = say("behind_titles", stage);
  if (titles !== stage) return narrowed ? `${titles}, ${say("lanes", narrowed)}` : titles;
  return say("behind", narrowed ? `${say("steps", stage)}, ${say("lanes", narrowed)}` : say("steps", stage));
}

async function behind(stage, narrowed, title) {
  const [step, lane] = stage === "failed" ? narrowed.split(".") : [undefined, narrowed];
  const where = `messages?${new URLSearchParams({ stage, ...(step && { step }), ...(lane && { lane }) })}`;
  const section = element("section", {}, stage === "webhook" ? element("h2", {}, title) : "");
  let after = "", shown = 0;
  async function more() {
    const { messages, next } = await asked(`${where}${after && `&after=${encodeURIComponent(after)}`}`);
    const button = section.querySelector("button.more");
    section.querySelector("p.end")?.remove();
    button?.remove();
    shown += messages.length;
    if (messages.length) section.append(behindTable(stage, title, messages));
    after = next;
    if (!next && !shown) section.append(element("p", { class: "well end" }, say("no_messages", stage)));
    if (next) section.append(element("p", { class: "quiet end" }, shown ? "" : say("none_so_far")), moreButton(more));
    if (button) (section.querySelector("button.more") ?? [...section.querySelectorAll("a")].at(-1))?.focus();
  }
  await more();
  return section;
}

const moreButton = (more) => button(say("more"), more, "more");

function behindTable(stage, title, messages) {
  const about = say("abouts", stage);
  const at = say("ats", stage) === stage ? say("accepted_at") : say("ats", stage);
  const heads = [say("message"), say("state"), ...(about === stage ? [] : [about]), at, say("attempts")];
  return table(title, heads, messages.map((one) =>
    line("", head(messageLink(one.id)), cell(say("state"), "", say("states", one.state)),
      ...(about === stage ? [] : [cell(about, "", stage === "failed" ? reasonText(one.about) : one.about ?? "–")]),
      cell(at, "", one.at ? moment(one.at) : "–"), cell(say("attempts"), "number", number(one.attempts)))));
}

export async function showParked(main, step, reason) {
  const where = `parked?step=${step}&reason=${encodeURIComponent(reason)}`;
  const again = () => showParked(main, step, reason).then(() => main.focus());
  const title = say("parked_title", say("steps", step), reasonText(reason));
  const section = element("section", {});
  let after = "", shown = 0;
  async function more() {
    const { parked, next } = await asked(`${where}${after && `&after=${encodeURIComponent(after)}`}`);
    section.querySelector("button.more")?.remove();
    shown += parked.length;
    if (parked.length) section.append(list(title, parked, again));
    else if (!shown) section.append(element("p", { class: "well" }, say("none_parked")));
    after = next;
    if (next) section.append(button(say("more"), more, "more"));
    return { parked, next };
  }
  const { parked, next } = await more();
  const all = button(say("retry_all", next ? `${parked.length}+` : parked.length), () => askRetryAll(step, reason, next ? `${parked.length}+` : parked.length, again), "primary");
  main.replaceChildren(back(), element("h1", {}, title), ...(parked.length > 1 ? [element("p", {}, all)] : []), section);
}

function list(title, parked, again) {
  return table(title, ["message", "owner", "parked_at", ""].map((word) => word && say(word)), parked.map((one) =>
    line("", head(messageLink(one.message)), cell(say("owner"), "", one.owner), cell(say("parked_at"), "", moment(one.parked_at)),
      cell("", "whole", actions(one.id, one.message, again)))));
}

export function actions(id, message, again) {
  return element("div", { class: "row" },
    [["retry", askRetry], ["close", askClose], ["give", askGive]].map(([word, ask]) =>
      button(say(word), () => ask(id, again), "", `${say(word)}: ${message}`)));
}

export function button(text, does, name = "", label = text) {
  const made = element("button", { type: "button", class: name, "aria-label": label }, text);
  made.addEventListener("click", does);
  return made;
}
