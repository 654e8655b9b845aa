// The console's contents: one entry per system, one line per page. The navigation and the router are made from it.
// A page is a component that gets { api, page, address, go }; it is loaded when it is first opened. What systems and
// pages are called, and what they are for, is in strings.js under the same ids.
import { text } from "./strings.js";

const dashboard = () => import("./dashboard.js").then((module) => module.Dashboard);

const contents = {
  labeling: [
    { id: "annotations", load: dashboard, dashboard: "annotations" },
    { id: "workers", load: dashboard, dashboard: "workers" },
  ],
  slides: [],
  health: [],
  captions: [],
  narration: [],
  inspection: [],
};

export const systems = Object.entries(contents).map(([id, pages]) => ({
  id,
  title: text.systems[id].title,
  pages: pages.map((page) => ({ ...page, title: text.systems[id].pages[page.id] })),
}));

// Those of them that this environment deploys (config.json's `systems`; all with pages when it does not say).
export const deployed = (config) => systems.filter((each) => (config.systems ? config.systems.includes(each.id) : each.pages.length));

export function find(path) {
  const [systemId, pageId] = path;
  const system = systems.find((each) => each.id === systemId);
  const page = system?.pages.find((each) => each.id === pageId);
  return page ? { system, page } : undefined;
}

export const home = `#/${systems[0].id}/${systems[0].pages[0].id}`;
