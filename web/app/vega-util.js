// vega-interpreter is an ES module that imports three names of vega-util; vega's own bundle contains them.
import "vega";

export const { ascending, isString, DisallowedObjectProperties } = globalThis.vega;
