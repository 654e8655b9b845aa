// Who asks, how the page looks, and the environment as it was deployed.
import { html } from "./html.js";
import { Problem, Title } from "./parts.js";
import { usePolled } from "./poll.js";
import { text } from "./strings.js";
import { THEMES, choose, useTheme } from "./theme.js";

const said = text.settings;

const shown = (value) => {
  if (value === null || value === undefined) return html`<span class="quiet">${said.notSet}</span>`;
  if (Array.isArray(value)) return value.length ? html`<ul class="values">${value.map((each) => html`<li key=${String(each)}><code>${typeof each === "string" ? each : JSON.stringify(each)}</code></li>`)}</ul>` : html`<span class="quiet">${said.empty}</span>`;
  return html`<code>${typeof value === "string" ? value || said.empty : JSON.stringify(value)}</code>`;
};

function Theme() {
  const theme = useTheme();
  return html`<fieldset class="theme"><legend>${said.theme}</legend>
    ${THEMES.map((name) => html`<label key=${name} class="choice"><input type="radio" name="theme" value=${name} checked=${name === theme} onChange=${() => choose(name)} /> ${text.shell.themes[name]}</label>`)}
    <p class="quiet">${said.themeHint}</p>
  </fieldset>`;
}

const Facts = ({ facts }) => html`<dl class="pairs">${Object.entries(facts).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

const Section = ({ name, settings }) => html`<section class="card" aria-labelledby=${`section-${name}`}>
  <h2 id=${`section-${name}`}>${name === "environment" ? said.topLevel : html`<code>${said.section(name)}</code>`}</h2>
  <div class="scroll plain"><table>
    <thead><tr><th scope="col">${said.key}</th><th scope="col">${said.value}</th></tr></thead>
    <tbody>${Object.entries(settings).map(([key, value]) => html`<tr key=${key}><th scope="row"><code>${key}</code></th><td>${shown(value)}</td></tr>`)}</tbody>
  </table></div>
</section>`;

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export function Settings({ api, session }) {
  const { answer, fault, refresh } = usePolled(api, "/api/settings");
  const environment = answer?.environment;
  return html`<${Title} lead=${environment && said.readOnly(environment.name)}>${said.title}<//>
    ${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    <div class="sections">
      <section class="card" aria-labelledby="you">
        <h2 id="you">${said.you}</h2>
        <${Facts} facts=${{ [said.user]: session.user() || said.anonymous }} />
        ${answer && html`<dl class="pairs"><div><dt>${said.roles}</dt><dd>${answer.you.roles.map((role) => html`<p key=${role}><strong>${role}</strong> <span class="quiet">${said.roleMeaning[role]}</span></p>`)}</dd></div></dl>`}
        <${Theme} />
      </section>
      ${!answer && !fault && html`<p class="loading" role="status">${text.shared.loading}</p>`}
      ${environment &&
      html`<section class="card" aria-labelledby="environment">
          <h2 id="environment">${said.environment}</h2>
          <${Facts} facts=${{ [said.name]: environment.name, [said.account]: environment.account, [said.region]: environment.region, [said.deployed]: environment.systems.map((id) => text.systems[id].title).join(", ") }} />
          <h3>${said.versions}</h3>
          <${Facts} facts=${answer.versions} />
        </section>
        ${Object.entries(environment.sections).map(([name, settings]) => html`<${Section} key=${name} name=${name} settings=${settings} />`)}`}
    </div>`;
}
