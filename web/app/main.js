// The shell: configuration, sign-in, navigation, and the page the address names.
import { render } from "preact";
import { useCallback, useEffect, useState } from "preact/hooks";
import { read, write } from "./address.js";
import { html } from "./html.js";
import { Navigation } from "./navigation.js";
import { Fault, createSession, loadConfig } from "./session.js";
import { text } from "./strings.js";
import { deployed, find, home } from "./systems.js";
import { show } from "./theme.js";

const here = () => ({ ...read(location.hash), hash: location.hash });

function Page({ found, address, go, api, session }) {
  const [loaded, setLoaded] = useState();
  const [fault, setFault] = useState();
  useEffect(() => {
    let gone = false;
    found.page
      .load()
      .then((component) => !gone && setLoaded({ component, id: found.page.id }))
      // A module that does not come: the network is gone, or a deployment replaced the files.
      .catch(() => !gone && setFault(true));
    return () => (gone = true);
  }, [found.page.id]);
  useEffect(() => {
    document.title = text.title(found.page.title, found.system && found.page.id !== "about" && found.system.title);
    // Someone who moved here by the navigation starts reading at the heading; the first page load leaves focus alone.
    if (document.activeElement?.closest?.("nav")) requestAnimationFrame(() => /** @type {HTMLElement} */ (document.querySelector("main h1"))?.focus());
  }, [found.page.id, found.system?.id, loaded]);
  if (fault) return html`<div class="problem page" role="alert"><h1>${found.page.title}</h1><p>${text.faults.module.message}</p><p>${text.faults.module.remedy}</p></div>`;
  if (loaded?.id !== found.page.id) return html`<p class="loading" role="status">${text.shared.loading}</p>`;
  return html`<${loaded.component} key=${`${found.system?.id} ${found.page.id}`} api=${api} page=${found.page} address=${address} go=${go} system=${found.system} deployed=${deployed(session.config)} session=${session} />`;
}

function SignIn({ session, message }) {
  const [fault, setFault] = useState(message);
  return html`<main id="main" class="signin">
    <img src="icon.svg" alt="" width="64" height="64" />
    <h1>${text.signIn.title}</h1>
    <p class="quiet lead">${text.signIn.lead}</p>
    ${fault && html`<p role="alert" class="problem">${fault}</p>`}
    <button type="button" class="primary" onClick=${() => session.signIn().catch((error) => setFault(text.signIn.cannotStart(error.message)))}>${text.signIn.button}</button>
  </main>`;
}

function App({ session, needsSignIn, message }) {
  const [address, setAddress] = useState(here());
  const [signedOut, setSignedOut] = useState(needsSignIn);
  const [notice, setNotice] = useState(message);
  useEffect(() => {
    const follow = () => setAddress(here());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const go = useCallback((next) => {
    location.hash = write(next);
  }, []);
  const api = useCallback(
    async (path, request) => {
      try {
        return await session.api(path, request);
      } catch (error) {
        if (error instanceof Fault && error.code === "SignIn") {
          setNotice(error.message);
          setSignedOut(true);
        }
        throw error;
      }
    },
    [session],
  );
  if (signedOut) return html`<${SignIn} session=${session} message=${notice} />`;
  const found = find(address.path);
  return html`<a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      document.getElementById("main").focus();
    }}>${text.shell.skip}</a>
    <${Navigation} address=${address} found=${found} deployed=${deployed(session.config)} session=${session} />
    <main id="main" tabindex="-1">
      ${found ? html`<${Page} found=${found} address=${address} go=${go} api=${api} session=${session} />` : html`<div class="empty page"><h1 tabindex="-1">${text.shared.missing.title}</h1><p><a href=${home}>${text.shared.missing.home}</a></p></div>`}
    </main>`;
}

async function start() {
  const root = document.getElementById("app");
  let session;
  let message;
  try {
    session = createSession(await loadConfig());
  } catch (error) {
    render(html`<main class="problem page" role="alert"><h1>${text.shell.cannotStart}</h1><p>${error.message}</p><p>${error.remedy ?? text.shell.reload}</p></main>`, root);
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

show();
start();
