"""The steps of the labeling ETL around the SQL: survey the input, parse it in chunks, publish what the SQL made.

A chunk is a row of work that any process can do: it names its objects and where to stage the result, and the staged
files bear the chunk's name, so that doing it twice overwrites. Manifests go first: they tell the parser of the sequence
files what a class number means and when a label was made.
"""

from __future__ import annotations

import gc
import json
import tempfile
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from sextant import storage
from sextant.labeling.beside import count_input, parse_categories, parse_gold
from sextant.labeling.chunk import Chunk
from sextant.labeling.ground_truth import (
    Document,
    parse_manifest_line,
    parse_response,
    parse_sequence,
    parse_worker_frame,
)
from sextant.labeling.insight.analysis import FILES
from sextant.labeling.insight.tables import INSIGHT_TABLES, PARTS
from sextant.labeling.json_text import UNUSABLE
from sextant.labeling.layout import BESIDE, Kind, Place, batch_of, level_of, place_of
from sextant.labeling.staging import CHAIN, FACT, REFERENCE, STAGED, Sheet
from sextant.labeling.tables import arrow_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHUNK_BYTES = 64 << 20
CHUNK_OBJECTS = 2_000
LONGEST_RUN = timedelta(days=1)
"""No run is alive that has not written for so long: the stack's job ends after two hours."""

PARSE_SCHEMA = "staged string, rows bigint"
"""What `parse` yields: the staged table and its rows of one chunk."""

JOBS_SCHEMA = (
    "job_name string, modality string, task_type string, level string, batch string, base_job string, "
    "label_attribute string"
)


@dataclass(frozen=True)
class Found:
    """One object to parse: `key` below `root`, which is empty for the input itself."""

    key: str
    size: int
    modified: datetime
    place: Place
    root: str = ""

    @property
    def source(self) -> str:
        """What tables call it."""
        return f"{self.root.rstrip('/').rpartition('/')[2]}/{self.key}" if self.root else self.key


@dataclass(frozen=True)
class Survey:
    """What the input holds: manifests, other objects, and what cannot be input (source, reason, detail, bytes)."""

    root: str
    manifests: tuple[Found, ...]
    others: tuple[Found, ...]
    rejected: tuple[tuple[str, str, str, int], ...]
    ignored: int


def survey(root: str, categories: str = "") -> Survey:
    """Lists the input and recognises every object.

    A job has one manifest, and a data object one sequence file: of two equal copies the first in key order is read, and
    the other is rejected as a duplicate. Different jobs whose folders have one name are named by their paths. Gold
    labels and label categories belong to the job of their folder, or to the only one that their file or folder names;
    `categories` is a further folder with such configurations, which need not exist.

    Raises:
        FileNotFoundError: the root is a folder that does not exist.
    """
    name = root.rstrip("/").rpartition("/")[2]
    manifests: list[Found] = []
    others: list[Found] = []
    rejected: list[tuple[str, str, str, int]] = []
    ignored = 0
    placed: list[tuple[storage.Entry, Place]] = []
    beside: list[tuple[storage.Entry, Place, str]] = []
    for entry in storage.entries(root):
        place = place_of(entry.key, name)
        if place.kind is Kind.WORKINGS:
            ignored += 1
        elif place.kind in BESIDE:
            beside.append((entry, place, ""))
        elif place.kind is Kind.FOREIGN:
            rejected.append(
                (entry.key, "not part of a Ground Truth output", "no known file name or folder", entry.size)
            )
        else:
            placed.append((entry, place))
    names = _job_names(root, placed)
    seen: dict[tuple[str, ...], storage.Entry] = {}
    for entry, found_place in placed:
        place = replace(found_place, job_name=names[found_place.job_name, found_place.home])
        if place.kind in (Kind.MANIFEST, Kind.SEQUENCE):
            first = seen.setdefault((place.kind, place.job_name, place.object_id), entry)
            if first is not entry:
                reason = "duplicate" if _equal(root, first, entry) else f"second {place.kind}"
                rejected.append((entry.key, reason, f"{place.job_name} has {first.key}", entry.size))
                continue
        found = Found(entry.key, entry.size, entry.modified, place)
        (manifests if place.kind is Kind.MANIFEST else others).append(found)
    if categories and (storage.is_s3(categories) or Path(categories).is_dir()):
        found_beside = [(entry, place_of(entry.key, ""), categories) for entry in storage.entries(categories)]
        beside += [each for each in found_beside if each[1].kind is Kind.CATEGORIES]
    meant_by = _meant_by(names, placed)
    for entry, place, elsewhere in beside:
        found = Found(entry.key, entry.size, entry.modified, place, elsewhere)
        here = names.get((place.job_name, place.home))
        meant = {here} if here and not elsewhere else meant_by.get(place.job_name, set())
        if len(meant) == 1:
            others.append(replace(found, place=replace(place, job_name=next(iter(meant)))))
        elif not elsewhere:  # the batch workflow's folder has those of all batches
            reason = f"{place.kind} of {'several jobs' if meant else 'an unknown job'}"
            rejected.append((found.source, reason, f"job {place.job_name}: {', '.join(sorted(meant))}", entry.size))
    return Survey(root, tuple(manifests), tuple(others), tuple(rejected), ignored)


def _job_names(root: str, placed: list[tuple[storage.Entry, Place]]) -> dict[tuple[str, str], str]:
    """The name in reports of every (job name, home): the job's name, or its path where several jobs have that name."""
    homes: dict[str, dict[str, dict[str, storage.Entry]]] = {}
    for entry, place in placed:
        kept = homes.setdefault(place.job_name, {}).setdefault(place.home, {})
        if place.kind is not Kind.WORKER_FRAME:  # they lie beside the answer that names them
            # A manifest may be called by its job's name: it is the same part of the output.
            kept.setdefault("manifest" if place.kind is Kind.MANIFEST else place.path, entry)
    names: dict[tuple[str, str], str] = {}
    for job_name, found in homes.items():
        jobs: list[tuple[str, dict[str, storage.Entry]]] = []
        members: list[tuple[str, str]] = []
        for home, objects in sorted(found.items()):
            same = next((job for job in jobs if _copied(root, job[1], objects)), None)
            if same is None:
                same = (home, {})
                jobs.append(same)
            same[1].update({path: entry for path, entry in objects.items() if path not in same[1]})
            members.append((home, same[0]))
        for home, first in members:
            names[job_name, home] = job_name if len(jobs) == 1 else first or f"./{job_name}"
    return names


def _meant_by(names: dict[tuple[str, str], str], placed: list[tuple[storage.Entry, Place]]) -> dict[str, set[str]]:
    """The jobs that a name outside their folders means: the one reports name so, else what Ground Truth does."""
    meant: dict[str, set[str]] = {}
    for _, place in placed:
        for told in (place.job_name, place.job):
            meant.setdefault(told, set()).add(names[place.job_name, place.home])
    return meant | {name: {name} for name in names.values()}


def _copied(root: str, job: dict[str, storage.Entry], objects: dict[str, storage.Entry]) -> bool:
    """Whether objects of another folder are copies of a job's: they share some, and those are equal."""
    shared = sorted(job.keys() & objects.keys())
    # Sizes tell most differences without reading anything.
    return (
        bool(shared)
        and all(job[path].size == objects[path].size for path in shared)
        and all(_equal(root, job[path], objects[path]) for path in shared)
    )


def _equal(root: str, one: storage.Entry, other: storage.Entry) -> bool:
    """Whether two objects have the same bytes. Equal etags tell it; different ones may be of equal objects."""
    if one.size != other.size or (one.etag and one.etag == other.etag):
        return one.size == other.size
    try:
        return storage.read(storage.joined(root, one.key)) == storage.read(storage.joined(root, other.key))
    except storage.GoneError:
        return False


def staging_of(target: str) -> str:
    """A place of this run alone to stage in: neither a run beside it nor what a killed one left can mix with its rows.

    What runs left that cannot be alive any more is deleted.

    Raises:
        OSError: it cannot be deleted.
    """
    root = f"{target}/_staging"
    if storage.is_s3(root) or Path(root).is_dir():
        changed: dict[str, datetime] = {}
        for entry in storage.entries(root):
            run = entry.key.partition("/")[0]
            changed[run] = max(changed.get(run, entry.modified), entry.modified)
        for run, last in changed.items():
            if datetime.now(UTC) - last > LONGEST_RUN:
                storage.remove_below(f"{root}/{run}")
    return f"{root}/{uuid4().hex}"


def prepare(staging: str) -> None:
    """Gives every staged table one file without rows, for a reader needs one."""
    empty = {table.name: table for table in STAGED}
    empty |= {f"insight_{table.name}": table for table in (*INSIGHT_TABLES, *PARTS, FILES)}
    for name, table in empty.items():
        body = pa.BufferOutputStream()
        pq.write_table(arrow_schema(table).empty_table(), body, store_schema=False)
        storage.write(body.getvalue().to_pybytes(), f"{staging}/{name}/empty.parquet")


def manifest_work(found: Survey, staging: str) -> list[str]:
    """The first round's work: the manifests, and what the survey rejected."""
    return _work(found, staging, "manifests", [(each, None) for each in found.manifests], found.rejected)


def other_work(found: Survey, staging: str) -> list[str]:
    """The second round's work, after the first is done: everything else, with what the manifests tell about it."""
    references: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in _staged_rows(staging, REFERENCE.name):
        references.setdefault((row["job_name"], row["object_id"]), []).append(row)
    items: list[tuple[Found, dict[str, Any] | None]] = []
    for each in found.others:
        context = None
        told = references.get((each.place.job_name, each.place.object_id), [])
        if each.place.kind is Kind.SEQUENCE and told:
            # A renamed job's manifest may tell of several labels: the one that names this very file is meant.
            context = next((row for row in told if row["target"] == below_job(each.key)), told[0])
            told.remove(context)
        items.append((each, context))
    missing = [
        (f"{row['job_name']}#{row['object_id']}", "label file missing", f"the manifest names {row['target']}", 0)
        for key in sorted(references)
        for row in references[key]
    ]
    return _work(found, staging, "others", items, missing)


def below_job(key: str) -> str:
    """The key of an object below its job's folder, as a manifest's URI is cut, too."""
    start = f"/{key}".find("/annotations/")
    return key[start:] if start >= 0 else key.rpartition("/")[2]


def _work(
    found: Survey,
    staging: str,
    prefix: str,
    items: list[tuple[Found, dict[str, Any] | None]],
    rejected: Iterable[tuple[str, str, str, int]],
) -> list[str]:
    """Items cut into chunks of bounded bytes and number, in key order; the rejected rows go with the first."""
    chunks: list[list[list[Any]]] = [[]]
    size = 0
    for each, context in items:
        if chunks[-1] and (size + each.size > CHUNK_BYTES or len(chunks[-1]) >= CHUNK_OBJECTS):
            chunks.append([])
            size = 0
        size += each.size
        reference = None
        if context:
            created = context["created_at"]
            reference = {**context, "created_at": created.isoformat() if created else None}
        chunks[-1].append([each.key, each.size, each.modified.isoformat(), astuple(each.place), each.root, reference])
    notes: list[Any] = list(rejected)
    work = []
    for number, chunk in enumerate(chunks):
        name = f"{prefix}-{number:06d}"
        document = {"root": found.root, "staging": staging, "chunk": name, "items": chunk, "rejected": notes}
        work.append(json.dumps(document))
        notes = []
    return work


def parse(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """For `mapInArrow`: does the work in column `work`, stages the rows and yields their numbers (`PARSE_SCHEMA`)."""
    for batch in batches:
        for work in batch.column("work").to_pylist():
            sheets = _without_collector(json.loads(str(work)))
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array([each.table.name for each in sheets], pa.string()),
                    pa.array([each.rows for each in sheets], pa.int64()),
                ],
                names=["staged", "rows"],
            )


def _without_collector(work: dict[str, Any]) -> list[Sheet]:
    """Parsed JSON has no cycles: looking for them among millions of dicts would take a fifth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        return _parse_chunk(work)
    finally:
        if enabled:
            gc.enable()


def _parse_chunk(work: dict[str, Any]) -> list[Sheet]:
    with tempfile.TemporaryDirectory() as folder:
        chunk = Chunk(Path(folder))
        for source, reason, detail, size in work["rejected"]:
            chunk.reject(source, reason, detail, size)
        items = [
            Found(key, size, datetime.fromisoformat(modified), Place(Kind(place[0]), *place[1:]), root)
            for key, size, modified, place, root, _ in work["items"]
        ]
        whole = [each for each in items if each.place.kind not in _BY_LINE]
        bodies = storage.bodies([storage.joined(each.root or work["root"], each.key) for each in whole])
        for each, (*_, reference) in zip(items, work["items"], strict=True):
            if each.place.kind in _BY_LINE:
                _parse_lines(chunk, each, work["root"])
                continue
            body = next(bodies)
            if isinstance(body, storage.GoneError):
                chunk.reject(each.source, "gone", str(body), each.size)
                continue
            _parse_body(chunk, each, reference, body)
        sheets = chunk.close()
        for sheet in sheets:
            storage.upload(sheet.path, f"{work['staging']}/{sheet.table.name}/{work['chunk']}.parquet")
    return sheets


_BY_LINE = frozenset({Kind.MANIFEST, Kind.INPUT})
"""What is read line by line, for it may be larger than memory."""


def _parse_lines(chunk: Chunk, found: Found, root: str) -> None:
    lines = objects = 0
    try:
        for number, line in enumerate(storage.lines(storage.joined(root, found.key))):
            lines += 1
            objects += bool(line.strip())
            if found.place.kind is Kind.MANIFEST and (line or number == 0):
                with _kept_or_rejected(chunk, f"{found.key}#{number}", len(line)):
                    parse_manifest_line(chunk, found.place, found.key, number, line)
    except storage.GoneError as error:
        chunk.reject(found.key, "gone", str(error), found.size)
        return
    if not lines:
        chunk.reject(found.key, "empty object", "a manifest without a line", found.size)
    elif found.place.kind is Kind.INPUT:
        count_input(chunk, found.place, found.key, objects)


def _parse_body(chunk: Chunk, found: Found, reference: dict[str, Any] | None, body: bytes) -> None:
    place = found.place
    with _kept_or_rejected(chunk, found.source, len(body)):
        if place.kind is Kind.GOLD:
            parse_gold(chunk, place, found.source, body)
        elif place.kind is Kind.CATEGORIES:
            parse_categories(chunk, place, found.source, body)
        elif place.kind is Kind.RESPONSE:
            parse_response(chunk, place, found.key, body)
        elif place.kind is Kind.WORKER_FRAME:
            parse_worker_frame(chunk, place, found.key, body)
        else:
            parse_sequence(chunk, _document(found, reference or {}), "", body)


@contextmanager
def _kept_or_rejected(chunk: Chunk, source: str, size: int) -> Iterator[None]:
    """Settles what one object or manifest line added; if its content raises, its rows are dropped and it is rejected.

    JSON that can be read cannot always be written again: see `json_text`.
    """
    try:
        yield
    except UNUSABLE as error:
        chunk.take_back()
        chunk.reject(source, "unusable", f"{type(error).__name__}: {error}", size)
    chunk.settle()


def _document(found: Found, reference: dict[str, Any]) -> Document:
    """What is known of a sequence: by the manifest, or by its key and the object's own time."""
    created = reference.get("created_at")
    return Document(
        found.place.job_name,
        reference.get("modality") or found.place.modality,
        reference.get("task_type", ""),
        found.place.object_id,
        reference.get("source_ref"),
        reference.get("human"),
        datetime.fromisoformat(created) if created else found.modified.astimezone(UTC),
        found.key,
        json.loads(reference.get("class_map") or "{}"),
    )


@dataclass(frozen=True)
class Job:
    """One job as its parts tell it. `label_attribute` is empty without a manifest."""

    name: str
    modality: str
    task_type: str
    label_attribute: str

    @property
    def level(self) -> str:
        """As in table job."""
        return level_of(self.name)

    @property
    def batch(self) -> str:
        """As in table job."""
        return batch_of(self.name)


def jobs(staging: str) -> list[tuple[str, str, str, str, str, str | None, str | None]]:
    """The jobs (`JOBS_SCHEMA`) after both rounds: manifests are believed before sequences, sequences before answers."""
    best: dict[str, tuple[Any, ...]] = {}
    for each in _staged_rows(staging, FACT.name):
        fact = (each["rank"], each["task_type"], each["modality"], each["label_attribute"])
        best[each["job_name"]] = min(best.get(each["job_name"], fact), fact)
    found = {
        name: Job(name, modality, task_type, attribute)
        for name, (_, task_type, modality, attribute) in sorted(best.items())
    }
    bases = _base_jobs(found, list(_staged_rows(staging, CHAIN.name)))
    return [
        (name, job.modality, job.task_type, job.level, job.batch, bases.get(name), job.label_attribute or None)
        for name, job in found.items()
    ]


def _base_jobs(found: dict[str, Job], chains: list[dict[str, Any]]) -> dict[str, str]:
    """The job whose labels each job was given, by the labels of another job in its manifest lines.

    Candidates are the jobs with that label attribute and with the name that the metadata gives to the labels' job; of
    several those of the same batch. If labels of several jobs were handed down, the last of them counts: the one that
    was given labels itself most often. A job of the batch workflow without a manifest yet was made for the only job of
    the level before in its batch, or for the one whose name it begins with.
    """
    titles = {each["job_name"]: each["job"] for each in chains}  # Ground Truth's own names of jobs
    inherited: dict[str, list[dict[str, Any]]] = {}
    for each in chains:
        if each["base_attribute"]:
            inherited.setdefault(each["job_name"], []).append(each)
    bases: dict[str, str] = {}
    for name, job in found.items():
        options: set[str] = set()
        for each in inherited.get(name, ()):
            same = {
                other.name
                for other in found.values()
                if other is not job
                and other.label_attribute == each["base_attribute"]
                # Our own manifests of directed audits name a job as the reports do.
                and each["base"] in ("", other.name, titles.get(other.name, ""))
            }
            near = {other for other in same if found[other].batch == job.batch}
            options |= near or (same if len(same) == 1 else set())
        if name not in titles and job.level:
            options = _level_before(job, found)
        if options:
            bases[name] = min(options, key=lambda other: (-len(inherited.get(other, ())), other))
    return bases


def _level_before(job: Job, found: dict[str, Job]) -> set[str]:
    """The job before one without a manifest: see `_base_jobs`."""
    before = {"second": "first", "third": "second"}.get(job.level)
    options = {each.name for each in found.values() if each.batch == job.batch and each.level == before}
    if len(options) > 1:
        short = job.name.partition("_level-")[2]
        options = {each for each in options if short.startswith(each.partition("_level-")[2])}
        options = {max(options, key=len)} if options else set()
    return options


def _staged_rows(staging: str, table: str) -> Iterator[dict[str, Any]]:
    """Rows of a small staged table, for the driver."""
    root = f"{staging}/{table}"
    if not storage.is_s3(root) and not Path(root).is_dir():
        return
    for entry in storage.entries(root):
        body = storage.read(storage.joined(root, entry.key))
        yield from pq.read_table(pa.BufferReader(body)).to_pylist()


def publish(made: str, target: str) -> int:
    """Moves the Parquet files of one table to `target` as `part-00000.parquet` and on; the number of files.

    Every file appears whole and those that are no part of the result go last. Files and tables are replaced one after
    the other: whoever reads meanwhile may see rows of two runs, and none twice only if the table is one file. A run
    that was killed half-way is mended by the next.
    """
    parts = [
        each.key
        for each in storage.entries(made)
        if each.key.endswith(".parquet") and not each.key.startswith(("_", "."))
    ]
    names = [f"part-{number:05d}.parquet" for number in range(len(parts))]
    for part, name in zip(parts, names, strict=True):
        storage.move(storage.joined(made, part), storage.joined(target, name))
    stale = storage.entries(target) if parts else []
    for entry in stale:
        if entry.key not in names:
            storage.remove(storage.joined(target, entry.key))
    return len(names)


def publish_files(staging: str, target: str) -> int:
    """Writes the text files that analyses made below `target`, and removes what is no longer one; their number.

    Raises:
        ValueError: two analyses made one file.
    """
    made: set[str] = set()
    for row in _staged_rows(staging, f"insight_{FILES.name}"):
        if row["path"] in made:
            raise ValueError(f"two files {row['path']}: an analysis must name its files after their group")
        made.add(row["path"])
        storage.write(row["body"].encode(), storage.joined(target, row["path"]))
    if storage.is_s3(target) or Path(target).is_dir():
        for entry in storage.entries(target):
            if entry.key not in made:
                storage.remove(storage.joined(target, entry.key))
    return len(made)
