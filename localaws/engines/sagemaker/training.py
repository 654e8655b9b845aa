"""Training jobs."""

from __future__ import annotations

import contextlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localaws.engines.sagemaker import toolkit
from localaws.engines.sagemaker.container import Container, Root, free_port, isolation
from localaws.engines.sagemaker.data import Storage, Sync, below, share, shuffled, source_of
from localaws.engines.sagemaker.jobs import GROUPS, TRAINING, End, JobKind, Jobs
from localaws.engines.sagemaker.pipes import Feeder
from localaws.engines.sagemaker.state import SERVICE, Place, invalid, listed, not_supported, place_of, validate

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from localaws.engines.sagemaker.images import Image
    from localaws.home import Call, Document

DEFAULT_RUNTIME = 86_400
CHECKPOINTS = "/opt/ml/checkpoints"
REQUEST = (
    "TrainingJobName", "HyperParameters", "AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig",
    "ResourceConfig", "VpcConfig", "StoppingCondition", "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "CheckpointConfig", "DebugHookConfig",
    "TensorBoardOutputConfig", "ExperimentConfig", "ProfilerConfig", "Environment", "RetryStrategy",
)  # fmt: skip
MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Pending": "Training job waiting for capacity",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Stopping": "Stopping the training job",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Stopped": "Training job stopped",
    "Failed": "Training job failed",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


@dataclass(frozen=True)
class Channel:
    """One input channel of a job."""

    name: str
    uri: str
    data_type: str
    distribution: str
    mode: str
    gzipped: bool
    wrapper: str
    seed: int | None

    def configuration(self) -> Document:
        """Its entry in inputdataconfig.json."""
        return {
            "TrainingInputMode": self.mode,
            "S3DistributionType": self.distribution,
            "RecordWrapperType": self.wrapper,
        }


class Metrics:
    """The metrics that a job's log tells; the last value of each is kept.

    Args:
        definitions: MetricDefinitions.
        now: gives the time.
        put: takes (name, value) of each.
    """

    def __init__(
        self, definitions: list[Document], now: Callable[[], datetime], put: Callable[[str, float], None]
    ) -> None:
        self._patterns = [(definition["Name"], re.compile(definition["Regex"])) for definition in definitions]
        self._now, self._put = now, put
        self._values: dict[str, tuple[float, datetime]] = {}

    def watch(self, lines: list[str]) -> None:
        for line in lines:
            for name, pattern in self._patterns:
                if matched := pattern.search(line):
                    with contextlib.suppress(ValueError, IndexError):
                        value = float(matched.group(1))
                        self._values[name] = value, self._now()
                        self._put(name, value)

    def final(self) -> list[Document]:
        """FinalMetricDataList."""
        values = self._values.items()
        return [{"MetricName": name, "Value": value, "Timestamp": at} for name, (value, at) in values]


class Training(Jobs):
    """The training job operations."""

    def create_training_job(self, call: Call, params: Document) -> Document:
        validate("CreateTrainingJob", params, "TrainingJobName")
        _check(params)
        record = {member: params[member] for member in REQUEST if member in params}
        record |= _transition(record, "Starting", self._now())
        return {"TrainingJobArn": self._create_job(call, TRAINING, record, params.get("Tags"))}

    def describe_training_job(self, call: Call, params: Document) -> Document:
        return self._describe_job(call, TRAINING, params)

    def stop_training_job(self, call: Call, params: Document) -> Document:
        return self._stop_job(call, TRAINING, params)

    def list_training_jobs(self, call: Call, params: Document) -> Document:
        members = (
            "TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime",
            "TrainingJobStatus", "SecondaryStatus",
        )  # fmt: skip
        records = self._all("training_jobs", place_of(call))
        key = "TrainingJobSummaries"
        return listed(records, params, key, members, name="TrainingJobName", status="TrainingJobStatus")

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def _change(self, job: JobKind, place: Place, name: str, **members: Any) -> Document:
        """A training job's secondary status is kept as a history."""
        secondary = members.pop("SecondaryStatus", None)
        if job is not TRAINING:
            return super()._change(job, place, name, **members)
        with self._lock:
            now, record = self._now(), self._job(job, place, name)
            if secondary is None and members.get("TrainingJobStatus") in MESSAGES:
                secondary = members["TrainingJobStatus"]
            if secondary is not None:
                members |= _transition(record, secondary, now)
            start = record.get("TrainingStartTime")
            if start is not None and "TrainingEndTime" in members:
                seconds = max(1, math.ceil((now - start).total_seconds()))
                members |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
            return super()._change(job, place, name, **members)

    # pyrefly: ignore[missing-override-decorator]
    def _queued(self, job: JobKind, place: Place, name: str) -> None:
        if job is TRAINING:
            self._change(job, place, name, SecondaryStatus="Pending")

    def _run_training(self, place: Place, record: Document, folder: Path, stop: threading.Event) -> End:
        name, role = record["TrainingJobName"], record["RoleArn"]
        self._change(TRAINING, place, name, SecondaryStatus="Downloading", TrainingStartTime=self._now())
        storage = Storage(self._home, self._assumed(place, role))
        image = self._images.resolve(self._assumed(place, role), record["AlgorithmSpecification"]["TrainingImage"])
        names = [f"algo-{number}" for number in range(1, int(record["ResourceConfig"]["InstanceCount"]) + 1)]
        roots = {host: Root(folder / host) for host in names}
        channels = _channels(record)
        feeders = _channels_in(storage, channels, roots)
        syncs = _checkpoints(storage, record, roots)

        def put(metric: str, value: float) -> None:
            dimensions = {"TrainingJobName": name}
            self._home.metric(*place, "/aws/sagemaker/TrainingJobs", name=metric, value=value, dimensions=dimensions)

        metrics = Metrics(record["AlgorithmSpecification"].get("MetricDefinitions", []), self._now, put)
        self._change(TRAINING, place, name, SecondaryStatus="Training")
        seconds = record.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_RUNTIME)
        try:
            containers = self._start_hosts(place, record, image=image, roots=roots, channels=channels, metrics=metrics)
            for worker in (*feeders, *syncs):
                worker.start()
            how, failed = self._wait(containers, stop, seconds)
        finally:
            for feeder in feeders:
                feeder.finish()
            for sync in syncs:
                sync.finish()
        late = [worker.error for worker in (*feeders, *syncs) if worker.error]
        if how != "Failed":
            self._change(TRAINING, place, name, SecondaryStatus="Uploading")
        members = _store(storage, record, list(roots.values()), model=how != "Failed" and not late)
        members["FinalMetricDataList"] = metrics.final()
        if how == "Failed" or late:
            return End("Failed", late[0] if late else self._failure(TRAINING, name, roots, failed), members=members)
        if how == "MaxRuntimeExceeded":
            return End("Stopped", members={**members, "SecondaryStatus": "MaxRuntimeExceeded"})
        return End(how, members=members)

    def _start_hosts(
        self,
        place: Place,
        record: Document,
        *,
        image: Image,
        roots: Mapping[str, Root],
        channels: list[Channel],
        metrics: Metrics,
    ) -> dict[str, Container]:
        name, specification = record["TrainingJobName"], record["AlgorithmSpecification"]
        hyperparameters = record.get("HyperParameters", {})
        configurations = {channel.name: channel.configuration() for channel in channels}
        credentials = self._home.role_environment(*place, record["RoleArn"], SERVICE)
        port, started = free_port(), dict[str, Container]()
        try:
            for host, root in roots.items():
                ml = "/opt/ml" if isolation() else str(root.ml)
                this = toolkit.Host(host, list(roots), record["ResourceConfig"]["InstanceType"], ml, port)
                _write_configuration(root, this, hyperparameters, configurations)
                variables = {
                    **toolkit.variables(this, hyperparameters, configurations),
                    **credentials,
                    "TRAINING_JOB_NAME": name,
                    "TRAINING_JOB_ARN": record["TrainingJobArn"],
                    **record.get("Environment", {}),
                }
                entrypoint = specification.get("ContainerEntrypoint")
                given = specification.get("ContainerArguments", [])
                cwd = None
                if image.toolkit:
                    cwd = root.ml / "code"
                    variables["PYTHONPATH"] = f"{cwd}:{variables.get('PYTHONPATH', '')}"
                    if not entrypoint:
                        self._fetch_code(place, record, root)
                        entrypoint = toolkit.script_command(this, hyperparameters, record.get("Environment", {}))
                arguments = given or ([] if entrypoint else ["train"])
                argv = image.argv(*arguments, entrypoint=tuple(entrypoint) if entrypoint else None)
                started[host] = self._start(
                    place, GROUPS[TRAINING.kind], self._stream(name, host), image=image, argv=argv, root=root,
                    variables=variables, hosts=list(roots), watch=metrics.watch, cwd=cwd,
                )  # fmt: skip
        except BaseException:
            for container in started.values():
                container.close()
            raise
        return started

    def _fetch_code(self, place: Place, record: Document, root: Root) -> None:
        """`sagemaker_submit_directory`: an archive in S3, or a folder of the container (a channel)."""
        values = toolkit.decoded(record.get("HyperParameters", {}))
        settings = record.get("Environment", {})
        place_of_code = str(values.get("sagemaker_submit_directory") or settings.get("SAGEMAKER_SUBMIT_DIRECTORY", ""))
        code = root.ml / "code"
        if place_of_code.startswith("s3://"):
            Storage(self._home, self._assumed(place, record["RoleArn"])).extract(place_of_code, code)
        elif place_of_code.startswith("/opt/ml/"):
            code.rmdir()
            code.symlink_to(root.at(place_of_code), target_is_directory=True)


def _transition(record: Document, status: str, now: datetime) -> Document:
    """The secondary status and its history once it has changed to `status`."""
    history = [dict(entry) for entry in record.get("SecondaryStatusTransitions", [])]
    if history and history[-1]["Status"] == status:
        return {}
    if history:
        history[-1]["EndTime"] = now
    entry: Document = {"Status": status, "StartTime": now, "StatusMessage": MESSAGES[status]}
    if status in ("Completed", "Failed", "Stopped", "MaxRuntimeExceeded"):
        entry["EndTime"] = now
    return {"SecondaryStatus": status, "SecondaryStatusTransitions": [*history, entry]}


def _check(params: Document) -> None:
    specification = params["AlgorithmSpecification"]
    if "TrainingImage" not in specification:
        raise not_supported("AlgorithmName", "give the TrainingImage")
    if "InstanceGroups" in params["ResourceConfig"]:
        raise not_supported("A cluster of several instance groups", "give InstanceType and InstanceCount")
    for definition in specification.get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            raise invalid(f"The Regex of metric {definition['Name']} is invalid: {error}") from error
    names = [channel["ChannelName"] for channel in params.get("InputDataConfig", [])]
    if len(set(names)) < len(names):
        raise invalid(f"The channels {', '.join(names)} must have different names")
    for channel in params.get("InputDataConfig", []):
        if "S3DataSource" not in channel["DataSource"]:
            raise not_supported(f"The data source of channel {channel['ChannelName']}", "give it an S3DataSource")
        if source_of(channel["DataSource"])[1] not in ("S3Prefix", "ManifestFile"):
            raise not_supported(f"S3DataType AugmentedManifestFile of {channel['ChannelName']}", "use ManifestFile")
    try:
        Root(Path("/")).at(params.get("CheckpointConfig", {}).get("LocalPath", CHECKPOINTS))
    except ValueError as error:
        raise invalid(f"CheckpointConfig.LocalPath: {error}, and only that belongs to a container here") from error


def _channels(record: Document) -> list[Channel]:
    found = []
    for given in record.get("InputDataConfig", []):
        uri, data_type, distribution = source_of(given["DataSource"])
        found.append(
            Channel(
                name=given["ChannelName"],
                uri=uri,
                data_type=data_type,
                distribution=distribution,
                mode=given.get("InputMode") or record["AlgorithmSpecification"]["TrainingInputMode"],
                gzipped=given.get("CompressionType") == "Gzip",
                wrapper=given.get("RecordWrapperType", "None"),
                seed=given.get("ShuffleConfig", {}).get("Seed"),
            )
        )
    return found


def _channels_in(storage: Storage, channels: list[Channel], roots: Mapping[str, Root]) -> list[Feeder]:
    """Brings the channels to the hosts; the feeders of those in Pipe mode."""
    feeders = []
    for channel in channels:
        items = storage.items(channel.uri, channel.data_type)
        for number, root in enumerate(roots.values()):
            root.make()
            folder = root.ml / "input" / "data"
            part = share(items, channel.distribution, number, len(roots))
            if channel.mode == "Pipe":

                def epoch_items(epoch: int, channel: Channel = channel, number: int = number, all_: Any = items) -> Any:
                    return share(shuffled(all_, channel.seed, epoch), channel.distribution, number, len(roots))

                records = channel.wrapper == "RecordIO"
                feeder = Feeder(storage, folder, channel.name, epoch_items, gzipped=channel.gzipped, records=records)
                feeders.append(feeder)
            elif channel.mode == "FastFile":
                storage.link(part, folder / channel.name)
            else:
                storage.download(part, folder / channel.name, gzipped=channel.gzipped)
    return feeders


def _checkpoints(storage: Storage, record: Document, roots: Mapping[str, Root]) -> list[Sync]:
    """What an earlier job of the same checkpoint prefix left comes down; what this one writes goes up."""
    if "CheckpointConfig" not in record:
        return []
    uri = below(record["CheckpointConfig"]["S3Uri"], "")
    syncs = []
    for root in roots.values():
        folder = root.at(record["CheckpointConfig"].get("LocalPath", CHECKPOINTS))
        storage.download(storage.items(uri, required=False), folder)
        sync = Sync(storage, folder, uri)
        sync.known()
        syncs.append(sync)
    return syncs


def _write_configuration(
    root: Root, host: toolkit.Host, hyperparameters: Mapping[str, str], channels: Mapping[str, Document]
) -> None:
    """/opt/ml/input/config as SageMaker writes it."""
    root.make()
    for name, content in (
        ("hyperparameters", dict(hyperparameters)),
        ("resourceconfig", toolkit.resource_configuration(host)),
        ("inputdataconfig", dict(channels)),
    ):
        (root.ml / "input" / "config" / f"{name}.json").write_text(json.dumps(content))


def _store(storage: Storage, record: Document, roots: list[Root], *, model: bool) -> Document:
    """model.tar.gz unless the job failed, and output.tar.gz when anything is in it; ModelArtifacts."""
    output = record["OutputDataConfig"]
    base = below(output["S3OutputPath"], record["TrainingJobName"], "output")
    data = [root.ml / "output" / "data" for root in roots]
    plain = output.get("CompressionType") == "NONE"
    if any(any(folder.iterdir()) for folder in data):
        if plain:
            for folder in data:
                storage.upload(folder, below(base, "data"))
        else:
            storage.upload_archive(data, below(base, "output.tar.gz"))
    if not model:
        return {}
    models = [root.ml / "model" for root in roots]
    if plain:
        for folder in models:
            storage.upload(folder, below(base, "model"))
        return {"ModelArtifacts": {"S3ModelArtifacts": below(base, "model", "")}}
    storage.upload_archive(models, below(base, "model.tar.gz"))
    return {"ModelArtifacts": {"S3ModelArtifacts": below(base, "model.tar.gz")}}
