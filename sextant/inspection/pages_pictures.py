"""Photographs and masks as the console shows them: small, and only those that a project has to do with."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from botocore.exceptions import ClientError
from PIL import Image

from sextant.console.operation import OperationError
from sextant.inspection import manifest, mask_image, photograph
from sextant.inspection.api import limits
from sextant.inspection.api.services import entry_key, split
from sextant.inspection.loop.arrival import INCOMING, NEW_DATA
from sextant.inspection.pages_reading import KINDS

if TYPE_CHECKING:
    from sextant.inspection.manifest import Entry
    from sextant.inspection.pages_desk import Desk

_QUALITY = 82
_OPACITY = 160
_WHITE = 250


def picture(desk: Desk, name: str, source: str, px: int) -> bytes:
    """A JPEG of a photograph, upright, with at most `px` pixels a side.

    Raises:
        OperationError: the project has nothing to do with it, it is not there, or it is no picture.
    """
    if _entry(desk, name, source) is None and not _arrived(desk, name, source):
        message = f"{source} is no photograph of project {name}"
        raise OperationError(404, "NotOfProject", message, "Reload the page.")
    try:
        image = Image.fromarray(photograph.read(_body(desk, source)))
    except photograph.PhotographError as error:
        raise OperationError(422, "NoPicture", f"{source} cannot be shown: {error.detail}", "Replace it.") from error
    image.thumbnail((px, px), Image.Resampling.BILINEAR, reducing_gap=2.0)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def mask(desk: Desk, name: str, px: int, *, item: str = "", source: str = "") -> bytes:
    """A transparent PNG with what is anomalous, in its colours, to lay over the photograph.

    Args:
        desk: of the pages.
        name: of the project.
        px: most pixels a side.
        item: whose mask the model has painted; or
        source: the photograph of a dataset, whose mask a person has painted.

    Raises:
        OperationError: there is no mask.
    """
    entry = _entry(desk, name, source) if source else None
    uri = entry.mask if entry else f"s3://{desk.bucket}/masks/{name}/{item}.png" if item else None
    if uri is None:
        raise OperationError(404, "NoMask", f"{source or 'nothing'} has no mask", "Reload the page.")
    painted = _overlay(_body(desk, uri), entry, uri)
    image = Image.fromarray(painted)
    image.thumbnail((px, px), Image.Resampling.NEAREST, reducing_gap=None)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _overlay(body: bytes, entry: Entry | None, uri: str) -> np.ndarray:
    """The mask in colours, shape (height, width, 4): opaque where something is painted."""
    if entry is not None:
        labels = mask_image.labels_of(entry.colors)
        numbers = mask_image.read(body, labels, uri)
        table = np.zeros((256, 4), np.uint8)
        for number, (_, colour) in labels.items():
            table[number] = (*(int(colour[at : at + 2], 16) for at in (1, 3, 5)), _OPACITY)
        return table[numbers]
    pixels = np.asarray(Image.open(io.BytesIO(body)).convert("RGBA")).copy()
    pixels[..., 3] = np.where((pixels[..., :3] >= _WHITE).all(axis=-1), 0, _OPACITY)
    return pixels


def _entry(desk: Desk, name: str, source: str) -> Entry | None:
    """What a dataset of the project says of a photograph, None where none has it."""
    found = (desk.services.table.get(entry_key(name, kind, source)) for kind in KINDS)
    item = next((each for each in found if each is not None), None)
    return None if item is None else manifest.read(item["line"])


def _arrived(desk: Desk, name: str, source: str) -> bool:
    """Whether a photograph has come from a belt of the project, or for one of its trials."""
    bucket, key = split(source)
    return bucket == desk.bucket and key.startswith((f"{INCOMING}{name}/", f"{NEW_DATA}{name}/"))


def _body(desk: Desk, uri: str) -> bytes:
    bucket, key = split(uri)
    try:
        found = desk.services.s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"NoSuchKey", "NoSuchBucket", "404"}:
            raise
        raise OperationError(404, "Gone", f"{uri} is not there any more", "Reload the page.") from error
    if found["ContentLength"] > limits.PHOTOGRAPH_BYTES:
        raise OperationError(422, "NoPicture", f"{uri} has {found['ContentLength']:,} bytes", "Look at it in S3.")
    body: bytes = found["Body"].read()
    return body
