// The way through six systems: a column beside the page, or a panel that opens below the bar where the window is narrow.
import { useEffect, useRef, useState } from "preact/hooks";
import { write } from "./address.js";
import { html } from "./html.js";
import { Icon } from "./icon.js";
import { link } from "./route.js";
import { text } from "./strings.js";
import { home, shell, systems } from "./systems.js";
import { THEMES, choose, useTheme } from "./theme.js";

const said = text.shell;
const SHARED = ["batch", "job", "modality", "level", "since", "until"]; // filters that mean the same on the pages of one system
const ABOUT = ["run", "project"];
const THEME_SIGNS = { auto: "◐", light: "○", dark: "●" };

function Entry({ page, found }) {
  const current = found?.page === page || (page.id === "runs" && found?.page.id === "run");
  return html`<li><a href=${link(page.path)} aria-current=${current ? "page" : undefined}><${Icon} name=${page.id} size="18" />${page.title}</a></li>`;
}

function System({ system, open, found, address }) {
  const current = found?.system?.id === system.id && found.page.id !== "run";
  const filters = current ? Object.fromEntries(Object.entries(address.filters).filter(([name]) => SHARED.includes(name))) : {};
  // What the pages of a system are about: a run, a project.
  const view = current ? Object.fromEntries(Object.entries(address.view ?? {}).filter(([name]) => ABOUT.includes(name))) : {};
  const first = system.pages[0];
  return html`<li>
    <a class="system" href=${first ? write({ path: [system.id, first.id], filters, view }) : link([system.id])} aria-current=${current && found.page.id === "about" ? "page" : undefined}><${Icon} name=${system.id} size="18" />${system.title}</a>
    ${(open || current) &&
    html`<ul aria-label=${said.pagesOf(system.title)}>
      ${system.pages.map((page) => html`<li key=${page.id}><a href=${write({ path: [system.id, page.id], filters, view })} aria-current=${current && page.id === found.page.id ? "page" : undefined}>${page.title}</a></li>`)}
    </ul>`}
  </li>`;
}

function ThemeSwitch() {
  const theme = useTheme();
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  return html`<button type="button" class="plain" onClick=${() => choose(next)} ><span class="sign" aria-hidden="true">${THEME_SIGNS[theme]}</span>${said.theme(said.themes[theme])}</button>`;
}

export function Navigation({ address, found, deployed, session }) {
  const [open, setOpen] = useState(false);
  const button = useRef();
  const bar = useRef();
  useEffect(() => setOpen(false), [address]);
  useEffect(() => {
    if (!open) return undefined;
    const close = (event) => {
      if (event.type === "keydown" ? event.key !== "Escape" : bar.current.contains(event.target)) return;
      setOpen(false);
      if (event.type === "keydown") button.current.focus();
    };
    addEventListener("keydown", close);
    addEventListener("pointerdown", close);
    return () => {
      removeEventListener("keydown", close);
      removeEventListener("pointerdown", close);
    };
  }, [open]);
  const away = systems.filter((each) => !deployed.includes(each));
  const settings = shell.find((each) => each.id === "settings");
  return html`<header class=${`top ${open ? "open" : ""}`} ref=${bar}>
    <a class="brand" href=${home}><img src="icon.svg" alt="" width="28" height="28" />${text.product}</a>
    <button type="button" class="toggle" ref=${button} aria-expanded=${open ? "true" : "false"} aria-controls="navigation" onClick=${() => setOpen(!open)}><${Icon} name=${open ? "close" : "menu"} size="18" />${said.menu}</button>
    <div id="navigation" class="drawer">
      <nav aria-label=${said.navigation}>
        <ul>${shell.filter((each) => each !== settings).map((page) => html`<${Entry} key=${page.id} page=${page} found=${found} />`)}</ul>
        <h2 id="systems">${said.systems}</h2>
        <ul aria-labelledby="systems">${deployed.map((system) => html`<${System} key=${system.id} system=${system} open=${deployed.length === 1} found=${found} address=${address} />`)}</ul>
        ${away.length > 0 && html`<h2 id="away">${said.notHere}</h2>
        <ul class="away" aria-labelledby="away">${away.map((system) => html`<li key=${system.id}><a href=${link([system.id])} aria-current=${found?.system === system ? "page" : undefined}><${Icon} name=${system.id} size="18" />${system.title}</a></li>`)}</ul>`}
        <ul class="last"><${Entry} page=${settings} found=${found} /></ul>
      </nav>
      <div class="account">
        <${ThemeSwitch} />
        ${session.canSignOut() && html`<span class="user">${session.user()}</span><button type="button" class="plain" onClick=${session.signOut}>${said.signOut}</button>`}
      </div>
    </div>
  </header>`;
}
