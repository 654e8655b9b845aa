"""Processing jobs."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from localaws.engines.sagemaker.container import Root
from localaws.engines.sagemaker.data import Storage, Sync, share
from localaws.engines.sagemaker.jobs import GROUPS, PROCESSING, End, Jobs
from localaws.engines.sagemaker.state import SERVICE, Place, invalid, listed, not_supported, place_of, validate

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from localaws.home import Call, Document

DEFAULT_RUNTIME = 86_400
REQUEST = (
    "ProcessingInputs", "ProcessingOutputConfig", "ProcessingJobName", "ProcessingResources", "StoppingCondition",
    "AppSpecification", "Environment", "NetworkConfig", "RoleArn", "ExperimentConfig",
)  # fmt: skip


class Processing(Jobs):
    """The processing job operations."""

    def create_processing_job(self, call: Call, params: Document) -> Document:
        validate("CreateProcessingJob", params, "ProcessingJobName")
        for source in params.get("ProcessingInputs", []):
            _check_input(source)
        for output in _outputs(params):
            if "S3Output" not in output:
                raise not_supported(f"The output {output['OutputName']} to a feature store", "give it an S3Output")
            _below_opt_ml(output["S3Output"].get("LocalPath", ""))
        record = {member: params[member] for member in REQUEST if member in params}
        return {"ProcessingJobArn": self._create_job(call, PROCESSING, record, params.get("Tags"))}

    def describe_processing_job(self, call: Call, params: Document) -> Document:
        return self._describe_job(call, PROCESSING, params)

    def stop_processing_job(self, call: Call, params: Document) -> Document:
        return self._stop_job(call, PROCESSING, params)

    def list_processing_jobs(self, call: Call, params: Document) -> Document:
        members = (
            "ProcessingJobName", "ProcessingJobArn", "CreationTime", "ProcessingEndTime", "LastModifiedTime",
            "ProcessingJobStatus", "FailureReason", "ExitMessage",
        )  # fmt: skip
        records = self._all("processing_jobs", place_of(call))
        key = "ProcessingJobSummaries"
        return listed(records, params, key, members, name="ProcessingJobName", status="ProcessingJobStatus")

    def _run_processing(self, place: Place, record: Document, folder: Path, stop: threading.Event) -> End:
        name, role = record["ProcessingJobName"], record["RoleArn"]
        call = self._assumed(place, role)
        specification = record["AppSpecification"]
        image = self._images.resolve(call, specification["ImageUri"])
        cluster = record["ProcessingResources"]["ClusterConfig"]
        hosts = [f"algo-{number}" for number in range(1, int(cluster["InstanceCount"]) + 1)]
        roots = {host: Root(folder / host) for host in hosts}
        storage = Storage(self._home, call)
        for source in record.get("ProcessingInputs", []):
            _fetch(storage, source, list(roots.values()))
        credentials = self._home.role_environment(*place, role, SERVICE)
        syncs = self._prepare_outputs(storage, record, roots)
        self._change(PROCESSING, place, name, ProcessingStartTime=self._now())
        entrypoint = specification.get("ContainerEntrypoint")
        argv = image.argv(
            *specification.get("ContainerArguments", []), entrypoint=tuple(entrypoint) if entrypoint else None
        )
        if not argv:
            return End("Failed", f"ClientError: the image {specification['ImageUri']} has no entry point: name one")
        containers = {}
        for host, root in roots.items():
            _write_configuration(root, record, hosts, host)
            variables = {**credentials, "PROCESSING_JOB_NAME": name, **record.get("Environment", {})}
            variables |= {"DMLC_INTERFACE": "lo"}
            group, stream = GROUPS[PROCESSING.kind], self._stream(name, host)
            containers[host] = self._start(
                place, group, stream, image=image, argv=argv, root=root, variables=variables, hosts=hosts
            )
        for sync in syncs:
            sync.start()
        seconds = record.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_RUNTIME)
        how, failed = self._wait(containers, stop, seconds)
        for sync in syncs:
            sync.finish()
        message = _exit_message(list(roots.values()))
        if how == "Failed":
            return End("Failed", self._failure(PROCESSING, name, roots, failed), message)
        if how == "MaxRuntimeExceeded":
            return End("Stopped", f"ClientError: the job ran longer than its MaxRuntimeInSeconds of {seconds}", message)
        if how == "Completed":
            for output in _outputs(record):
                if output["S3Output"]["S3UploadMode"] == "EndOfJob":
                    for root in roots.values():
                        storage.upload(_local(root, output), output["S3Output"]["S3Uri"])
            late = [sync.error for sync in syncs if sync.error]
            if late:
                return End("Failed", late[0], message)
        return End(how, message=message)

    def _prepare_outputs(self, storage: Storage, record: Document, roots: dict[str, Root]) -> list[Sync]:
        """Makes the folders of the outputs; the continuous ones are brought to S3 while the job runs."""
        syncs = []
        for output in _outputs(record):
            for root in roots.values():
                folder = _local(root, output)
                folder.mkdir(parents=True, exist_ok=True)
                if output["S3Output"]["S3UploadMode"] == "Continuous":
                    syncs.append(Sync(storage, folder, output["S3Output"]["S3Uri"]))
        return syncs


def _outputs(record: Document) -> list[Document]:
    return list(record.get("ProcessingOutputConfig", {}).get("Outputs", []))


def _local(root: Root, output: Document) -> Path:
    return root.at(output["S3Output"]["LocalPath"])


def _below_opt_ml(path: str) -> None:
    try:
        Root(Path("/")).at(path)
    except ValueError:
        raise invalid(
            f"LocalPath {path!r} must be below /opt/ml: the embedded SageMaker gives a container its own /opt/ml only"
        ) from None


def _check_input(source: Document) -> None:
    name = source["InputName"]
    if "S3Input" not in source:
        raise not_supported(f"The input {name} of a dataset definition", "give it an S3Input")
    given = source["S3Input"]
    _below_opt_ml(given.get("LocalPath", ""))
    if given.get("S3InputMode", "File") != "File":
        raise not_supported(f"S3InputMode {given['S3InputMode']} of the input {name}", "use File")


def _fetch(storage: Storage, source: Document, roots: Sequence[Root]) -> None:
    given = source["S3Input"]
    items = storage.items(given["S3Uri"], given["S3DataType"])
    for number, root in enumerate(roots):
        part = share(items, given.get("S3DataDistributionType", "FullyReplicated"), number, len(roots))
        gzipped = given.get("S3CompressionType") == "Gzip"
        storage.download(part, root.at(given["LocalPath"]), gzipped=gzipped)


def _write_configuration(root: Root, record: Document, hosts: Sequence[str], host: str) -> None:
    """/opt/ml/config as SageMaker writes it."""
    root.make()
    members = (
        "ProcessingJobArn", "ProcessingJobName", "AppSpecification", "Environment", "ProcessingInputs",
        "ProcessingOutputConfig", "ProcessingResources", "RoleArn", "StoppingCondition",
    )  # fmt: skip
    job = {member: record[member] for member in members if member in record}
    (root.ml / "config" / "processingjobconfig.json").write_text(json.dumps(job))
    (root.ml / "config" / "resourceconfig.json").write_text(
        json.dumps(
            {
                "current_host": host,
                "hosts": list(hosts),
                "current_instance_type": record["ProcessingResources"]["ClusterConfig"]["InstanceType"],
                "network_interface_name": "lo",
            }
        )
    )


def _exit_message(roots: Sequence[Root]) -> str:
    for root in roots:
        with contextlib.suppress(OSError):
            return (root.ml / "output" / "message").read_text(errors="replace").strip()
    return ""
