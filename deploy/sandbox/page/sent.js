// What was sent from this page, by whichever patient, and how far it is. Of the text nothing is kept longer than the page.

import { ask } from "./api.js";
import { patient, tokenOf } from "./people.js";

const DONE = ["filed", "parked", "closed"];
const FIRST_LOOK = 250;
const LONGEST_PAUSE = 10_000;
const MOST = 20;
const sent = new Map(JSON.parse(sessionStorage.getItem("sent") ?? "[]"));
const texts = new Map();
let refused = Number(sessionStorage.getItem("refused") ?? 0);
let pause = FIRST_LOOK;
let timer = 0;
let moved = () => {};

export function openSent(whenMoved) {
  moved = whenMoved;
}

export function noteSent(id, writer, message) {
  sent.set(id, { writer, state: "accepted" });
  texts.set(id, { id, ...message, accepted_at: new Date().toISOString() });
  keep();
  lookSoon();
}

export function noteRefused() {
  refused += 1;
  keep();
}

// What is done does not go back: an answer may have been under way while the stream told more.
export function noteState(id, state) {
  const known = sent.get(id);
  if (!known || known.state === state || (DONE.includes(known.state) && !DONE.includes(state))) return false;
  known.state = state;
  keep();
  return true;
}

export const notStored = () => [...sent]
  .filter(([id, { writer, state }]) => writer === patient().id && state === "accepted" && texts.has(id))
  .map(([id, { state }]) => ({ ...texts.get(id), status: state }))
  .toReversed();

// No event tells of a message before it is stored, nor one patient's stream of another's messages: those are asked after,
// at pauses that grow as long as nothing moves.
export function lookSoon() {
  clearTimeout(timer);
  pause = FIRST_LOOK;
  timer = setTimeout(look, pause);
}

async function look() {
  const untold = unfinished().filter(([, { writer, state }]) => state === "accepted" || writer !== patient().id);
  if (!untold.length) return;
  const found = await askAfter(untold.slice(0, MOST));
  pause = found ? FIRST_LOOK : Math.min(pause * 2, LONGEST_PAUSE);
  clearTimeout(timer);
  timer = setTimeout(look, pause);
}

// After a stream begins: what happened while there was none.
export const catchUp = () => askAfter(unfinished().filter(([, { writer }]) => writer === patient().id));

const unfinished = () => [...sent].filter(([, { state }]) => !DONE.includes(state));

async function askAfter(messages) {
  const changes = await Promise.all(messages.map(async ([id, { writer }]) => {
    const { ok, said } = await ask(`/v1/messages/${id}`, { token: tokenOf(writer) }).catch(() => ({ ok: false }));
    return ok && noteState(id, said.status);
  }));
  const any = changes.some(Boolean);
  if (any) moved();
  return any;
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
