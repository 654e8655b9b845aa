# ruff: noqa: N802, N803  Spark's own camelCase names are the interface here
"""SparkConf and the few things a script asks of a SparkContext."""

from __future__ import annotations

import os
import sys
from typing import Any, Generic, NoReturn, TypeVar

from .errors import unsupported

Value = TypeVar("Value")


class SparkConf:
    """Settings by name; all are accepted, `sql/session.py` says which have an effect."""

    def __init__(self, loadDefaults: bool = True) -> None:
        self._settings: dict[str, str] = {}

    def set(self, key: str, value: Any) -> SparkConf:
        self._settings[key] = str(value)
        return self

    def setAppName(self, value: str) -> SparkConf:
        return self.set("spark.app.name", value)

    def setMaster(self, value: str) -> SparkConf:
        return self.set("spark.master", value)

    def get(self, key: str, defaultValue: str | None = None) -> str | None:
        return self._settings.get(key, defaultValue)

    def getAll(self) -> list[tuple[str, str]]:
        return list(self._settings.items())


class Broadcast(Generic[Value]):
    """A value every worker sees: here there is one process, so it is the value itself."""

    def __init__(self, value: Value) -> None:
        self.value = value

    def unpersist(self, blocking: bool = False) -> None: ...

    def destroy(self, blocking: bool = False) -> None: ...


class SparkContext:
    """One per process, as in Spark."""

    _active: SparkContext | None = None

    def __init__(self, master: str | None = None, appName: str | None = None, conf: SparkConf | None = None) -> None:
        self._conf = conf or SparkConf()
        if master:
            self._conf.setMaster(master)
        if appName:
            self._conf.setAppName(appName)
        self.applicationId = f"local-{os.getpid()}"
        self.defaultParallelism = os.cpu_count() or 1
        self.version = "3.5.6"
        SparkContext._active = self

    @classmethod
    def getOrCreate(cls, conf: SparkConf | None = None) -> SparkContext:
        return cls._active or cls(conf=conf)

    @property
    def appName(self) -> str:
        return self._conf.get("spark.app.name") or "sparkless"

    def getConf(self) -> SparkConf:
        return self._conf

    def setLogLevel(self, logLevel: str) -> None:
        """Accepted: there is no JVM that logs."""

    def broadcast(self, value: Value) -> Broadcast[Value]:
        return Broadcast(value)

    def addPyFile(self, path: str) -> None:
        if "://" in path:
            raise unsupported(f"SparkContext.addPyFile({path!r})", "pass the file with --extra-py-files")
        sys.path.insert(0, path)

    def stop(self) -> None:
        SparkContext._active = None

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise unsupported(f"SparkContext.{name}")
