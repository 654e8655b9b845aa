// Modules that are checked without types of their own: vega's bundles are used as data in, picture out.
declare module "vega";
declare module "vega-lite";
declare module "vega-interpreter";
declare var vega: any;
declare var vegaLite: any;
declare module "openseadragon";
declare var OpenSeadragon: any;
