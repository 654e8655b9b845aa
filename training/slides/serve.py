"""The serving container's program: the slides model behind SageMaker's `/ping` and `/invocations`."""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING

from sextant import container, model_server
from sextant.slides import encoder, model, serving

if TYPE_CHECKING:
    from sextant.slides.serving import Service

MAX_PAYLOAD_MB = 6
"""InvokeEndpoint's limit; a transform job tells its own in SAGEMAKER_MAX_PAYLOAD_IN_MB."""

LARGEST_PAYLOAD_MB = 100
"""The most that a transform job can set."""


def answer(service: Service, content_type: str, accept: str, body: bytes) -> model_server.Answer:
    """Scores for a request (`sextant.slides.serving.answer`).

    Raises:
        RequestError: the body is not what the content type says, or cannot be scored.
    """
    try:
        return serving.answer(service, content_type, accept, body)
    except encoder.EncoderError as error:
        raise model_server.RequestError(422, str(error)) from error


def server() -> model_server.Server:
    """The server as the container's environment asks for it, listening; one request at a time has all cores.

    Raises:
        InputError: there is no model, or not the encoder it was trained with.
    """
    folder = model_server.model_folder()
    # A transform job without a limit tells 0; what it may ask for at most is the limit then.
    megabytes = int(os.environ.get("SAGEMAKER_MAX_PAYLOAD_IN_MB") or MAX_PAYLOAD_MB) or LARGEST_PAYLOAD_MB
    try:
        service = serving.service(model.load(folder), encoder.default_threads(), folder)
    except (model.ModelError, encoder.EncoderError) as error:
        raise container.InputError(str(error)) from error
    return model_server.Server(
        model_server.address(), functools.partial(answer, service), max_bytes=megabytes << 20, at_once=1
    )


def main() -> None:
    """Serves until SIGTERM."""
    model_server.serve(server)


if __name__ == "__main__":
    sys.exit(container.failing(main))
