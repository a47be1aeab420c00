// One message from its acceptance on: when, which step, which attempt, what the EPD answered. Never what it says.

import { asked, Refused } from "./api.js";
import { element } from "./elements.js";
import { actions, back } from "./lists.js";
import { reasonText } from "./overview.js";
import { moment, say } from "./words.js";

const ABOUT = ["kind", "lane", "state", "thread", "care_team", "routed_by"];
const AMISS = ["parked", "alarm"];
const IN_WORDS = { kind: "kinds", lane: "lanes", state: "states" };

export async function showJourney(main, id) {
  const again = () => showJourney(main, id).then(() => main.focus());
  let journey;
  try {
    journey = await asked(`messages/${id}`);
  } catch (fault) {
    if (!(fault instanceof Refused) || fault.status !== 404) throw fault;
    main.replaceChildren(back(), element("h1", {}, say("journey", id)), element("section", {}, element("p", {}, say("not_stored"))));
    return;
  }
  const about = ABOUT.filter((name) => journey[name]).flatMap((name) =>
    [element("dt", {}, say(name)), element("dd", {}, name in IN_WORDS ? say(IN_WORDS[name], journey[name]) : journey[name])]);
  main.replaceChildren(back(), element("h1", {}, say("journey", id)),
    element("div", { class: "cards" },
      element("section", {}, element("dl", {}, about), journey.parked.map((one) => actions(one, one, again))),
      element("section", {}, element("ol", { class: "journey" }, journey.moments.map(happened)))));
}

function happened({ at, what, facts }) {
  const refused = what === "acknowledged" && !["AA", "CA"].includes(facts.code);
  return element("li", { class: AMISS.includes(what) || refused ? "amiss" : "" },
    element("strong", {}, say("whats", what)), element("span", { class: "quiet figure" }, moment(at)),
    element("dl", {}, Object.entries(facts).filter(([, value]) => value !== "").flatMap(([name, value]) =>
      [element("dt", {}, say("facts", name)), element("dd", {}, fact(name, value))])));
}

function fact(name, value) {
  if (name === "reason") return reasonText(value);
  if (name === "step") return say("steps", value);
  if (name === "lane") return say("lanes", value);
  if (name === "state") return say("states", value);
  return element("code", {}, String(value));
}
