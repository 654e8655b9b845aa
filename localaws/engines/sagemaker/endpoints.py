"""Endpoints as supervised local servers; `runtime` calls them."""

from __future__ import annotations

import shutil
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localaws.engines.ledger import shown
from localaws.engines.sagemaker.container import Root
from localaws.engines.sagemaker.data import DataError
from localaws.engines.sagemaker.fleet import WATCH_SECONDS, Fleet
from localaws.engines.sagemaker.images import ImageError
from localaws.engines.sagemaker.models import Models
from localaws.engines.sagemaker.server import ServerError
from localaws.engines.sagemaker.state import Place, invalid, listed, place_of, plain, validate
from localaws.home import Call, Document, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from localaws.engines.sagemaker.server import ModelServer

EVENT = "SageMaker Endpoint State Change"
INSTANCES_AT_MOST = 2
START_SECONDS = 240.0
INVOKE_SECONDS = 60.0
UPPER = {"InService": "IN_SERVICE"}
PROBLEMS = (ServerError, ServiceError, DataError, ImageError)


class Endpoints(Models):
    """The operations of endpoints."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._fleets: dict[tuple[Place, str], Fleet] = {}
        self._supervisors: dict[tuple[Place, str], tuple[threading.Thread, threading.Event]] = {}
        self._later = ThreadPoolExecutor(2, thread_name_prefix="endpoint")

    # -- control ---------------------------------------------------------------------------------------------------

    def create_endpoint(self, call: Call, params: Document) -> Document:
        validate("CreateEndpoint", params, "EndpointName")
        place, name, config = place_of(call), params["EndpointName"], params["EndpointConfigName"]
        self._named("endpoint_configs", place, config, "endpoint configuration")
        with self._lock:
            arn, now = self._new("endpoints", place, name, "endpoint"), self._now()
            record = {
                "EndpointName": name,
                "EndpointArn": arn,
                "EndpointConfigName": config,
                "EndpointStatus": "Creating",
                "CreationTime": now,
                "LastModifiedTime": now,
            }
            self._write("endpoints", place, record, name)
            self._set_tags(place, arn, params.get("Tags"))
        self._tell(place, record)
        self._supervise(place, name, recovered=False)
        return {"EndpointArn": arn}

    def describe_endpoint(self, call: Call, params: Document) -> Document:
        return shown(self._named("endpoints", place_of(call), params["EndpointName"], "endpoint"))

    def list_endpoints(self, call: Call, params: Document) -> Document:
        members = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
        records = self._all("endpoints", place_of(call))
        return listed(records, params, "Endpoints", members, name="EndpointName", status="EndpointStatus")

    def update_endpoint(self, call: Call, params: Document) -> Document:
        """The new configuration's servers come up beside the old ones and take over when they answer.

        As on AWS, the variants have the counts and weights of the new configuration, and with
        `RetainAllVariantProperties` those that they have now, but for what `ExcludeRetainedVariantProperties` names.
        """
        place, name, config = place_of(call), params["EndpointName"], params["EndpointConfigName"]
        self._named("endpoint_configs", place, config, "endpoint configuration")
        kept: set[str] = set()
        if params.get("RetainAllVariantProperties"):
            kept = {"DesiredInstanceCount", "DesiredWeight"}
            kept -= {each["VariantPropertyType"] for each in params.get("ExcludeRetainedVariantProperties", [])}

        def work(record: Document) -> None:
            variants = record.get("ProductionVariants", [])
            desired = {
                variant["VariantName"]: {member: variant[member] for member in kept if member in variant}
                for variant in variants
            }
            self._replace(place, name, config, desired)

        return self._update(place, name, work)

    def update_endpoint_weights_and_capacities(self, call: Call, params: Document) -> Document:
        """Instances that stay go on; new ones take part when they answer, those that go answer what they have begun."""
        place, name = place_of(call), params["EndpointName"]
        record = self._named("endpoints", place, name, "endpoint")
        known = {variant["VariantName"] for variant in record.get("ProductionVariants", [])}
        changes = {change["VariantName"]: change for change in params["DesiredWeightsAndCapacities"]}
        if unknown := sorted(changes.keys() - known):
            raise invalid(f'Variant(s) "{", ".join(unknown)}" do not exist on endpoint "{record["EndpointArn"]}".')

        def work(record: Document) -> None:
            desired: Document = dict(record.get("_desired", {}))
            for variant, change in changes.items():
                desired[variant] = {**desired.get(variant, {}), **change}
            self._resize(place, name, record["EndpointConfigName"], desired)

        return self._update(place, name, work)

    def _update(self, place: Place, name: str, work: Callable[[Document], None]) -> Document:
        """Does an update later, one at a time for an endpoint. Where it fails, the old servers go on."""
        with self._lock:
            record = self._named("endpoints", place, name, "endpoint")
            if record["EndpointStatus"] != "InService":
                raise invalid(f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')
            self._set_endpoint(place, name, EndpointStatus="Updating")

        def attempt() -> None:
            try:
                work(record)
            except PROBLEMS as error:
                self._set_endpoint(place, name, EndpointStatus="InService", FailureReason=_reason(error))

        self._later.submit(attempt)
        return {"EndpointArn": record["EndpointArn"]}

    def _replace(self, place: Place, name: str, config: str, desired: Document) -> None:
        fleet = self._fleet(place, name, config, desired)
        if not fleet.open(self._stop(place, name), START_SECONDS):
            fleet.close()
            return
        old = self._fleets.get((place, name))
        self._fleets[place, name] = fleet
        self._in_service(place, name, config, fleet, desired)
        if old is not None:
            old.drain(INVOKE_SECONDS)

    def _resize(self, place: Place, name: str, config: str, desired: Document) -> None:
        stop = self._stop(place, name)
        while (fleet := self._fleets.get((place, name))) is None:  # just after a restart of the emulator
            if stop.wait(WATCH_SECONDS):
                return
        counts, weights = self._shares(place, config, desired)
        if fleet.resize(counts, weights, stop, start_seconds=START_SECONDS, request_seconds=INVOKE_SECONDS):
            self._in_service(place, name, config, fleet, desired)

    def _stop(self, place: Place, name: str) -> threading.Event:
        """Set when the endpoint, or all of the engine, is to end."""
        entry = self._supervisors.get((place, name))
        return entry[1] if entry else threading.Event()

    def delete_endpoint(self, call: Call, params: Document) -> Document:
        place, name = place_of(call), params["EndpointName"]
        with self._lock:
            record = self._named("endpoints", place, name, "endpoint")
            if record["EndpointStatus"] in ("Creating", "Updating"):
                raise invalid(f'Cannot delete in-progress endpoint "{record["EndpointArn"]}".')
            self._set_endpoint(place, name, EndpointStatus="Deleting")
        self._later.submit(self._remove_endpoint, place, name)
        return {}

    def _remove_endpoint(self, place: Place, name: str) -> None:
        self._unsupervise(place, name)
        with self._lock:
            record = self._read("endpoints", place, name)
            self._remove("endpoints", place, name)
            if record:
                self._remove("tags", place, record["EndpointArn"])

    # -- supervision -----------------------------------------------------------------------------------------------

    def _supervise(self, place: Place, name: str, *, recovered: bool) -> None:
        stop = threading.Event()
        thread = threading.Thread(
            target=self._watch, args=(place, name, stop, recovered), daemon=True, name=f"endpoint-{name}"
        )
        self._supervisors[place, name] = thread, stop
        thread.start()

    def _unsupervise(self, place: Place, name: str) -> None:
        entry = self._supervisors.pop((place, name), None)
        if entry:
            entry[1].set()
            entry[0].join(30)
        fleet = self._fleets.pop((place, name), None)
        if fleet is not None:
            fleet.close()

    def _watch(self, place: Place, name: str, stop: threading.Event, recovered: bool) -> None:
        """Brings an endpoint up and keeps it up. After a restart of the emulator it is tried until it succeeds: what it
        needs (roles, objects) may come back a moment later.
        """
        pause = 0.5
        while not stop.is_set():
            record = self._read("endpoints", place, name)
            if record is None:
                return
            try:
                fleet = self._fleet(place, name, record["EndpointConfigName"], record.get("_desired", {}))
                if fleet.open(stop, START_SECONDS):
                    self._fleets[place, name] = fleet
                    self._in_service(place, name, record["EndpointConfigName"], fleet, record.get("_desired", {}))
                    break
                fleet.close()
            except PROBLEMS as error:
                if not recovered:
                    self._set_endpoint(place, name, EndpointStatus="Failed", FailureReason=_reason(error))
                    return
                stop.wait(pause)
                pause = min(pause * 2, 30.0)
        while not stop.wait(WATCH_SECONDS):
            current = self._fleets.get((place, name))
            if current is not None:
                current.watch()

    def _fleet(self, place: Place, name: str, config: str, desired: Document) -> Fleet:
        variants = self._named("endpoint_configs", place, config, "endpoint configuration")["ProductionVariants"]
        models = {v["VariantName"]: self._named("models", place, v["ModelName"], "model") for v in variants}
        folder = Path(self._home.scratch) / "sagemaker" / f"{name[:40]}-{uuid.uuid4().hex[:8]}"

        def start(variant: str, number: int) -> ModelServer:
            root = Root(folder / f"{variant}-{number}")
            shutil.rmtree(root.folder, ignore_errors=True)
            return self._serve(
                place, f"/aws/sagemaker/Endpoints/{name}", f"{variant}/i-{number + 1}-{int(self._clock())}",
                model=models[variant], root=root, variables={"SAGEMAKER_ENDPOINT_NAME": name},
            )  # fmt: skip

        return Fleet(start, *self._shares(place, config, desired))

    def _shares(self, place: Place, config: str, desired: Document) -> tuple[dict[str, int], dict[str, float]]:
        """Instances and weight by variant: as desired, else as the configuration says; never more than fit here."""
        counts, weights = dict[str, int](), dict[str, float]()
        for variant in self._named("endpoint_configs", place, config, "endpoint configuration")["ProductionVariants"]:
            name = variant["VariantName"]
            wanted = desired.get(name, {})
            count = int(wanted.get("DesiredInstanceCount") or variant.get("InitialInstanceCount") or 1)
            counts[name] = min(count, INSTANCES_AT_MOST)
            weights[name] = wanted.get("DesiredWeight", variant.get("InitialVariantWeight", 1.0))
        return counts, weights

    def _in_service(self, place: Place, name: str, config: str, fleet: Fleet, desired: Document) -> None:
        variants = []
        for given in self._named("endpoint_configs", place, config, "endpoint configuration")["ProductionVariants"]:
            variant = given["VariantName"]
            model = self._named("models", place, given["ModelName"], "model")
            image = self._container_of(place, model["PrimaryContainer"])["Image"]
            variants.append(
                {
                    "VariantName": variant,
                    "DeployedImages": [
                        {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": self._now()}
                    ],
                    "CurrentWeight": fleet.weights[variant],
                    "DesiredWeight": fleet.weights[variant],
                    "CurrentInstanceCount": fleet.counts[variant],
                    "DesiredInstanceCount": fleet.counts[variant],
                }
            )
        members: Document = {"EndpointConfigName": config, "ProductionVariants": variants, "_desired": desired}
        self._set_endpoint(place, name, EndpointStatus="InService", FailureReason=None, **members)

    def _set_endpoint(self, place: Place, name: str, **members: Any) -> None:
        with self._lock:
            record = self._read("endpoints", place, name)
            if record is None:
                return
            before = record["EndpointStatus"]
            record |= members | {"LastModifiedTime": self._now()}
            record = {key: value for key, value in record.items() if value is not None}
            self._write("endpoints", place, record, name)
        if record["EndpointStatus"] != before:
            self._tell(place, record)

    def _tell(self, place: Place, record: Document) -> None:
        status = record["EndpointStatus"]
        detail = {**plain(shown(record)), "EndpointStatus": UPPER.get(status, status.upper())}
        self._home.emit(*place, "aws.sagemaker", EVENT, detail)

    def _recover_endpoints(self) -> None:
        for place, record in self._everywhere("endpoints"):
            if record["EndpointStatus"] == "Deleting":
                self._remove("endpoints", place, record["EndpointName"])
            elif record["EndpointStatus"] != "Failed":
                self._supervise(place, record["EndpointName"], recovered=True)

    def _close_endpoints(self) -> None:
        keys = list(self._supervisors)
        for key in keys:
            self._supervisors[key][1].set()
        for key in keys:
            self._unsupervise(*key)
        self._later.shutdown(wait=True, cancel_futures=True)
        for fleet in self._fleets.values():  # of an update that ended just now
            fleet.close()


def _reason(error: Exception) -> str:
    text = error.message if isinstance(error, ServiceError) else str(error)
    return f"The primary container did not come up: {text}. See the endpoint's log for more information"
