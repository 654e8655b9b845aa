import os
import signal
import time
from functools import partial

import pytest

from sextant.slides.errors import SlideError
from sextant.slides.workers import each_apart


def do(job, folder=None):
    """What a job's name says; runs in a process of its own."""
    match job:
        case "bad":
            raise SlideError("not a slide", "bad.svs is a text")
        case "full":
            started(folder / "slow")
            raise OSError(28, "No space left on device")
        case "after":
            started(folder / "slow")
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "leaves":
            os._exit(3)
        case "slow":
            (folder / "slow").write_text(str(os.getpid()))
            time.sleep(600)
    return f"{job} in {os.getpid()}"


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_each_has_a_process_of_its_own():
    found = dict(each_apart(do, ["a", "b", "c"], 2))
    assert set(found) == {"a", "b", "c"}
    processes = {outcome.split()[-1] for outcome in found.values()}
    assert len(processes) == 3
    assert str(os.getpid()) not in processes


def test_no_jobs_are_no_work():
    assert list(each_apart(do, [], 2)) == []


@pytest.mark.parametrize(
    ("job", "told"),
    [
        ("crash", "was ended by SIGSEGV: its decoder crashed"),
        ("killed", "was ended by SIGKILL: there may be too little memory"),
        ("leaves", "ended with exit code 3 before it answered"),
    ],
)
def test_a_process_that_dies_fails_its_slide_alone(job, told):
    found = dict(each_apart(do, ["a", job, "bad", "b"], 2))
    assert isinstance(found[job], SlideError)
    assert found[job].reason == "process ended"
    assert told in found[job].detail
    assert (found["bad"].reason, found["bad"].detail) == ("not a slide", "bad.svs is a text")
    assert all(found[other].startswith(f"{other} in") for other in ("a", "b"))


def test_what_is_not_the_slides_fault_ends_the_job_and_its_processes(tmp_path):
    with pytest.raises(OSError, match="No space left"):
        for _ in each_apart(partial(do, folder=tmp_path), ["slow", "full"], 2):
            pass
    gone(tmp_path / "slow")


def test_leaving_ends_the_processes(tmp_path):
    results = each_apart(partial(do, folder=tmp_path), ["slow", "after"], 2)
    assert next(results)[0] == "after"
    results.close()
    gone(tmp_path / "slow")


def started(note):
    """Waits for the note of a process that does not end."""
    while not (note.exists() and note.read_text()):
        time.sleep(0.01)


def gone(note):
    assert not alive(int(note.read_text()))
