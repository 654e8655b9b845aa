"""The colours that pages and charts share: told apart by eyes that see no red, green or blue, and seen at all."""

import itertools
import re

import numpy as np
import pytest

from web.site import ROOT

STYLE = (ROOT / "style.css").read_text() + (ROOT / "shell.css").read_text()
PAIRS = {
    name: dict(zip(("light", "dark"), values, strict=True))
    for name, *values in re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", STYLE)
}
SERIES = [f"c{n}" for n in range(8)]
# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
SEEN = {
    "all": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def linear(colour):
    """Linear RGB of #rrggbb (IEC 61966-2-1)."""
    values = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def luminance(colour):
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    """WCAG 2.2's ratio."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def oklab(rgb):
    """Ottosson's Oklab, in which equal distances look equally large."""
    lms = np.cbrt(
        np.array(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ]
        )
        @ np.clip(rgb, 0, 1)
    )
    return (
        np.array(
            [
                [0.2104542553, 0.7936177850, -0.0040720468],
                [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660],
            ]
        )
        @ lms
    )


def test_formulas_give_known_values():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert oklab(linear("#ffffff")) == pytest.approx([1, 0, 0], abs=1e-4)
    red, green = (SEEN["deuteranopia"] @ linear(colour) for colour in ("#c04040", "#707000"))
    assert np.linalg.norm(oklab(red) - oklab(green)) < 0.12, "this pair is hard to tell apart"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [*SERIES, "cother", "edge", "accent"])
def test_marks_are_seen_on_cards(name, scheme):
    assert contrast(PAIRS[name][scheme], PAIRS["card"][scheme]) >= 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ("ink", "ground"), ("ink", "card"), ("quiet", "ground"), ("quiet", "card"), ("accent", "card"),
        ("accent", "accent-ground"), ("warn", "warn-ground"), ("warn", "card"), ("good", "card"), ("bad", "card"),
        ("bad", "warn-ground"),
    ],
)  # fmt: skip
def test_text_is_read_on_its_ground(ink, ground, scheme):
    assert contrast(PAIRS[ink][scheme], PAIRS[ground][scheme]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("eyes", SEEN)
def test_series_are_told_apart(eyes, scheme):
    seen = {name: oklab(SEEN[eyes] @ linear(PAIRS[name][scheme])) for name in SERIES}
    distances = {(a, b): float(np.linalg.norm(seen[a] - seen[b])) for a, b in itertools.combinations(SERIES, 2)}
    close = {pair: round(distance, 3) for pair, distance in distances.items() if distance < 0.07}
    assert close == {}


def test_the_mailed_report_has_the_same_colours():
    from sextant.labeling.report.figures import COLOURS

    assert [PAIRS[name]["light"] for name in SERIES] == list(COLOURS)
