"""Fine-tuning of EfficientNet-Lite0 on tiles, one process per rank, as torchrun starts it (see launch.py).

The original trained its network this way (Keras and Horovod there). Every rank does the manifest's steps on records of
its own; gradients are averaged by DistributedDataParallel, over NCCL on GPUs and Gloo on CPUs. After each epoch every
rank scores its share of the validation tiles, all ranks gather the scores and so come to the same decision to go on.
The result is a model like a head's, with the network as ONNX beside it: the same server serves both, without PyTorch.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import random
import signal
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import torch
import torch.distributed as dist
from efficientnet_lite_pytorch import EfficientNet
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from sextant import container
from sextant.slides import metrics, model, training, training_input, training_plan
from sextant.slides.aggregate import slide_scores, softmax, tempered
from sextant.slides.evaluation import metric_line
from sextant.slides.features import image_of
from sextant.slides.heads import Head
from sextant.slides.model import EncoderFacts, Model, ModelFacts, Validation
from sextant.slides.records import TileFeatures, from_record
from sextant.vision_backbone import DIM, INPUT_PX, build, lite0

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from sextant.slides.manifest import Manifest
    from sextant.slides.records import Tile
    from sextant.slides.training_plan import FinetuneSettings

SHUFFLED = 512
"""Tiles, as JPEG, that a rank draws its next one from; the pack step has put them in random order already."""

EXPORT_TOLERANCE = 1e-4
"""How far logits of the exported graph may be from the network's, as a part of the largest."""

_CHECKPOINT = "finetune.pt"
_BEFORE = "finetune.before.pt"
_log = logging.getLogger(__name__)


class ExportError(Exception):
    """A graph that is not the network that was trained."""


@dataclass(frozen=True)
class Rank:
    """This process's place among all, and on its host."""

    number: int
    count: int
    local: int
    device: torch.device


@dataclass
class Progress:
    """What a checkpoint keeps beside network and optimizer: `step` is the next one of `epoch`."""

    epoch: int = 0
    step: int = 0
    waited: int = 0


@dataclass(frozen=True, eq=False)
class Best:
    """The network of the best epoch, on the CPU, and what it was measured at."""

    state: dict[str, torch.Tensor]
    measured: Validation
    temperature: float


@dataclass(frozen=True, eq=False)
class Job:
    """A rank's training."""

    settings: FinetuneSettings
    manifest: Manifest
    rank: Rank
    steps: int
    network: EfficientNet
    parallel: DistributedDataParallel
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    stop: list[int]
    """The signal that asks for an end, once it has come."""


def main() -> None:
    """Trains as the job asks; a rank that fails because another did leaves that one's reason in place."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        _train()
    except Exception as error:
        # The first rank to fail knows why; the others see closed connections.
        if (container.opt_ml() / "output" / "failure").exists():
            _log.exception("this rank ends because another failed")
            raise SystemExit(1) from error
        raise


def _train() -> None:
    settings, packed = training_plan.settings(), training_plan.manifest()
    # Before the group is formed, for those who start torchrun without launch.py, as SageMaker's SDK does.
    steps = training_plan.check(packed, settings.batch_size, int(os.environ["WORLD_SIZE"]))
    cuda = torch.cuda.is_available()
    local = int(os.environ["LOCAL_RANK"])
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        rank = Rank(dist.get_rank(), dist.get_world_size(), local, device)
        _run(_job(settings, packed, rank, steps))
    finally:
        dist.destroy_process_group()


def _job(settings: FinetuneSettings, packed: Manifest, rank: Rank, steps: int) -> Job:
    torch.manual_seed(settings.seed)  # the same new classifier on every rank
    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=str(lite0.weights_path()), num_classes=len(packed.classes)
    ).to(rank.device)
    cuda = rank.device.type == "cuda"
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    return Job(
        settings=settings,
        manifest=packed,
        rank=rank,
        steps=steps,
        network=network,
        parallel=DistributedDataParallel(network, device_ids=[rank.local] if cuda else None),
        optimizer=torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        ),
        # bfloat16 has float32's range and needs no scaling; older GPUs have float16 only.
        scaler=torch.amp.GradScaler(rank.device.type, enabled=cuda and not torch.cuda.is_bf16_supported()),
        stop=stop,
    )


def _run(job: Job) -> None:
    folder = training_plan.checkpoints()
    progress, best = _resumed(job, folder)
    first = progress.epoch
    while progress.epoch < job.settings.epochs and progress.waited < job.settings.patience:
        # A job that goes on gets new pipes, counted from 0 again.
        pipe = progress.epoch - first
        loss = _epoch(job, progress, pipe, partial(_save, job, progress, best, folder))
        measured, temperature = _validated(job, pipe)
        _tell(
            job,
            train_loss=loss,
            val_slide_auc=measured.slide_auc,
            val_slide_accuracy=measured.slide_accuracy,
            val_tile_accuracy=measured.tile_accuracy,
            val_loss=measured.slide_loss,
        )
        if best is None or _merit(measured) > _merit(best.measured):
            state = {name: each.detach().cpu().clone() for name, each in job.network.state_dict().items()}
            best = Best(state, measured, temperature)
            progress.waited = 0
        else:
            progress.waited += 1
        progress.epoch, progress.step = progress.epoch + 1, 0
        _save(job, progress, best, folder)
    assert best is not None
    if job.rank.number == 0:
        _write_model(job, best)


def _merit(measured: Validation) -> tuple[float, float]:
    """What the best epoch is chosen by: the slides' AUC, and their log loss where AUCs are equal."""
    return measured.slide_auc, -measured.slide_loss


def _epoch(job: Job, progress: Progress, pipe: int, save: Callable[[], None]) -> float:
    """The rest of an epoch: every rank does the same number of steps, whatever its records are."""
    job.parallel.train()
    # A rank's batch is too small to tell the mean and variance of tissue: the pretrained ones stay, and what is trained
    # is what is evaluated and served.
    for each in job.network.modules():
        if isinstance(each, torch.nn.BatchNorm2d):
            each.eval()
    weights = torch.tensor(_class_weights(job.manifest), dtype=torch.float32, device=job.rank.device)
    seed = [job.settings.seed, progress.epoch, job.rank.number]
    batches = _batches(job, _shuffled(_records(job, "train", pipe), seed))
    for _ in islice(batches, progress.step):
        """What was done before the stop is read again and passed over."""
    started, losses = time.monotonic(), list[float]()
    first = progress.step
    for step in range(first, job.steps):
        tiles = next(batches, None)
        if tiles is None:
            raise container.InputError(
                f"rank {job.rank.number} has records for {step} of {job.steps} steps: its channel does not hold what "
                "the manifest says; pack again, or check the channel's prefix"
            )
        losses.append(_step(job, tiles, weights, np.random.default_rng([*seed, step])))
        progress.step = step + 1
        if _stopping(job):
            save()
            _log.info("stopped by SIGTERM after step %d of epoch %d", step, progress.epoch)
            raise SystemExit(128 + signal.SIGTERM)
    for _ in batches:
        """A pipe is read to its end, or its writer would wait: the last batch may be short of a whole one."""
    _tell(job, tiles_per_second=len(losses) * job.settings.batch_size * job.rank.count / (time.monotonic() - started))
    return float(np.mean(losses)) if losses else float("nan")


def _stopping(job: Job) -> bool:
    """Whether any rank was told to stop: all of them end after the same step, so that none waits for another."""
    told = torch.tensor(len(job.stop), device=job.rank.device)
    dist.all_reduce(told, dist.ReduceOp.MAX)
    return bool(told.item())


def _step(job: Job, tiles: list[Tile], weights: torch.Tensor, rng: np.random.Generator) -> float:
    images = np.stack([_turned(image_of(each, INPUT_PX), rng) for each in tiles])
    # Dropout draws from torch's own generator: seeded by step, a training that goes on draws what it would have drawn.
    torch.manual_seed(int(rng.integers(2**63)))
    labels = torch.tensor([each.label for each in tiles], device=job.rank.device)
    with _precision(job.rank.device):
        logits = job.parallel(_input(images, job.rank.device))
    loss = functional.cross_entropy(logits.float(), labels, weights)
    job.optimizer.zero_grad(set_to_none=True)
    job.scaler.scale(loss).backward()
    job.scaler.step(job.optimizer)
    job.scaler.update()
    return float(loss.detach())


def _turned(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """One of the eight orientations: tissue has no up."""
    turned = np.rot90(image, int(rng.integers(4)))
    return turned[:, ::-1] if rng.integers(2) else turned


def _input(images: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    value = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float()
    return (value - 127) / 128


def _precision(device: torch.device) -> torch.autocast:
    half = torch.bfloat16 if device.type == "cpu" or torch.cuda.is_bf16_supported() else torch.float16
    return torch.autocast(device.type, dtype=half, enabled=device.type == "cuda")


def _records(job: Job, split: str, epoch: int) -> Iterator[Tile]:
    channel = training_plan.channel_of(split, job.rank.local)
    payloads = training_input.records(channel, epoch, job.rank.number, job.rank.count)
    return map(from_record, payloads)


def _shuffled(tiles: Iterable[Tile], seed: list[int]) -> Iterator[Tile]:
    draw = random.Random(hashlib.sha256(repr(seed).encode()).digest())  # noqa: S311  an order, not a secret
    held: list[Tile] = []
    for each in tiles:
        if len(held) < SHUFFLED:
            held.append(each)
            continue
        place = draw.randrange(SHUFFLED)
        held[place], given = each, held[place]
        yield given
    draw.shuffle(held)
    yield from held


def _batches(job: Job, tiles: Iterator[Tile]) -> Iterator[list[Tile]]:
    return iter(partial(_take, tiles, job.settings.batch_size), [])


def _take(tiles: Iterator[Tile], count: int) -> list[Tile]:
    return list(islice(tiles, count))


def _class_weights(packed: Manifest) -> NDArray[np.float64]:
    """Per class n / (classes present * n of the class), from the manifest's counts."""
    counts = np.array([packed.splits["train"].per_class[each] for each in packed.classes], float)
    weights = np.zeros(len(counts))
    weights[counts > 0] = counts.sum() / ((counts > 0).sum() * counts[counts > 0])
    return weights


def _validated(job: Job, pipe: int) -> tuple[Validation, float]:
    """The validation split measured from all ranks' shares, and its temperature; the same on every rank."""
    job.network.eval()
    found: list[TileFeatures] = []
    tiles = _records(job, "valid", pipe)
    with torch.inference_mode(), _precision(job.rank.device):
        while batch := _take(tiles, job.settings.batch_size):
            images = np.stack([image_of(each, INPUT_PX) for each in batch])
            logits = job.network(_input(images, job.rank.device)).float().cpu().numpy()
            found += [_with_logits(each, row) for each, row in zip(batch, logits, strict=True)]
    gathered: list[Any] = [None] * job.rank.count
    dist.all_gather_object(gathered, found)
    # Logits take the place of features: the same ordering by slide, and the same checks, as a head's training.
    split = training.read_split((each for part in gathered for each in part), "valid", len(job.manifest.classes))
    scores = np.stack(
        [
            slide_scores(split.features[split.tiles(number)], None, job.settings.aggregation)
            for number in range(len(split.slides))
        ]
    )
    temperature = training.fitted_temperature(scores, split.labels)
    scores = tempered(scores, temperature)
    auc = metrics.macro_auc(split.labels, scores)
    if auc is None:
        raise container.InputError(
            "valid has slides of one class only, so its AUC is undefined: plan with another salt"
        )
    measured = Validation(
        slides=len(split.slides),
        patients=len(set(split.patients)),
        tiles=len(split.features),
        slide_auc=auc,
        slide_accuracy=metrics.accuracy(split.labels, scores),
        slide_loss=metrics.log_loss(split.labels, scores),
        tile_accuracy=metrics.accuracy(split.tile_labels(), softmax(split.features)),
    )
    return measured, temperature


def _with_logits(tile: Tile, logits: NDArray[np.float32]) -> TileFeatures:
    return TileFeatures(tile.slide, tile.patient, tile.label, tile.label_name, tile.x, tile.y, tile.span, logits)


def _fingerprint(job: Job) -> str:
    """What a checkpoint must share with the job that goes on from it."""
    decisive = f"{job.settings.model_dump_json()}{job.manifest.model_dump_json()}{job.rank.count}"
    return hashlib.sha256(decisive.encode()).hexdigest()


def _save(job: Job, progress: Progress, best: Best | None, folder: Path) -> None:
    """Writes the checkpoint as a whole or not at all; one rank does, as all have the same network after a step."""
    if job.rank.number:
        return
    folder.mkdir(parents=True, exist_ok=True)
    partial_file = folder / f".{_CHECKPOINT}.partial"
    torch.save(
        {
            "fingerprint": _fingerprint(job),
            "progress": asdict(progress),
            "network": job.network.state_dict(),
            "optimizer": job.optimizer.state_dict(),
            "scaler": job.scaler.state_dict(),
            "best": best
            and {"state": best.state, "measured": best.measured.model_dump(), "temperature": best.temperature},
        },
        partial_file,
    )
    path = folder / _CHECKPOINT
    if path.exists():  # should the new one be damaged, that before it is no loss
        path.replace(folder / _BEFORE)
    partial_file.replace(path)


def _resumed(job: Job, folder: Path) -> tuple[Progress, Best | None]:
    """Takes up a checkpoint of the same settings, data and ranks; without one, everything is at its start."""
    saved = next(filter(None, (_checkpoint(job, folder / each) for each in (_CHECKPOINT, _BEFORE))), None)
    if saved is None:
        return Progress(), None
    job.network.load_state_dict(saved["network"])
    job.optimizer.load_state_dict(saved["optimizer"])
    job.scaler.load_state_dict(saved["scaler"])
    progress = Progress(**saved["progress"])
    _log.info("goes on at step %d of epoch %d", progress.step, progress.epoch)
    if saved["best"] is None:
        return progress, None
    measured = Validation.model_validate(saved["best"]["measured"])
    state = {name: each.cpu() for name, each in saved["best"]["state"].items()}
    return progress, Best(state, measured, saved["best"]["temperature"])


def _checkpoint(job: Job, path: Path) -> dict[str, Any] | None:
    """What a checkpoint holds; None where there is none, it is damaged, or of other settings, data or ranks."""
    if not path.exists():
        return None
    try:
        saved: dict[str, Any] = torch.load(path, map_location=job.rank.device, weights_only=True)
        fitting = saved["fingerprint"] == _fingerprint(job)
    # By what is wrong with it, torch raises one of these.
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        _log.warning("checkpoint %s cannot be used, an earlier one is looked for: %s", path.name, reason)
        return None
    if not fitting:
        _log.info("%s is of other settings, data or ranks: training starts anew", path.name)
        return None
    return saved


def _write_model(job: Job, best: Best) -> None:
    """The best network as an encoder in ONNX, and its classifier as a linear head that takes features as they are."""
    graph = build(tensors={name: each.numpy() for name, each in best.state.items()})
    facts = ModelFacts(
        classes=job.manifest.classes,
        encoder=EncoderFacts(
            name=model.FINETUNED,
            sha256=hashlib.sha256(graph).hexdigest(),
            dim=DIM,
            input_px=INPUT_PX,
        ),
        head="linear",
        aggregation=job.settings.aggregation,
        temperature=best.temperature,
        strength=job.settings.weight_decay,
        validation=best.measured,
        tiles=job.manifest.settings,
        plan_digest=job.manifest.plan_digest,
        data_digest=hashlib.sha256(job.manifest.model_dump_json().encode()).hexdigest(),
    )
    arrays = {
        "mean": np.zeros(DIM, np.float32),
        "scale": np.ones(DIM, np.float32),
        "W": np.ascontiguousarray(best.state["_fc.weight"].numpy().T),
        "b": best.state["_fc.bias"].numpy(),
    }
    head = Head("linear", arrays)
    _check_export(job, best, graph, head)
    model.save(Model(facts, head), container.opt_ml() / "model", graph)


def _check_export(job: Job, best: Best, graph: bytes, head: Head) -> None:
    """Refuses a graph whose logits differ from the network's: it would serve another model than was measured."""
    job.network.load_state_dict(best.state)
    job.network.eval()
    images = np.random.default_rng(0).integers(0, 256, (4, INPUT_PX, INPUT_PX, 3), dtype=np.uint8)
    with torch.inference_mode():  # in float32, as the graph
        expected = job.network(_input(images, job.rank.device)).float().cpu().numpy()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    features = np.asarray(session.run([session.get_outputs()[0].name], {session.get_inputs()[0].name: images})[0])
    largest = float(np.abs(head.outputs(features).logits - expected).max() / max(1.0, np.abs(expected).max()))
    _log.info("the exported graph's logits differ from the network's by %.2g of the largest", largest)
    if not largest <= EXPORT_TOLERANCE:
        raise ExportError(
            f"the exported ONNX graph's logits differ from the network's by {largest:.2g} of the largest, allowed is "
            f"{EXPORT_TOLERANCE:g}: the versions of onnx, onnxruntime and torch do not fit, see requirements.txt"
        )


def _tell(job: Job, **values: float) -> None:
    if job.rank.number == 0:
        for name, value in values.items():
            _log.info(metric_line(name, value))


if __name__ == "__main__":
    sys.exit(container.failing(main))
