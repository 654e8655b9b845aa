// The console's contents: one entry per system, one page per line. The navigation and the router are made from it.
// A page is a component that gets { api, page, address, go }; it is loaded when it is first opened.

const dashboard = () => import("./dashboard.js").then((module) => module.Dashboard);

export const systems = [
  {
    id: "labeling",
    title: "Labeling",
    pages: [
      { id: "annotations", title: "Annotations", load: dashboard, dashboard: "annotations" },
      { id: "workers", title: "Workers", load: dashboard, dashboard: "workers" },
    ],
  },
];

// Those of them that this environment deploys (config.json's `systems`; all when it does not say).
export const deployed = (config) => systems.filter((each) => !config.systems || config.systems.includes(each.id));

export function find(path) {
  const [systemId, pageId] = path;
  const system = systems.find((each) => each.id === systemId);
  const page = system?.pages.find((each) => each.id === pageId);
  return page ? { system, page } : undefined;
}

export const home = `#/${systems[0].id}/${systems[0].pages[0].id}`;
