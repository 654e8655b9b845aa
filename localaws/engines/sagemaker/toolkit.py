"""What containers find in their environment, and how an AWS Deep Learning Container starts a training script.

The names are those of sagemaker-training-toolkit, which AWS's images hold; here every training container gets them.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localaws.engines.sagemaker.images import ImageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localaws.home import Document

OWN = "sagemaker_"


@dataclass(frozen=True)
class Host:
    """One host of a training job. `ml` is /opt/ml as its container names it."""

    name: str
    hosts: Sequence[str]
    instance_type: str
    ml: str
    port: int

    @property
    def rank(self) -> int:
        return list(self.hosts).index(self.name)


def gpus() -> int:
    """Devices a container sees."""
    return sum(1 for _ in Path("/dev").glob("nvidia[0-9]*"))


def resource_configuration(host: Host) -> Document:
    """/opt/ml/input/config/resourceconfig.json."""
    group = "homogeneousCluster"
    return {
        "current_host": host.name,
        "current_instance_type": host.instance_type,
        "current_group_name": group,
        "hosts": list(host.hosts),
        "instance_groups": [
            {"instance_group_name": group, "instance_type": host.instance_type, "hosts": list(host.hosts)}
        ],
        "network_interface_name": "lo",
    }


def decoded(hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """The SDK sends each value as JSON; what is none is text."""
    values: dict[str, Any] = {}
    for name, text in hyperparameters.items():
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    return values


def arguments(hyperparameters: Mapping[str, str]) -> list[str]:
    """`--name value` (`-n value` for a letter) for each hyperparameter of the script."""
    argv: list[str] = []
    for name, value in sorted(decoded(hyperparameters).items()):
        if not name.startswith(OWN):
            text = json.dumps(value) if value.__class__ in (dict, list) else str(value)
            argv += [f"--{name}" if len(name) > 1 else f"-{name}", text]
    return argv


def variables(host: Host, hyperparameters: Mapping[str, str], channels: Mapping[str, Document]) -> dict[str, str]:
    """The SM_* variables of a training container.

    SM_MASTER_ADDR is this machine, where all hosts run, and SM_MASTER_PORT a free port of the job's own: two jobs at a
    time would both want the toolkit's 7777.
    """
    ml, values = host.ml, decoded(hyperparameters)
    script = {name: value for name, value in values.items() if not name.startswith(OWN)}
    resources = resource_configuration(host)
    found: dict[str, Any] = {
        "SM_HOSTS": list(host.hosts),
        "SM_HOST_COUNT": len(host.hosts),
        "SM_CURRENT_HOST": host.name,
        "SM_CURRENT_HOST_RANK": host.rank,
        "SM_CURRENT_INSTANCE_TYPE": host.instance_type,
        "SM_NETWORK_INTERFACE_NAME": "lo",
        "SM_NUM_GPUS": gpus(),
        "SM_NUM_CPUS": os.cpu_count() or 1,
        "SM_NUM_NEURONS": 0,
        "SM_MASTER_ADDR": "127.0.0.1",
        "SM_MASTER_PORT": host.port,
        "SM_INPUT_DIR": f"{ml}/input",
        "SM_INPUT_CONFIG_DIR": f"{ml}/input/config",
        "SM_OUTPUT_DIR": f"{ml}/output",
        "SM_OUTPUT_DATA_DIR": f"{ml}/output/data",
        "SM_OUTPUT_INTERMEDIATE_DIR": f"{ml}/output/intermediate",
        "SM_MODEL_DIR": f"{ml}/model",
        "SM_MODULE_DIR": str(values.get("sagemaker_submit_directory", "")),
        "SM_MODULE_NAME": Path(str(values.get("sagemaker_program", ""))).stem,
        "SM_USER_ENTRY_POINT": str(values.get("sagemaker_program", "")),
        "SM_LOG_LEVEL": 20,
        "SM_HPS": script,
        "SM_USER_ARGS": arguments(hyperparameters),
        "SM_CHANNELS": sorted(channels),
        "SM_INPUT_DATA_CONFIG": dict(channels),
        "SM_RESOURCE_CONFIG": resources,
        "SM_FRAMEWORK_PARAMS": {name: value for name, value in values.items() if name.startswith(OWN)},
    }
    found |= {f"SM_CHANNEL_{_upper(channel)}": f"{ml}/input/data/{channel}" for channel in channels}
    found |= {f"SM_HP_{_upper(name)}": value for name, value in script.items()}
    found["SM_TRAINING_ENV"] = {
        "hosts": list(host.hosts), "current_host": host.name, "hyperparameters": script, "resource_config": resources,
        "input_data_config": dict(channels), "model_dir": f"{ml}/model", "output_data_dir": f"{ml}/output/data",
        "num_gpus": found["SM_NUM_GPUS"], "num_cpus": found["SM_NUM_CPUS"], "network_interface_name": "lo",
        "channel_input_dirs": {channel: f"{ml}/input/data/{channel}" for channel in channels},
        "is_master": host.rank == 0,
    }  # fmt: skip
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}


def _upper(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def script_command(host: Host, hyperparameters: Mapping[str, str], settings: Mapping[str, str]) -> list[str]:
    """How the toolkit in an AWS PyTorch container runs `sagemaker_program`, which lies in /opt/ml/code.

    Args:
        host: where.
        hyperparameters: of the job.
        settings: the job's Environment, which may name the program instead (SAGEMAKER_PROGRAM).

    Raises:
        ImageError: no program is named.
    """
    values = decoded(hyperparameters)
    program = str(values.get("sagemaker_program") or settings.get("SAGEMAKER_PROGRAM", ""))
    if not program:
        raise ImageError(
            "The job runs in an AWS PyTorch container and names no script: give the hyperparameters sagemaker_program "
            "and sagemaker_submit_directory, or a ContainerEntrypoint"
        )
    argv = arguments(hyperparameters)
    if program.endswith(".sh"):
        return ["/bin/sh", program, *argv]
    if values.get("sagemaker_torch_distributed_enabled"):
        return [
            "python3", "-m", "torch.distributed.run", f"--nnodes={len(host.hosts)}",
            f"--nproc_per_node={gpus() or 1}", "--master_addr=127.0.0.1", f"--master_port={host.port}",
            f"--node_rank={host.rank}", program, *argv,
        ]  # fmt: skip
    return ["python3", program, *argv]
