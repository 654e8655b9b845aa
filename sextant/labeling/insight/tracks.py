"""What is wrong with tracks, seen without any truth; and the frames that an audit should see because of it.

Boxes of one track in consecutive frames of the sequence are compared. Consecutive means in the order of frame numbers,
whatever the order in the file, among the frames that the sequence has: a sequence of every fifth frame has no gaps.

- jump: the boxes overlap by less than `JUMP_IOU`
- size_change: the larger area is more than `SIZE_RATIO` times the smaller one
- gap: the track is missing in frames between its first and its last one
- frozen: the box stays the same while the track moves before and after (`frozen_runs`)
- identity_swap: two tracks exchange places (`swapped`); it explains their jumps, which are then not listed
- missing_attribute: a box has no value of an attribute that at least half of the boxes of its class in the job have

Boxes without an area, and all other shapes, take part in gaps and attributes only. Of a track that a frame has twice
the first box counts; `finding` lists such frames.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from botocore.exceptions import ClientError

from sextant import storage
from sextant.labeling.insight.adjustment import long_form
from sextant.labeling.insight.columns import among, coded, codes, floats, integers
from sextant.labeling.insight.levels import candidates, combined, measurable
from sextant.labeling.insight.overlap import box_iou

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Mask = NDArray[np.bool_]
    Row = dict[str, object]

JUMP_IOU = 0.5
SIZE_RATIO = 1.25
SWAP_IOU = 0.5
"""Least overlap of each box with the other track's next one."""
SWAP_GAIN = 0.25
"""By how much that must exceed the overlap with the own track's next one, for both tracks."""
FROZEN_AROUND = 5
"""Steps before and after a frozen run that tell whether the track moves."""
FROZEN_MOVE_PX = 1.0
"""Median move of an edge in those steps above which a track moves: a slower one may rest a frame by rounding alone."""
FROZEN_REST = 5
"""A longer run is a rest, as of a vehicle at a crossing, unless the track makes up for it when the run ends."""
FROZEN_CATCH_UP = 2.0
"""Times the usual move that ends such a run."""

_HEAD = ("job_name", "modality", "task_type", "object_id", "source_ref")

ISSUES = ("jump", "size_change", "gap", "frozen", "identity_swap", "missing_attribute")


def frozen_runs(before: Floats, after: Floats, next_frame: Mask, segment: Integers) -> tuple[Integers, Integers]:
    """Runs of steps in which a moving track's box stays where it is, to the last digit.

    The track moves when the median move of an edge in the `FROZEN_AROUND` steps on each side is above
    `FROZEN_MOVE_PX`; something must be known of both sides. The box must not be seen there again twice: what is set
    down beside its place and comes back is at rest. So is what stays longer than `FROZEN_REST` steps, unless the step
    after makes up for it.

    Args:
        before: left, top, right, bottom in pixels where each step starts, shape (steps, 4), in order.
        after: likewise where it ends.
        next_frame: which steps lead to the next frame; others cross a gap, shape (steps,).
        segment: steps of one number are of one track and follow each other, shape (steps,).

    Returns:
        First and last step of each run, shape (runs,).
    """
    moves = np.abs(after - before).max(axis=1, initial=0.0)
    still = (moves == 0) & next_frame
    if not still.any():
        return np.empty(0, np.int64), np.empty(0, np.int64)
    on = still[1:] & still[:-1] & (segment[1:] == segment[:-1])
    first = np.flatnonzero(still & ~np.r_[False, on])
    last = np.flatnonzero(still & ~np.r_[on, False])
    around = np.arange(1, FROZEN_AROUND + 1)
    at = np.concatenate([first[:, None] - around[::-1], last[:, None] + around], axis=1)
    inside = np.clip(at, 0, len(moves) - 1)
    known = (at == inside) & (segment[inside] == segment[first][:, None])
    half = FROZEN_AROUND
    both = known[:, :half].any(axis=1) & known[:, half:].any(axis=1)
    first, last, inside, known = first[both], last[both], inside[both], known[both]
    if not len(first):
        return first, last
    usual = np.nanmedian(np.where(known, moves[inside], np.nan), axis=1)
    near = np.concatenate([before[inside[:, :half]], after[inside[:, half:]]], axis=1)
    seen = (near == before[first][:, None]).all(axis=2) & known
    returns = seen.sum(axis=1) >= 2
    leaps = moves[last + 1] >= FROZEN_CATCH_UP * usual
    frozen = (usual > FROZEN_MOVE_PX) & ~returns & ((last - first < FROZEN_REST) | leaps)
    return first[frozen], last[frozen]


def swapped(boxes: Floats, steps: Integers, kept: Floats, moment: Integers) -> list[tuple[int, int]]:
    """Pairs of tracks that exchange places in one step: each box overlaps the other track's next one by `SWAP_IOU` or
    more, and by `SWAP_GAIN` more than its own track's.

    Three tracks that change places in a circle are found as jumps only.

    Args:
        boxes: shape (boxes, 4); the next one of a step's box is in the row after it.
        steps: rows of `boxes` that are followed by a box of the same track in the next frame.
        kept: overlap in each step, shape (steps,).
        moment: a number for each frame of each sequence, shape (steps,).

    Returns:
        Positions in `steps`, the better pair first; no step is in two pairs.
    """
    doubtful = np.flatnonzero(kept <= 1 - SWAP_GAIN)
    found: list[tuple[float, int, int]] = []
    for one, two in candidates(moment[doubtful], moment[doubtful]):
        ahead = one < two
        first, second = doubtful[one[ahead]], doubtful[two[ahead]]
        there = box_iou(boxes[steps[first]], boxes[steps[second] + 1])
        back = box_iou(boxes[steps[second]], boxes[steps[first] + 1])
        good = (there >= SWAP_IOU) & (back >= SWAP_IOU)
        good &= (there - kept[first] >= SWAP_GAIN) & (back - kept[second] >= SWAP_GAIN)
        gain = (there + back)[good]
        found += zip((-gain).tolist(), first[good].tolist(), second[good].tolist(), strict=True)
    taken: set[int] = set()
    pairs = []
    for _, one_step, two_step in sorted(found):
        if not taken & {one_step, two_step}:
            taken |= {one_step, two_step}
            pairs.append((one_step, two_step))
    return pairs


@dataclass(frozen=True)
class Tracks:
    """Tracked shapes of some data objects of one job, sorted by track and frame. Arrays of shape (shapes,) unless told.

    `row` is the row of the table, `track` numbers the tracks, `moment` the frames of all sequences one after the
    other; `number`, shape (moments,), gives a moment's frame number and `frame_row` a row that tells its file name.
    """

    table: pa.Table
    row: Integers
    track: Integers
    moment: Integers
    boxes: Floats
    number: Integers
    frame_row: Integers

    @property
    def starts(self) -> Integers:
        """Position of the first shape of each track."""
        return np.flatnonzero(np.r_[True, self.track[1:] != self.track[:-1]])[: len(self.track)]

    def text(self, name: str) -> NDArray[Any]:
        """A column of the table; None where there is no value."""
        return np.asarray(self.table[name].take(self.row).to_pylist(), dtype=object)


@dataclass(frozen=True)
class Issue:
    """One finding: in the track of which shape, of what kind, from which to which moment."""

    at: int
    issue: str
    first: int
    last: int
    value: float
    detail: str


def read_tracks(table: pa.Table, kind: NDArray[Any]) -> Tracks:
    """Sorts the shapes of a table as `inspect` takes it."""
    sequence, number = codes(table["object_id"]), integers(table["frame_no"])
    shown = np.flatnonzero((kind == "frame") | (kind == "label"))
    places, first, back = np.unique(
        np.column_stack([sequence[shown], number[shown]]), axis=0, return_index=True, return_inverse=True
    )
    moment = np.full(len(kind), -1, np.int64)
    moment[shown] = back.reshape(-1)
    track = combined(sequence, codes(table["instance_id"]))
    row = np.flatnonzero(kind == "label")
    row = row[np.lexsort((moment[row], track[row]))]
    again = (track[row][1:] == track[row][:-1]) & (moment[row][1:] == moment[row][:-1])
    row = row[~np.r_[False, again][: len(row)]]
    boxes = np.column_stack([floats(table[name])[row] for name in ("left_px", "top_px", "width_px", "height_px")])
    track = np.unique(track[row], return_inverse=True)[1].reshape(-1)
    return Tracks(table, row, track, moment[row], boxes, places[:, 1], shown[first])


def inspect(table: pa.Table) -> Mapping[str, Sequence[Mapping[str, object]]]:
    """Tracks of some data objects of one job, and what is wrong with them.

    Args:
        table: rows of the kinds frame (every frame of the sequences), label (one tracked shape in one frame), expected
            (label, attribute) and maker (worker of a data object, or of one instance of it), as `tracks.sql` has them.

    Returns:
        Rows of track and track_issue.
    """
    table = table.combine_chunks()
    kind = np.asarray(table["kind"].to_pylist(), dtype=object)
    tracks = read_tracks(table, kind)
    if not len(tracks.row):
        return {}
    good = measurable(tracks.boxes)
    follows = np.flatnonzero(tracks.track[1:] == tracks.track[:-1])
    apart = tracks.moment[follows + 1] - tracks.moment[follows]
    sound = good[follows] & good[follows + 1]
    steps = follows[sound & (apart == 1)]
    iou = box_iou(tracks.boxes[steps], tracks.boxes[steps + 1])
    bare, issues = _missing_attributes(tracks, kind)
    issues += _gaps(tracks, follows, apart)
    issues += _motion(tracks, steps, iou)
    issues += _frozen(tracks, follows[sound], apart[sound] == 1)
    return _rows(tracks, kind, issues, bare, (steps, iou))


def _gaps(tracks: Tracks, follows: Integers, apart: Integers) -> list[Issue]:
    found = []
    for at, gap in zip(follows[apart > 1].tolist(), (apart[apart > 1] - 1).tolist(), strict=True):
        detail = f"missing in {gap} frame{'s' if gap > 1 else ''}"
        before = int(tracks.moment[at])
        found.append(Issue(at, "gap", before + 1, before + gap, gap, detail))
    return found


def _motion(tracks: Tracks, steps: Integers, iou: Floats) -> list[Issue]:
    """Jumps, size changes and identity swaps."""
    boxes, moment = tracks.boxes, tracks.moment
    found: list[Issue] = []
    explained = np.zeros(len(steps), bool)
    swaps = swapped(boxes, steps, iou, moment[steps])
    names, ids = (tracks.text(each) if swaps else np.empty(0, object) for each in ("instance_name", "instance_id"))
    for pair in swaps:
        explained[list(pair)] = True
        here, other = sorted((int(steps[each]) for each in pair), key=lambda at: (str(names[at]), str(ids[at])))
        overlap = float(box_iou(boxes[here], boxes[other + 1]))
        then = int(moment[here + 1])
        detail = f"exchanges places with {names[other] or ids[other]}"
        found.append(Issue(here, "identity_swap", then, then, overlap, detail))
    with np.errstate(over="ignore", invalid="ignore"):
        area = boxes[:, 2] * boxes[:, 3]
        ratio = area[steps + 1] / area[steps]
        sized = (ratio > SIZE_RATIO) | (ratio < 1 / SIZE_RATIO)
    before, now = tracks.number[moment[steps]], moment[steps + 1]
    for at in np.flatnonzero((iou < JUMP_IOU) & ~explained).tolist():
        detail = f"overlaps its box of frame {before[at]} by {iou[at]:.2f}"
        found.append(Issue(int(steps[at]), "jump", int(now[at]), int(now[at]), float(iou[at]), detail))
    for at in np.flatnonzero(sized & ~explained).tolist():
        detail = f"{ratio[at]:.2f} times its area in frame {before[at]}"
        found.append(Issue(int(steps[at]), "size_change", int(now[at]), int(now[at]), float(ratio[at]), detail))
    return found


def _frozen(tracks: Tracks, steps: Integers, next_frame: Mask) -> list[Issue]:
    edges = np.column_stack([tracks.boxes[:, :2], tracks.boxes[:, :2] + tracks.boxes[:, 2:]])
    segment = np.cumsum(np.diff(steps, prepend=-2) != 1)
    found = []
    runs = frozen_runs(edges[steps], edges[steps + 1], next_frame, segment)
    for first, last in zip(*(each.tolist() for each in runs), strict=True):
        run = last - first + 1
        detail = f"the same box in {run + 1} frames while it moves before and after"
        moments = int(tracks.moment[steps[first] + 1]), int(tracks.moment[steps[last] + 1])
        found.append(Issue(int(steps[first]), "frozen", *moments, run, detail))
    return found


def _missing_attributes(tracks: Tracks, kind: NDArray[Any]) -> tuple[Mask, list[Issue]]:
    """Which shapes lack an expected attribute, and the runs of a track that lack the same one."""
    table, count = tracks.table, len(tracks.row)
    classes = codes(table["label"])
    wanted: dict[str, list[int]] = {}
    for row in np.flatnonzero(kind == "expected").tolist():
        wanted.setdefault(table["attribute"][row].as_py(), []).append(int(classes[row]))
    position, name, value = long_form(table["attributes"], tracks.row)
    code, values = coded(value)
    told = np.array([*(each != "" for each in values), False])[code]
    bare: Mask = np.zeros(count, bool)
    found: list[Issue] = []
    new_track = np.r_[True, tracks.track[1:] != tracks.track[:-1]]
    for attribute, labels in sorted(wanted.items()):
        has = np.zeros(count, bool)
        has[position[told & among(name, {attribute})]] = True
        lacks = np.isin(classes[tracks.row], labels) & ~has
        bare |= lacks
        on = np.r_[False, lacks[:-1]] & ~new_track
        first = np.flatnonzero(lacks & ~on)
        last = np.flatnonzero(lacks & ~np.r_[(lacks & on)[1:], False])
        for one, two in zip(first.tolist(), last.tolist(), strict=True):
            run = two - one + 1
            detail = f"no {attribute} in {run} box{'es' if run > 1 else ''}"
            moments = int(tracks.moment[one]), int(tracks.moment[two])
            found.append(Issue(one, "missing_attribute", *moments, run, detail))
    return bare, found


def _rows(
    tracks: Tracks, kind: NDArray[Any], issues: list[Issue], bare: Mask, motion: tuple[Integers, Floats]
) -> dict[str, list[Row]]:
    """Rows of track and track_issue; `motion` is the steps to the next frame with the overlap in each."""
    steps, iou = motion
    starts = tracks.starts
    size = len(starts)
    names = [*_HEAD, "instance_id", "instance_name", "label"]
    heads = tracks.table.select(names).take(tracks.row[starts]).to_pylist()
    makers = _makers(tracks.table, kind)
    for head in heads:
        head["worker"] = makers.get((head["object_id"], head["instance_id"])) or makers.get((head["object_id"], None))
    ends = np.r_[starts[1:], len(tracks.row)]
    total = np.bincount(tracks.track[steps], iou, minlength=size)
    count = np.bincount(tracks.track[steps], minlength=size)
    least = np.full(size, np.inf)
    np.minimum.at(least, tracks.track[steps], iou)
    tally = {each: np.zeros(size, np.int64) for each in ISSUES}
    for each in issues:
        tally[each.issue][tracks.track[each.at]] += 1
    tally["missing_attribute"] = np.bincount(tracks.track[bare], minlength=size)
    rows: list[Row] = []
    for at, head in enumerate(heads):
        rows.append(
            {
                **head,
                "first_frame_no": int(tracks.number[tracks.moment[starts[at]]]),
                "last_frame_no": int(tracks.number[tracks.moment[ends[at] - 1]]),
                "frame_count": int(ends[at] - starts[at]),
                "step_count": int(count[at]),
                "mean_iou": float(total[at] / count[at]) if count[at] else None,
                "minimum_iou": float(least[at]) if count[at] else None,
                **{f"{each}_count": int(tally[each][at]) for each in ISSUES},
            }
        )
    frame = tracks.table["frame"]
    listed: list[Row] = [
        {
            **heads[tracks.track[each.at]],
            "issue": each.issue,
            "frame_no": int(tracks.number[each.first]),
            "last_frame_no": int(tracks.number[each.last]),
            "frame": frame[int(tracks.frame_row[each.first])].as_py(),
            "value": float(each.value),
            "detail": each.detail,
        }
        for each in sorted(issues, key=lambda each: (each.first, int(tracks.track[each.at]), each.issue, each.detail))
    ]
    return {"track": rows, "track_issue": listed}


def _makers(table: pa.Table, kind: NDArray[Any]) -> dict[tuple[Any, Any], str]:
    """User names by data object and instance id; without an instance for all of the data object."""
    rows = table.filter(pa.array(kind == "maker")).select(["object_id", "instance_id", "worker"])
    return {(each["object_id"], each["instance_id"]): each["worker"] for each in rows.to_pylist()}


# --- the frames that an audit should see ----------------------------------------------------------------------------

MARGIN = 3
"""Frames before and after a finding that the audit sees too; `directed_audit.sql` has the same number."""


@dataclass(frozen=True)
class Window:
    """Frames of one sequence by their places in it, the first and last included, and the findings in them."""

    first: int
    last: int
    issues: tuple[str, ...]


def windows(places: Sequence[tuple[int, int, str]], length: int) -> list[Window]:
    """Findings widened by `MARGIN` frames, merged where they touch.

    Args:
        places: first and last frame of each finding, counted from 0 within the sequence, and its kind.
        length: frames of the sequence.
    """
    merged: list[Window] = []
    for first, last, issue in sorted(places):
        begin, end = max(0, first - MARGIN), min(length - 1, last + MARGIN)
        if merged and begin <= merged[-1].last + 1:
            before = merged[-1]
            merged[-1] = Window(before.first, max(before.last, end), (*before.issues, issue))
        else:
            merged.append(Window(begin, end, (issue,)))
    return merged


def direct(table: pa.Table) -> Mapping[str, Sequence[Mapping[str, object]]]:
    """The frames of one job that an audit should see, and Ground Truth's input files for such an audit.

    The manifest `{job}/directed.manifest` has a line for each window: `source-ref` is a sequence file that lists only
    the window's frames, in the format of Ground Truth's video frame input (seq-no, prefix, number-of-frames, frames),
    and beside it stands the label of this job for these frames, as a labeling job that audits or adjusts expects it.
    Files are made for video only, and where the manifest of the job told the sequence: point clouds need the sensor's
    poses, which the output does not hold.

    Args:
        table: rows of the kinds issue (data object, kind, first and last place), frame (of a window, with its place)
            and label (in such a frame), as `directed_audit.sql` has them, of one job.

    Returns:
        Rows of directed_audit, and files.
    """
    rows = table.to_pylist()
    names = sorted({row["label"] or "" for row in rows if row["kind"] == "label"})
    classes = {name: str(number) for number, name in enumerate(names)}
    of_object: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        of_object.setdefault(row["object_id"], {"issue": [], "frame": [], "label": []})[row["kind"]].append(row)
    listed: list[Row] = []
    files: list[Row] = []
    lines: list[str] = []
    manifest = f"{_path(rows[0]['job_name'])}/directed.manifest"
    for object_id, found in sorted(of_object.items(), key=lambda each: (len(each[0]), each[0])):
        frames = {row["place"]: row for row in found["frame"]}
        if not frames:
            continue
        task = next(iter(frames.values()))
        usable = _usable(task, found["frame"])
        prefix = frame_prefix(task["source_ref"], task["input_path"]) if usable else ""
        places = [(row["place"], row["last_place"], row["issue"]) for row in found["issue"]]
        for window in windows(places, task["sequence_frame_count"]):
            shown = [frames[place] for place in range(window.first, window.last + 1)]
            listed.append(
                {
                    **{name: task[name] for name in _HEAD},
                    "first_frame_no": shown[0]["frame_no"],
                    "last_frame_no": shown[-1]["frame_no"],
                    "frame_count": len(shown),
                    "sequence_frame_count": task["sequence_frame_count"],
                    "issue_count": len(window.issues),
                    "issues": ", ".join(sorted(set(window.issues))),
                    "manifest": f"audits/{manifest}" if usable else None,
                }
            )
            if usable:
                span = f"{shown[0]['frame_no']}-{shown[-1]['frame_no']}"
                stem = f"{_path(task['job_name'])}/{_path(object_id)}/{span}"
                sequence = sequence_of(shown, prefix, len(lines) + 1)
                labels = labels_of(shown, found["label"], classes)
                files.append({"path": f"{stem}.json", "body": _text(sequence)})
                files.append({"path": f"{stem}.labels.json", "body": _text(labels)})
                root = f"{task['output_path']}/audits/{stem}"
                lines.append(_text(manifest_line(task, f"{root}.json", f"{root}.labels.json", classes)))
    if lines:
        files.append({"path": manifest, "body": "".join(f"{line}\n" for line in lines)})
    return {"directed_audit": listed, "files": files}


def _usable(task: Mapping[str, Any], frames: Sequence[Mapping[str, Any]]) -> bool:
    """Whether Ground Truth's input can be written for a data object: of video, with the names of all frames."""
    video = (task["task_type"] or "").startswith("video")
    return video and task["source_ref"] is not None and all(row["frame"] for row in frames)


def _path(name: str) -> str:
    """A name as part of a file's path."""
    return "/".join(part if part.strip(".") else "_" for part in name.split("/"))


def _text(document: object) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def frame_prefix(source_ref: str, input_path: str) -> str:
    """Where the frames of a sequence lie: the `prefix` of its sequence file, else the folder of that file.

    The sequence file is read when it is in S3 and the job's input is too; what cannot be read is no failure.
    """
    folder = f"{source_ref.rpartition('/')[0]}/"
    if not (storage.is_s3(source_ref) and storage.is_s3(input_path)):
        return folder
    try:
        prefix = json.loads(storage.read(source_ref))["prefix"]
    except (storage.GoneError, ClientError, ValueError, KeyError, TypeError):
        return folder
    return prefix if isinstance(prefix, str) and prefix else folder


def sequence_of(frames: Sequence[Mapping[str, Any]], prefix: str, number: int) -> dict[str, object]:
    """Ground Truth's sequence file for some frames, with their numbers as they were."""
    return {
        "seq-no": number,
        "prefix": prefix,
        "number-of-frames": len(frames),
        "frames": [{"frame-no": row["frame_no"], "frame": row["frame"]} for row in frames],
    }


def labels_of(
    frames: Sequence[Mapping[str, Any]], labels: Sequence[Mapping[str, Any]], classes: Mapping[str, str]
) -> dict[str, object]:
    """A SeqLabel.json document of some frames with those of the labels that lie in them."""
    by_frame: dict[int, dict[str, list[dict[str, object]]]] = {row["frame_no"]: {} for row in frames}
    for row in labels:
        if row["frame_no"] in by_frame:
            kind = _LISTS.get(row["shape"], "annotations")
            by_frame[row["frame_no"]].setdefault(kind, []).append(_shape_of(row, classes))
    return {
        "tracking-annotations": [
            {
                **(by_frame[row["frame_no"]] or {"annotations": []}),
                "frame-no": str(row["frame_no"]),
                "frame": row["frame"],
                "frame-attributes": {},
            }
            for row in frames
        ]
    }


_LISTS = {"polyline": "polylines", "polygon": "polygons", "keypoint": "keypoints"}


def _shape_of(row: Mapping[str, Any], classes: Mapping[str, str]) -> dict[str, object]:
    sides = {name: row[f"{name}_px"] for name in ("height", "width", "top", "left")}
    place = sides if row["shape"] == "box" else json.loads(row["geometry"] or "{}")
    return {
        **{name: _whole(value) for name, value in place.items()},
        "class-id": classes[row["label"] or ""],
        "label-category-attributes": dict(row["attributes"] or ()),
        "object-id": row["instance_id"],
        "object-name": row["instance_name"],
    }


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def manifest_line(job: Mapping[str, Any], sequence: str, labels: str, classes: Mapping[str, str]) -> dict[str, object]:
    """A line of the input manifest: the sequence, and this job's label of it with its metadata."""
    attribute = job["label_attribute"] or "tracks-ref"
    created = {"creation-date": job["created_at"].strftime("%Y-%m-%dT%H:%M:%S.%f")} if job["created_at"] else {}
    return {
        "source-ref": sequence,
        attribute: labels,
        f"{attribute}-metadata": {
            "class-map": {number: name for name, number in classes.items()},
            "job-name": f"labeling-job/{job['job_name'].rpartition('/')[2].lower()}",
            "human-annotated": "yes",
            **created,
            "type": f"groundtruth/{job['task_type']}",
        },
    }
