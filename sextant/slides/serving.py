"""What the model's container answers: requests in, scores out, without the HTTP around it.

| content type | body | answer |
| --- | --- | --- |
| `application/x-tfrecord` | framed tile records, or one bare Example (from SingleRecord) | a line per tile |
| `image/jpeg`, `image/png` | one tile of the size that the model was trained on | one line |
| `application/json` | `{"slide_records": "s3://…", "tiles": false}` | the slide's scores, with its tiles if wanted |
| `application/json` | `{"instances": [tile, …]}`, of rows of `[red, green, blue]` | `{"predictions": [[…], …]}` |

The last is TensorFlow Serving's own form, which clients of the original model send: colours of 0 to 255 go in, scores
in the order of the model's classes come out. Other tiles are answered as JSON lines, or as one JSON list where `Accept`
says `application/json`.
"""

from __future__ import annotations

import io
import json
import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import simplejpeg
from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from sextant import storage
from sextant.model_server import JSON, Answer, RequestError
from sextant.slides import encoder as encoders
from sextant.slides import records, scores, tfrecord
from sextant.slides.errors import RecordError
from sextant.slides.features import BATCH, image_of
from sextant.slides.model import ENCODER_FILE
from sextant.slides.results import slide_result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from sextant.slides.encoder import Encoder
    from sextant.slides.model import Model
    from sextant.slides.scores import TileScores

TFRECORD = "application/x-tfrecord"
JSON_LINES = "application/jsonlines"
IMAGES = ("image/jpeg", "image/png")
WHITE = 255
_TILES = 4  # dimensions: tile, row, column, colour


@dataclass(frozen=True, eq=False)
class Service:
    """A model with its encoder."""

    model: Model
    encoder: Encoder


def service(model: Model, threads: int, folder: Path | None = None) -> Service:
    """The model with the encoder that it was trained with.

    Args:
        model: what was trained.
        threads: that the encoder may use.
        folder: of the model's files, among which its encoder lies where it is an ONNX graph of the model's own.

    Raises:
        EncoderError: it cannot be loaded. ModelError: what is installed here is another one.
    """
    shipped = folder / ENCODER_FILE if folder else None
    encoder = encoders.load(f"onnx:{shipped}" if shipped and shipped.is_file() else model.facts.encoder.name, threads)
    model.check_encoder(encoder)
    return Service(model, encoder)


def answer(of: Service, content_type: str, accept: str, body: bytes) -> Answer:
    """Answers a request.

    Args:
        of: what scores.
        content_type: of the body, parameters such as a charset allowed.
        accept: what the client wants: JSON lines unless it names application/json.
        body: of the request.

    Raises:
        RequestError: the body is not what the content type says, or cannot be scored.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        told = _told(body)
        return _predictions(of, told["instances"]) if "instances" in told else _slide(of, told)
    if kind == TFRECORD:
        tiles = list(_scored_request(of, body))
    elif kind in IMAGES:
        image = _image(kind, body, of.model.facts.tiles.size)
        features = encoders.encode(of.encoder, [image])
        tiles = scores.of_features(of.model, features, [("", 0, 0, len(image))])
    else:
        raise RequestError(
            415, f"content type {content_type or 'none'}: send {TFRECORD}, {', '.join(IMAGES)} or {JSON}"
        )
    lines = [scores.to_line(each, of.model.facts.classes, of.model.digest()) for each in tiles]
    if JSON in (each.partition(";")[0].strip().lower() for each in accept.split(",")):
        return Answer(JSON, f"[{','.join(lines)}]".encode())
    return Answer(JSON_LINES, "".join(f"{each}\n" for each in lines).encode())


def score_tiles(of: Service, payloads: Iterable[bytes]) -> Iterator[TileScores]:
    """Scores of tile records, in order; memory is bounded by one batch.

    Raises:
        RecordError: a record or a JPEG in it is damaged, or of another tile size than the model's.
    """
    size = of.model.facts.tiles.size
    rest = iter(payloads)
    while batch := list(islice(rest, BATCH)):
        tiles = [records.from_record(each) for each in batch]
        for tile in tiles:
            if tile.size != size:
                raise RecordError(f"a tile of {tile.size} px: the model was trained on tiles of {size} px")
        features = encoders.encode(of.encoder, [image_of(each, of.encoder.input_px) for each in tiles])
        yield from scores.of_features(of.model, features, [(each.slide, each.x, each.y, each.span) for each in tiles])


def _scored_request(of: Service, body: bytes) -> Iterator[TileScores]:
    if not body:
        raise RequestError(400, "the body is empty: send TFRecords of tiles")
    try:
        payloads = tfrecord.read(io.BytesIO(body), "request") if tfrecord.is_framed(body) else iter([body])
        yield from score_tiles(of, payloads)
    except RecordError as error:
        raise RequestError(400, str(error)) from error


def _image(kind: str, body: bytes, size: int) -> NDArray[np.uint8]:
    """The pixels of one picture, its size being checked before anything is decoded."""
    try:
        if kind == "image/jpeg":
            height, width = simplejpeg.decode_jpeg_header(body)[:2]
            _check_size(int(width), int(height), size)
            return np.asarray(simplejpeg.decode_jpeg(body))
        with Image.open(io.BytesIO(body), formats=["PNG"]) as image:
            _check_size(*image.size, size)
            return np.asarray(image.convert("RGB"))
    except (ValueError, OSError, SyntaxError) as error:  # SyntaxError: Pillow's word for a broken PNG
        raise RequestError(400, f"the body is no whole {kind.partition('/')[2].upper()}: {error}") from error


def _check_size(width: int, height: int, size: int) -> None:
    if (width, height) != (size, size):
        raise RequestError(
            400, f"a picture of {width} x {height} px: the model was trained on tiles of {size} x {size} px"
        )


def _told(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"the body is not JSON: {error}") from error
    if not isinstance(told, dict) or not told.keys() & {"slide_records", "instances"}:
        raise RequestError(400, 'the body is neither {"slide_records": "s3://…"} nor {"instances": […]}')
    return told


def _predictions(of: Service, instances: object) -> Answer:
    """A list of scores for each tile, as TensorFlow Serving answers `:predict`."""
    size = of.model.facts.tiles.size
    try:
        pixels = np.asarray(instances, np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise RequestError(400, f"instances are not tiles of one size, all numbers: {error}") from error
    if pixels.ndim != _TILES or pixels.shape[1:] != (size, size, 3):
        raise RequestError(400, f"instances of shape {pixels.shape}: send (tiles, {size}, {size}, 3)")
    if not ((pixels >= 0) & (pixels <= WHITE)).all():  # is False for NaN, too
        raise RequestError(400, f"instances have numbers outside of 0 to {WHITE}: send colours as the tile has them")
    images = list(np.rint(pixels).astype(np.uint8))
    features = encoders.encode(of.encoder, images)
    tiles = scores.of_features(of.model, features, [("", 0, 0, size)] * len(images))
    return Answer(JSON, json.dumps({"predictions": [each.scores for each in tiles]}).encode())


def _slide(of: Service, told: dict[str, Any]) -> Answer:
    uri, wanted = told.get("slide_records"), bool(told.get("tiles", False))
    # Nothing but S3: a request must not make this process read its own files.
    if not isinstance(uri, str) or not uri.startswith("s3://"):
        raise RequestError(400, f"slide_records {uri!r}: give the s3:// URI of a slide's TFRecords")
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "slide.tfrecord"
        try:
            storage.download(uri, local)
            with local.open("rb") as stream:
                tiles = list(score_tiles(of, tfrecord.read(stream, uri)))
        except storage.GoneError as error:
            raise RequestError(404, f"{uri}: there is no such object") from error
        except RecordError as error:
            raise RequestError(422, f"{uri}: {error}") from error
        except (BotoCoreError, ClientError) as error:
            raise RequestError(424, f"{uri} cannot be read: {error}") from error
        if not tiles:
            raise RequestError(422, f"{uri} has no tiles to score")
        if len(found := sorted({each.slide for each in tiles})) > 1:
            raise RequestError(422, f"{uri} has tiles of {found[0]}, {found[1]} …: give those of one slide")
        result = slide_result(of.model, tiles, data=local.read_bytes())
    answered = result.model_dump(mode="json")
    if wanted:
        lines = [json.loads(scores.to_line(each, of.model.facts.classes, of.model.digest())) for each in tiles]
        answered["tiles"] = lines
    return Answer(JSON, json.dumps(answered).encode())
