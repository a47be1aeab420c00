// The messages behind a number, and the parked ones of one kind with what can be done about them.

import { asked } from "./api.js";
import { cell, element, head, line, table } from "./elements.js";
import { askClose, askGive, askRetry, askRetryAll } from "./mending.js";
import { messageLink, reasonText } from "./overview.js";
import { moment, number, say } from "./words.js";

export const back = () => element("p", {}, element("a", { href: "#/" }, `← ${say("back")}`));

export async function showBehind(main, stage, lane) {
  const { messages } = await asked(`messages?stage=${stage}&lane=${lane}`);
  const title = stage === "delivered" ? say("behind_delivered", say("lanes", lane)) : say("behind", say("steps", stage), say("lanes", lane));
  main.replaceChildren(back(), element("h1", {}, title), element("section", {}, messages.length
    ? table(title, ["message", "state", "accepted_at", "attempts"].map((word) => say(word)), messages.map((one) =>
      line("", head(messageLink(one.id)), cell(say("state"), "", say("states", one.state)),
        cell(say("accepted_at"), "", moment(one.accepted_at)), cell(say("attempts"), "number", number(one.attempts)))))
    : element("p", { class: "well" }, say("no_messages"))));
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
