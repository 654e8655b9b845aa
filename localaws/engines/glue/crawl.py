"""One crawl: list, sample, group into tables and partitions, and bring the Data Catalog in line.

Choices where AWS's documentation is silent, all of them tested:
- files whose name or folder begins with `_` or `.` are no data (Hive readers skip them);
- folders of unequal depth: the table has as many partition keys as the deepest folder, shallower partitions are
padded with
  `__HIVE_DEFAULT_PARTITION__`; but where one data folder lies inside another, the inner belongs to the outer's
  partition,
  so that no reader counts a file twice;
- a table this crawler did not make (no `UPDATED_BY_CRAWLER` parameter naming it) is changed only with
UPDATE_IN_DATABASE and
  only when it lies at the same location; with LOG it gets new partitions and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from localaws.engines.glue.globs import glob
from localaws.engines.glue.inference import Sample, Struct, Unreadable, columns_of, hive_type, merge, sample_file
from localaws.home import Call, Document, Home, Objects, ServiceError, StoredObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from localaws.home import Catalog

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
SIMILAR = 0.7
TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
HIVE_PARQUET = "org.apache.hadoop.hive.ql.io.parquet"


class Cancelled(Exception):  # noqa: N818 - it is an order, not a fault
    """The crawl was told to stop."""


@dataclass
class Leaf:
    """The files of one format in one folder."""

    bucket: str
    folder: str
    classification: str
    columns: Struct = field(default_factory=Struct)
    serde: tuple[tuple[str, str], ...] = ()
    compression: str = "none"
    objects: int = 0
    size: int = 0

    def add(self, sample: Sample | None, size: int) -> None:
        if sample is not None:
            for name, kind in sample.columns.fields.items():
                self.columns.fields[name] = merge(self.columns.fields.get(name), kind)
            self.serde = self.serde or sample.serde
            self.compression = sample.compression
        self.objects += 1
        self.size += size


@dataclass
class Table:
    """A table to be: where its data is and the folders that make its partitions."""

    bucket: str
    root: str
    name: str
    leaves: list[Leaf]

    @property
    def location(self) -> str:
        return f"s3://{self.bucket}/{self.root}"

    @property
    def classification(self) -> str:
        return self.leaves[0].classification

    def columns(self) -> Struct:
        merged = Struct()
        for leaf in self.leaves:
            for name, kind in leaf.columns.fields.items():
                merged.fields[name] = merge(merged.fields.get(name), kind)
        return merged


@dataclass
class Outcome:
    """What a crawl did."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    partitions_created: int = 0
    partitions_updated: int = 0
    partitions_deleted: int = 0
    skipped: list[str] = field(default_factory=list)
    objects: int = 0


class Crawl:
    """The run of a crawler's definition in the name of its role.

    Args:
        crawler: as `get_crawler` shows it.
        call: the crawler's role; every bucket, object and catalog entry is checked with it.
        log: takes (level, message).
        stopping: tells whether to stop.
    """

    def __init__(
        self,
        home: Home,
        crawler: Document,
        call: Call,
        *,
        classifiers: list[Document],
        log: Callable[[str, str], None],
        stopping: Callable[[], bool],
    ) -> None:
        self.crawler = crawler
        self.call = call
        self.classifiers = classifiers
        self.log = log
        self.stopping = stopping
        self.objects: Objects = home.objects(call.account)
        self.catalog: Catalog = home.catalog(call.account, call.region)
        self.outcome = Outcome()
        self.policy = crawler.get("SchemaChangePolicy") or {}
        self.new_folders_only = (crawler.get("RecrawlPolicy") or {}).get("RecrawlBehavior") == "CRAWL_NEW_FOLDERS_ONLY"
        configuration = json.loads(crawler.get("Configuration") or "{}")
        grouping = configuration.get("Grouping") or {}
        output = configuration.get("CrawlerOutput") or {}
        self.combine = grouping.get("TableGroupingPolicy") == "CombineCompatibleSchemas"
        self.level = int(grouping.get("TableLevelConfiguration") or 0)
        self.inherit = (output.get("Partitions") or {}).get("AddOrUpdateBehavior") == "InheritFromTable"
        self.merge_columns = (output.get("Tables") or {}).get("AddOrUpdateBehavior") == "MergeNewColumns"
        self._permitted: set[tuple[str, str]] = set()

    def run(self) -> Outcome:
        """Crawls all targets.

        Raises:
            ServiceError: a bucket does not exist or the role may not do something: the crawl has failed.
            Cancelled: it was told to stop; what is in the catalog by then stays.
        """
        targets = self.crawler["Targets"]
        for target in targets.get("S3Targets") or ():
            self._crawl_s3(target)
        for target in targets.get("CatalogTargets") or ():
            for name in target["Tables"]:
                self._crawl_catalog(target["DatabaseName"], name)
        return self.outcome

    # -- reading ---------------------------------------------------------------------------------------------------

    def _allow(self, action: str, resource: str) -> None:
        if (action, resource) not in self._permitted:
            self.call.authorize(action, resource)
            self._permitted.add((action, resource))

    def _may(self, action: str, database: str, table: str = "") -> None:
        base = f"arn:aws:glue:{self.call.region}:{self.call.account}"
        resources = [f"{base}:catalog", f"{base}:database/{database}"] + (
            [f"{base}:table/{database}/{table}"] if table else []
        )
        for resource in resources:
            self._allow(action, resource)

    def _listing(self, bucket: str, prefix: str, exclusions: Iterable[str]) -> Iterable[StoredObject]:
        self._allow("s3:ListBucket", f"arn:aws:s3:::{bucket}")
        patterns = [glob(pattern.removeprefix("/")) for pattern in exclusions]
        base = prefix if prefix.endswith("/") or not prefix else prefix.rpartition("/")[0] + "/"
        for entry in self.objects.list(bucket, prefix):
            if self.stopping():
                raise Cancelled
            # "data" names the folder data/ or the object data, not data-old/.
            if prefix and not prefix.endswith("/") and entry.key != prefix and not entry.key.startswith(prefix + "/"):
                continue
            below = entry.key[len(prefix) + 1 if not prefix.endswith("/") and prefix else len(prefix) :]
            if entry.key.endswith("/") or any(
                part[:1] in ("_", ".") and "=" not in part for part in entry.key[len(base) :].split("/")
            ):
                continue
            if any(pattern.fullmatch(below) or pattern.fullmatch(entry.key[len(base) :]) for pattern in patterns):
                continue
            yield entry

    def _sampled(self, bucket: str, entries: Iterable[StoredObject], limit: int, known: set[str]) -> list[Leaf]:
        """The folders with data. `limit` is the number of files to sample in each; `known` are folders to leave out."""
        leaves: dict[tuple[str, str, tuple[tuple[str, str], ...]], Leaf] = {}
        counts: dict[str, int] = {}
        for entry in entries:
            if self.stopping():
                raise Cancelled
            folder = entry.key.rpartition("/")[0] + "/" if "/" in entry.key else ""
            if f"s3://{bucket}/{folder}" in known:
                continue
            self.outcome.objects += 1
            counts[folder] = counts.get(folder, 0) + 1
            if limit and counts[folder] > limit:
                last = next((leaf for leaf in reversed(leaves.values()) if leaf.folder == folder), None)
                if last is not None:
                    last.add(None, entry.size)
                continue
            if counts[folder] == 1:
                self._allow("s3:GetObject", f"arn:aws:s3:::{bucket}/{entry.key}")
            try:
                sample = sample_file(self.objects.path(bucket, entry.key), self.classifiers)
            except (FileNotFoundError, ServiceError) as problem:
                if isinstance(problem, ServiceError) and problem.code != "NoSuchKey":
                    raise
                self._skip(bucket, entry.key, "it was deleted after it was listed")
                continue
            except Unreadable as problem:
                self._skip(bucket, entry.key, str(problem))
                continue
            except Exception as problem:
                # A file no reader was written for must not end the crawl of the others.
                self._skip(bucket, entry.key, f"{type(problem).__name__}: {problem}")
                continue
            for problem_text in sample.problems:
                self.outcome.skipped.append(f"s3://{bucket}/{entry.key}: {problem_text}")
                self.log("WARN", f"s3://{bucket}/{entry.key}: {problem_text}")
            key = (folder, sample.classification, sample.serde)
            leaves.setdefault(key, Leaf(bucket, folder, sample.classification)).add(sample, entry.size)
        return list(leaves.values())

    def _skip(self, bucket: str, key: str, reason: str) -> None:
        self.outcome.skipped.append(f"s3://{bucket}/{key}: {reason}")
        self.log("ERROR", f"Skipped s3://{bucket}/{key}: {reason}")

    # -- S3 targets ------------------------------------------------------------------------------------------------

    def _crawl_s3(self, target: Document) -> None:
        bucket, prefix = split_path(target["Path"])
        database = self.crawler.get("DatabaseName") or ""
        if database not in {entry["Name"] for entry in self.catalog.databases()}:
            raise ServiceError("EntityNotFoundException", f"Database {database} not found: create it before crawling")
        self._may("glue:GetDatabase", database)
        existing = {table["Name"]: table for table in self.catalog.tables(database)}
        known = self._known_folders(database, existing, f"s3://{bucket}/{prefix}") if self.new_folders_only else set()
        entries = self._listing(bucket, prefix, target.get("Exclusions") or ())
        leaves = self._sampled(bucket, entries, int(target.get("SampleSize") or 0), known)
        root = prefix if not prefix or prefix.endswith("/") else prefix + "/"
        if leaves and not any(leaf.folder.startswith(root) for leaf in leaves):
            root = prefix.rpartition("/")[0] + "/" if "/" in prefix else ""  # the target is one object
        found = group(bucket, root, leaves, combine=self.combine, level=self.level)
        seen = set()
        for table in self._named(found, existing):
            seen.add(table.name)
            self._bring_in_line(database, table, existing.get(table.name))
        if not self.new_folders_only:
            self._handle_deleted(database, f"s3://{bucket}/{root}", existing, seen)

    def _known_folders(self, database: str, existing: dict[str, Document], under: str) -> set[str]:
        folders: set[str] = set()
        for name, table in existing.items():
            if not location_of(table).startswith(under):
                continue
            partitions = self.catalog.partitions(database, name)
            folders.update(slashed(location_of(partition)) for partition in partitions)
            if not table.get("PartitionKeys"):
                folders.add(slashed(location_of(table)))
        return folders

    def _named(self, tables: list[Table], existing: dict[str, Document]) -> Iterable[Table]:
        """Gives each table its name: prefix and folder, with a hash where another location has that name already."""
        taken: dict[str, str] = {}
        for table in tables:
            folder = table.root.rstrip("/").rpartition("/")[2] or table.bucket
            name = re.sub(r"[^a-z0-9]", "_", f"{self.crawler.get('TablePrefix') or ''}{table.name or folder}".lower())
            other = taken.get(name) or (slashed(location_of(existing[name])) if name in existing else "")
            if other and other != table.location:
                name = f"{name}_{hashlib.md5(table.location.encode(), usedforsecurity=False).hexdigest()}"
            taken[name] = table.location
            table.name = name
            yield table

    def _bring_in_line(self, database: str, table: Table, known: Document | None) -> None:
        planned = partition_plan(table, len(known["PartitionKeys"]) if known and known.get("PartitionKeys") else None)
        for problem in planned.problems:
            self.outcome.skipped.append(problem)
            self.log("WARN", problem)
        definition = self._table_input(table, planned.keys)
        if known is None:
            self._may("glue:CreateTable", database, table.name)
            self.catalog.put_table(database, definition)
            self.outcome.created.append(table.name)
            self.log("INFO", f"Created table {table.name} in database {database}")
        else:
            definition = self._update(database, definition, known)
        self._put_partitions(database, definition, planned, table)

    def _update(self, database: str, found: Document, known: Document) -> Document:
        """Changes a table's definition where policy allows; the definition that holds afterwards."""
        old_columns = {c["Name"].lower(): c["Type"] for c in known["StorageDescriptor"]["Columns"]}
        new_columns = {c["Name"]: c["Type"] for c in found["StorageDescriptor"]["Columns"]}
        added = [name for name in new_columns if name not in old_columns]
        changed = [name for name, kind in new_columns.items() if name in old_columns and old_columns[name] != kind]
        removed = [name for name in old_columns if name not in new_columns] if not self.merge_columns else []
        update = self.policy.get("UpdateBehavior", "UPDATE_IN_DATABASE") == "UPDATE_IN_DATABASE"
        if self.new_folders_only or not (added or changed or removed):
            return known
        if not update:
            self.log(
                "INFO",
                f"Table {known['Name']}: {_difference(added, changed, removed)} only logged (UpdateBehavior LOG)",
            )
            return known
        self._may("glue:UpdateTable", database, known["Name"])
        columns = found["StorageDescriptor"]["Columns"]
        if self.merge_columns:
            columns = known["StorageDescriptor"]["Columns"] + [c for c in columns if c["Name"] in added]
        descriptor = {**found["StorageDescriptor"], "Columns": columns}
        definition = {
            **found,
            "StorageDescriptor": descriptor,
            "PartitionKeys": known.get("PartitionKeys") or found["PartitionKeys"],
        }
        definition["Parameters"] = {**(known.get("Parameters") or {}), **found["Parameters"]}
        definition["Parameters"].pop("DEPRECATED_BY_CRAWLER", None)
        self.catalog.put_table(database, definition)
        self.outcome.updated.append(known["Name"])
        self.log("INFO", f"Updated table {known['Name']}: {_difference(added, changed, removed)}")
        return definition

    def _table_input(self, table: Table, keys: list[str]) -> Document:
        columns = columns_of(table.columns())
        columns = [column for column in columns if column["Name"] not in keys]
        objects, size = sum(leaf.objects for leaf in table.leaves), sum(leaf.size for leaf in table.leaves)
        parameters = {
            "classification": table.classification,
            "compressionType": table.leaves[0].compression,
            "typeOfData": "file",
            "objectCount": str(objects),
            "sizeKey": str(size),
            "UPDATED_BY_CRAWLER": self.crawler["Name"],
            "CrawlerSchemaSerializerVersion": "1.0",
            "CrawlerSchemaDeserializerVersion": "1.0",
        }
        descriptor = storage_descriptor(
            table.classification, columns, table.location, dict(table.leaves[0].serde), parameters
        )
        return {
            "Name": table.name,
            "Owner": "owner",
            "TableType": "EXTERNAL_TABLE",
            "Retention": 0,
            "StorageDescriptor": descriptor,
            "PartitionKeys": [{"Name": key, "Type": "string"} for key in keys],
            "Parameters": {
                **parameters,
                **({"skip.header.line.count": "1"} if dict(table.leaves[0].serde).get("header") else {}),
            },
        }

    def _put_partitions(self, database: str, definition: Document, planned: Plan, table: Table) -> None:
        if not definition.get("PartitionKeys"):
            return
        known = {tuple(entry["Values"]): entry for entry in self.catalog.partitions(database, definition["Name"])}
        new: list[Document] = []
        changed: list[Document] = []
        for values, folder, leaves in planned.partitions:
            own = Table(table.bucket, folder, "", leaves)
            columns = definition["StorageDescriptor"]["Columns"] if self.inherit else columns_of(own.columns())
            descriptor: Document = {**definition["StorageDescriptor"], "Columns": columns, "Location": own.location}
            entry = {
                "Values": list(values),
                "StorageDescriptor": descriptor,
                "Parameters": dict(descriptor.get("Parameters") or {}),
            }
            if values not in known:
                new.append(entry)
            elif (
                self.policy.get("UpdateBehavior", "UPDATE_IN_DATABASE") == "UPDATE_IN_DATABASE"
                and not self.new_folders_only
            ):
                before = known[values]["StorageDescriptor"]
                if (before.get("Columns"), location_of(known[values])) != (columns, own.location):
                    changed.append(entry)
        if new or changed:
            self._may("glue:BatchCreatePartition" if new else "glue:UpdatePartition", database, definition["Name"])
            self.catalog.put_partitions(database, definition["Name"], [*new, *changed])
        self.outcome.partitions_created += len(new)
        self.outcome.partitions_updated += len(changed)
        if new or changed:
            self.log("INFO", f"Table {definition['Name']}: {len(new)} partitions created, {len(changed)} updated")
        current = {values for values, _, _ in planned.partitions}
        gone = [values for values, entry in known.items() if values not in current and self._owns(definition)]
        if gone and not self.new_folders_only:
            self._drop_partitions(database, definition["Name"], gone, known)

    def _drop_partitions(
        self, database: str, name: str, gone: list[tuple[str, ...]], known: dict[tuple[str, ...], Document]
    ) -> None:
        behaviour = self.policy.get("DeleteBehavior", "DEPRECATE_IN_DATABASE")
        self.log("INFO", f"Table {name}: {len(gone)} partitions have no objects any more ({behaviour})")
        if behaviour == "DELETE_FROM_DATABASE":
            self._may("glue:BatchDeletePartition", database, name)
            self.catalog.delete_partitions(database, name, gone)
            self.outcome.partitions_deleted += len(gone)
        elif behaviour == "DEPRECATE_IN_DATABASE":
            entries = [
                {
                    "Values": list(values),
                    "StorageDescriptor": known[values]["StorageDescriptor"],
                    "Parameters": {**(known[values].get("Parameters") or {}), "DEPRECATED_BY_CRAWLER": _epoch()},
                }
                for values in gone
                if "DEPRECATED_BY_CRAWLER" not in (known[values].get("Parameters") or {})
            ]
            if entries:
                self._may("glue:UpdatePartition", database, name)
                self.catalog.put_partitions(database, name, entries)
                self.outcome.partitions_updated += len(entries)

    def _owns(self, table: Document) -> bool:
        return (table.get("Parameters") or {}).get("UPDATED_BY_CRAWLER") == self.crawler["Name"]

    def _handle_deleted(self, database: str, under: str, existing: dict[str, Document], seen: set[str]) -> None:
        """Tables of this crawler below the target that have no data any more."""
        behaviour = self.policy.get("DeleteBehavior", "DEPRECATE_IN_DATABASE")
        for name, table in existing.items():
            if name in seen or not self._owns(table) or not slashed(location_of(table)).startswith(under):
                continue
            self.log("INFO", f"Table {name} has no objects any more ({behaviour})")
            if behaviour == "DELETE_FROM_DATABASE":
                self._may("glue:DeleteTable", database, name)
                self.catalog.delete_table(database, name)
                self.outcome.deleted.append(name)
            elif behaviour == "DEPRECATE_IN_DATABASE" and "DEPRECATED_BY_CRAWLER" not in (
                table.get("Parameters") or {}
            ):
                self._may("glue:UpdateTable", database, name)
                parameters = {**(table.get("Parameters") or {}), "DEPRECATED_BY_CRAWLER": _epoch()}
                self.catalog.put_table(database, {**table_input(table), "Parameters": parameters})
                self.outcome.updated.append(name)

    # -- catalog targets -------------------------------------------------------------------------------------------

    def _crawl_catalog(self, database: str, name: str) -> None:
        """Brings an existing table's columns and partitions in line with the objects at its location."""
        known = self.catalog.table(database, name)
        if known is None:
            raise ServiceError("EntityNotFoundException", f"Table {name} not found in database {database}")
        self._may("glue:GetTable", database, name)
        bucket, prefix = split_path(location_of(known))
        leaves = self._sampled(bucket, self._listing(bucket, slashed(prefix) if prefix else "", ()), 0, set())
        if not leaves:
            self.log("INFO", f"Table {name} has no objects at {location_of(known)}")
            return
        most = max(
            {leaf.classification for leaf in leaves},
            key=lambda kind: sum(x.objects for x in leaves if x.classification == kind),
        )
        table = Table(
            bucket, slashed(prefix) if prefix else "", name, [leaf for leaf in leaves if leaf.classification == most]
        )
        planned = partition_plan(table, len(known.get("PartitionKeys") or ()))
        definition = self._update(
            database, self._table_input(table, [k["Name"] for k in known.get("PartitionKeys") or ()]), known
        )
        self._put_partitions(database, definition, planned, table)


# -- grouping files into tables ------------------------------------------------------------------------------------


def group(bucket: str, root: str, leaves: list[Leaf], *, combine: bool, level: int) -> list[Table]:
    """Which folders are tables.

    With a level, every folder at that depth (the bucket is level 1) is one. CombineCompatibleSchemas makes one table
    of the
    whole include path for the format most objects have. Otherwise a folder is a table when all folders in it have one
    format and columns that agree to 70 %; else its folders are looked at one by one.
    """
    if level:
        by_folder: dict[str, list[Leaf]] = {}
        for leaf in leaves:
            by_folder.setdefault("".join(part + "/" for part in leaf.folder.split("/")[:-1][: level - 1]), []).append(
                leaf
            )
        return [table for folder, inside in by_folder.items() for table in _by_format(bucket, folder, inside)]
    if combine:
        return _by_format(bucket, root, leaves)
    return _similar(bucket, root, leaves)


def _by_format(bucket: str, root: str, leaves: list[Leaf]) -> list[Table]:
    formats: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        formats.setdefault(leaf.classification, []).append(leaf)
    ordered = sorted(formats, key=lambda kind: -sum(leaf.objects for leaf in formats[kind]))
    tables = [Table(bucket, root, "", formats[kind]) for kind in ordered[:1]]
    for kind in ordered[1:]:
        folder = root.rstrip("/").rpartition("/")[2] or bucket
        tables.append(Table(bucket, root, f"{folder}_{kind}", formats[kind]))
    return tables


def _similar(bucket: str, root: str, leaves: list[Leaf]) -> list[Table]:
    if not leaves:
        return []
    if len({leaf.classification for leaf in leaves}) == 1 and _agree(leaves):
        return [Table(bucket, root, "", leaves)]
    here = [leaf for leaf in leaves if leaf.folder == root]
    tables = _by_format(bucket, root, here)
    children: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        if leaf.folder != root:
            children.setdefault(root + leaf.folder[len(root) :].partition("/")[0] + "/", []).append(leaf)
    for folder, inside in children.items():
        tables += _similar(bucket, folder, inside)
    return tables


def _agree(leaves: list[Leaf]) -> bool:
    first = {name: hive_type(kind) for name, kind in leaves[0].columns.fields.items()}
    for leaf in leaves[1:]:
        names = set(first) | set(leaf.columns.fields)
        same = [name for name in names if name in first and name in leaf.columns.fields]
        if names and len(same) / max(len(first), len(leaf.columns.fields)) < SIMILAR:
            return False
    return True


# -- partitions ----------------------------------------------------------------------------------------------------


@dataclass
class Plan:
    """The partition keys of a table and, per partition, its values, its folder and the files in it."""

    keys: list[str]
    partitions: list[tuple[tuple[str, ...], str, list[Leaf]]]
    problems: list[str] = field(default_factory=list)


def partition_plan(table: Table, wanted: int | None) -> Plan:
    """Partitions from the folders below the table.

    Args:
        table: what the folders belong to.
        wanted: the number of keys an existing table has: deeper folders are cut there, shallower ones reported; None to
            choose.
    """
    problems: list[str] = []
    folders: dict[str, list[Leaf]] = {}
    for leaf in table.leaves:
        folders.setdefault(leaf.folder[len(table.root) :].rstrip("/"), []).append(leaf)
    if wanted is not None:
        cut: dict[str, list[Leaf]] = {}
        for folder, leaves in folders.items():
            parts = folder.split("/") if folder else []
            if len(parts) < wanted:
                problems.append(
                    f"{table.location}{folder}: {len(parts)} folders for a table with {wanted} partition keys"
                )
                continue
            cut.setdefault("/".join(parts[:wanted]), []).extend(leaves)
        folders = cut
    else:
        folders = _fold(folders)
    split = {folder: folder.split("/") if folder else [] for folder in folders}
    depth = wanted if wanted is not None else max((len(parts) for parts in split.values()), default=0)
    keys = [_key_name(at, [parts[at] for parts in split.values() if len(parts) > at]) for at in range(depth)]
    partitions = []
    for folder, leaves in folders.items():
        values = [_value(keys[at], part) for at, part in enumerate(split[folder])]
        values += [HIVE_NULL] * (depth - len(values))
        partitions.append((tuple(values), f"{table.root}{folder}/" if folder else table.root, leaves))
    return Plan(keys, partitions if depth else [], problems)


def _fold(folders: dict[str, list[Leaf]]) -> dict[str, list[Leaf]]:
    """Puts a data folder that lies inside another data folder into that one."""
    folded: dict[str, list[Leaf]] = {}
    for folder in sorted(folders):
        parts = folder.split("/") if folder else []
        outer = next(("/".join(parts[:n]) for n in range(len(parts)) if "/".join(parts[:n]) in folded), folder)
        folded.setdefault(outer, []).extend(folders[folder])
    return folded


def _key_name(at: int, parts: list[str]) -> str:
    names = {part.partition("=")[0] for part in parts if "=" in part}
    if len(names) == 1 and all("=" in part for part in parts):
        return re.sub(r"[^a-z0-9_\-]", "_", names.pop().lower())
    return f"partition_{at}"


def _value(key: str, part: str) -> str:
    return (
        part
        if key.startswith("partition_") and not part.lower().startswith(f"{key}=")
        else unquote(part.partition("=")[2])
    )


# -- small things --------------------------------------------------------------------------------------------------


def storage_descriptor(
    classification: str, columns: list[Document], location: str, serde: dict[str, str], parameters: dict[str, str]
) -> Document:
    """Glue's storage descriptor of a format."""
    names = {
        "json": (
            TEXT_INPUT,
            TEXT_OUTPUT,
            "org.openx.data.jsonserde.JsonSerDe",
            {"paths": ",".join(sorted(c["Name"] for c in columns))},
        ),
        "parquet": (
            f"{HIVE_PARQUET}.MapredParquetInputFormat",
            f"{HIVE_PARQUET}.MapredParquetOutputFormat",
            f"{HIVE_PARQUET}.serde.ParquetHiveSerDe",
            {"serialization.format": "1"},
        ),
        "csv": (
            TEXT_INPUT,
            TEXT_OUTPUT,
            "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
            {"field.delim": serde.get("delimiter", ",")},
        ),
    }
    if serde.get("quote"):
        quoting = {"separatorChar": serde["delimiter"], "quoteChar": serde["quote"], "escapeChar": "\\"}
        names["csv"] = (TEXT_INPUT, TEXT_OUTPUT, "org.apache.hadoop.hive.serde2.OpenCSVSerde", quoting)
    reader, writer, library, settings = names[classification]
    return {
        "Columns": columns,
        "Location": location,
        "InputFormat": reader,
        "OutputFormat": writer,
        "Compressed": parameters.get("compressionType", "none") != "none",
        "NumberOfBuckets": -1,
        "SerdeInfo": {"SerializationLibrary": library, "Parameters": settings},
        "BucketColumns": [],
        "SortColumns": [],
        "Parameters": {
            **parameters,
            **({"skip.header.line.count": "1", "delimiter": serde["delimiter"]} if serde.get("header") else {}),
        },
        "StoredAsSubDirectories": False,
    }


def split_path(path: str) -> tuple[str, str]:
    """(bucket, prefix) of `s3://bucket/prefix`.

    Raises:
        ServiceError: InvalidInputException for anything else.
    """
    match = re.fullmatch(r"s3[an]?://([^/]+)/?(.*)", path, re.DOTALL)
    if match is None:
        raise ServiceError("InvalidInputException", f"The path {path!r} is not s3://bucket/prefix")
    return match.group(1), match.group(2)


def slashed(path: str) -> str:
    return path if path.endswith("/") else path + "/"


def location_of(entry: Document) -> str:
    return str((entry.get("StorageDescriptor") or {}).get("Location") or "")


TABLE_INPUT = (
    "Name", "Description", "Owner", "LastAccessTime", "LastAnalyzedTime", "Retention", "StorageDescriptor",
    "PartitionKeys",
    "ViewOriginalText", "ViewExpandedText", "TableType", "Parameters", "TargetTable",
)  # fmt: skip


def table_input(table: Document) -> Document:
    """A table as the API shows it, as the API takes it."""
    return {name: table[name] for name in TABLE_INPUT if name in table}


def _difference(added: list[str], changed: list[str], removed: list[str]) -> str:
    parts = [
        f"{verb} {', '.join(names[:20])}"
        for verb, names in (("new", added), ("changed", changed), ("gone", removed))
        if names
    ]
    return "; ".join(parts)


def _epoch() -> str:
    return str(int(datetime.now(UTC).timestamp() * 1000))


def summary(outcome: Outcome) -> dict[str, Any]:
    """Glue's summary of a crawl, as `list_crawls` shows it."""
    tables = {"ADD": outcome.created, "UPDATE": outcome.updated, "DELETE": outcome.deleted}
    partitions = {
        "ADD": outcome.partitions_created,
        "UPDATE": outcome.partitions_updated,
        "DELETE": outcome.partitions_deleted,
    }
    return {
        "TABLE": {what: {"Count": len(names), "Details": {"names": names}} for what, names in tables.items()},
        "PARTITION": {what: {"Count": count} for what, count in partitions.items()},
    }
