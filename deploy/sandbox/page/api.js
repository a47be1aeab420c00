// The public API as a portal uses it, and the sandbox's own switches.

export async function ask(path, { token, method = "GET", body, headers = {} } = {}) {
  const answer = await fetch(path, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
    headers: {
      ...(token ? { Authorization: `Bearer ${token}` } : {}),
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...headers,
    },
  });
  const text = await answer.text();
  return { status: answer.status, ok: answer.ok, ...(text ? wrapped(JSON.parse(text)) : {}) };
}

const wrapped = (said) => (Array.isArray(said) ? { all: said } : { said });
