"""Batch transform jobs."""

from __future__ import annotations

import gzip
import queue
import threading
from typing import IO, TYPE_CHECKING, cast

from localaws.engines.sagemaker.container import Root
from localaws.engines.sagemaker.data import DataError, Item, Storage, below, source_of
from localaws.engines.sagemaker.jobs import GROUPS, POLL, TRANSFORM, End
from localaws.engines.sagemaker.models import Models
from localaws.engines.sagemaker.server import ModelServer, ServerError
from localaws.engines.sagemaker.splitting import assemble, payloads
from localaws.engines.sagemaker.state import Place, listed, not_supported, place_of, validate
from localaws.home import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localaws.home import Call, Document

START_SECONDS = 600.0
INVOKE_SECONDS = 600
DEFAULT_PAYLOAD_MB = 6
REQUEST = (
    "TransformJobName", "ModelName", "MaxConcurrentTransforms", "ModelClientConfig", "MaxPayloadInMB", "BatchStrategy",
    "Environment", "TransformInput", "TransformOutput", "TransformResources", "DataProcessing", "ExperimentConfig",
)  # fmt: skip


class Transform(Models):
    """The transform job operations."""

    def create_transform_job(self, call: Call, params: Document) -> Document:
        validate("CreateTransformJob", params, "TransformJobName")
        if params.get("DataProcessing"):
            raise not_supported("DataProcessing (filters and joins)", "leave it out and join the results yourself")
        if "S3DataSource" not in params["TransformInput"]["DataSource"]:
            raise not_supported("A transform input outside of S3", "give an S3DataSource")
        if source_of(params["TransformInput"]["DataSource"])[1] == "AugmentedManifestFile":
            raise not_supported("S3DataType AugmentedManifestFile of a transform job", "use ManifestFile")
        self._named("models", place_of(call), params["ModelName"], "model")
        record = {member: params[member] for member in REQUEST if member in params}
        return {"TransformJobArn": self._create_job(call, TRANSFORM, record, params.get("Tags"))}

    def describe_transform_job(self, call: Call, params: Document) -> Document:
        return self._describe_job(call, TRANSFORM, params)

    def stop_transform_job(self, call: Call, params: Document) -> Document:
        return self._stop_job(call, TRANSFORM, params)

    def list_transform_jobs(self, call: Call, params: Document) -> Document:
        members = (
            "TransformJobName", "TransformJobArn", "CreationTime", "TransformEndTime", "LastModifiedTime",
            "TransformJobStatus", "FailureReason",
        )  # fmt: skip
        records = self._all("transform_jobs", place_of(call))
        key = "TransformJobSummaries"
        return listed(records, params, key, members, name="TransformJobName", status="TransformJobStatus")

    def _run_transform(self, place: Place, record: Document, folder: Path, stop: threading.Event) -> End:
        name = record["TransformJobName"]
        model = self._named("models", place, record["ModelName"], "model")
        storage = Storage(self._home, self._assumed(place, model["ExecutionRoleArn"]))
        uri, data_type, _ = source_of(record["TransformInput"]["DataSource"])
        items = storage.items(uri, data_type)
        self._change(TRANSFORM, place, name, TransformStartTime=self._now())
        servers: list[ModelServer] = []
        batch = _Batch(storage, record, items, folder)
        try:
            hosts = [f"algo-{number}" for number in range(1, int(record["TransformResources"]["InstanceCount"]) + 1)]
            for host in hosts:
                stream, root = self._stream(name, host), Root(folder / host)
                variables = _variables(record)
                server = self._serve(place, GROUPS[TRANSFORM.kind], stream, model=model, root=root, variables=variables)
                servers.append(server)
            for server in servers:
                if not server.await_health(stop, START_SECONDS):
                    return End("Stopped")
            batch.run(servers, stop)
        except ServerError as error:
            return End("Failed", f"AlgorithmError: {error}. See job logs for more information")
        finally:
            self._end({str(server.port): server.container for server in servers}, min(self._grace, 5.0))
            for server in servers:
                server.container.close()
        if stop.is_set():
            return End("Stopped")
        return End("Failed", batch.reason) if batch.reason else End("Completed")


def _variables(record: Document) -> dict[str, str]:
    """What a container finds that transforms; without the members of the request, their defaults."""
    return {
        **record.get("Environment", {}),
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(record.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB)),
        "SAGEMAKER_BATCH_STRATEGY": record.get("BatchStrategy", "MultiRecord").replace("Record", "_Record").upper(),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(record.get("MaxConcurrentTransforms") or 1),
    }


class _Batch:
    """The objects of a job, shared by its servers. One that fails has no output; the job fails after the others."""

    def __init__(self, storage: Storage, record: Document, items: list[Item], folder: Path) -> None:
        self._storage, self._record, self._folder = storage, record, folder
        self._waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
        for item in items:
            self._waiting.put(item)
        self.reason = ""

    def run(self, servers: list[ModelServer], stop: threading.Event) -> None:
        count = int(self._record.get("MaxConcurrentTransforms") or 1)
        workers = [
            threading.Thread(target=self._work, args=(server, stop), daemon=True, name="transform")
            for server in servers
            for _ in range(count)
        ]
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers) and not stop.is_set():
            stop.wait(POLL)

    def _work(self, server: ModelServer, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                item = self._waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self._transform(item, server, stop)
            except DataError as error:
                self.reason = self.reason or str(error)
            except ServiceError as error:
                self.reason = self.reason or f"ClientError: {error.message}"
            except OSError as error:
                self.reason = self.reason or f"ClientError: {item.key} could not be read: {error}"

    def _transform(self, item: Item, server: ModelServer, stop: threading.Event) -> None:
        target = self._folder / f"{threading.get_ident()}.out"
        output = self._record["TransformOutput"]
        with target.open("wb") as sink:
            assemble(self._answers(item, server), sink, output.get("AssembleWith", "None"))
        if not stop.is_set():
            self._storage.store(below(output["S3OutputPath"], f"{item.name}.out"), target)

    def _answers(self, item: Item, server: ModelServer) -> Iterator[bytes]:
        given = self._record["TransformInput"]
        headers = {"Content-Type": given["ContentType"]} if "ContentType" in given else {}
        if "Accept" in self._record["TransformOutput"]:
            headers["Accept"] = self._record["TransformOutput"]["Accept"]
        body = self._storage.body(item)
        gzipped = given.get("CompressionType") == "Gzip"
        with cast("IO[bytes]", gzip.open(body)) if gzipped else body.open("rb") as stream:
            for payload in payloads(
                stream,
                item.key,
                split=given.get("SplitType", "None"),
                strategy=self._record.get("BatchStrategy", "MultiRecord"),
                limit_mb=self._record.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB),
            ):
                yield _invoke(server, payload, headers, self._record.get("ModelClientConfig", {}), item.key)


def _invoke(server: ModelServer, payload: bytes, headers: dict[str, str], client: Document, key: str) -> bytes:
    """One request, tried again after an error of the server as often as the job allows (ModelClientConfig)."""
    seconds, retries = client.get("InvocationsTimeoutInSeconds", INVOKE_SECONDS), client.get("InvocationsMaxRetries", 0)
    while True:
        try:
            answer = server.invoke(payload, headers, seconds)
            problem = f"the container answered {answer.status}: {answer.text}" if answer.status != 200 else ""
        except ServerError as error:
            answer, problem = None, str(error)
        if answer is not None and not problem:
            return answer.body
        if answer is not None and answer.status < 500:
            raise DataError(f"ClientError: {key}: {problem}")
        if not retries:
            raise DataError(f"AlgorithmError: {key}: {problem}")
        retries -= 1
