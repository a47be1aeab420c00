// The page's beginning: log in, follow, and show the place that the address names.

import { follow, forgetToken, keepToken, Refused, token } from "./api.js";
import { element, find } from "./elements.js";
import { arrive, begin, offered } from "./login.js";
import { showJourney } from "./journey.js";
import { showBehind, showParked } from "./lists.js";
import { showDay, showNow, openOverview } from "./overview.js";
import { language, otherLanguage, say, speak } from "./words.js";

const PLACES = [
  [/^#\/messages\/(persist|file|delivered)\/(urgent|normal)$/, showBehind],
  [/^#\/messages\/(persist|file|delivered|escalate|notify|webhook|alarms|overdue|lost|late|unproven|unconfirmed)$/, showBehind],
  [/^#\/messages\/(failed)\/(\w+(?:\.(?:urgent|normal))?)$/, showBehind],
  [/^#\/message\/([0-9A-HJKMNP-TV-Z]{26})$/, showJourney],
  [/^#\/parked\/(\w+)\/(.+)$/, showParked],
];
const AGAIN_MS = 3_000, DAY_MS = 60_000;
let following = null, placed = false, issuers = [];

function place() {
  const main = find("main");
  delete main.dataset.shown;
  if (!token()) return showLogin(main);
  const [, open, found] = PLACES.map(([shape, open]) => [shape, open, location.hash.match(shape)]).find(([, , at]) => at) ?? [];
  if (open) open(main, ...found.slice(1).map(decodeURIComponent)).catch((fault) => faulty(main, fault));
  else openOverview(main);
  if (placed) main.focus();
  placed = true;
}

function faulty(main, fault) {
  if (fault instanceof Refused && [401, 403].includes(fault.status)) return leave(`login_fault_${fault.status}`);
  main.replaceChildren(element("section", {}, element("p", { role: "alert" }, say("fault", fault.message))));
}

function showLogin(main, fault = "") {
  const input = element("input", { id: "token", type: "password", required: true, autocomplete: "off", "aria-describedby": "token-text" });
  const form = element("form", {},
    issuers.length ? element("p", {}, say("login_or")) : "", element("p", { id: "token-text", class: "quiet" }, say("login_text")),
    element("label", { htmlFor: "token" }, say("token")), input,
    element("button", { class: issuers.length ? "" : "primary" }, say("login_token")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    keepToken(input.value.trim());
    start();
  });
  const hospitals = issuers.map((issuer) => {
    const button = element("button", { type: "button", class: "primary" }, say("login_at", issuer.name));
    button.addEventListener("click", () => begin(issuer));
    return button;
  });
  const heading = element("h1", {}, say("login")), alert = element("p", { role: "alert" }, fault && say(fault));
  main.replaceChildren(element("section", { class: "login" }, heading, alert, hospitals, form));
}

function leave(fault = "") {
  following?.abort();
  following = null;
  forgetToken();
  find("live").textContent = find("hospital").textContent = "";
  find("search").hidden = find("leave").hidden = true;
  showLogin(find("main"), fault);
}

function start() {
  find("search").hidden = find("leave").hidden = false;
  following?.abort();
  following = new AbortController();
  keepFollowing(following.signal);
  place();
}

async function keepFollowing(signal) {
  let sinceDay = 0;
  while (!signal.aborted) {
    try {
      await follow("events", signal, (view) => {
        live("on", say("live"));
        find("hospital").textContent = view.name;
        showNow(view);
        if (Date.now() - sinceDay > DAY_MS) { sinceDay = Date.now(); showDay(); }
      });
    } catch (fault) {
      if (signal.aborted) return;
      if (fault instanceof Refused && [401, 403].includes(fault.status)) return leave(`login_fault_${fault.status}`);
      live("off", say("lost"));
      await new Promise((wake) => setTimeout(wake, AGAIN_MS));
    }
  }
}

// Said again only when it changes, so that nobody has to hear it every other second.
function live(state, text) {
  const shown = find("live");
  shown.className = state;
  if (shown.textContent !== text) shown.textContent = text;
}

function label() {
  document.documentElement.lang = language();
  document.title = say("title");
  for (const named of document.querySelectorAll("[data-say]")) named.textContent = say(named.dataset.say);
  for (const named of document.querySelectorAll("[data-placeholder]")) named.placeholder = say(named.dataset.placeholder);
  find("language").textContent = otherLanguage() === "nl" ? "Nederlands" : "English";
  find("language").lang = otherLanguage();
}

find("language").addEventListener("click", () => { speak(otherLanguage()); label(); placed = false; place(); });
find("leave").addEventListener("click", () => leave());
find("search").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = `#/message/${find("search-id").value.trim().toUpperCase()}`;
});
addEventListener("hashchange", () => {
  const part = /^#\w+$/.test(location.hash) && find(location.hash.slice(1));
  if (part) part.focus();
  else place();
});

label();
const [arrived, known] = await Promise.allSettled([arrive(), offered()]);
issuers = known.value ?? [];
if (arrived.value) keepToken(arrived.value);
if (token()) start();
else leave(arrived.status === "rejected" ? "login_failed" : "");
