// The files of a run, to take along.
import { useEffect, useRef, useState } from "preact/hooks";
import { bytes, value } from "./format.js";
import { html } from "./html.js";
import { OfRun } from "./of-run.js";
import { Problem, useAction } from "./parts.js";
import { usePolled } from "./poll.js";
import { link, request } from "./route.js";
import { text } from "./strings.js";

const said = text.files;

/**
 * A button that fetches a short-lived link to a file of a run and follows it.
 * @param {{ api: import("../types/console").Api, [name: string]: any }} props
 */
export function Download({ api, run, name, children }) {
  const fetched = useAction(async () => {
    const { url } = await api(request(/** @type {const} */ (`/api/slides/${run}/download`), { name }));
    location.assign(url);
  });
  return html`<button type="button" aria-label=${said.downloadOf(name)} disabled=${fetched.busy} onClick=${fetched.act}>${children}</button>${fetched.fault && html`<${Problem} fault=${fetched.fault} />`}`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Content({ api, run, chosen, address, busy }) {
  const path = /** @type {const} */ (`/api/slides/${run}/artefacts`);
  const [find, setFind] = useState(chosen.find ?? "");
  const [partly, setPartly] = useState(false); // of more files than the API lists only it can find one
  const polled = usePolled(api, request(path, partly && find ? { find } : {}), () => busy);
  const { fault, refresh } = polled;
  const last = useRef(polled.answer); // the list stays while the next is asked for
  last.current = polled.answer ?? last.current;
  const answer = last.current;
  useEffect(() => {
    if (answer?.more) setPartly(true);
  }, [answer]);
  if (!answer) return fault ? html`<${Problem} fault=${fault} retry=${refresh} />` : html`<p class="loading" role="status">${text.shared.loading}</p>`;
  const all = answer.artefacts;
  const found = all.filter((each) => each.name.toLowerCase().includes(find.toLowerCase()));
  const typed = (event) => {
    setFind(event.target.value);
    location.replace(link(address.path, { ...chosen, find: event.target.value }));
  };
  return html`${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    <div class="card">
      <div class="controls" role="search"><input type="search" aria-label=${said.find} placeholder=${said.find} value=${find} onInput=${typed} /></div>
      <p role="status">${said.shown(found.length, all.length)}</p>
      ${answer.more && html`<p class="notice">${said.more(value(all.length, "count"))}</p>`}
      ${!found.length && html`<div class="empty"><p>${all.length ? said.nothing : said.none}</p></div>`}
      ${found.length > 0 &&
      html`<div class="scroll tall" tabindex="0" role="region" aria-label=${said.table}>
        <table>
          <thead><tr><th scope="col">${said.name}</th><th scope="col" class="number">${said.size}</th><th scope="col">${said.download}</th></tr></thead>
          <tbody>${found.map((each) => html`<tr key=${each.name}><th scope="row"><code>${each.name}</code></th><td class="number">${bytes(each.size_bytes)}</td><td><${Download} api=${api} run=${run} name=${each.name}>${said.download}<//></td></tr>`)}</tbody>
        </table>
      </div>`}
    </div>`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export const Files = ({ api, address, page }) => html`<${OfRun} api=${api} address=${address} title=${page.title} lead=${said.lead} content=${Content} />`;
