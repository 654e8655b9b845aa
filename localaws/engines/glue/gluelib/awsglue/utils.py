# ruff: noqa: N802  Glue's own name
"""Job arguments."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence


class GlueArgumentError(Exception):
    """An argument the script asks for was not given to the job."""


class _Parser(argparse.ArgumentParser):
    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def error(self, message: str) -> NoReturn:
        raise GlueArgumentError(message)


_OPTIONAL = (
    "JOB_ID",
    "JOB_RUN_ID",
    "SECURITY_CONFIGURATION",
    "TempDir",
    "WORKFLOW_NAME",
    "WORKFLOW_RUN_ID",
    "job-bookmark-option",
)


def getResolvedOptions(args: Sequence[str], options: Sequence[str]) -> dict[str, Any]:
    """The values of `--NAME value` arguments, by name.

    Args:
        args: `sys.argv`.
        options: the names that must be there.

    Raises:
        GlueArgumentError: one is missing.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    for name in options:
        parser.add_argument(f"--{name}", dest=name, required=True)
    for name in _OPTIONAL:
        if name not in options:
            parser.add_argument(f"--{name}", dest=name.replace("-", "_"), default=argparse.SUPPRESS)
    found, _ = parser.parse_known_args(list(args[1:]))
    return vars(found)
