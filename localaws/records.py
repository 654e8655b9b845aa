"""Durable records of the engines: one SQLite file, one table per engine, JSON documents by key.

Every write is on disk when it returns (WAL), so a kill -9 of the emulator loses no record.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from localaws.home import Document


class Records(MutableMapping[str, "Document"]):
    """See `localaws.home.Home.records`."""

    def __init__(self, connection: sqlite3.Connection, lock: threading.Lock, table: str) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_.]*", table):
            raise ValueError(f"A record table's name has small letters, digits, _ and dots; {table!r} is none")
        self._connection = connection
        self._lock = lock
        self._select = f'SELECT document FROM "{table}" WHERE key = ?'  # noqa: S608 - a name checked above
        self._upsert = f'INSERT OR REPLACE INTO "{table}" VALUES (?, ?)'  # noqa: S608
        self._remove = f'DELETE FROM "{table}" WHERE key = ?'  # noqa: S608
        self._keys = f'SELECT key FROM "{table}" ORDER BY key'  # noqa: S608
        with lock, connection:
            connection.execute(f'CREATE TABLE IF NOT EXISTS "{table}" (key TEXT PRIMARY KEY, document TEXT NOT NULL)')

    def __getitem__(self, key: str) -> Document:
        with self._lock:
            row = self._connection.execute(self._select, (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return json.loads(row[0], object_hook=_restore)

    def __setitem__(self, key: str, value: Document) -> None:
        text = json.dumps(value, default=_reduce)
        with self._lock, self._connection:
            self._connection.execute(self._upsert, (key, text))

    def __delitem__(self, key: str) -> None:
        with self._lock, self._connection:
            if self._connection.execute(self._remove, (key,)).rowcount == 0:
                raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            keys = [row[0] for row in self._connection.execute(self._keys)]
        return iter(keys)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def open_records(path: Path) -> tuple[sqlite3.Connection, threading.Lock]:
    """Opens the file for all engines of one emulator."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection, threading.Lock()


def _reduce(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"__time__": value.astimezone(UTC).isoformat()}
    if isinstance(value, bytes):
        return {"__hex__": value.hex()}
    raise TypeError(f"{type(value).__name__} cannot be recorded")


def _restore(document: Document) -> Any:
    if "__time__" in document:
        return datetime.fromisoformat(document["__time__"])
    if "__hex__" in document:
        return bytes.fromhex(document["__hex__"])
    return document
