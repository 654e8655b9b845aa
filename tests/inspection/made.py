"""Products whose truth is known: a grey plate with four holes on a plain belt, with light that changes."""

import io

import numpy as np
from PIL import Image, ImageDraw

from sextant.inspection.examples import Example

COLOUR = "#23A436"
SIZE = (480, 320)


def plate(seed, *, defect=None):
    """Pixels (320, 480, 3) and the mask (320, 480) of a plate: `scratch`, `hole` (one is missing) or no defect."""
    rng = np.random.default_rng(seed)
    left, top = rng.integers(70, 130), rng.integers(50, 90)
    image, mask = Image.new("RGB", SIZE, (40, 70, 60)), Image.new("L", SIZE)
    draw, painted = ImageDraw.Draw(image), ImageDraw.Draw(mask)
    draw.rectangle((left, top, left + 260, top + 160), fill=(170, 170, 175))
    missing = rng.integers(4) if defect == "hole" else -1
    for number, (x, y) in enumerate([(50, 40), (210, 40), (50, 120), (210, 120)]):
        box = (left + x - 16, top + y - 16, left + x + 16, top + y + 16)
        if number != missing:
            draw.ellipse(box, fill=(60, 60, 60))
        else:
            painted.ellipse(box, fill=255)
    if defect == "scratch":
        x, y = left + rng.integers(80, 150), top + rng.integers(30, 110)
        line = (x, y, x + 60, y + rng.integers(-20, 20))
        draw.line(line, fill=(235, 235, 235), width=4)
        painted.line(line, fill=255, width=4)
    pixels = np.asarray(image, np.float32) * rng.uniform(0.85, 1.15) + rng.normal(size=(*SIZE[::-1], 3)) * 3
    return np.clip(pixels, 0, 255).astype(np.uint8), (np.asarray(mask) > 0).astype(np.uint8)


def texture(seed, *, defect=None):
    """Pixels (256, 256, 3) of a low-contrast surface that fills the picture, and the mask of its scratch."""
    rng = np.random.default_rng([seed, 7])
    grey = 110 + rng.normal(size=(64, 64)) * 5
    grey = np.asarray(Image.fromarray(grey.astype(np.float32)).resize((256, 256), Image.Resampling.BICUBIC))
    mask = Image.new("L", (256, 256))
    if defect:
        x, y = rng.integers(40, 200, 2)
        ImageDraw.Draw(mask).line((x, y, x + rng.integers(-35, 35), y + 30), fill=255, width=3)
    grey = grey + rng.normal(size=grey.shape) * 2 - 28 * (np.asarray(mask) > 0)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, 2), (np.asarray(mask) > 0).astype(np.uint8)


def jpeg(pixels, quality=92):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def examples(make, normals, anomalies, *, start=0, masks=False):
    """Normal ones, then anomalous ones of alternating kinds; with masks each kind is a label."""
    kinds = ("scratch", "hole") if make is plate else ("scratch",)
    found = [Example(f"n{n}.jpg", "normal", jpeg(make(start + n)[0])) for n in range(normals)]
    for n in range(anomalies):
        kind = kinds[n % len(kinds)]
        pixels, mask = make(start + 5000 + n, defect=kind)
        number = kinds.index(kind) + 1
        labels = {at: (each, COLOUR if at == 1 else "#A02020") for at, each in enumerate(kinds, start=1)}
        told = (mask * number, labels) if masks else (None, {})
        found.append(Example(f"a{n}.jpg", "anomaly", jpeg(pixels), *told))
    return found
