// A slide to move and zoom in: OpenSeadragon over the levels that the API tells, with a canvas for the tiles above it.

let loading;
/** The library, fetched when the first slide is opened. */
export function library() {
  loading ??= (async () => {
    // It would add a style element, which the page's policy forbids, unless it finds its own: this one is no CSS.
    const mark = document.createElementNS("urn:sextant", "style");
    mark.setAttribute("data-openseadragon-mobile-css", "true");
    document.head.append(mark);
    await import("openseadragon");
    return globalThis.OpenSeadragon;
  })();
  return loading;
}

const AT_ONCE = 8; // tiles asked for at the same time

/**
 * The levels as OpenSeadragon counts them: the smallest first. Their factors are those of the slide, not always 2.
 * @param {any} library
 * @param {import("../types/api").SlidePage} slide
 * @param {(level: number, column: number, row: number, signal: AbortSignal) => Promise<Blob>} fetchTile `level` as the API counts
 */
export function tileSource(library, slide, fetchTile) {
  const levels = slide.levels.toReversed();
  const last = levels.length - 1;
  const source = new library.TileSource({ width: slide.width, height: slide.height, tileOverlap: 0, minLevel: 0, maxLevel: last, tileWidth: levels[last].tile_width, tileHeight: levels[last].tile_height });
  return Object.assign(source, {
    getTileWidth: (level) => levels[level].tile_width,
    getTileHeight: (level) => levels[level].tile_height,
    getLevelScale: (level) => 1 / levels[level].downsample,
    getNumTiles: (level) => new library.Point(levels[level].columns, levels[level].rows),
    tileExists: (level, column, row) => level >= 0 && level <= last && column >= 0 && row >= 0 && column < levels[level].columns && row < levels[level].rows,
    // Tiles at the edges are padded: what lies beyond the slide is not drawn (getTileBounds with isSource).
    getTileUrl: (level, column, row) => `${slide.version}/${last - level}/${column}/${row}`,
    downloadTileStart(context) {
      const [level, column, row] = context.src.split("/").slice(1).map(Number);
      const stop = new AbortController();
      context.userData.stop = stop;
      fetchTile(level, column, row, stop.signal)
        .then((blob) => context.finish(blob, null, "rasterBlob"))
        .catch((error) => error.name !== "AbortError" && context.fail(error.message, null));
    },
    downloadTileAbort(context) {
      context.userData.stop?.abort();
    },
  });
}

/**
 * Opens a viewer in an element; `canvas` lies above it and is painted at every move.
 * @param {object} given
 * @param {any} given.library
 * @param {HTMLElement} given.element
 * @param {HTMLElement} given.navigator where the overview goes
 * @param {any} given.source
 * @param {boolean} given.still whether movements are made at once
 */
export function open({ library, element, navigator, source, still }) {
  return new library.Viewer({
    element,
    tileSources: source,
    drawer: "canvas",
    showNavigationControl: false,
    showNavigator: true,
    navigatorElement: navigator,
    imageLoaderLimit: AT_ONCE,
    maxZoomPixelRatio: 4,
    minZoomImageRatio: 0.8,
    visibilityRatio: 0.3,
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
    gestureSettingsTouch: { clickToZoom: false },
    gestureSettingsPen: { clickToZoom: false },
    ...(still && { animationTime: 0, immediateRender: true }),
  });
}

/** Where the slide lies in the viewer, in CSS pixels: its left and top, and pixels per pixel of level 0. */
export function placed(library, viewer, width) {
  const at = (x) => viewer.viewport.imageToViewerElementCoordinates(new library.Point(x, 0));
  const [from, to] = [at(0), at(width)];
  return { left: from.x, top: from.y, scale: (to.x - from.x) / width };
}
