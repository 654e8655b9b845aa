"""Starts the ranks of a distributed training on this host: what SageMaker's containers of PyTorch run.

`python -m training.slides.launch` reads resourceconfig.json, checks what can be checked before a process group is
formed, and becomes torchrun, so that SIGTERM reaches it without a process between.
"""

from __future__ import annotations

import os
import sys

from sextant import container
from sextant.slides import training_plan

PORT = "7777"
"""SageMaker's own launchers use it."""


def arguments() -> list[str]:
    """Torchrun's command line on this host.

    Raises:
        InputError: settings or shards do not fit the number of ranks.
    """
    settings, packed = training_plan.settings(), training_plan.manifest()
    hosts = container.hosts()
    ranks = settings.processes_per_host or max(1, _gpus())
    training_plan.check(packed, settings.batch_size, ranks * hosts.count)
    return [
        sys.executable,
        *("-m", "torch.distributed.run"),
        f"--nnodes={hosts.count}",
        f"--node_rank={hosts.index}",
        f"--nproc_per_node={ranks}",
        f"--master_addr={os.environ.get('SM_MASTER_ADDR') or hosts.names[0]}",
        f"--master_port={os.environ.get('SM_MASTER_PORT') or PORT}",
        *("-m", "training.slides.finetune"),
    ]


def _gpus() -> int:
    import torch  # noqa: PLC0415  seconds that a job with wrong settings need not wait for

    return torch.cuda.device_count()


def main() -> None:
    """Becomes torchrun."""
    command = arguments()
    sys.stdout.write(f"{' '.join(command)}\n")
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606  the interpreter that runs this


if __name__ == "__main__":
    sys.exit(container.failing(main))
