"""What processing, training and transform jobs have in common: waiting for a place, running, stopping, ending."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localaws.engines.ledger import shown
from localaws.engines.sagemaker.container import Container, Root
from localaws.engines.sagemaker.data import DataError
from localaws.engines.sagemaker.images import Image, ImageError, Images
from localaws.engines.sagemaker.state import Place, State, invalid, place_of
from localaws.home import Call, Document, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

POLL = 0.1
REASON_LENGTH = 1024
GROUPS = {
    "processing_jobs": "/aws/sagemaker/ProcessingJobs",
    "training_jobs": "/aws/sagemaker/TrainingJobs",
    "transform_jobs": "/aws/sagemaker/TransformJobs",
}
INTERRUPTED = "InternalServerError: the embedded AWS was stopped while the job ran. Create it again under a new name"


@dataclass(frozen=True)
class JobKind:
    """How one kind of job names its members."""

    kind: str
    prefix: str
    event: str

    @property
    def name(self) -> str:
        return f"{self.prefix}JobName"

    @property
    def status(self) -> str:
        return f"{self.prefix}JobStatus"

    @property
    def arn(self) -> str:
        return f"{self.prefix}JobArn"


PROCESSING = JobKind("processing_jobs", "Processing", "SageMaker Processing Job State Change")
TRAINING = JobKind("training_jobs", "Training", "SageMaker Training Job State Change")
TRANSFORM = JobKind("transform_jobs", "Transform", "SageMaker Transform Job State Change")
JOB_KINDS = (PROCESSING, TRAINING, TRANSFORM)


@dataclass(frozen=True)
class End:
    """How a job ended: its status, FailureReason, ExitMessage, and members of its own."""

    status: str
    reason: str = ""
    message: str = ""
    members: Document = field(default_factory=dict)


class Slots:
    """Places for process groups, given in the order of asking. A job larger than all of them waits for all."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._used = 0
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    def free(self, wanted: int) -> bool:
        """Whether who asks now need not wait."""
        with self._changed:
            return not self._queue and self._used + min(wanted, self._count) <= self._count

    @contextlib.contextmanager
    def taken(self, wanted: int, stop: threading.Event) -> Iterator[bool]:
        """Holds `wanted` places; False when `stop` was set before there were any."""
        places, ticket = min(wanted, self._count), object()
        with self._changed:
            self._queue.append(ticket)
            while not stop.is_set() and (self._queue[0] is not ticket or self._used + places > self._count):
                self._changed.wait(POLL)
            self._queue.remove(ticket)
            given = not stop.is_set()
            if given:
                self._used += places
            self._changed.notify_all()
        try:
            yield given
        finally:
            if given:
                with self._changed:
                    self._used -= places
                    self._changed.notify_all()


def slots_from_environment() -> int:
    """`SEXTANT_SAGEMAKER_SLOTS`, else one per processor.

    Raises:
        ValueError: it is no positive number.
    """
    text = os.environ.get("SEXTANT_SAGEMAKER_SLOTS", "")
    if not text:
        return os.cpu_count() or 1
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"SEXTANT_SAGEMAKER_SLOTS is {text!r}: give a number of process groups, 1 or more")
    return int(text)


class Jobs(State):
    """The base of the job kinds.

    Args:
        slots: process groups that run at once.
        grace: seconds between SIGTERM and SIGKILL (AWS: 120).
    """

    def __init__(self, *arguments: Any, slots: int, grace: float = 120.0, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._images = Images(self._home)
        self._slots = Slots(slots)
        self._grace = grace
        self._stops: dict[str, threading.Event] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._closing = threading.Event()

    # -- records ---------------------------------------------------------------------------------------------------

    def _create_job(self, call: Call, job: JobKind, record: Document, tags: Sequence[Document] | None) -> str:
        """Notes a new job and starts its thread; its ARN."""
        place, name = place_of(call), record[job.name]
        if "RoleArn" in record:
            self._passed(call, record["RoleArn"])
        with self._lock:
            if self._read(job.kind, place, name) is not None:
                message = f"Job name must be unique within an AWS account and region, and a {job.prefix.lower()} job "
                raise ServiceError(
                    "ResourceInUse", f"{message}with this name already exists ({place.arn(job.kind, name)})"
                )
            now = self._now()
            arn = place.arn(job.kind, name)
            record |= {job.arn: arn, job.status: "InProgress", "CreationTime": now, "LastModifiedTime": now}
            self._write(job.kind, place, record, name)
            self._set_tags(place, arn, tags)
            key = "/".join((job.kind, *place, name))
            self._stops[key] = threading.Event()
            thread = threading.Thread(target=self._work, args=(job, place, name, key), daemon=True, name=f"job-{name}")
            self._threads[key] = thread
        self._emit(place, job.event, record, job.arn)
        thread.start()
        return arn

    def _job(self, job: JobKind, place: Place, name: str) -> Document:
        record = self._read(job.kind, place, name)
        if record is None:
            raise ServiceError("ResourceNotFound", f"Could not find requested job with name: {name}")
        return record

    def _change(self, job: JobKind, place: Place, name: str, **members: Any) -> Document:
        """Sets members of a job's record; the event follows when its status changed."""
        with self._lock:
            record = self._job(job, place, name)
            before = record[job.status], record.get("SecondaryStatus")
            record |= members | {"LastModifiedTime": self._now()}
            self._write(job.kind, place, record, name)
        if (record[job.status], record.get("SecondaryStatus")) != before:
            self._emit(place, job.event, record, job.arn)
        return record

    def _describe_job(self, call: Call, job: JobKind, params: Document) -> Document:
        return shown(self._job(job, place_of(call), params[job.name]))

    def _stop_job(self, call: Call, job: JobKind, params: Document) -> Document:
        place, name = place_of(call), params[job.name]
        with self._lock:
            status = self._job(job, place, name)[job.status]
            if status == "Stopping":
                return {}
            if status != "InProgress":
                raise invalid(f"The request was rejected because the {job.prefix.lower()} job is in status {status}.")
            self._stopping(job, place, name)
            self._stops["/".join((job.kind, *place, name))].set()
        return {}

    def _stopping(self, job: JobKind, place: Place, name: str) -> None:
        self._change(job, place, name, **{job.status: "Stopping"})

    # -- life ------------------------------------------------------------------------------------------------------

    def _work(self, job: JobKind, place: Place, name: str, key: str) -> None:
        """The body of a job's thread: whatever happens, the job ends in a final status."""
        folder = Path(self._home.scratch) / "sagemaker" / f"{name[:40]}-{uuid.uuid4().hex[:8]}"
        stop = self._stops[key]
        try:
            record = self._job(job, place, name)
            places = self._places(job, record)
            if not self._slots.free(places):
                self._queued(job, place, name)
            with self._slots.taken(places, stop) as given:
                run: Callable[..., End] = getattr(self, f"_run_{job.prefix.lower()}")
                end = run(place, record, folder, stop) if given else End("Stopped")
        except (DataError, ImageError) as problem:
            text = str(problem)
            end = End("Failed", text if text.startswith(("ClientError", "AlgorithmError")) else f"ClientError: {text}")
        except ServiceError as problem:
            end = End("Failed", f"ClientError: {problem.message}")
        except Exception as problem:
            end = End("Failed", f"InternalServerError: {type(problem).__name__}: {problem}")
        if self._closing.is_set() and end.status != "Completed":
            end = End("Failed", INTERRUPTED)
        shutil.rmtree(folder, ignore_errors=True)
        self._finish(job, place, name, end)
        self._stops.pop(key, None)
        self._threads.pop(key, None)

    def _places(self, job: JobKind, record: Document) -> int:
        resources = {
            "processing_jobs": lambda: record["ProcessingResources"]["ClusterConfig"],
            "training_jobs": lambda: record["ResourceConfig"],
            "transform_jobs": lambda: record["TransformResources"],
        }[job.kind]()
        return int(resources.get("InstanceCount") or 1)

    def _queued(self, job: JobKind, place: Place, name: str) -> None:
        """Told when a job has to wait for a place."""

    def _finish(self, job: JobKind, place: Place, name: str, end: End) -> None:
        members: Document = {job.status: end.status, f"{job.prefix}EndTime": self._now(), **end.members}
        if end.reason:
            members["FailureReason"] = end.reason[:REASON_LENGTH]
        if end.message:
            members["ExitMessage"] = end.message[:REASON_LENGTH]
        self._change(job, place, name, **members)

    def _recover_jobs(self) -> None:
        """After an unclean stop: what was in progress has failed. Its processes ended with the emulator (launch.py)."""
        for job in JOB_KINDS:
            for place, record in self._everywhere(job.kind):
                if record[job.status] in ("InProgress", "Stopping"):
                    self._finish(job, place, record[job.name], End("Failed", INTERRUPTED))

    def _close_jobs(self) -> None:
        self._closing.set()
        for stop in list(self._stops.values()):
            stop.set()
        for thread in list(self._threads.values()):
            thread.join(30)

    # -- hosts -----------------------------------------------------------------------------------------------------

    def _start(
        self,
        place: Place,
        group: str,
        stream: str,
        *,
        image: Image,
        argv: Sequence[str],
        root: Root,
        variables: Mapping[str, str],
        hosts: Sequence[str] = (),
        watch: Callable[[list[str]], None] | None = None,
        cwd: Path | None = None,
    ) -> Container:
        """Starts a container that logs to a stream, and tells `watch` of the lines."""

        def output(lines: list[str]) -> None:
            self._home.log(*place, group, stream, lines)
            if watch:
                watch(lines)

        return Container(image, argv, root=root, variables=variables, output=output, hosts=hosts, cwd=cwd)

    def _stream(self, name: str, host: str) -> str:
        return f"{name}/{host}-{int(self._clock())}"

    def _wait(
        self, containers: Mapping[str, Container], stop: threading.Event, seconds: float
    ) -> tuple[str, dict[str, int]]:
        """Waits until all hosts have ended, one has failed, the job is stopped, or its time is over.

        Returns:
            ("Completed" | "Failed" | "Stopped" | "MaxRuntimeExceeded", exit codes by host). No process is left.
        """
        deadline = time.monotonic() + seconds
        how = ""
        try:
            while not how:
                codes = [container.exit_code for container in containers.values()]
                if any(codes):
                    how = "Failed"
                elif all(code == 0 for code in codes):
                    how = "Completed"
                elif stop.is_set() or time.monotonic() > deadline:
                    how = "Stopped" if stop.is_set() else "MaxRuntimeExceeded"
                else:
                    stop.wait(POLL)
            # A host that failed takes the others with it, at once; who is stopped has time to save its work.
            failed = {host: container.exit_code or 0 for host, container in containers.items() if container.exit_code}
            self._end(containers, 0 if how == "Failed" or self._closing.is_set() else self._grace)
        finally:
            for container in containers.values():
                container.close()
        return how, failed

    def _end(self, containers: Mapping[str, Container], grace: float) -> None:
        for container in containers.values():
            container.terminate()
        end = time.monotonic() + grace
        while time.monotonic() < end and any(c.exit_code is None for c in containers.values()):
            time.sleep(POLL)

    def _failure(self, job: JobKind, name: str, roots: Mapping[str, Root], codes: Mapping[str, int]) -> str:
        """The FailureReason of a container that failed: its failure file if it wrote one."""
        host, code = next(iter(codes.items()))
        for owner in (host, *roots):
            with contextlib.suppress(OSError):
                text = (roots[owner].ml / "output" / "failure").read_text(errors="replace").strip()
                if text:
                    ending = f", exit code: {code}"
                    return f"AlgorithmError: {text}"[: REASON_LENGTH - len(ending)] + ending
        return (
            f"AlgorithmError: See job logs for more information (log group {GROUPS[job.kind]}, stream {name}/{host}), "
            f"exit code: {code}"
        )
