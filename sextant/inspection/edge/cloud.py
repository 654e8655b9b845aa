"""What goes over the network: questions to the API in line, and photographs that are forwarded to the bucket.

Both are behind circuit breakers of Powertools whose state lies in the sorter's own store, so that a sorter which starts
again while the cloud is away does not have to find that out anew. Needs boto3 and aws-lambda-powertools.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.circuit_breaker import (
    CircuitBreakerConfig,
    CircuitBreakerOpenError,
    CircuitState,
    circuit_breaker,
)
from aws_lambda_powertools.utilities.circuit_breaker.persistence import (
    CircuitBreakerPersistenceLayer,
    CircuitStateRecord,
)
from aws_lambda_powertools.utilities.circuit_breaker.persistence.base import CircuitBreakerExistingLockError
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sextant.inspection.client import lookoutvision
from sextant.inspection.edge import records
from sextant.inspection.edge.judging import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from sextant.inspection.edge.judging import Judge
    from sextant.inspection.edge.records import Record, Store
    from sextant.inspection.edge.settings import Cloud, Settings

ASKING, FORWARDING = "ask", "forward"
"""The circuits."""
_JPEG = b"\xff\xd8"
_WAIT_S = 1.0
"""Between two looks at what waits to be forwarded."""
_THERE = {"PreconditionFailed", "412"}
_log = logging.getLogger(__name__)


class Circuits(CircuitBreakerPersistenceLayer):
    """The state of circuits in the sorter's store. There is one process, so a lock makes its elections."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._electing = threading.Lock()

    def _get_record(self, name: str) -> CircuitStateRecord | None:
        kept = self._store.circuit(name)
        if kept is None:
            return None
        found = json.loads(kept)
        return CircuitStateRecord(**(found | {"state": CircuitState(found["state"])}))

    def _put_record(
        self, record: CircuitStateRecord, condition: str | None = None, expected_opened_at: int | None = None
    ) -> None:
        with self._electing:
            if condition == "half_open" and not _may_probe(self._get_record(record.name), expected_opened_at):
                raise CircuitBreakerExistingLockError
            self._update_record(record)

    def _update_record(self, record: CircuitStateRecord) -> None:
        self._store.keep_circuit(record.name, json.dumps(asdict(record)))


def _may_probe(there: CircuitStateRecord | None, opened_at: int | None) -> bool:
    if there is None:
        return False
    if there.state is CircuitState.OPEN:
        return there.half_open_owner is None and there.opened_at == opened_at
    expired = there.probe_lease_expiry is not None and there.probe_lease_expiry <= time.time()
    return there.state is CircuitState.HALF_OPEN and expired


def breaker(settings: Cloud, name: str, circuits: Circuits) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The circuit breaker of that name: open after `failures` in a row, tried again after `recovery_s`."""
    made: Callable[[Callable[..., Any]], Callable[..., Any]] = circuit_breaker(
        name=name,
        persistence_store=circuits,
        config=CircuitBreakerConfig(
            failure_threshold=settings.failures,
            recovery_timeout=settings.recovery_s,
            success_threshold=1,
            handled_exceptions=(BotoCoreError, ClientError, OSError),
        ),
    )
    return made


def asking(settings: Settings, circuits: Circuits) -> Judge:
    """The API as a judge. It raises where the API does not answer within its time, or where the circuit is open."""
    cloud = settings.cloud
    assert cloud is not None
    session = {"region_name": cloud.region} if cloud.region else {}
    client = lookoutvision(cloud.endpoint, config=_patience(cloud), **session)

    @breaker(cloud, ASKING, circuits)
    def ask(body: bytes) -> dict[str, Any]:
        kind = "image/jpeg" if body.startswith(_JPEG) else "image/png"
        answered: dict[str, Any] = client.detect_anomalies(
            ProjectName=settings.project, ModelVersion=cloud.model_version, ContentType=kind, Body=body
        )
        return answered

    return lambda body: answer_of(ask(body)["DetectAnomalyResult"], cloud)


def answer_of(result: dict[str, Any], cloud: Cloud) -> Answer:
    """A DetectAnomalyResult as a verdict: one that is not sure enough goes to review.

    Raises:
        KeyError, ValueError: it is none, or tells no probability: then there is no answer.
    """
    confidence, anomalous = float(result["Confidence"]), bool(result["IsAnomalous"])
    labels = tuple(str(each["Name"]) for each in result.get("Anomalies", ())[1:])
    if confidence < cloud.min_confidence:
        said = f"confidence {confidence:.2f} is below {cloud.min_confidence:g}"
        return Answer("review", said, confidence, cloud.model_version, labels)
    if anomalous:
        return Answer("reject", "anomalous", confidence, cloud.model_version, labels)
    return Answer("accept", "normal", confidence, cloud.model_version, labels)


class Forwarder:
    """Puts photographs that wait into the bucket, each once.

    The key holds the item's name, and S3 takes a key only once (If-None-Match): a photograph that was put before the
    power went, and is put again because nobody could note it, makes no second object and no second event.
    """

    def __init__(self, settings: Settings, store: Store, circuits: Circuits, s3: Any) -> None:
        """Starts it.

        Args:
            settings: with a bucket.
            store: with the photographs.
            circuits: the states of circuits.
            s3: boto3's client, see `s3_client`.
        """
        assert settings.cloud is not None
        self._settings, self._cloud, self._store, self._s3 = settings, settings.cloud, store, s3
        self._put = breaker(settings.cloud, FORWARDING, circuits)(self._put_once)
        self._stopping = threading.Event()
        self.fault = ""
        """Why nothing can be forwarded now."""
        self._thread = threading.Thread(target=self._work, name="forwarder", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ends; what waits is forwarded after the next start."""
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                more = self._round()
                self.fault = ""
            except CircuitBreakerOpenError:
                more = False
            except Exception as error:  # noqa: BLE001  what waits, waits until the reason is gone
                more, self.fault = False, str(error)
                _log.warning("forwarding waits: %s", error)
            if not more:
                self._stopping.wait(_WAIT_S)

    def _round(self) -> bool:
        """Forwards the oldest photographs; returns whether there were any."""
        with closing(self._store.read()) as connection:
            found = records.waiting(connection, 4)
        for record, body in found:
            if self._stopping.is_set():
                return False
            self._put(record, body)
            self._store.forwarded(record.item).result()
        return bool(found)

    def _put_once(self, record: Record, body: bytes) -> None:
        settings = self._settings
        jpeg = body.startswith(_JPEG)
        place = f"incoming/{settings.project}/{settings.line}/{settings.camera_name}"
        told = {
            "at": record.at,
            "item": record.item,
            "verdict": record.verdict or "",
            "outcome": record.state,
            "judged-by": record.judged_by,
            "model": record.model,
            "confidence": "" if record.confidence is None else f"{record.confidence:.6f}",
        }
        try:
            self._s3.put_object(
                Bucket=self._cloud.bucket,
                Key=f"{place}/{record.item}.{'jpg' if jpeg else 'png'}",
                Body=body,
                ContentType="image/jpeg" if jpeg else "image/png",
                Metadata={name: value for name, value in told.items() if value},
                IfNoneMatch="*",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in _THERE:
                raise


def s3_client(cloud: Cloud) -> Any:
    """boto3's client of S3."""
    import boto3  # noqa: PLC0415  beside lookoutvision, which brings a session of its own

    make: Any = boto3.client
    return make("s3", region_name=cloud.region, config=_patience(cloud).merge(Config(read_timeout=30)))


def _patience(cloud: Cloud) -> Config:
    # One attempt: the next item does not wait for the last one's answer.
    return Config(
        connect_timeout=cloud.timeout_s,
        read_timeout=cloud.timeout_s,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )
