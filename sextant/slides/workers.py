"""Slides side by side, each in a process of its own: what one does to its process, no other slide sees."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, TypeVar

from sextant.slides.errors import SlideError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess

Job = TypeVar("Job")
Result = TypeVar("Result")


def each_apart(
    work: Callable[[Job], Result], jobs: Iterable[Job], processes: int
) -> Iterator[tuple[Job, Result | SlideError]]:
    """Does the work of every job in a process of its own, so many at a time, and yields them as they end.

    The memory a slide took is free after it, and a decoder that crashes ends its slide alone: that is a SlideError like
    those which the work itself raises. Leaving the iterator ends the processes that still run.

    Args:
        work: a function of a module, or `partial` of one: it goes to the processes by name.
        jobs: in the order to start them.
        processes: how many at a time.

    Raises:
        Exception: what the work raised, other than SlideError: a full disk or a denied request is not the slide's.
    """
    context = multiprocessing.get_context("forkserver")  # a fork of this process could inherit a held lock of boto3's
    context.set_forkserver_preload(["sextant.slides.tiling"])
    waiting = deque(jobs)
    running: dict[Connection, tuple[ForkServerProcess, Job]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                job = waiting.popleft()
                receiving, sending = context.Pipe(duplex=False)
                process = context.Process(target=_answer, args=(work, job, sending), daemon=True)
                process.start()
                sending.close()
                running[receiving] = (process, job)
            ready = wait(list(running))
            for receiving in [each for each in running if each in ready]:
                process, job = running.pop(receiving)
                yield job, _result(receiving, process)
    finally:
        for receiving, (process, _) in running.items():
            process.terminate()
            process.join()
            receiving.close()


def _answer(work: Callable[[Job], Result], job: Job, sending: Connection) -> None:
    """What runs in the process. Its parent closes the pipe by dying, too: then there is nobody to tell."""
    try:
        outcome: Any = work(job)
    except Exception as error:  # noqa: BLE001  the parent raises it, or quarantines the slide
        outcome = error
    sending.send(outcome)


def _result(receiving: Connection, process: ForkServerProcess) -> Any:
    try:
        outcome = receiving.recv()
    except EOFError:
        process.join()
        return SlideError("process ended", _death(process.exitcode or 0))
    finally:
        receiving.close()
    process.join()
    if isinstance(outcome, Exception) and not isinstance(outcome, SlideError):
        raise outcome
    return outcome


def _death(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        why = "there may be too little memory" if -code == signal.SIGKILL else "its decoder crashed"
        return f"the process of this slide was ended by {name}: {why}; open the slide in a viewer, or copy it again"
    return f"the process of this slide ended with exit code {code} before it answered"
