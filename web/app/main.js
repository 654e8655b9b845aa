// The shell: configuration, sign-in, navigation, and the page the address names.
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { read, write } from "./address.js";
import { html } from "./html.js";
import { createSession, loadConfig } from "./session.js";
import { deployed, find, home, systems } from "./systems.js";

const SHARED = ["job", "modality", "level", "since", "until"]; // filters that mean the same on the pages of one system
const THEMES = ["auto", "light", "dark"];

function useTheme() {
  const [theme, setTheme] = useState(localStorage.getItem("sextant.theme") ?? "auto");
  useEffect(() => {
    localStorage.setItem("sextant.theme", theme);
    document.documentElement.dataset.theme = theme;
    dispatchEvent(new Event("sextant:theme"));
  }, [theme]);
  return [theme, () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length])];
}

function Navigation({ address, shown }) {
  const menu = useRef();
  const shared = Object.fromEntries(Object.entries(address.filters).filter(([name]) => SHARED.includes(name)));
  const list = html`${shown.map(
    (system) => html`<div key=${system.id}>
      <h2 id=${`nav-${system.id}`}>${system.title}</h2>
      <ul aria-labelledby=${`nav-${system.id}`}>
        ${system.pages.map((page) => {
          const here = address.path[0] === system.id && address.path[1] === page.id;
          const filters = address.path[0] === system.id ? shared : {};
          return html`<li key=${page.id}><a href=${write({ path: [system.id, page.id], filters })} aria-current=${here ? "page" : undefined} onClick=${() => menu.current && (menu.current.open = false)}>${page.title}</a></li>`;
        })}
      </ul>
    </div>`,
  )}`;
  const here = find(address.path);
  return html`<nav aria-label="Systems" class="wide">${list}</nav>
    <details class="narrow menu" ref=${menu}>
      <summary>${here ? `${here.system.title}: ${here.page.title}` : "Menu"}</summary>
      <nav aria-label="Systems" class="panel">${list}</nav>
    </details>`;
}

function Page({ found, address, go, api }) {
  const [loaded, setLoaded] = useState();
  useEffect(() => {
    let gone = false;
    found.page.load().then((component) => !gone && setLoaded({ component, page: found.page }));
    return () => (gone = true);
  }, [found.page]);
  useEffect(() => {
    document.title = `${found.page.title} · ${found.system.title} · Sextant`;
    // Someone who moved here by the navigation starts reading at the heading; the first page load leaves focus alone.
    if (document.activeElement?.closest?.("nav")) requestAnimationFrame(() => document.querySelector("main h1")?.focus());
  }, [found.page, loaded]);
  if (loaded?.page !== found.page) return html`<p class="loading" role="status">Loading…</p>`;
  return html`<${loaded.component} key=${found.page.id} api=${api} page=${found.page} address=${address} go=${go} />`;
}

function SignIn({ session, message }) {
  const [fault, setFault] = useState(message);
  return html`<main id="main" class="signin">
    <h1>Sign in to Sextant</h1>
    ${fault && html`<p role="alert">${fault}</p>`}
    <button type="button" class="primary" onClick=${() => session.signIn().catch((error) => setFault(`Signing in cannot start: ${error.message}.`))}>Sign in</button>
  </main>`;
}

function App({ session, needsSignIn, message }) {
  const [address, setAddress] = useState(read(location.hash));
  const [signedOut, setSignedOut] = useState(needsSignIn);
  const [theme, nextTheme] = useTheme();
  useEffect(() => {
    const follow = () => setAddress(read(location.hash));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const go = (next) => {
    location.hash = write(next);
  };
  const api = async (path, request) => {
    try {
      return await session.api(path, request);
    } catch (error) {
      if (error.code === "SignIn") setSignedOut(true);
      throw error;
    }
  };
  const found = find(address.path);
  return html`<a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      document.getElementById("main").focus();
    }}>Skip to content</a>
    <header class="top">
      <a class="brand" href=${home}><img src="icon.svg" alt="" width="26" height="26" />Sextant</a>
      ${!signedOut && html`<${Navigation} address=${address} shown=${deployed(session.config)} />`}
      <div class="account">
        <button type="button" class="plain" onClick=${nextTheme} aria-label=${`Theme: ${theme}. Change`}><span aria-hidden="true">${{ auto: "◐", light: "○", dark: "●" }[theme]}</span> <span class="word">${{ auto: "Auto", light: "Light", dark: "Dark" }[theme]}</span></button>
        ${session.canSignOut() && !signedOut && html`<span class="user">${session.user()}</span><button type="button" class="plain" onClick=${session.signOut}>Sign out</button>`}
      </div>
    </header>
    ${signedOut
      ? html`<${SignIn} session=${session} message=${message} />`
      : html`<main id="main" tabindex="-1">
          ${found ? html`<${Page} found=${found} address=${address} go=${go} api=${api} />` : html`<div class="empty page"><h1>There is no such page</h1><p><a href=${home}>Go to ${systems[0].title}: ${systems[0].pages[0].title}</a></p></div>`}
        </main>`}`;
}

async function start() {
  const root = document.getElementById("app");
  let session;
  let message;
  try {
    session = createSession(await loadConfig());
  } catch (error) {
    render(html`<main class="problem page" role="alert"><h1>The console cannot start</h1><p>${error.message}</p><p>${error.remedy ?? "Reload the page."}</p></main>`, root);
    return;
  }
  try {
    await session.resume();
  } catch (error) {
    message = error.message;
  }
  const needsSignIn = await session.needsSignIn();
  if (!location.hash) history.replaceState(null, "", home);
  render(html`<${App} session=${session} needsSignIn=${needsSignIn} message=${message} />`, root);
}

document.documentElement.dataset.theme = localStorage.getItem("sextant.theme") ?? "auto";
start();
