"""`python -m samples.inspection OUT`: photographs of two products with the truth about every pixel.

| below OUT | what |
| --- | --- |
| {product}/{train,test}/{normal,anomaly}/ | labelled by their folders, as the service's console did it |
| {product}/{train,test}.manifest, masks/ | the same with masks, as Ground Truth writes them (palette PNG) |
| incoming/bracket/{line}/{camera}/ | a belt with 7 % defects; the lamp over one camera dims from one item on |
| incoming/ and elsewhere | files that are no usable photographs: `Truth.corrupt` |
| new-data/bracket/ | nine unlabelled photographs, for a trial |
| truth.json | all of `Truth` |

Every photograph depends on the seed and its own name only.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from PIL import Image

from samples.inspection import bracket, camera, cloth

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from samples.inspection.scene import Defect

Part: TypeAlias = Literal["train", "test", "incoming", "new-data"]

PRODUCTS = {each.NAME: each for each in (bracket, cloth)}
LINE, CAMERAS = "line-1", ("camera-1", "camera-2")
DIMMEST = 0.6
"""What the failing lamp over the first camera comes down to, of the strength it had."""
TRIAL = (6, 3)
DUSTY = 0.25
"""The share of photographs with harmless dust."""
CREATED = "2026-11-02T08:00:00"


@dataclass(frozen=True)
class Size:
    """How many photographs.

    `train` and `test` are normal and anomalous ones by product; `items` go past each camera, of them all `defective`
    with a defect; from item `dims_from` (from 1) on the lamp over the first camera loses strength.
    """

    train: Mapping[str, tuple[int, int]]
    test: Mapping[str, tuple[int, int]]
    items: int
    defective: int
    dims_from: int


FULL = Size({"bracket": (32, 16), "cloth": (24, 10)}, {"bracket": (16, 16), "cloth": (10, 10)}, 64, 9, 33)
"""A belt with 7 % defects."""


@dataclass(frozen=True)
class Flaw:
    """One defect. `box` is left, top, width, height in pixels; `share` its part of the photograph's pixels.

    `plain` tells how easily it is seen: 0 is faint, 1 obvious.
    """

    name: str
    plain: float
    box: tuple[int, int, int, int]
    share: float


@dataclass(frozen=True)
class Item:
    """One photograph. `file` and `mask` are paths below the sample; `order` counts a camera's items from 1."""

    file: str
    product: str
    part: Part
    label: Literal["normal", "anomaly"]
    flaws: tuple[Flaw, ...] = ()
    mask: str | None = None
    specks: int = 0
    lamp: float = 1.0
    line: str = ""
    camera: str = ""
    order: int = 0


@dataclass(frozen=True)
class Truth:
    """`corrupt` tells, by file, the reason for which no verdict can be given; `drifting` is the camera that dims."""

    seed: int
    items: tuple[Item, ...]
    corrupt: dict[str, str]
    drifting: str
    drifts_from: int

    def of(self, part: Part, product: str | None = None) -> list[Item]:
        """The photographs of a part, in their order."""
        return [each for each in self.items if each.part == part and product in {None, each.product}]


def write_sample(folder: Path, seed: int = 7, size: Size = FULL) -> Truth:
    """Writes the sample below a folder and returns what is true of it."""

    def drawn(item: Item) -> Item:
        return _written(folder, item, seed)

    with ThreadPoolExecutor(2) as pool:
        items = tuple(pool.map(drawn, _planned(seed, size)))
    for product in PRODUCTS:
        for part in ("train", "test"):
            lines = [_line(each, product) for each in items if (each.product, each.part) == (product, part)]
            path = folder / product / f"{part}.manifest"
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    truth = Truth(seed, items, _corrupt(folder, items), CAMERAS[0], size.dims_from)
    (folder / "truth.json").write_text(json.dumps(asdict(truth), indent=1), encoding="utf-8")
    return truth


def pixels_of(mask: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A mask file's numbers: 0 is background, then the product's defects in the order of their names."""
    return np.asarray(Image.open(io.BytesIO(mask)))


def _planned(seed: int, size: Size) -> Iterator[Item]:
    for product in PRODUCTS:
        for part, (normals, anomalies) in (("train", size.train[product]), ("test", size.test[product])):
            for label, count in (("normal", normals), ("anomaly", anomalies)):
                for order in range(1, count + 1):
                    name = f"{product}/{part}/{label}/{label}-{order:03d}.jpg"
                    yield Item(name, product, part, label, order=order)  # type: ignore[arg-type]
    rng = np.random.default_rng([seed, 1])
    bad = {int(each) for each in rng.permutation(len(CAMERAS) * size.items)[: size.defective]}
    for at in range(len(CAMERAS) * size.items):
        order, lamp = at // len(CAMERAS) + 1, 1.0
        name = CAMERAS[at % len(CAMERAS)]
        if name == CAMERAS[0] and order >= size.dims_from:
            lamp = 0.85 + (DIMMEST - 0.85) * (order - size.dims_from) / (size.items - size.dims_from)
        yield Item(
            f"incoming/bracket/{LINE}/{name}/{order:04d}.jpg",
            "bracket",
            "incoming",
            "anomaly" if at in bad else "normal",
            lamp=round(lamp, 4),
            line=LINE,
            camera=name,
            order=order,
        )
    for order in range(1, sum(TRIAL) + 1):
        label = "anomaly" if order % 3 == 0 else "normal"
        yield Item(f"new-data/bracket/{order:03d}.jpg", "bracket", "new-data", label, order=order)  # type: ignore[arg-type]


def _written(folder: Path, item: Item, seed: int) -> Item:
    rng = np.random.default_rng([seed, int.from_bytes(hashlib.sha256(item.file.encode()).digest()[:8])])
    product = PRODUCTS[item.product]
    names = sorted(product.DEFECTS)
    wrong: tuple[tuple[str, float], ...] = ()
    if item.label == "anomaly":
        name = names[item.order % len(names)] if item.part in {"train", "test"} else str(rng.choice(names))
        wrong = ((name, round(float(rng.uniform(0.1, 1)), 3)),)
    specks = int(rng.integers(1, 6)) if rng.random() < DUSTY else 0
    scene = product.scene(rng, wrong, specks)
    body = camera.photograph(scene.light, camera.shot(rng, item.lamp), rng)
    _put(folder / item.file, body)
    if not scene.defects:
        return replace(item, specks=specks)
    mask = None
    if item.part in {"train", "test"}:
        mask = f"{item.product}/masks/{item.part}/{item.file.rpartition('/')[2].replace('.jpg', '.png')}"
    else:
        mask = f"masks/{item.file.replace('.jpg', '.png')}"
    _put(folder / mask, _mask(scene.defects, product.DEFECTS))
    return replace(item, specks=specks, mask=mask, flaws=tuple(_flaw(each) for each in scene.defects))


def _flaw(defect: Defect) -> Flaw:
    y, x = np.nonzero(defect.pixels)
    box = (int(x.min()), int(y.min()), int(np.ptp(x)) + 1, int(np.ptp(y)) + 1)
    return Flaw(defect.name, defect.plain, box, float(defect.pixels.mean()))


def _mask(defects: Sequence[Defect], colours: dict[str, str]) -> bytes:
    names = sorted(colours)
    numbers = np.zeros(defects[0].pixels.shape, np.uint8)
    for defect in defects:
        numbers[defect.pixels] = names.index(defect.name) + 1
    image = Image.fromarray(numbers, "P")
    image.putpalette(b"\xff\xff\xff" + b"".join(bytes.fromhex(colours[name][1:]) for name in names))
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()


def _line(item: Item, product: str) -> str:
    """A line of a segmentation manifest; what it names lies in the manifest's own folder."""
    root = f"{product}/"
    told = {"confidence": 1, "human-annotated": "yes", "creation-date": CREATED, "job-name": f"labeling-job/{product}"}
    line: dict[str, Any] = {
        "source-ref": item.file.removeprefix(root),
        "anomaly-label": int(item.label == "anomaly"),
        "anomaly-label-metadata": {**told, "class-name": item.label, "type": "groundtruth/image-classification"},
    }
    if item.mask:
        colours = sorted(PRODUCTS[product].DEFECTS.items())
        classes = [("BACKGROUND", "#FFFFFF"), *colours]
        line["anomaly-mask-ref"] = item.mask.removeprefix(root)
        line["anomaly-mask-ref-metadata"] = {
            **{name: value for name, value in told.items() if name != "confidence"},
            "internal-color-map": {
                str(number): {"class-name": name, "hex-color": colour, "confidence": 0}
                for number, (name, colour) in enumerate(classes)
            },
            "type": "groundtruth/semantic-segmentation",
        }
    return json.dumps(line, separators=(",", ":"))


def _corrupt(folder: Path, items: Sequence[Item]) -> dict[str, str]:
    """Files for which there can be no verdict, each with the reason."""
    whole = next((folder / each.file).read_bytes() for each in items if each.part == "incoming")
    tiny = io.BytesIO()
    Image.new("RGB", (32, 32)).save(tiny, "PNG")
    place = f"incoming/bracket/{LINE}/{CAMERAS[1]}"
    made = {
        f"{place}/cut-off.jpg": ("truncated", whole[: len(whole) // 2]),
        f"{place}/notes.jpg": ("not_an_image", b"Camera 2 was cleaned at 10:40.\n"),
        f"{place}/empty.jpg": ("empty", b""),
        f"{place}/tiny.png": ("too_small", tiny.getvalue()),
        f"{place}/bomb.png": ("too_large", _bomb()),
        f"incoming/unheard-of/{LINE}/{CAMERAS[0]}/0001.jpg": ("no_such_project", whole),
        "incoming/bracket/astray.jpg": ("wrong_place", whole),
    }
    for name, (_, body) in made.items():
        _put(folder / name, body)
    return {name: reason for name, (reason, _) in made.items()}


def _bomb() -> bytes:
    """A PNG of some bytes whose header tells of 3.6 gigapixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


def _put(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
