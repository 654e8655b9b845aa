"""The tile step of one host: its slides of the plan, each in a process of its own, each published when it is whole.

A slide's tiles lie beside the runs, named by what they are made of (`sextant.slides.store`): those that this or any
other run has made are taken, the others are made. Then `tiles/{slide}.json` says that the run has them. What cannot be
tiled goes to `quarantine/{slide}.json` with its reason, and the next slide goes on, also where a library crashed over
it. A slide is in one of the two places, never in both. The disk holds the slides in work only.
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
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from sextant import storage
from sextant.container import InputError
from sextant.slides import store
from sextant.slides.cohort import is_name
from sextant.slides.companions import companions, fetch
from sextant.slides.errors import SlideError
from sextant.slides.plan import Finding
from sextant.slides.store import TiledSlide
from sextant.slides.summary import TileSummary
from sextant.slides.tiling import tile_slide
from sextant.slides.view import write_view

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable
    from multiprocessing.connection import Connection

    from sextant.slides.plan import Plan, PlannedSlide
    from sextant.slides.settings import TileSettings

TILES = "tiles.tfrecord"
VIEW = "view"
_WORKERS = multiprocessing.get_context("forkserver")
_WORKERS.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class HostTiling:
    """What a host did: slides tiled now, tiled before by this run or another, put into quarantine, and left because it
    was told to stop.
    """

    tiled: tuple[str, ...]
    done_before: tuple[str, ...]
    quarantined: tuple[Finding, ...]
    left: tuple[str, ...]


def clear_plan(run: str) -> None:
    """Removes an earlier plan of the run, with its quarantine: until the next one is there, no step goes by it."""
    storage.remove(storage.joined(run, "plan.json"))
    for name in _names(run, "quarantine"):
        storage.remove(storage.joined(run, f"quarantine/{name}"))


def publish_plan(run: str, plan: Plan) -> None:
    """Writes the quarantine of a plan and, last, `plan.json`.

    Slides that an earlier plan of the run had, and this one has not, are forgotten; the tiles of the others are the
    tile step's to judge.
    """
    planned = {f"{each.slide}.json" for each in plan.slides}
    for name in _names(run, "tiles"):
        if name not in planned:
            forget(run, name.removesuffix(".json"))
    quarantine(run, plan.quarantined, "plan")
    storage.write(plan.model_dump_json(indent=1).encode(), storage.joined(run, "plan.json"))


def _names(run: str, folder: str) -> list[str]:
    try:
        return [each.key for each in storage.entries(storage.joined(run, folder))]
    except FileNotFoundError:  # a folder of files that does not exist yet
        return []


def quarantine(run: str, findings: Iterable[Finding], step: str) -> None:
    """Puts findings where the console and the pack step look for them, `quarantine/{slide}.json`.

    Tiles of such a slide are the run's no more, whatever an earlier attempt made of it. A slide whose name cannot be
    part of a key is there under a quoted one: what rows say must not lead elsewhere.
    """
    for each in findings:
        name = each.slide
        if is_name(name):
            forget(run, name)
        else:
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

    def work(planned: PlannedSlide) -> TileSummary | Finding | Literal["before", "left"]:
        if stopping.is_set():
            return "left"
        try:
            made = _settle(run, slides, planned, plan.tiles)
        except SlideError as error:
            found = Finding(slide=planned.slide, key=planned.key, reason=error.reason, detail=error.detail)
            quarantine(run, [found], "tile")
            tell(f"{planned.slide}: quarantined, {error}")
            return found
        except BaseException:
            stopping.set()  # the run cannot be written or the disk is full: the next slide would fare no better
            raise
        if made is None:
            tell(f"{planned.slide}: was tiled before")
            return "before"
        tell(f"{planned.slide}: {made.kept} of {made.tiles} tiles kept ({made.engine}, {made.seconds_cpu:g} CPU-s)")
        return made

    with ThreadPoolExecutor(processes) as pool:
        results = list(zip(mine, pool.map(work, mine), strict=True))
    return HostTiling(
        tiled=tuple(planned.slide for planned, each in results if isinstance(each, TileSummary)),
        done_before=tuple(planned.slide for planned, each in results if each == "before"),
        quarantined=tuple(each for _, each in results if isinstance(each, Finding)),
        left=tuple(planned.slide for planned, each in results if each == "left"),
    )


def forget(run: str, slide: str) -> None:
    """The run has no tiles of the slide: it was rejected, or is none of the plan's any more. The store keeps them."""
    storage.remove(store.account(run, slide))
    storage.remove(storage.joined(run, f"{VIEW}/{slide}.json"))


def _settle(run: str, slides: str, planned: PlannedSlide, settings: TileSettings) -> TileSummary | None:
    """Gives the run the slide's tiles; the summary of those that had to be made, None where they were there."""
    uri = storage.joined(slides, planned.key)
    try:
        version = _version(slides, planned.key)  # before its content
    except storage.GoneError as error:
        raise SlideError("missing file", f"{planned.key} was there when the run was planned: {error}") from error
    digest = store.tiles_digest(planned, settings, uri, version)
    told = store.stored_tiles(run, digest)
    storage.remove(storage.joined(run, f"quarantine/{planned.slide}.json"))  # of an earlier attempt
    if told and store.tiled(run, planned.slide) == told:
        return None
    forget(run, planned.slide)
    place = store.beside(run, "tiles", digest)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        view = folder / VIEW
        view.mkdir()
        made = None
        if told is None:
            made = _make(slides, planned, settings, folder, version)
            told = TiledSlide(tiles=digest, summary=made)
            _publish_view(view, storage.joined(place, VIEW))
            storage.upload(folder / TILES, storage.joined(place, TILES))
            storage.write(told.model_dump_json(indent=1).encode(), storage.joined(place, "tiles.json"))
        else:
            for each in storage.entries(place):
                if each.key.startswith(f"{VIEW}/"):
                    storage.download(storage.joined(place, each.key), folder / each.key)
        _publish_view(view, storage.joined(run, VIEW))
    storage.write(told.model_dump_json(indent=1).encode(), store.account(run, planned.slide))
    return made


def _make(slides: str, planned: PlannedSlide, settings: TileSettings, folder: Path, version: str) -> TileSummary:
    path = folder / "slide" / planned.key.rpartition("/")[2]
    path.parent.mkdir()
    uri = storage.joined(slides, planned.key)
    try:
        etag = storage.etag(uri)
        fetch(slides, planned.key, path)
        changed = _version(slides, planned.key) != version
    except storage.GoneError as error:
        raise SlideError("missing file", f"{planned.key} was there when the run was planned: {error}") from error
    if changed:
        raise SlideError(
            "changing file", f"{planned.key} was replaced while it was read: start a run when its upload has ended"
        )
    return _in_process(path, planned, settings, folder / TILES, (uri, etag))


def _version(slides: str, key: str) -> str:
    """What tells one content of a slide from another, that of its other files included.

    Raises:
        SlideError: one of these is not there.
        GoneError: it is not there.
    """
    own = storage.etag(storage.joined(slides, key))
    parts = companions(slides, key)
    if not parts:
        return own
    told = [own, *((each.key, each.size, each.etag, each.modified.isoformat()) for each in parts)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _publish_view(folder: Path, target: str) -> None:
    """What the console shows of the slide; its JSON last. One that cannot be shown has nothing there."""
    for path in sorted(folder.iterdir(), key=lambda each: each.suffix == ".json"):
        storage.upload(path, storage.joined(target, path.name))


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
        made = tile_slide(
            path,
            slide=planned.slide,
            patient=planned.patient,
            label=planned.label_index,
            label_name=planned.label,
            settings=settings,
            target=target,
        )
        folder = target.parent / VIEW
        uri, etag = origin
        # A slide whose tiles are whole is used, also where a part that no tile needs cannot be shown.
        with suppress(SlideError):
            write_view(path, slide=planned.slide, uri=uri, etag=etag, tiles=made.grid, folder=folder)
        answer.send(made.summary)
    except SlideError as error:
        answer.send((error.reason, error.detail))
    except OSError as error:
        answer.send(error)
