// What is done to parked messages: each asks once, and is written down by the service.

import { asked } from "./api.js";
import { element, find } from "./elements.js";
import { say } from "./words.js";

const OWNERS = ["operations", "epd-integrator", "portal-builder"];

export function askRetry(id, done) {
  question({ title: say("ask_retry"), text: say("ask_retry_text"), yes: say("retry") },
    () => asked(`parked/${id}/replay`, { method: "POST" }), done);
}

export function askRetryAll(step, reason, count, done) {
  question({ title: say("ask_all", count), text: say("ask_retry_text"), yes: say("retry") }, async (_, progress) => {
    let replayed = 0, left = 1;
    while (left) {
      const said = await asked("parked-replays", { method: "POST", body: { step, reason } });
      ({ left } = said);
      replayed += said.replayed;
      progress(replayed, replayed + left);
      if (!said.replayed) break;
    }
  }, done);
}

export function askClose(id, done) {
  const field = element("textarea", { id: "ask-input", required: true, minLength: 3, maxLength: 300, rows: 3 });
  question({ title: say("ask_close"), text: say("ask_close_text"), yes: say("close"), label: say("remark"), field },
    (remark) => asked(`parked/${id}/closing`, { method: "POST", body: { remark } }), done);
}

export function askGive(id, done) {
  const field = element("input", { id: "ask-input", required: true, maxLength: 60, pattern: "[A-Za-z0-9 ._\\-]+", autocomplete: "off" });
  const names = element("datalist", { id: "owners" }, OWNERS.map((value) => element("option", { value })));
  field.setAttribute("list", "owners");
  question({ title: say("ask_give"), text: say("ask_give_text"), yes: say("give"), label: say("whose"), field, names },
    (owner) => asked(`parked/${id}/owner`, { method: "PUT", body: { owner } }), done);
}

function question({ title, text, yes, label, field, names }, act, done) {
  const dialog = find("ask"), form = dialog.querySelector("form"), progress = find("ask-progress");
  find("ask-title").textContent = title;
  find("ask-text").textContent = text;
  find("ask-yes").textContent = yes;
  find("ask-fault").textContent = "";
  progress.hidden = true;
  find("ask-field").replaceChildren(...(field ? [element("label", { htmlFor: "ask-input" }, label), field, ...(names ? [names] : [])] : []));
  form.onsubmit = async (event) => {
    event.preventDefault();
    find("ask-yes").disabled = true;
    try {
      await act(field?.value.trim(), (value, max) => Object.assign(progress, { hidden: false, value, max }));
      dialog.close();
      await done();
    } catch (fault) {
      find("ask-fault").textContent = say("fault", fault.message);
    } finally {
      find("ask-yes").disabled = false;
    }
  };
  find("ask-no").onclick = () => dialog.close();
  dialog.showModal();
}
