// The API and who calls it. config.json, written at deployment, says where both are:
//   {"apiBase": "https://…", "cognito": {"endpoint": "https://…", "clientId": "…", "scopes": ["openid"]}}
// Without `cognito` the API is called without a token. With it: OAuth 2 authorization code with PKCE at the hosted
// sign-in page; tokens live in sessionStorage, that is as long as the tab.

const TOKENS = "sextant.tokens";
const PENDING = "sextant.signin";

export class Fault extends Error {
  constructor({ status = 0, code = "", message, remedy = "" }) {
    super(message);
    this.status = status;
    this.code = code;
    this.remedy = remedy;
  }
}

export async function loadConfig() {
  const answer = await fetch("config.json", { cache: "no-store" });
  if (answer.status === 404 || answer.status === 403) return { apiBase: "" };
  if (!answer.ok) throw new Fault({ status: answer.status, message: "The console's configuration cannot be read.", remedy: "Reload the page; if it stays, deploy the console again." });
  return answer.json();
}

const redirect = () => `${location.origin}${location.pathname}`;
const text64 = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const random = () => text64(crypto.getRandomValues(new Uint8Array(32)));

async function exchange(cognito, fields) {
  const answer = await fetch(`${cognito.endpoint}/oauth2/token`, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ client_id: cognito.clientId, ...fields }),
  });
  if (!answer.ok) throw new Fault({ status: answer.status, code: "SignIn", message: "Signing in failed.", remedy: "Sign in again." });
  const tokens = await answer.json();
  const kept = {
    access: tokens.access_token,
    refresh: tokens.refresh_token ?? fields.refresh_token,
    until: Date.now() + (tokens.expires_in - 30) * 1000,
    name: claims(tokens.id_token ?? tokens.access_token),
  };
  sessionStorage.setItem(TOKENS, JSON.stringify(kept));
  return kept;
}

function claims(token) {
  // For display only: the authorizer verifies the token, not the page.
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const found = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (each) => each.charCodeAt(0))));
    return found.email ?? found["cognito:username"] ?? found.username ?? "";
  } catch {
    return "";
  }
}

export function createSession(config) {
  const { cognito } = config;
  let tokens = JSON.parse(sessionStorage.getItem(TOKENS) ?? "null");
  let renewal;

  async function token() {
    if (!cognito) return undefined;
    if (tokens && Date.now() < tokens.until) return tokens.access;
    if (!tokens?.refresh) return undefined;
    renewal ??= exchange(cognito, { grant_type: "refresh_token", refresh_token: tokens.refresh })
      .then((fresh) => (tokens = fresh))
      .catch(() => forget())
      .finally(() => (renewal = undefined));
    await renewal;
    return tokens?.access;
  }

  function forget() {
    tokens = null;
    sessionStorage.removeItem(TOKENS);
  }

  return {
    config,
    needsSignIn: async () => Boolean(cognito) && !(await token()),
    user: () => tokens?.name ?? "",
    canSignOut: () => Boolean(cognito && tokens),

    async signIn() {
      const pending = { state: random(), verifier: random(), hash: location.hash };
      sessionStorage.setItem(PENDING, JSON.stringify(pending));
      const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(pending.verifier));
      location.assign(
        `${cognito.endpoint}/oauth2/authorize?${new URLSearchParams({
          response_type: "code",
          client_id: cognito.clientId,
          redirect_uri: redirect(),
          scope: (cognito.scopes ?? ["openid"]).join(" "),
          state: pending.state,
          code_challenge: text64(new Uint8Array(digest)),
          code_challenge_method: "S256",
        })}`,
      );
    },

    // Finishes a sign-in when this page load is the way back from the hosted page.
    async resume() {
      const search = new URLSearchParams(location.search);
      if (!cognito || !(search.has("code") || search.has("error"))) return;
      const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
      sessionStorage.removeItem(PENDING);
      history.replaceState(null, "", `${redirect()}${pending?.hash ?? ""}`);
      if (search.has("error")) throw new Fault({ code: "SignIn", message: `Signing in failed: ${search.get("error_description") ?? search.get("error")}.`, remedy: "Sign in again." });
      if (!pending || pending.state !== search.get("state"))
        throw new Fault({ code: "SignIn", message: "This sign-in was not started in this tab.", remedy: "Sign in again." });
      tokens = await exchange(cognito, { grant_type: "authorization_code", code: search.get("code"), redirect_uri: redirect(), code_verifier: pending.verifier });
    },

    signOut() {
      forget();
      location.assign(`${cognito.endpoint}/logout?${new URLSearchParams({ client_id: cognito.clientId, logout_uri: redirect() })}`);
    },

    // One call of the API. Throws Fault with what to do about it, and AbortError when `signal` says so.
    async api(path, { body, signal } = {}) {
      const access = await token();
      let answer;
      try {
        answer = await fetch(`${config.apiBase ?? ""}${path}`, {
          method: body ? "POST" : "GET",
          headers: { ...(body && { "content-type": "application/json" }), ...(access && { authorization: `Bearer ${access}` }) },
          body: body && JSON.stringify(body),
          signal,
        });
      } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new Fault({ code: "Unreachable", message: "The API cannot be reached.", remedy: "Check that it runs (at home: sextant status) and that you are online, then try again." });
      }
      const told = await answer.json().catch(() => ({}));
      if (answer.ok) return told;
      if (answer.status === 401) {
        forget();
        throw new Fault({ status: 401, code: "SignIn", message: "Your sign-in has ended.", remedy: "Sign in again." });
      }
      if (answer.status === 403) throw new Fault({ status: 403, code: "Forbidden", message: "You may not see this.", remedy: "Ask for the role that may." });
      throw new Fault({ status: answer.status, message: told.message ?? `The API answered with status ${answer.status}.`, remedy: "Try again.", ...told.error });
    },
  };
}
