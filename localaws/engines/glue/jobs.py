"""Jobs and job runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from localaws.engines.glue.process import End, JobFailed, SparkEngine, environment, prepare, run_process
from localaws.engines.glue.state import (
    SERVICE,
    Place,
    State,
    hand_over,
    invalid,
    new_id,
    not_found,
    paged,
    place_of,
    role_arn,
)
from localaws.home import Call, Document, ServiceError

RUNS_AT_ONCE = 2
HISTORY = 200
DEFAULT_TIMEOUT = 480
ACTIVE = ("STARTING", "RUNNING", "STOPPING", "WAITING")
INTERRUPTED = "The embedded AWS was stopped while the run was in progress: start the job again"
DEFINITION = (
    "JobMode", "Description", "LogUri", "Role", "ExecutionProperty", "Command", "DefaultArguments",
    "NonOverridableArguments", "Connections",
    "MaxRetries", "AllocatedCapacity", "Timeout", "MaxCapacity", "WorkerType", "NumberOfWorkers",
    "SecurityConfiguration",
    "NotificationProperty", "GlueVersion", "ExecutionClass", "SourceControlDetails", "MaintenanceWindow",
)  # fmt: skip
PER_RUN = (
    "WorkerType",
    "NumberOfWorkers",
    "MaxCapacity",
    "SecurityConfiguration",
    "NotificationProperty",
    "GlueVersion",
    "ExecutionClass",
)


class Jobs(State):
    """The job and job run operations.

    `engine` runs `glueetl` scripts; `minute` is what a minute of a job's Timeout lasts in seconds, for tests.
    """

    def __init__(self, *arguments: Any, engine: SparkEngine, minute: float = 60.0, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._engine = engine
        self._minute = minute
        self._run_pool = ThreadPoolExecutor(RUNS_AT_ONCE, thread_name_prefix="glue-job")
        self._stops: dict[str, threading.Event] = {}

    # -- definitions -----------------------------------------------------------------------------------------------

    def create_job(self, call: Call, params: Document) -> Document:
        place, name = place_of(call), params["Name"]
        self._check_job(call, params)
        with self._lock:
            known = self._read("jobs", place, name)
            if known is not None:
                raise ServiceError("AlreadyExistsException", f"Job with name {name} already submitted")
            now = self._now()
            job = {
                "Name": name,
                "JobMode": "SCRIPT",
                "ExecutionProperty": {"MaxConcurrentRuns": 1},
                "MaxRetries": 0,
                "Timeout": DEFAULT_TIMEOUT,
                **{key: params[key] for key in DEFINITION if key in params},
                "CreatedOn": now,
                "LastModifiedOn": now,
            }
            self._write("jobs", place, job, name)
            self._set_tags(place, "job", name, params.get("Tags"))
        return {"Name": name}

    def update_job(self, call: Call, params: Document) -> Document:
        """As on AWS, what the update does not name goes back to its default."""
        place, name, update = place_of(call), params["JobName"], params["JobUpdate"]
        with self._lock:
            job = self._require("jobs", "Job", place, name)
            kept = {key: job[key] for key in ("Role", "Command") if key not in update}
            merged = {**kept, **{key: update[key] for key in DEFINITION if key in update}}
            self._check_job(call, merged)
            defaults = {
                "JobMode": "SCRIPT",
                "ExecutionProperty": {"MaxConcurrentRuns": 1},
                "MaxRetries": 0,
                "Timeout": DEFAULT_TIMEOUT,
            }
            stamps = {"Name": name, "CreatedOn": job["CreatedOn"], "LastModifiedOn": self._now()}
            self._write("jobs", place, {**defaults, **merged, **stamps}, name)
        return {"JobName": name}

    def _check_job(self, call: Call, params: Document) -> None:
        command = params["Command"]
        if command.get("Name") not in ("glueetl", "pythonshell"):
            raise invalid(f"Command {command.get('Name')!r} cannot run here: use glueetl or pythonshell")
        if not str(command.get("ScriptLocation", "")).startswith("s3://"):
            raise invalid(f"ScriptLocation {command.get('ScriptLocation')!r} is not an s3:// path")
        if params.get("JobRunQueuingEnabled"):
            raise invalid("JobRunQueuingEnabled is not supported here: leave it out and raise MaxConcurrentRuns")
        if params.get("Connections", {}).get("Connections"):
            raise invalid("Connections are not supported here: jobs have the embedded AWS as their only network")
        for key in ("DefaultArguments", "NonOverridableArguments"):
            _refuse_bookmarks(params.get(key) or {})
        hand_over(call, params["Role"])

    def delete_job(self, call: Call, params: Document) -> Document:
        place, name = place_of(call), params["JobName"]
        with self._lock:
            for run in self._all("job_runs", place, name):
                if run["JobRunState"] in ACTIVE:
                    self._stop_run(place, run)
                else:
                    self._remove("job_runs", place, name, run["Id"])
            self._remove("jobs", place, name)
            self._remove("tags", place, "job", name)
        return {"JobName": name}

    def get_job(self, call: Call, params: Document) -> Document:
        return {"Job": self._require("jobs", "Job", place_of(call), params["JobName"])}

    def get_jobs(self, call: Call, params: Document) -> Document:
        return paged(self._all("jobs", place_of(call)), params, "Jobs")

    def list_jobs(self, call: Call, params: Document) -> Document:
        names = [job["Name"] for job in self._all("jobs", place_of(call))]
        return paged(self._tagged(place_of(call), "job", names, params.get("Tags")), params, "JobNames")

    def batch_get_jobs(self, call: Call, params: Document) -> Document:
        found = {name: self._read("jobs", place_of(call), name) for name in params["JobNames"]}
        return {
            "Jobs": [job for job in found.values() if job],
            "JobsNotFound": [n for n, job in found.items() if job is None],
        }

    # -- runs ------------------------------------------------------------------------------------------------------

    def start_job_run(self, call: Call, params: Document) -> Document:
        return {"JobRunId": self._start_job_run(place_of(call), params)}

    def _start_job_run(
        self,
        place: Place,
        params: Document,
        *,
        trigger: str = "",
        workflow: Document | None = None,
        predecessors: list[Document] | None = None,
    ) -> str:
        """Starts a run; `workflow` is `{"Name", "RunId", "Node"}` of the workflow run that asks."""
        name = params["JobName"]
        overrides = params.get("Arguments") or {}
        _refuse_bookmarks(overrides)
        with self._lock:
            job = self._require("jobs", "Job", place, name)
            fixed = job.get("NonOverridableArguments") or {}
            clash = sorted(key for key in overrides if key in fixed)
            if clash:
                raise invalid(f"The arguments {', '.join(clash)} of job {name} cannot be overridden")
            active = sum(run["JobRunState"] in ACTIVE for run in self._all("job_runs", place, name))
            limit = int((job.get("ExecutionProperty") or {}).get("MaxConcurrentRuns") or 1)
            if active >= limit:
                raise ServiceError(
                    "ConcurrentRunsExceededException", f"Concurrent runs exceeded for {name}: {active} of {limit}"
                )
            previous = params.get("JobRunId")
            if previous and self._read("job_runs", place, name, previous) is None:
                raise not_found("Job run", previous)
            run = {
                "Id": new_id("jr"),
                "Attempt": 0,
                **({"PreviousRunId": previous} if previous else {}),
                **({"TriggerName": trigger} if trigger else {}),
                **({"PredecessorRuns": predecessors} if predecessors else {}),
                **({"Workflow": workflow} if workflow else {}),
                "Arguments": {**(job.get("DefaultArguments") or {}), **overrides, **fixed},
                "Timeout": int(params.get("Timeout") or job.get("Timeout") or DEFAULT_TIMEOUT),
                "Retries": int(job.get("MaxRetries") or 0),
                **{key: params.get(key, job.get(key)) for key in PER_RUN if params.get(key, job.get(key)) is not None},
            }
            self._enqueue(place, name, run)
        return str(run["Id"])

    def _enqueue(self, place: Place, name: str, run: Document) -> None:
        now = self._now()
        run.update(
            JobName=name, JobMode="SCRIPT", JobRunState="STARTING", StartedOn=now, LastModifiedOn=now, ExecutionTime=0
        )
        run["LogGroupName"] = "/aws-glue/jobs"
        self._write("job_runs", place, run, name, run["Id"])
        self._stops[run["Id"]] = threading.Event()
        self._run_pool.submit(self._run, place, name, run["Id"])

    def _run(self, place: Place, name: str, run_id: str) -> None:
        """The body of a run's thread: whatever happens, the run ends in a final state."""
        stop = self._stops[run_id]
        folder = Path(self._home.scratch) / "glue" / uuid.uuid4().hex
        try:
            end = self._attempt(place, name, run_id, stop, folder)
        except (ServiceError, JobFailed) as problem:
            end = End(
                "FAILED", f"{problem.code}: {problem.message}" if isinstance(problem, ServiceError) else str(problem)
            )
        except Exception as problem:
            end = End("ERROR", f"Internal error of the job engine: {type(problem).__name__}: {problem}")
        shutil.rmtree(folder, ignore_errors=True)
        self._stops.pop(run_id, None)
        self._end_run(place, name, run_id, end)

    def _attempt(self, place: Place, name: str, run_id: str, stop: threading.Event, folder: Path) -> End:
        with self._lock:
            job = self._require("jobs", "Job", place, name)
            run = self._require("job_runs", "Job run", place, name, run_id)
            if stop.is_set():
                return End("STOPPED")
            # Waiting for a free place does not count as running.
            run.update(JobRunState="RUNNING", StartedOn=self._now(), LastModifiedOn=self._now())
            self._write("job_runs", place, run, name, run_id)
        role = role_arn(place, job["Role"])
        call = self._home.as_role(*place, role, SERVICE)
        engine = self._engine
        shell = job["Command"]["Name"] == "pythonshell"
        spark = engine.name == "spark" and not shell
        if spark and not Path(engine.python).is_file():
            raise JobFailed(
                f"SEXTANT_SPARK_PYTHON names no interpreter ({engine.python!r}): install requirements/spark.txt and "
                "point to its python"
            )
        specification = prepare(self._home, run, job["Command"], call, folder=folder, engine=engine)
        variables = environment(self._home.role_environment(*place, role, SERVICE), folder)
        group = "/aws-glue/python-jobs" if shell else "/aws-glue/jobs"

        def output(stream: str, lines: list[str]) -> None:
            self._home.log(*place, f"{group}/{stream}", run_id, lines)

        return run_process(
            specification,
            variables,
            folder,
            python=engine.python if spark else "",
            timeout=run["Timeout"] * self._minute,
            stop=stop,
            output=output,
        )

    def _end_run(self, place: Place, name: str, run_id: str, end: End) -> None:
        now = self._now()
        with self._lock:
            run = self._read("job_runs", place, name, run_id)
            if run is None:
                return
            run.update(JobRunState=end.state, CompletedOn=now, LastModifiedOn=now)
            run["ExecutionTime"] = max(0, int((now - run["StartedOn"]).total_seconds()))
            if end.error:
                run["ErrorMessage"] = end.error[:2048]
            self._write("job_runs", place, run, name, run_id)
            finished = sorted(
                (r for r in self._all("job_runs", place, name) if r["JobRunState"] not in ACTIVE),
                key=lambda r: r["StartedOn"],
            )
            for old in finished[:-HISTORY]:
                self._remove("job_runs", place, name, old["Id"])
            again = (
                end.state == "FAILED"
                and run["Attempt"] < run["Retries"]
                and self._read("jobs", place, name) is not None
            )
            if again:
                first = run_id.partition("_attempt_")[0]
                keys = ("TriggerName", "PredecessorRuns", "Workflow", "Arguments", "Timeout", "Retries", *PER_RUN)
                retry = {key: run[key] for key in keys if key in run}
                retry.update(
                    Id=f"{first}_attempt_{run['Attempt'] + 1}", Attempt=run["Attempt"] + 1, PreviousRunId=run_id
                )
                self._enqueue(place, name, retry)
        severity = {"SUCCEEDED": "INFO", "STOPPED": "INFO", "TIMEOUT": "WARN"}.get(end.state, "ERROR")
        message = end.error or ("Job run succeeded" if end.state == "SUCCEEDED" else f"Job run {end.state.lower()}")
        detail = {"jobName": name, "severity": severity, "state": end.state, "jobRunId": run_id, "message": message}
        self._home.emit(*place, "aws.glue", "Glue Job State Change", detail)
        if not again:
            self._ended(
                place,
                "JOB",
                name,
                {"State": end.state, "RunId": run_id, "Trigger": run.get("TriggerName", "")},
                run.get("Workflow"),
            )

    def batch_stop_job_run(self, call: Call, params: Document) -> Document:
        place, name = place_of(call), params["JobName"]
        stopped: list[Document] = []
        errors: list[Document] = []
        with self._lock:
            self._require("jobs", "Job", place, name)
            for run_id in params["JobRunIds"]:
                run = self._read("job_runs", place, name, run_id)
                if run is not None and run["JobRunState"] in ("STARTING", "RUNNING", "WAITING"):
                    self._stop_run(place, run)
                    stopped.append({"JobName": name, "JobRunId": run_id})
                    continue
                code = "EntityNotFoundException" if run is None else "JobRunNotInTerminalState"
                message = (
                    f"Job run {run_id} not found"
                    if run is None
                    else f"Job run {run_id} is {run['JobRunState']} and cannot be stopped"
                )
                detail = {"ErrorCode": code if run is None else "InvalidInputException", "ErrorMessage": message}
                errors.append({"JobName": name, "JobRunId": run_id, "ErrorDetail": detail})
        return {"SuccessfulSubmissions": stopped, "Errors": errors}

    def _stop_run(self, place: Place, run: Document) -> None:
        run.update(JobRunState="STOPPING", LastModifiedOn=self._now())
        self._write("job_runs", place, run, run["JobName"], run["Id"])
        if run["Id"] in self._stops:
            self._stops[run["Id"]].set()

    def get_job_run(self, call: Call, params: Document) -> Document:
        place = place_of(call)
        self._require("jobs", "Job", place, params["JobName"])
        run = self._read("job_runs", place, params["JobName"], params["RunId"])
        if run is None:
            raise ServiceError(
                "EntityNotFoundException", f"Job Run with id: {params['RunId']} not found for job {params['JobName']}."
            )
        return {"JobRun": self._shown_run(run)}

    def get_job_runs(self, call: Call, params: Document) -> Document:
        place = place_of(call)
        self._require("jobs", "Job", place, params["JobName"])
        runs = sorted(
            self._all("job_runs", place, params["JobName"]),
            key=lambda run: (run["StartedOn"], run["Attempt"]),
            reverse=True,
        )
        return paged([self._shown_run(run) for run in runs], params, "JobRuns")

    def _shown_run(self, run: Document) -> Document:
        shown = {key: value for key, value in run.items() if key not in ("Workflow", "Retries")}
        if run["JobRunState"] == "RUNNING":
            shown["ExecutionTime"] = max(0, int((self._now() - run["StartedOn"]).total_seconds()))
        return shown

    def get_job_bookmark(self, call: Call, params: Document) -> Document:
        """There are no bookmarks: they belong to DynamicFrames, which exist only on AWS."""
        self._require("jobs", "Job", place_of(call), params["JobName"])
        raise ServiceError(
            "EntityNotFoundException", f"Job {params['JobName']} has no bookmark: bookmarks are not supported here"
        )

    def reset_job_bookmark(self, call: Call, params: Document) -> Document:
        return self.get_job_bookmark(call, params)

    def _recover_jobs(self) -> None:
        """After an unclean stop: what was in progress has failed. Its processes ended with the emulator (see
        launch.py).
        """
        for place, run in self._everywhere("job_runs"):
            if run["JobRunState"] in ACTIVE:
                run["Retries"] = 0
                self._write("job_runs", place, run, run["JobName"], run["Id"])
                self._end_run(place, run["JobName"], run["Id"], End("FAILED", INTERRUPTED))

    def _stop_all_runs(self) -> None:
        for stop in list(self._stops.values()):
            stop.set()

    def _ended(self, place: Place, kind: str, name: str, detail: Document, workflow: Document | None) -> None:
        raise NotImplementedError


def _refuse_bookmarks(arguments: Document) -> None:
    if arguments.get("--job-bookmark-option") in ("job-bookmark-enable", "job-bookmark-pause"):
        raise invalid(
            "Job bookmarks are not supported here: set --job-bookmark-option to job-bookmark-disable and make the "
            "job idempotent"
        )


def engine_from_environment() -> SparkEngine:
    """`SEXTANT_GLUE_ENGINE` (duckdb, spark) and `SEXTANT_SPARK_PYTHON`.

    Raises:
        ValueError: the engine is unknown.
    """
    name = os.environ.get("SEXTANT_GLUE_ENGINE", "duckdb")
    if name not in ("duckdb", "spark"):
        raise ValueError(f"SEXTANT_GLUE_ENGINE is {name!r}: use duckdb or spark")
    python = os.environ.get("SEXTANT_SPARK_PYTHON", "")
    if name == "spark" and not python:
        with contextlib.suppress(IndexError):
            python = str(Path(__file__).parents[3] / ".venv-spark" / "bin" / "python")
    return SparkEngine(name, python)
