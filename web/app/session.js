// The API and who calls it. config.json, written at deployment, says where both are:
//   {"apiBase": "https://…", "cognito": {"endpoint": "https://…", "clientId": "…", "scopes": ["openid"]}}
// Without `cognito` the API is called without a token. With it: OAuth 2 authorization code with PKCE at the hosted
// sign-in page; tokens live in sessionStorage, that is as long as the tab.

import { text } from "./strings.js";

const TOKENS = "sextant.tokens";
const PENDING = "sextant.signin";

export class Fault extends Error {
  constructor({ status = 0, code = "", message, remedy = "", query_execution_id = undefined }) {
    super(message);
    this.status = status;
    this.code = code;
    this.remedy = remedy;
    this.query_execution_id = query_execution_id;
  }
}

export async function loadConfig() {
  const answer = await fetch("config.json", { cache: "no-store" });
  if (answer.status === 404 || answer.status === 403) return { apiBase: "" };
  if (!answer.ok) throw new Fault({ status: answer.status, ...text.faults.configuration });
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
  if (!answer.ok) throw new Fault({ status: answer.status, code: "SignIn", message: text.signIn.failed(answer.status), remedy: text.signIn.again });
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
      if (search.has("error")) throw new Fault({ code: "SignIn", message: text.signIn.failed(search.get("error_description") ?? search.get("error")), remedy: text.signIn.again });
      if (!pending || pending.state !== search.get("state"))
        throw new Fault({ code: "SignIn", message: text.signIn.foreign, remedy: text.signIn.again });
      tokens = await exchange(cognito, { grant_type: "authorization_code", code: search.get("code"), redirect_uri: redirect(), code_verifier: pending.verifier });
    },

    signOut() {
      forget();
      location.assign(`${cognito.endpoint}/logout?${new URLSearchParams({ client_id: cognito.clientId, logout_uri: redirect() })}`);
    },

    /**
     * One call of the API. With `etag` (empty at first) the answer comes with its tag, or not at all when it is the one
     * the caller has: `{ etag, answer }`. With `blob` it comes as it is, from the browser's cache where that may keep it.
     * Throws Fault with what to do about it, and AbortError when `signal` says so.
     * @param {string} path
     * @param {{ method?: string, body?: unknown, etag?: string, blob?: boolean, signal?: AbortSignal }} [request]
     */
    async api(path, { body, method = body ? "POST" : "GET", etag, blob = false, signal } = {}) {
      const access = await token();
      let answer;
      try {
        answer = await fetch(`${config.apiBase ?? ""}${path}`, {
          method,
          headers: { ...(body && { "content-type": "application/json" }), ...(etag && { "if-none-match": etag }), ...(access && { authorization: `Bearer ${access}` }) },
          body: body && JSON.stringify(body),
          cache: blob ? "default" : "no-store",
          signal,
        });
      } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new Fault({ code: "Unreachable", ...text.faults.unreachable });
      }
      if (answer.status === 304) return { etag };
      if (blob && answer.ok) return answer.blob();
      const told = await answer.json().catch(() => ({}));
      if (answer.ok) return etag === undefined ? told : { etag: answer.headers.get("etag") ?? "", answer: told };
      if (answer.status === 401) {
        forget();
        throw new Fault({ status: 401, code: "SignIn", message: text.signIn.ended, remedy: text.signIn.again });
      }
      throw new Fault({ status: answer.status, ...expected(answer.status), ...told.error });
    },
  };
}

// What a status means when the API does not say it itself: then it is the gateway that answers.
function expected(status) {
  if (status === 404) return { code: "NotThere", ...text.faults.nothing };
  if (status === 403) return { code: "Forbidden", ...text.faults.forbidden };
  if (status === 429) return { code: "Throttled", ...text.faults.throttled };
  return text.faults.failed(status);
}
