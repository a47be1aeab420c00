// What happens to one patient's messages, as the service tells it: GET /v1/events.

import { ask } from "./api.js";

const TYPES = [
  "ready", "reset", "message.filed", "message.escalated", "message.parked", "message.handled", "message.read",
  "reply.received", "reply.changed", "reply.withdrawn", "reply.overdue", "thread.closed", "thread.reopened",
];
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10_000;

// Tells `heard` each event until the function that comes back is called, and `lives` whether there is a stream.
// A ticket opens one stream, so EventSource's own way back is no use: what broke off is opened anew, with another ticket,
// after the last event that was heard.
export function listen(token, heard, lives) {
  let last = null;
  let pause = FIRST_PAUSE;
  let source = null;
  let timer = 0;
  let over = false;

  async function open() {
    const { ok, status, said } = await ask("/v1/event-tickets", { token, method: "POST" }).catch(() => ({ ok: false }));
    if (over || status === 403) return; // refused for now: whoever accepts the terms listens anew
    if (!ok) return again();
    source = new EventSource(`/v1/events?${new URLSearchParams({ ticket: said.ticket, ...(last && { last_event_id: last }) })}`);
    source.addEventListener("error", again);
    for (const type of TYPES) source.addEventListener(type, take);
  }

  function take({ type, data, lastEventId }) {
    [last, pause] = [lastEventId, FIRST_PAUSE];
    lives(true);
    heard({ type, ...JSON.parse(data) });
  }

  function again() {
    source?.close();
    lives(false);
    timer = setTimeout(open, pause * (1 + Math.random()));
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }

  open();
  return () => {
    over = true;
    clearTimeout(timer);
    source?.close();
  };
}
