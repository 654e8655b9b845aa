"""The serving container's program: a detector behind SageMaker's `/ping` and `/invocations`."""

from __future__ import annotations

import functools
import json
import os
import sys
from typing import TYPE_CHECKING

from sextant import container, model_server
from sextant.inspection import archive, detector, photograph

if TYPE_CHECKING:
    from sextant.inspection.detector import Detector

LARGEST_BODY = 8 << 20
"""The service's own limit for a photograph; InvokeEndpoint allows 6 MB, a transform job more."""

TYPES = ("image/jpeg", "image/png")


def answer(served: Detector, content_type: str, _accept: str, body: bytes) -> model_server.Answer:
    """The service's response for a photograph.

    Raises:
        RequestError: the body is no photograph that can be inspected.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in TYPES:
        raise model_server.RequestError(415, f"content type {kind or 'none'}: send {' or '.join(TYPES)}")
    try:
        found = detector.response(detector.detect(served, photograph.read(body)))
    except photograph.PhotographError as error:
        raise model_server.RequestError(400, str(error), reason=error.reason) from error
    return model_server.Answer(model_server.JSON, json.dumps(found).encode())


def server() -> model_server.Server:
    """The server as the container's environment asks for it, listening; a request is worked on by one core.

    Raises:
        InputError: there is no detector.
    """
    folder = model_server.model_folder()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        served = archive.load(folder)
    except archive.ArchiveError as error:
        raise container.InputError(f"{folder}: {error}") from error
    return model_server.Server(
        model_server.address(), functools.partial(answer, served), max_bytes=LARGEST_BODY, at_once=cores
    )


def main() -> None:
    """Serves until SIGTERM."""
    model_server.serve(server)


if __name__ == "__main__":
    sys.exit(container.failing(main))
