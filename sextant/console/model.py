"""What the console's API says: systems, runs with steps, quarantined input, settings. Times are UTC, sizes bytes."""

import datetime as dt
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue

SystemId: TypeAlias = Literal["labeling", "slides", "health", "captions", "narration", "inspection"]
"""The six systems, wherever they are deployed."""

RunState: TypeAlias = Literal["running", "stopping", "succeeded", "failed", "stopped"]
StepKind: TypeAlias = Literal["job", "crawler", "processing", "training", "transform", "call"]
StepState: TypeAlias = Literal["waiting", "running", "stopping", "succeeded", "failed", "stopped", "skipped"]
SystemState: TypeAlias = Literal["ready", "running", "failed"]
NeedKind: TypeAlias = Literal["quarantine", "finding", "directed_audit", "answer_flag", "expiry", "approval", "review"]
Action: TypeAlias = Literal["start", "stop", "resume", "replay"]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Run(Frozen):
    """One run. `done` of `total` steps have ended, however they ended; `seconds` is there once the run has ended."""

    system: SystemId
    id: str
    state: RunState
    started_at: dt.datetime
    ended_at: dt.datetime | None = None
    seconds: float | None = None
    done: int
    total: int


class LogPlace(Frozen):
    """Where a step wrote what it did: a log group and, where one is known, a stream of it."""

    group: str
    stream: str | None = None


class Step(Frozen):
    """One step of a run. `name` is the resource's, `title` what people call it; `attempts` counts retries too."""

    name: str
    title: str
    kind: StepKind
    state: StepState
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    seconds: float | None = None
    attempts: int = 0
    error: str | None = None
    log: LogPlace | None = None


class RunDetail(Run):
    """A run with its steps, in the order in which they can run. `allowed` is what the caller may do with it now."""

    steps: tuple[Step, ...]
    allowed: tuple[Action, ...] = ()


class RunPage(Frozen):
    """Runs of one system, newest first; `next` is the token of the older ones."""

    runs: tuple[Run, ...]
    next: str | None = None


class Runs(RunPage):
    allowed: tuple[Action, ...] = ()


class Started(Frozen):
    """A run that was just started."""

    system: SystemId
    id: str


class System(Frozen):
    """A deployed system, by its last run."""

    id: SystemId
    state: SystemState
    last_run: Run | None = None


class Listed(Frozen):
    """Whether this environment has a system, and whether this release can deploy it at all."""

    id: SystemId
    deployed: bool
    available: bool


class Systems(Frozen):
    environment: str
    systems: tuple[Listed, ...]


class Need(Frozen):
    """Something that waits for a person: how many of a kind, or why that cannot be told."""

    kind: NeedKind
    count: int | None
    fault: str | None = None


class Attention(Frozen):
    needs: tuple[Need, ...]


class Rejected(Frozen):
    """One fault of one input object; `source` is its S3 URL, with `:line` behind a manifest's."""

    source: str
    reason: str
    detail: str
    size_bytes: int | None = None


class Reason(Frozen):
    reason: str
    count: int


class Quarantine(Frozen):
    """A page of the quarantine under the given filters.

    `total` entries match, in `objects` sources; `reasons` counts the whole quarantine, whatever the filters say.
    """

    system: SystemId
    entries: tuple[Rejected, ...]
    total: int
    objects: int
    reasons: tuple[Reason, ...]
    offset: int
    allowed: tuple[Action, ...] = ()


class Content(Frozen):
    """The beginning of a quarantined object. `text` is None where it is no text, `size_bytes` where it is gone."""

    source: str
    state: Literal["same", "changed", "gone"]
    size_bytes: int | None = None
    modified_at: dt.datetime | None = None
    text: str | None = None
    truncated: bool = False


class You(Frozen):
    """The caller, as the authorizer verified it."""

    roles: tuple[Literal["admin", "analyst"], ...]


class EnvironmentSettings(Frozen):
    """An environment as it was deployed. `sections` are those of its file: name → setting → value."""

    name: str
    account: str
    region: str
    systems: tuple[SystemId, ...]
    available: tuple[SystemId, ...]
    version: str
    sections: dict[str, dict[str, JsonValue]]


class Settings(Frozen):
    you: You
    environment: EnvironmentSettings
    versions: dict[str, str]


class Error(Frozen):
    """`remedy` is for the person at the page; `detail` lists each fault of an unusable request."""

    status: int
    code: str
    message: str
    remedy: str
    query_execution_id: str | None = None
    detail: tuple[str, ...] = ()


class Fault(Frozen):
    """Every answer that is no success."""

    error: Error
