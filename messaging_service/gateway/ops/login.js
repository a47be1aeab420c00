// Logging in at a hospital's own issuer: authorization code with PKCE (RFC 7636), the browser being a public client.
// The code comes back behind the #, which is sent to no server; the token is asked for by the page itself.

const BEGUN = "login-begun";
const bytes = (length) => crypto.getRandomValues(new Uint8Array(length));
const base64url = (of) => btoa(String.fromCharCode(...of)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const home = () => location.origin + location.pathname;

export async function offered() {
  const answer = await fetch("/ops/logins.json");
  return answer.ok ? answer.json() : [];
}

export async function begin(issuer) {
  const verifier = base64url(bytes(32)), state = base64url(bytes(32));
  const challenge = base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
  sessionStorage.setItem(BEGUN, JSON.stringify({ issuer, verifier, state, place: location.hash }));
  const there = new URL(issuer.authorization);
  const asked = {
    response_type: "code", response_mode: "fragment", client_id: issuer.client_id, redirect_uri: home(),
    scope: issuer.scope, state, code_challenge: challenge, code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(asked)) there.searchParams.set(name, value);
  location.assign(there);
}

// The token of whoever comes back from logging in; nothing when nobody does. Throws when it was not this tab that began.
export async function arrive() {
  const said = new URLSearchParams(location.hash.slice(1));
  if (!said.has("state")) return null;
  const begun = JSON.parse(sessionStorage.getItem(BEGUN) ?? "null");
  sessionStorage.removeItem(BEGUN);
  history.replaceState(null, "", home() + (begun?.place ?? ""));
  const { issuer, verifier, state } = begun ?? {};
  if (said.get("state") !== state || !said.get("code") || (said.get("iss") ?? issuer.issuer) !== issuer.issuer) throw new Error("login");
  const body = new URLSearchParams({
    grant_type: "authorization_code", code: said.get("code"), redirect_uri: home(), client_id: issuer.client_id, code_verifier: verifier,
  });
  const answer = await fetch(issuer.token, { method: "POST", body, credentials: "omit", cache: "no-store" });
  const { access_token: token, token_type: kind } = answer.ok ? await answer.json() : {};
  if (!token || kind?.toLowerCase() !== "bearer") throw new Error("login");
  return token;
}
