// The one way to the service: the staff token is in this tab's memory alone, and sent to this address alone.

const KEPT = "staff-token";

export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.title ?? String(status));
    this.status = status;
    this.problem = problem;
  }
}

export const token = () => sessionStorage.getItem(KEPT);
export const keepToken = (value) => sessionStorage.setItem(KEPT, value);
export const forgetToken = () => sessionStorage.removeItem(KEPT);

export async function ask(path, { method = "GET", body, signal } = {}) {
  const headers = { Authorization: `Bearer ${token()}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(`/v1/ops/${path}`, {
    method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store",
  });
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => null));
  return answer;
}

export const asked = async (path, how) => (await ask(path, how)).json();

// Server-sent events over fetch, since EventSource cannot send a token. Returns when the stream ends.
export async function follow(path, signal, told) {
  const reader = (await ask(path, { signal })).body.pipeThrough(new TextDecoderStream()).getReader();
  let heard = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard += value;
    const events = heard.split("\n\n");
    heard = events.pop();
    for (const event of events) {
      const data = event.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
      if (data.length) told(JSON.parse(data.join("\n")));
    }
  }
}
