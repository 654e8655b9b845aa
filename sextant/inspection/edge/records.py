"""What is known of an item, and the file that keeps it: an SQLite database that a loss of power leaves whole.

Every step of an item is on the disk before the next one counts: seen, photographed, judged, and how it ended. All
writes go through one thread, which puts those that wait into one transaction: a card that takes 20 ms to write safely
still keeps up with a fast belt. What a full card does not take is held in memory and written when there is room.
"""

from __future__ import annotations

import fcntl
import json
import logging
import queue
import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sextant.inspection.edge.settings import Verdict

    _Kind: TypeAlias = Literal["record", "photograph"]

State: TypeAlias = Literal["seen", "photographed", "judged", "pushed", "passed", "missed", "recovered"]
"""The last four are ends. `missed`: it should have been pushed, and the pusher came too late."""
ENDS = ("pushed", "passed", "missed", "recovered")
WAITING, FORWARDED = 1, 2

_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    item TEXT PRIMARY KEY, number INTEGER NOT NULL, at TEXT NOT NULL, state TEXT NOT NULL, verdict TEXT, reason TEXT,
    judged_by TEXT, confidence REAL, labels TEXT NOT NULL, brightness REAL, sharpness REAL, crop_ok INTEGER, model TEXT,
    seconds REAL, late_ms REAL, forward INTEGER NOT NULL,
    ended INTEGER GENERATED ALWAYS AS (state IN ('pushed', 'passed', 'missed', 'recovered')));
CREATE INDEX IF NOT EXISTS items_by_number ON items (number);
CREATE INDEX IF NOT EXISTS items_by_forward ON items (forward, number);
CREATE INDEX IF NOT EXISTS items_by_ended ON items (ended);
CREATE TABLE IF NOT EXISTS photographs (item TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS circuits (name TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS totals (name TEXT PRIMARY KEY, count INTEGER NOT NULL);
"""
_OLD = (
    """
    DELETE FROM photographs WHERE item IN
        (SELECT item FROM items WHERE ended AND forward != ? AND number <= (SELECT max(number) FROM items) - ?)
    """,
    "DELETE FROM items WHERE ended AND forward != ? AND number <= (SELECT max(number) FROM items) - ?",
)
_PRUNE_EVERY = 50
"""Ended items between two looks for old ones."""
_AGAIN_S = 2.0
"""Between two tries to write what could not be written."""
_SOME = 20
"""Records of one such try: where they fit only one by one, later ones wait for no more than these."""
_HELD = 10_000
"""Records that are held in memory while they cannot be written, about 10 MB; of further items only counts are."""
_log = logging.getLogger(__name__)


class StoreError(RuntimeError):
    """The store cannot be opened: another sorter has it, it is no store, or it is new and the card is full."""


@dataclass(frozen=True)
class Record:
    """An item. `number` counts from 1 in its store; `at` is when it broke the beam, ISO 8601 in UTC.

    `judged_by` is `local`, `cloud` or empty; `model` the first 12 hexadecimal digits of the archive's SHA-256, or the
    API's version; `seconds` from the beam to the verdict; `late_ms` how much later than due the pusher acted or let it
    pass; `forward` is 0, WAITING or FORWARDED.
    """

    item: str
    number: int
    at: str
    state: State = "seen"
    verdict: Verdict | None = None
    reason: str = ""
    judged_by: str = ""
    confidence: float | None = None
    labels: tuple[str, ...] = ()
    brightness: float | None = None
    sharpness: float | None = None
    crop_ok: bool | None = None
    model: str = ""
    seconds: float | None = None
    late_ms: float | None = None
    forward: int = 0


_COLUMNS = tuple(each.name for each in fields(Record))
_UPSERT = (
    f"INSERT INTO items ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608  names of ours
    f"ON CONFLICT (item) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[1:])}"
)


@dataclass(frozen=True, eq=False)
class _Write:
    """Something to write: what does it, the promise of when it was on the disk, and the record, if it writes one."""

    statements: Callable[[sqlite3.Connection], Any]
    written: Future[float]
    kind: _Kind
    record: Record | None


class Store:
    """The open store. Records are written whole, so that one write which failed is mended by the next.

    What writes is in a queue, and its future has the `time.monotonic` at which it was on the disk. A record that could
    not be written is held, and tried again until it is: its future has failed, for it was not there in time.
    """

    def __init__(self, path: Path, *, keep: int) -> None:
        """Opens or makes the store and takes it for this process.

        Raises:
            StoreError: another process has it, the file is something else, or it cannot be made for lack of room.
        """
        self.path = path
        self._keep = keep
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = path.with_name(f"{path.name}.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise StoreError(f"{path} is used by another sorter: stop that one, or give this one its own") from error
        try:
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")  # NORMAL would lose the last items with the power
            self._connection.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            self._lock.close()
            remedy = (
                "make room on its card, and see that it may be written"
                if isinstance(error, sqlite3.OperationalError)
                else "move it away, and a new one is made"
            )
            raise StoreError(f"{path} cannot be used ({error}): {remedy}") from error
        self._waiting: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._since_pruned = 0
        self._faults: dict[_Kind, str] = {}  # a full card may have room for records and none for photographs
        self._unwritten: dict[str, Record] = {}  # by item, the latest of each
        self._uncounted: Counter[str] = Counter()  # totals of items that were too many to be held
        self._thread = threading.Thread(target=self._work, name="store", daemon=True)
        self._thread.start()

    def write(self, record: Record, photograph: bytes | None = None) -> Future[float]:
        """Keeps the record as it is now; done when it is on the disk. Without a photograph it is not forwarded."""
        written: Future[float] = Future()
        kind: _Kind = "record" if photograph is None else "photograph"
        self._waiting.put(_Write(self._keeping(record, photograph), written, kind, record))
        return written

    def _keeping(self, record: Record, photograph: bytes | None = None) -> Callable[[sqlite3.Connection], None]:
        def statements(connection: sqlite3.Connection) -> None:
            row = asdict(record) | {"labels": json.dumps(record.labels), "reason": _storable(record.reason)}
            before = connection.execute("SELECT state FROM items WHERE item = ?", (record.item,)).fetchone()
            connection.execute(_UPSERT, tuple(row.values()))
            if photograph is not None:
                connection.execute("INSERT OR REPLACE INTO photographs VALUES (?, ?)", (record.item, photograph))
            if record.forward == WAITING:
                connection.execute(
                    "UPDATE items SET forward = 0 WHERE item = ? AND item NOT IN (SELECT item FROM photographs)",
                    (record.item,),
                )
            if record.state in ENDS and (before is None or before[0] not in ENDS):
                for name in _totalled(record):
                    _count(connection, name, 1)
                self._prune(connection)

        return statements

    def keep_photograph(self, item: str, body: bytes) -> Future[float]:
        """Keeps an item's photograph if it is not there: when it was taken the card may have been full."""
        return self._later(
            lambda connection: connection.execute("INSERT OR IGNORE INTO photographs VALUES (?, ?)", (item, body)),
            "photograph",
        )

    def forwarded(self, item: str) -> Future[float]:
        """Marks an item's photograph as put into the bucket."""

        def statements(connection: sqlite3.Connection) -> None:
            changed = connection.execute(
                "UPDATE items SET forward = ? WHERE item = ? AND forward = ?", (FORWARDED, item, WAITING)
            )
            if changed.rowcount:
                _count(connection, "forwarded", 1)

        return self._later(statements)

    def recover(self, forwards: Callable[[Verdict], bool]) -> list[Record]:
        """Ends the items that a loss of power left unfinished: they are marked `inspect`. Called before any is seen.

        Where the card is full they are marked when there is room: what comes now has to be pushed meanwhile.

        Args:
            forwards: whether a photograph of an item with that verdict goes to the bucket.
        """
        with closing(self.read()) as connection:
            left = [_record(row) for row in connection.execute("SELECT * FROM items WHERE NOT ended")]
            photographed = {
                item
                for (item,) in connection.execute(
                    "SELECT item FROM items JOIN photographs USING (item) WHERE NOT ended"
                )
            }
        ended = []
        for each in left:
            said = f"; the verdict was {each.verdict}" if each.verdict else ""
            ended.append(
                replace(
                    each,
                    state="recovered",
                    verdict="inspect",
                    reason=f"the sorter stopped, or its card was full, when it was {each.state}{said}",
                    forward=WAITING if each.item in photographed and forwards("inspect") else 0,
                )
            )
        for written in [self.write(each) for each in ended]:
            written.exception()  # waits
        return ended

    @property
    def fault(self) -> str:
        """Why the last record, or the last photograph, could not be written; empty where both were."""
        return next(iter(self._faults.copy().values()), "")

    @property
    def unrecorded(self) -> int:
        """Items that have ended and whose end is not on the disk: it is written when there is room."""
        held = list(self._unwritten.values())  # in one go: its thread may change it
        return sum(each.state in ENDS for each in held) + self._uncounted["items"]

    @property
    def alive(self) -> bool:
        """Whether its thread works."""
        return self._thread.is_alive()

    def highest(self) -> int:
        """The number of the latest item, 0 in a new store."""
        with closing(self.read()) as connection:
            found = connection.execute("SELECT max(number) FROM items").fetchone()[0]
        return int(found or 0)

    def read(self) -> sqlite3.Connection:
        """A connection that only reads."""
        return reader(self.path)

    def circuit(self, name: str) -> str | None:
        """What is kept of a circuit, JSON."""
        with closing(self.read()) as connection:
            found = connection.execute("SELECT record FROM circuits WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def keep_circuit(self, name: str, record: str) -> None:
        """Keeps it."""
        self._later(
            lambda connection: connection.execute("INSERT OR REPLACE INTO circuits VALUES (?, ?)", (name, record))
        ).result()

    def close(self) -> None:
        """Ends after what waits is written."""
        self._waiting.put(None)
        self._thread.join()
        if lost := self.unrecorded:
            _log.error("items that leave no record of their end, for want of room: %d (%s)", lost, self.fault)
        # SQLite's files beside the store stay if the last connection only reads: on a full card the next start has no
        # room to make them. They hold nothing any more, so that the store may be copied or moved alone.
        with closing(self.read()) as last:
            last.execute("SELECT count(*) FROM circuits").fetchone()
            with suppress(sqlite3.OperationalError):  # no room: the next start goes on with them
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.close()
        self._lock.close()

    def _later(self, statements: Callable[[sqlite3.Connection], Any], kind: _Kind = "record") -> Future[float]:
        written: Future[float] = Future()
        self._waiting.put(_Write(statements, written, kind, None))
        return written

    def _work(self) -> None:
        going = True
        while going:
            try:
                batch = [self._waiting.get(timeout=_AGAIN_S if self._unwritten or self._uncounted else None)]
            except queue.Empty:
                self._write_again()
                continue
            while not self._waiting.empty():
                batch.append(self._waiting.get())
            going = None not in batch
            if self._write([each for each in batch if each is not None]) or not going:
                self._write_again()

    def _write(self, tasks: Sequence[_Write]) -> int:
        """Writes them in one transaction, or where that fails each in its own: one must not cost the others theirs.

        Returns how many were written.
        """
        try:
            self._transaction([each.statements for each in tasks])
        except Exception as error:  # noqa: BLE001  the card is full or broken; whatever it is, the next write may work
            if len(tasks) > 1:
                return sum(self._write([each]) for each in tasks)
            for each in tasks:
                self._faults[each.kind] = str(error)
                self._hold(each.record)
                each.written.set_exception(error)
            return 0
        now = time.monotonic()
        for each in tasks:
            self._faults.pop(each.kind, None)
            if each.record is not None:
                self._unwritten.pop(each.record.item, None)
            each.written.set_result(now)
        return len(tasks)

    def _hold(self, record: Record | None) -> None:
        if record is None:
            return
        if record.item in self._unwritten or len(self._unwritten) < _HELD:
            self._unwritten[record.item] = record
        elif record.state in ENDS:
            self._uncounted.update(("without record", *_totalled(record)))

    def _write_again(self) -> None:
        """Tries what could not be written, the oldest first, until nothing more fits or something new comes."""
        some: list[Record] = []
        while self._unwritten and (not some or (some[0].item not in self._unwritten and self._waiting.empty())):
            some = list(islice(self._unwritten.values(), _SOME))
            self._write([_Write(self._keeping(each), Future(), "record", each) for each in some])
        if self._uncounted and not self._unwritten and self._write([_Write(self._counting, Future(), "record", None)]):
            self._uncounted.clear()

    def _counting(self, connection: sqlite3.Connection) -> None:
        for name, count in self._uncounted.items():
            _count(connection, name, count)

    def _transaction(self, each_writes: Sequence[Callable[[sqlite3.Connection], Any]]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for statements in each_writes:
                statements(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _prune(self, connection: sqlite3.Connection) -> None:
        self._since_pruned += 1
        if self._since_pruned < _PRUNE_EVERY:
            return
        self._since_pruned = 0
        for statement in _OLD:
            connection.execute(statement, (WAITING, self._keep))


def reader(path: Path) -> sqlite3.Connection:
    """A connection to a store that only reads, whoever has it."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    return connection


def latest(connection: sqlite3.Connection, count: int) -> list[Record]:
    """The latest items, the latest first."""
    return [_record(row) for row in connection.execute("SELECT * FROM items ORDER BY number DESC LIMIT ?", (count,))]


def waiting(connection: sqlite3.Connection, count: int) -> list[tuple[Record, bytes]]:
    """Items that have ended and whose photographs wait to be forwarded, the oldest first."""
    rows = connection.execute(
        "SELECT items.*, photographs.body FROM items JOIN photographs USING (item) WHERE forward = ? AND ended "
        "ORDER BY number LIMIT ?",
        (WAITING, count),
    )
    return [(_record(row), bytes(row["body"])) for row in rows]


def queued(connection: sqlite3.Connection) -> int:
    """How many photographs wait to be forwarded."""
    return int(connection.execute("SELECT count(*) FROM items WHERE forward = ?", (WAITING,)).fetchone()[0])


def unfinished(connection: sqlite3.Connection) -> int:
    """How many items have no end yet: they are on the belt, or the card was full."""
    return int(connection.execute("SELECT count(*) FROM items WHERE NOT ended").fetchone()[0])


def photograph(connection: sqlite3.Connection, item: str) -> bytes | None:
    """An item's photograph, while it is kept."""
    found = connection.execute("SELECT body FROM photographs WHERE item = ?", (item,)).fetchone()
    return None if found is None else bytes(found[0])


def photographed(connection: sqlite3.Connection) -> set[str]:
    """The items whose photographs are kept."""
    return {str(item) for (item,) in connection.execute("SELECT item FROM photographs")}


def totals(connection: sqlite3.Connection) -> dict[str, int]:
    """Ended items since the store was made: `items`, by state, by `verdict …`, and photographs `forwarded`.

    Those `without record` are among them: the card was full for so long that only their number could be kept.
    """
    return {str(name): int(count) for name, count in connection.execute("SELECT name, count FROM totals")}


def _storable(text: str) -> str:
    """SQLite takes UTF-8: what a library told in other bytes loses those."""
    return text.encode("utf-8", "replace").decode()


def _totalled(record: Record) -> tuple[str, ...]:
    """The totals that an ended item counts in."""
    return "items", record.state, f"verdict {record.verdict}"


def _count(connection: sqlite3.Connection, name: str, more: int) -> None:
    connection.execute(
        "INSERT INTO totals VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET count = count + excluded.count", (name, more)
    )


def _record(row: sqlite3.Row) -> Record:
    found = {name: row[name] for name in _COLUMNS}
    crop_ok = found["crop_ok"]
    found |= {"labels": tuple(json.loads(row["labels"])), "crop_ok": None if crop_ok is None else bool(crop_ok)}
    return Record(**found)
