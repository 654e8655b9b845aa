"""The label category configuration file: which labels and attributes a job offers its workers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Categories:
    """Names as the file spells them; `audited` is the label attribute that the job audits, if it does."""

    labels: tuple[str, ...]
    label_attributes: tuple[str, ...]
    frame_attributes: tuple[str, ...]
    audited: str | None


def read_categories(body: bytes | str) -> Categories:
    """Reads a label category configuration.

    The documentation writes `documentVersion` and `categoryAttributes`, AWS's own samples `document-version` and
    `attributes`: both are read. `categoryGlobalAttributes` and attributes of single labels are one set here.

    Raises:
        ValueError: the file is no such configuration; the message says what is wrong.
    """
    try:
        document = json.loads(body)
    except ValueError as error:
        raise ValueError(f"the label category configuration is not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("labels"), list):
        raise ValueError(  # noqa: TRY004  a wrong file, not a wrong argument
            "the label category configuration needs a list `labels` of objects like {'label': 'Car'}"
        )
    labels: list[str] = []
    attributes = _names(document, "categoryGlobalAttributes")
    for each in document["labels"]:
        if not isinstance(each, dict) or not isinstance(each.get("label"), str):
            raise ValueError(  # noqa: TRY004  as above
                f"a label needs a name, as in {{'label': 'Car'}}; found {json.dumps(each)[:80]}"
            )
        labels.append(each["label"])
        attributes += _names(each, "attributes") + _names(each, "categoryAttributes")
    return Categories(
        tuple(labels),
        tuple(dict.fromkeys(attributes)),
        tuple(dict.fromkeys(_names(document, "frameAttributes"))),
        document.get("auditLabelAttributeName"),
    )


def _names(holder: dict[str, Any], key: str) -> list[str]:
    """Attribute names below a key that may be absent."""
    listed = holder.get(key)
    if listed is None:
        return []
    if not isinstance(listed, list) or not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in listed
    ):
        raise ValueError(f"`{key}` is a list of attributes, each with a name; found {json.dumps(listed)[:80]}")
    return [each["name"] for each in listed]
