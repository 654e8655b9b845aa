"""The tile step of one host: its slides of the plan, each in a process of its own, each published when it is whole.

A slide is fetched, tiled, and published as `tiles/{slide}.tfrecord` and then `tiles/{slide}.json`, which marks it done:
a host that starts again goes on with what is not done. What cannot be tiled goes to `quarantine/{slide}.json` with its
reason, and the next slide goes on, also where a library crashed over it. The disk holds the slides in work only.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import signal
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from sextant import storage
from sextant.slides.cohort import is_name
from sextant.slides.companions import fetch
from sextant.slides.container import InputError
from sextant.slides.errors import SlideError
from sextant.slides.pack import TiledSlide, tiled_slide
from sextant.slides.plan import Finding
from sextant.slides.tiling import TileSummary, tile_slide
from sextant.slides.view import write_view

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable
    from multiprocessing.connection import Connection

    from sextant.slides.plan import Plan, PlannedSlide
    from sextant.slides.settings import TileSettings

VIEW = "view"
_WORKERS = multiprocessing.get_context("forkserver")
_WORKERS.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class HostTiling:
    """What a host did: slides tiled now, done before, put into quarantine, and left because it was told to stop."""

    tiled: tuple[str, ...]
    done_before: tuple[str, ...]
    quarantined: tuple[Finding, ...]
    left: tuple[str, ...]


def quarantine(run: str, findings: Iterable[Finding], step: str) -> None:
    """Puts findings where the console and the pack step look for them, `quarantine/{slide}.json`.

    A slide whose name cannot be part of a key is there under a quoted one: what rows say must not lead elsewhere.
    """
    for each in findings:
        name = each.slide
        if not is_name(name):
            name = f"{quote(name, safe='')[:100]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        body = json.dumps({**each.model_dump(), "step": step}, indent=1).encode()
        storage.write(body, storage.joined(run, f"quarantine/{name}.json"))


def tile_host(
    run: str,
    slides: str,
    plan: Plan,
    *,
    host: int,
    processes: int,
    stopping: threading.Event,
    tell: Callable[[str], None],
) -> HostTiling:
    """Tiles the slides that the plan gives to a host, the largest first.

    Args:
        run: URI of the run.
        slides: URI of the slides' folder.
        plan: the run's.
        host: from 0.
        processes: slides in work at a time.
        stopping: when set, slides in work are finished and no other is begun.
        tell: gets a line for every slide.

    Raises:
        InputError: the host is not of the plan.
        OSError: the disk is full, or the run cannot be written: that is no slide's fault.
    """
    if not 0 <= host < plan.hosts:
        raise InputError(f"host {host} of a plan for {plan.hosts}: plan for as many hosts as the job has instances")
    mine = sorted((each for each in plan.slides if each.host == host), key=lambda each: (-each.bytes, each.slide))
    digest = plan.digest()
    done = [each.slide for each in mine if tiled_slide(run, each.slide, digest)]
    for slide in done:
        tell(f"{slide}: was tiled before")

    def work(planned: PlannedSlide) -> TileSummary | Finding | None:
        if stopping.is_set():
            return None
        try:
            made = _tile(run, slides, planned, plan.tiles, digest)
        except SlideError as error:
            found = Finding(slide=planned.slide, key=planned.key, reason=error.reason, detail=error.detail)
            quarantine(run, [found], "tile")
            tell(f"{planned.slide}: quarantined, {error}")
            return found
        except BaseException:
            stopping.set()  # the run cannot be written or the disk is full: the next slide would fare no better
            raise
        tell(f"{planned.slide}: {made.kept} of {made.tiles} tiles kept ({made.engine}, {made.seconds_cpu:g} CPU-s)")
        return made

    waiting = [each for each in mine if each.slide not in set(done)]
    with ThreadPoolExecutor(processes) as pool:
        results = list(pool.map(work, waiting))
    return HostTiling(
        tiled=tuple(each.slide for each in results if isinstance(each, TileSummary)),
        done_before=tuple(done),
        quarantined=tuple(each for each in results if isinstance(each, Finding)),
        left=tuple(each.slide for each, result in zip(waiting, results, strict=True) if result is None),
    )


def _tile(run: str, slides: str, planned: PlannedSlide, settings: TileSettings, digest: str) -> TileSummary:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / planned.key.rpartition("/")[2]
        target = Path(folder) / "tiles.tfrecord"
        uri = storage.joined(slides, planned.key)
        try:
            etag = storage.etag(uri)  # before its content: what changes in between is told to viewers as replaced
            fetch(slides, planned.key, path)
        except storage.GoneError as error:
            raise SlideError("missing file", f"{planned.key} was there when the run was planned: {error}") from error
        summary = _in_process(path, planned, settings, target, (uri, etag))
        path.unlink()
        _publish_view(run, planned.slide, target.parent / VIEW)
        tiles = storage.joined(run, f"tiles/{planned.slide}")
        storage.upload(target, f"{tiles}.tfrecord")
        told = TiledSlide(plan_digest=digest, summary=summary)
        storage.write(told.model_dump_json(indent=1).encode(), f"{tiles}.json")
    storage.remove(storage.joined(run, f"quarantine/{planned.slide}.json"))  # of an earlier attempt
    return summary


def _publish_view(run: str, slide: str, folder: Path) -> None:
    """What the console shows of the slide; its JSON last. One that cannot be shown has nothing there."""
    for path in sorted(folder.iterdir(), key=lambda each: each.suffix == ".json"):
        storage.upload(path, storage.joined(run, f"view/{slide}{path.suffix}"))


def _in_process(
    path: Path, planned: PlannedSlide, settings: TileSettings, target: Path, origin: tuple[str, str]
) -> TileSummary:
    """Tiles in a process of its own, so that memory is given back and a crash takes nothing along."""
    mine, theirs = _WORKERS.Pipe(duplex=False)
    process = _WORKERS.Process(target=_child, args=(theirs, path, planned, settings, target, origin), daemon=True)
    process.start()
    theirs.close()
    try:
        answer = mine.recv()
    except EOFError:
        answer = None
    finally:
        process.join()
        mine.close()
    match answer:
        case TileSummary():
            return answer
        case (reason, detail):
            raise SlideError(reason, detail)
        case OSError():
            raise answer
    code = process.exitcode or 0
    ended = signal.Signals(-code).name if code < 0 else f"code {code}"
    raise SlideError(
        "crash", f"the process that tiled {planned.key} ended by {ended}: look at its log, and convert the slide anew"
    )


def _child(  # noqa: PLR0917  one call, from above
    answer: Connection, path: Path, planned: PlannedSlide, settings: TileSettings, target: Path, origin: tuple[str, str]
) -> None:  # pragma: no cover  in another process
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the host finishes what it began
    try:
        summary = tile_slide(
            path,
            slide=planned.slide,
            patient=planned.patient,
            label=planned.label_index,
            label_name=planned.label,
            settings=settings,
            target=target,
        )
        folder = target.parent / VIEW
        folder.mkdir()
        uri, etag = origin
        # A slide whose tiles are whole is used, also where a part that no tile needs cannot be shown.
        with suppress(SlideError):
            write_view(path, slide=planned.slide, uri=uri, etag=etag, settings=settings, records=target, folder=folder)
        answer.send(summary)
    except SlideError as error:
        answer.send((error.reason, error.detail))
    except OSError as error:
        answer.send(error)
