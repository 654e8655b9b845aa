"""How a page looks: loaded once, then seen in every window and both schemes, as a reader would turn a device.

Nothing here sleeps: each wait is for what the browser shows when it is done.
"""

LOOKS = [(390, "light"), (390, "dark"), (820, "light"), (1280, "dark"), (1280, "light"), (2560, "dark")]
"""Widths and schemes, in this order: the scheme always changes, so that every chart is drawn anew."""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
AS_WIDE = """() => [...document.querySelectorAll('.plot')].every((each) =>
  each.dataset.drawn === String(Math.floor(each.closest('.frame').getBoundingClientRect().width)))"""
FORGET = "() => document.querySelectorAll('.plot').forEach((each) => delete each.dataset.drawn)"
DRAWN = "() => [...document.querySelectorAll('.plot')].every((each) => 'drawn' in each.dataset)"
CLIPPED = """() => [...document.querySelectorAll('.plot svg')].filter((each) => {
  const inner = each.querySelector('g').getBoundingClientRect(), outer = each.getBoundingClientRect();
  return inner.left < outer.left - 1 || inner.right > outer.right + 1 || inner.bottom > outer.bottom + 1;
}).map((each) => each.closest('.card').id)"""


def address_has(page, *pieces):
    """Waits until the address has all of these: it is written after the click that it tells of has returned."""
    page.wait_for_function("(pieces) => pieces.every((each) => location.href.includes(each))", arg=list(pieces))


def looks(page):
    """Gives the page every width and scheme in turn, with its charts drawn for it; yields both.

    The page was opened at the first of them.
    """
    for number, (width, scheme) in enumerate(LOOKS):
        if number:
            page.set_viewport_size({"width": width, "height": page.viewport_size["height"]})
            page.wait_for_function(AS_WIDE)
            page.evaluate(FORGET)
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(DRAWN)
        page.evaluate(FRAMES)
        yield width, scheme


def opening():
    """What `open_page` takes so that `looks` can begin: axe is a script of the test's own, which the policy forbids."""
    width, scheme = LOOKS[0]
    return {"width": width, "scheme": scheme, "bypass_csp": True}


def fits(page, width):
    """Nothing is wider than the window, no chart is cut off."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width, width
    assert page.evaluate(CLIPPED) == [], width


def axe_finds_nothing(page, *where):
    """No violation of WCAG 2.2 AA, nor of axe's best practice."""
    from axe_playwright_python.base import AxeResults
    from axe_playwright_python.sync_playwright import Axe

    if not page.evaluate("'axe' in globalThis"):
        page.evaluate(Axe().axe_script)
    options = {"runOnly": RULES, "resultTypes": ["violations"]}
    found = AxeResults(page.evaluate("(options) => axe.run(options)", options))
    assert found.violations_count == 0, f"{where}: {found.generate_report()}"
