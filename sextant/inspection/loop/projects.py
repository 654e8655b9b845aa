"""The same for every project: what goes wrong in one keeps no other from its turn."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_log = logging.getLogger(__name__)


def for_each(names: Iterable[str], work: Callable[[str], None]) -> None:
    """Does something for each project.

    Args:
        names: of the projects.
        work: is given each.

    Raises:
        ExceptionGroup: what went wrong in some, after all have had their turn: whoever runs this fails, and is seen to.
    """
    errors = []
    for name in names:
        try:
            work(name)
        except Exception as error:  # noqa: BLE001 - all are told at the end
            _log.exception("project %s", name)
            errors.append(error)
    if errors:
        told = "; ".join(str(each) for each in errors)
        raise ExceptionGroup(f"{len(errors)} projects have not had what is due to them: {told}", errors)
