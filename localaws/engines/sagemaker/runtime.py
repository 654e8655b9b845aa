"""SageMaker's runtime: calls of endpoints."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from localaws.engines.sagemaker.data import Storage, below
from localaws.engines.sagemaker.endpoints import INVOKE_SECONDS, PROBLEMS, Endpoints
from localaws.engines.sagemaker.server import Answer, NoAnswerError, NotReachedError, ServerError
from localaws.engines.sagemaker.state import Place, place_of
from localaws.home import Call, Document, ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localaws.engines.sagemaker.fleet import Fleet

BODY_BYTES = 6_291_456
READY_SECONDS = 20.0
ASYNC_SECONDS = 900.0


class Runtime(Endpoints):
    """The operations of `sagemaker-runtime`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._asynchronous = ThreadPoolExecutor(2, thread_name_prefix="asynchronous-inference")
        self._answered: Counter[tuple[Place, str, str]] = Counter()

    def invocations(self, place: Place, endpoint: str, variant: str) -> int:
        """Requests that the variant's instances have answered since the engine started."""
        with self._lock:
            return self._answered[place, endpoint, variant]

    def _count(self, place: Place, endpoint: str, variant: str) -> None:
        with self._lock:
            self._answered[place, endpoint, variant] += 1

    def invoke_endpoint(self, call: Call, params: Document) -> Document:
        place, name, body = place_of(call), params["EndpointName"], params.get("Body") or b""
        if len(body) > BODY_BYTES:
            raise _refused(
                f"The body of {len(body):,} bytes exceeds the limit of {BODY_BYTES:,} bytes of InvokeEndpoint"
            )
        for member in ("TargetModel", "InferenceComponentName", "SessionId", "TargetContainerHostname"):
            if params.get(member):
                raise _refused(f"{member} is not supported by the embedded SageMaker: leave it out")
        target = params.get("TargetVariant")
        try:
            with self._serving(place, name) as fleet:
                if target is not None and target not in fleet.weights:
                    raise _refused(f"Variant {target} not found on endpoint {name}")
                variant, answer = _asked(fleet, target, body, _headers(params), INVOKE_SECONDS)
            self._count(place, name, variant)
        except NoAnswerError as error:
            message = f'Received server error (0) from primary with message "Your invocation timed out: {error}".'
            raise ServiceError("ModelError", message, 424, OriginalStatusCode=0, OriginalMessage=str(error)) from error
        except ServerError as error:
            message = f"Endpoint {name} did not answer: {error}. Try again"
            raise ServiceError("ServiceUnavailable", message, 503) from error
        if answer.status != 200:
            raise self._model_error(place, name, variant, answer)
        return {
            "Body": answer.body,
            "ContentType": answer.headers.get("content-type", "application/octet-stream"),
            "InvokedProductionVariant": variant,
            "CustomAttributes": answer.headers.get("x-amzn-sagemaker-custom-attributes"),
        }

    @contextlib.contextmanager
    def _serving(self, place: Place, name: str) -> Iterator[Fleet]:
        """The servers of an endpoint that serves, held for one request.

        Just after a restart they may need a moment to come back; at an update, the new ones follow the old.
        """
        deadline = time.monotonic() + READY_SECONDS
        while (fleet := self._fleets.get((place, name))) is None or not fleet.enter():
            self._check_serving(place, name)
            if time.monotonic() > deadline:
                raise ServiceError("ServiceUnavailable", f"Endpoint {name} is starting: try again in a moment", 503)
            time.sleep(0.05)
        try:
            yield fleet
        finally:
            fleet.leave()

    def _check_serving(self, place: Place, name: str) -> Document:
        record = self._read("endpoints", place, name)
        if record is None or record["EndpointStatus"] not in ("InService", "Updating"):
            raise _refused(f"Endpoint {name} of account {place.account} not found.")
        return record

    def _model_error(self, place: Place, name: str, variant: str, answer: Answer) -> ServiceError:
        kind = "client" if answer.status < 500 else "server"
        group = f"/aws/sagemaker/Endpoints/{name}"
        message = (
            f'Received {kind} error ({answer.status}) from {variant} with message "{answer.text}". See {group} in '
            f"account {place.account} for more information."
        )
        return ServiceError(
            "ModelError", message, 424, OriginalStatusCode=answer.status, OriginalMessage=answer.text,
            LogStreamArn=f"arn:aws:logs:{place.region}:{place.account}:log-group:{group}",
        )  # fmt: skip

    def invoke_endpoint_async(self, call: Call, params: Document) -> Document:
        """The request lies in S3, and so will the answer."""
        place, name = place_of(call), params["EndpointName"]
        record = self._check_serving(place, name)
        config = self._named("endpoint_configs", place, record["EndpointConfigName"], "endpoint configuration")
        output = config.get("AsyncInferenceConfig", {}).get("OutputConfig", {})
        if "S3OutputPath" not in output:
            raise _refused(f"Endpoint {name} is not asynchronous: its configuration has no AsyncInferenceConfig")
        if "InputLocation" not in params:
            raise _refused("InputLocation is required")
        inference = params.get("InferenceId") or str(uuid.uuid4())
        answer: Document = {
            "InferenceId": inference,
            "OutputLocation": below(output["S3OutputPath"], f"{inference}.out"),
        }
        failure = None
        if "S3FailurePath" in output:
            answer["FailureLocation"] = failure = below(output["S3FailurePath"], f"{inference}-error.out")
        model = self._named("models", place, config["ProductionVariants"][0]["ModelName"], "model")
        storage = Storage(self._home, self._assumed(place, model["ExecutionRoleArn"]))

        def work() -> None:
            try:
                body = storage.read(params["InputLocation"])
                seconds = float(params.get("InvocationTimeoutSeconds") or ASYNC_SECONDS)
                with self._serving(place, name) as fleet:
                    variant, found = _asked(fleet, None, body, _headers(params), seconds)
                self._count(place, name, variant)
                problem = "" if found.status == 200 else f"{found.status}: {found.text}"
            except PROBLEMS as error:
                problem, found = error.message if isinstance(error, ServiceError) else str(error), None
            if found is not None and not problem:
                storage.store(answer["OutputLocation"], found.body)
            elif failure is not None:
                storage.store(failure, problem.encode())

        self._asynchronous.submit(work)
        return answer


def _asked(
    fleet: Fleet, variant: str | None, body: bytes, headers: dict[str, str], seconds: float
) -> tuple[str, Answer]:
    """Asks a server that is ready; one that died a moment ago is passed over."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            with fleet.server(variant, READY_SECONDS) as (chosen, server):
                return chosen, server.invoke(body, headers, seconds)
        except NotReachedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _headers(params: Document) -> dict[str, str]:
    given = {
        "Content-Type": params.get("ContentType"),
        "Accept": params.get("Accept"),
        "X-Amzn-SageMaker-Custom-Attributes": params.get("CustomAttributes"),
        "X-Amzn-SageMaker-Inference-Id": params.get("InferenceId"),
    }
    return {name: value for name, value in given.items() if value}


def _refused(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)
