"""Runs one job script in a process of its own: `python launch.py SPECIFICATION.json`.

Uses only the standard library: it also runs under the Spark environment's interpreter.

The specification: `script` (path), `argv` (what the script sees behind its name), `path` (entries put before
`sys.path`), `hide` (entries taken from it), `outcome` (file that gets `{"error": …}` when the script fails), and
`spark` (folder for staged S3 objects; absent unless real Spark runs).
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any


def end_with_parent() -> None:
    """Kills the whole process group when the engine's end of stdin closes: no job outlives the emulator."""
    lifeline = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

    def watch() -> None:
        while os.read(lifeline, 1):
            pass
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="lifeline").start()


def error_of(problem: BaseException) -> str:
    """The last line of a traceback, as Glue's ErrorMessage."""
    return "".join(traceback.format_exception_only(problem)).strip()


def show(problem: BaseException) -> None:
    """Prints the traceback from the script's first frame on."""
    trace = problem.__traceback__
    here = {__file__, runpy.__file__, "<frozen runpy>"}
    while trace is not None and trace.tb_frame.f_code.co_filename in here:
        trace = trace.tb_next
    traceback.print_exception(type(problem), problem, trace)


def main(specification: dict[str, Any]) -> int:
    end_with_parent()
    hidden = {str(Path(entry).resolve()) for entry in specification["hide"]}
    kept = [entry for entry in sys.path[1:] if str(Path(entry).resolve()) not in hidden]
    sys.path[:] = [*specification["path"], *kept]
    sys.argv = [specification["script"], *specification["argv"]]
    try:
        if specification.get("spark"):
            sys.path.insert(0, str(Path(__file__).with_name("sparkfull")))
            import staging  # type: ignore[import-not-found]  # noqa: PLC0415 - on the path since the line above

            staging.install(specification["spark"], specification["path"])
            sys.path.pop(0)
        runpy.run_path(specification["script"], run_name="__main__")
    except SystemExit as end:
        if end.code in (None, 0):
            return 0
        Path(specification["outcome"]).write_text(json.dumps({"error": f"SystemExit: {end.code}"}))
        return end.code if isinstance(end.code, int) else 1
    except BaseException as problem:  # the script's failure is this program's result
        show(problem)
        Path(specification["outcome"]).write_text(json.dumps({"error": error_of(problem)}))
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text())))
