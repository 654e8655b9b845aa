"""A chunk of objects on its way from documents to staged rows: sheets, tallies, and what several objects tell once."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import add
from typing import TYPE_CHECKING, Any

from sextant.labeling import staging
from sextant.labeling.json_text import dumps, encoded, loads
from sextant.labeling.staging import NO_ATTRIBUTES, Sheet

if TYPE_CHECKING:
    from pathlib import Path

    from sextant.labeling.tables import Table


@dataclass
class Chunk:
    """The sheets and tallies of one chunk of objects, written below `folder` when it is closed.

    What one object adds counts when it is settled: an object that turns out to be unusable is taken back whole.
    """

    folder: Path
    sheets: dict[str, Sheet] = field(default_factory=dict)
    facts: set[tuple[str, int, str, str, str]] = field(default_factory=set)
    chains: set[tuple[str, str, str, str]] = field(default_factory=set)
    categories: dict[tuple[str | None, ...], str] = field(default_factory=dict)
    labels: dict[Any, tuple[int, ...]] = field(default_factory=dict)
    attributes: dict[Any, tuple[int, ...]] = field(default_factory=dict)
    frames: dict[Any, tuple[int, ...]] = field(default_factory=dict)
    interned: dict[bytes, str] = field(default_factory=lambda: {b"null": NO_ATTRIBUTES, b"{}": NO_ATTRIBUTES})
    new_facts: list[tuple[str, int, str, str, str]] = field(default_factory=list)
    new_chains: list[tuple[str, str, str, str]] = field(default_factory=list)
    new_categories: list[tuple[tuple[str | None, ...], str]] = field(default_factory=list)
    new_counts: list[tuple[dict[Any, tuple[int, ...]], Any, tuple[int, ...]]] = field(default_factory=list)

    def sheet(self, table: Table) -> Sheet:
        """The sheet of a staged table."""
        found = self.sheets.get(table.name)
        if found is None:
            found = self.sheets[table.name] = Sheet(table, self.folder / f"{table.name}.parquet")
        return found

    def reject(self, source: str, reason: str, detail: str, size: int) -> None:
        """Keeps an input that could not be used."""
        self.sheet(staging.PARSED_REJECTED).add(source, reason, detail[:500], size)

    def settle(self) -> None:
        """Keeps what was added since the last settling."""
        self.facts.update(self.new_facts)
        self.new_facts.clear()
        self.chains.update(self.new_chains)
        self.new_chains.clear()
        for category, source in self.new_categories:
            self.categories.setdefault(category, source)
        self.new_categories.clear()
        for tallies, key, counts in self.new_counts:
            known = tallies.get(key)
            tallies[key] = counts if known is None else tuple(map(add, known, counts))
        self.new_counts.clear()
        for sheet in self.sheets.values():
            sheet.settle()

    def take_back(self) -> None:
        """Drops what was added since the last settling."""
        self.new_facts.clear()
        self.new_chains.clear()
        self.new_categories.clear()
        self.new_counts.clear()
        for sheet in self.sheets.values():
            sheet.take_back()

    def close(self) -> list[Sheet]:
        """Writes everything; the sheets that have rows."""
        self.settle()
        for fact in sorted(self.facts):
            self.sheet(staging.FACT).add(*fact)
        for chain in sorted(self.chains):
            self.sheet(staging.CHAIN).add(*chain)
        for category, source in self.categories.items():
            self.sheet(staging.PARSED_CATEGORY).add(*category, source)
        for (head, label, attributes, day), counts in self.labels.items():
            self.sheet(staging.PARSED_LABEL_TALLY).add(*head, label, attributes, attributes, day, *counts)
        for (head, label, (name, value), day), counts in self.attributes.items():
            self.sheet(staging.PARSED_ATTRIBUTE_TALLY).add(*head, label, name, value, day, *counts)
        for (head, labels, attributes, day), counts in self.frames.items():
            self.sheet(staging.PARSED_FRAME_TALLY).add(*head, labels, attributes, attributes, day, *counts)
        for sheet in self.sheets.values():
            sheet.close()
        return [each for each in self.sheets.values() if each.rows]

    def attributes_of(self, found: list[Any]) -> list[str]:
        """Attributes as staged maps are given: sorted (lower-cased name, text) pairs, in JSON.

        Equal attributes give the same object, so that whoever groups by them compares pointers.
        """
        texts = list(map(encoded, found))
        for text in set(texts) - self.interned.keys():
            self.interned[text] = dumps(pairs(loads(text)))
        return [self.interned[text] for text in texts]


def pairs(attributes: Any) -> list[tuple[str, str]]:
    """Attributes as sorted (lower-cased name, text) pairs; what is no object has one, named `attributes`."""
    if not isinstance(attributes, dict):
        return [("attributes", as_text(attributes))] if attributes else []
    named: dict[str, str] = {}
    for name, value in attributes.items():
        key = name.lower()
        while key in named:  # two names that differ in case only would be one column to Glue
            key += "_2"
        named[key] = as_text(value)
    return sorted(named.items())


def as_text(value: Any) -> str:
    """Text as it is, anything else as JSON."""
    return value if isinstance(value, str) else dumps(value)


def parsed(chunk: Chunk, source: str, body: bytes, *kinds: type[Any]) -> Any:
    """The document, or None after rejecting it."""
    if not body.strip():
        chunk.reject(source, "empty object", "there is nothing in it", len(body))
        return None
    try:
        document = loads(body)
    except (ValueError, RecursionError) as error:
        chunk.reject(source, "not JSON", str(error), len(body))
        return None
    if not isinstance(document, kinds):
        chunk.reject(
            source, "unexpected JSON", f"an object or list was expected, not {dumps(document)[:80]}", len(body)
        )
        return None
    return document
