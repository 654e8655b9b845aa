"""Charts as SVG elements: fixed colours and sizes, nothing to load and nothing to run, so a mail reader can show them.

The console draws with Vega in the browser. A function on AWS has no browser, and a renderer of Vega weighs more than
the function may: these few shapes are drawn directly (docs/adr/0008).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Sequence

COLOURS = ("#085dc6", "#cb6110", "#1f9264", "#9c3b61", "#735a01", "#554b91", "#7c8ecb", "#7e2b35")
"""The console's palette for a light page, in its order (web/style.css, c0 to c7)."""
INK, QUIET, LINE = "#17202b", "#4d5966", "#d5dbe2"
WIDTH = 680
_LABEL, _ROW, _BAR = 230, 24, 15
_PLOT = WIDTH - _LABEL - 110
_LONGEST = 28

Place = tuple[float, float]
"""Pixels from the left and from the top."""


class Bar(NamedTuple):
    """One bar: a name, its parts in the order of the series (one part without series), and what stands behind it."""

    name: str
    parts: Sequence[float]
    told: str


class Dot(NamedTuple):
    """A value with the bounds of its interval, None where there are none."""

    name: str
    value: float
    lower: float | None
    upper: float | None
    told: str


class Point(NamedTuple):
    """A point of a line: the name of its place and the values of the series there, None where there is none."""

    name: str
    values: Sequence[float | None]


def bars(rows: Sequence[Bar], title: str) -> ET.Element:
    """Horizontal bars, stacked where they have several parts."""
    most = max((sum(each.parts) for each in rows), default=0) or 1
    svg = _svg(_ROW * len(rows) + 4, title)
    for n, row in enumerate(rows):
        top = n * _ROW + 4
        _text(svg, _LABEL - 8, top + 12, shortened(row.name), anchor="end")
        left = float(_LABEL)
        for part, value in enumerate(row.parts):
            width = _PLOT * value / most
            _box(svg, left, top, width, COLOURS[part % len(COLOURS)])
            left += width
        _text(svg, left + 6, top + 12, row.told, colour=QUIET)
    return svg


def dots(rows: Sequence[Dot], title: str) -> ET.Element:
    """A dot with whiskers for each row, on one scale from the least lower to the largest upper bound."""
    ends = [end for row in rows for end in (row.lower, row.value, row.upper) if end is not None]
    scale = _scale(ends, _LABEL + 6, _LABEL + _PLOT)
    svg = _svg(_ROW * len(rows) + 4, title)
    for n, row in enumerate(rows):
        middle = n * _ROW + 12
        _text(svg, _LABEL - 8, middle + 4, shortened(row.name), anchor="end")
        if row.lower is not None and row.upper is not None:
            _line(svg, (scale(row.lower), middle), (scale(row.upper), middle), COLOURS[0], 2)
            for end in (row.lower, row.upper):
                _line(svg, (scale(end), middle - 4), (scale(end), middle + 4), COLOURS[0], 2)
        at = {"cx": _number(scale(row.value)), "cy": str(middle), "r": "4.5", "fill": COLOURS[0]}
        ET.SubElement(svg, "circle", at)
        _text(svg, _LABEL + _PLOT + 8, middle + 4, row.told, colour=QUIET)
    return svg


def lines(
    points: Sequence[Point], series: Sequence[str], title: str, dashed: frozenset[str] = frozenset()
) -> ET.Element:
    """Lines over equally spaced places; `dashed` series (limits) are drawn thin and grey."""
    height, foot = 190, 34
    values = [value for point in points for value in point.values if value is not None]
    down = _scale([*values, 0.0], height, 10)
    step = (WIDTH - 80) / max(1, len(points) - 1)
    svg = _svg(height + foot, title)
    _line(svg, (40, down(0.0)), (WIDTH - 40, down(0.0)), LINE, 1)
    for n, name in enumerate(series):
        colour = QUIET if name in dashed else COLOURS[n % len(COLOURS)]
        runs: list[list[str]] = [[]]
        for place, point in enumerate(points):
            value = point.values[n]
            if value is None:
                runs.append([])
            else:
                runs[-1].append(f"{_number(40 + place * step)},{_number(down(value))}")
        for run in runs:
            shape = {"points": " ".join(run), "fill": "none", "stroke": colour}
            style = {"stroke-dasharray": "4 3", "stroke-width": "1"} if name in dashed else {"stroke-width": "2"}
            if len(run) > 1:
                ET.SubElement(svg, "polyline", shape | style)
            elif run and name not in dashed:
                x, y = run[0].split(",")
                ET.SubElement(svg, "circle", {"cx": x, "cy": y, "r": "3", "fill": colour})
    for place in sorted({0, len(points) // 2, len(points) - 1}) if points else []:
        anchor = "start" if place == 0 else "end" if place == len(points) - 1 else "middle"
        _text(svg, 40 + place * step, height + 18, shortened(points[place].name), anchor=anchor, colour=QUIET)
    return svg


def shortened(name: str) -> str:
    """A name that fits beside a chart: the middle gives way, for both ends of a job's name tell something."""
    half = (_LONGEST - 1) // 2
    return name if len(name) <= _LONGEST else f"{name[:half]}…{name[-half:]}"


class Scale(NamedTuple):
    """From data to pixels."""

    least: float
    span: float
    low: float
    high: float

    def __call__(self, value: float) -> float:
        return self.low + (self.high - self.low) * (value - self.least) / self.span


def _scale(values: Sequence[float], low: float, high: float) -> Scale:
    least, most = min(values, default=0.0), max(values, default=1.0)
    return Scale(least, (most - least) or 1.0, low, high)


def _svg(height: int, title: str) -> ET.Element:
    box = f"0 0 {WIDTH} {height}"
    svg = ET.Element("svg", {"viewBox": box, "width": str(WIDTH), "height": str(height), "role": "img"})
    svg.set("xmlns", "http://www.w3.org/2000/svg")
    svg.set("font-family", "Inter, system-ui, sans-serif")
    svg.set("font-size", "12")
    ET.SubElement(svg, "title").text = title
    return svg


def _text(svg: ET.Element, x: float, y: float, text: str, *, anchor: str = "start", colour: str = INK) -> None:
    at = {"x": _number(x), "y": _number(y), "text-anchor": anchor, "fill": colour}
    ET.SubElement(svg, "text", at).text = text


def _box(svg: ET.Element, x: float, y: float, width: float, colour: str) -> None:
    at = {"x": _number(x), "y": _number(y), "width": _number(max(width, 0.0)), "height": str(_BAR)}
    ET.SubElement(svg, "rect", at | {"fill": colour})


def _line(svg: ET.Element, start: Place, end: Place, colour: str, width: float) -> None:
    ends = dict(zip(("x1", "y1", "x2", "y2"), map(_number, (*start, *end)), strict=True))
    ET.SubElement(svg, "line", ends | {"stroke": colour, "stroke-width": _number(width)})


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if math.isfinite(value) else "0"
