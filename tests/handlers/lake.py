"""A small labeling lake with known truth, behind an Athena client made of DuckDB: what tests give the handler."""

import datetime as dt
import itertools
import random
import threading
from collections import Counter
from types import SimpleNamespace

import duckdb
import pyarrow as pa
import sqlglot
from botocore.exceptions import ClientError

from sextant.labeling.tables import TABLES, arrow_schema, table
from sextant.labeling.views import VIEWS

DAY = dt.date(2026, 3, 2)
TRACKING, AUDIT_JOBS, LANES = "VideoObjectTracking", "VideoObjectTrackingAudit", "VideoObjectTrackingLanes"
JOBS = {
    "street-first-vehicles": (TRACKING, "first"),
    "street-first-lanes": (LANES, "first"),
    "street-second-audit": (AUDIT_JOBS, "second"),
    '=harbour, "north"': (TRACKING, ""),
}
WORKERS = ["ada", "grace", "katherine", "sub-0d6c"]


def truth(seed: int = 7) -> SimpleNamespace:
    """Labels, frames, answers and tasks, one dict each: the tests count them again, by other means than SQL."""
    rng = random.Random(seed)
    labels, frames, answers, tasks = [], [], [], []
    for j, (job, (modality, _)) in enumerate(JOBS.items()):
        for task in range(3):
            day = DAY + dt.timedelta(days=2 * j + task)
            tasks.append(
                {
                    "job": job,
                    "modality": modality,
                    "object": str(task),
                    "day": day,
                    "audited": modality == AUDIT_JOBS,
                    "adjusted": job == "street-first-vehicles" and task == 1,
                    "status": "failed" if (j, task) == (3, 2) else "labeled",
                }
            )
            for frame in range(8):
                count = rng.randint(0, 6) if modality != LANES else 2
                attributes = (
                    {}
                    if modality == LANES
                    else {
                        "number_of_vehicles": str(count * 3),
                        "quality_of_the_frame": rng.choices(["good", "blurry", "dark"], [6, 2, 1])[0],
                    }
                )
                frames.append({"job": job, "modality": modality, "day": day, "labels": count, "attributes": attributes})
                for _ in range(count):
                    if modality == LANES:
                        label, attributes = "lane", {}
                    else:
                        label = "vehicle"
                        attributes = {
                            "vehicle_type": rng.choices(["car", "truck", "bus", "bike"], [7, 3, 2, 1])[0],
                            "moving": rng.choice(["yes", "no"]),
                        }
                        if modality == AUDIT_JOBS:
                            attributes["audit"] = rng.choices(["pass", "fail"], [5, 1])[0]
                    labels.append(
                        {
                            "job": job,
                            "modality": modality,
                            "day": day,
                            "label": label,
                            "attributes": attributes,
                            "frame": (j, task, frame),
                        }
                    )
            for worker in rng.sample(WORKERS, 2):
                # Public workforce of old jobs: no time recorded.
                seconds = None if worker == "sub-0d6c" else round(rng.uniform(30, 4000), 3)
                answers.append(
                    {
                        "job": job,
                        "modality": modality,
                        "day": day,
                        "worker": worker,
                        "seconds": seconds,
                        "labels": rng.randint(4, 40),
                        "frames": 8,
                    }
                )
    return SimpleNamespace(labels=labels, frames=frames, answers=answers, tasks=tasks)


def _key(attributes):
    return tuple(sorted(attributes.items()))


def _rows(facts):
    """The typed tables of those facts, aggregated as the Glue job does."""
    kind = "video-object-tracking"
    combined = Counter((x["job"], x["modality"], x["label"], _key(x["attributes"]), x["day"]) for x in facts.labels)
    single = Counter()
    for x in facts.labels:
        for pair in [("", ""), *x["attributes"].items()]:
            single[x["job"], x["modality"], x["label"], *pair, x["day"]] += 1
    framed = Counter((x["job"], x["modality"], x["labels"], _key(x["attributes"]), x["day"]) for x in facts.frames)
    work = {}
    for x in facts.answers:
        work.setdefault((x["worker"], x["job"], x["modality"], x["day"]), []).append(x)
    noon = dt.time(12, tzinfo=dt.UTC)
    yield (
        "label_count",
        [
            {
                "job_name": j,
                "modality": m,
                "task_type": kind,
                "label": n,
                "attributes": list(a),
                "created_on": d,
                "annotation_count": c,
                "frame_count": 0,
                "instance_count": 0,
            }
            for (j, m, n, a, d), c in combined.items()
        ],
    )
    yield (
        "attribute_count",
        [
            {
                "job_name": j,
                "modality": m,
                "task_type": kind,
                "label": n,
                "attribute": a,
                "value": v,
                "created_on": d,
                "annotation_count": c,
                "frame_count": 0,
                "instance_count": 0,
            }
            for (j, m, n, a, v, d), c in single.items()
        ],
    )
    yield (
        "frame_count",
        [
            {
                "job_name": j,
                "modality": m,
                "task_type": kind,
                "label_count": n,
                "attributes": list(a),
                "created_on": d,
                "frame_count": c,
            }
            for (j, m, n, a, d), c in framed.items()
        ],
    )
    yield "worker_count", [
        {
            "worker_id": f"id-{w}", "username": w, "job_name": j, "modality": m, "task_type": kind, "submitted_on": d,
            "answer_count": len(group), "timed_count": len(times), "label_count": sum(x["labels"] for x in group),
            "frame_count": sum(x["frames"] for x in group), "seconds": sum(times) if times else None,
            "minimum_seconds": min(times, default=None), "maximum_seconds": max(times, default=None),
        }
        for (w, j, m, d), group in work.items()
        for times in [[x["seconds"] for x in group if x["seconds"] is not None]]
    ]  # fmt: skip
    yield "job", [{"job_name": j, "modality": m, "task_type": kind, "level": level} for j, (m, level) in JOBS.items()]
    yield (
        "task",
        [
            {
                "job_name": x["job"],
                "modality": x["modality"],
                "task_type": kind,
                "object_id": x["object"],
                "status": x["status"],
                "audited": x["audited"],
                "adjusted": x["adjusted"],
                "created_at": dt.datetime.combine(x["day"], noon),
            }
            for x in facts.tasks
        ],
    )
    yield (
        "rejected",
        [
            {
                "source": "s3://batch/output.manifest#3",
                "reason": "not JSON",
                "detail": "line ends inside a string",
                "bytes": 118,
            }
        ],
    )


def database(facts=None) -> duckdb.DuckDBPyConnection:
    """Every typed table (empty without facts) and every report view."""
    connection = duckdb.connect()
    given = dict(_rows(facts)) if facts else {}
    for each in TABLES:
        rows = pa.Table.from_pylist(given.get(each.name, []), schema=arrow_schema(table(each.name)))
        connection.register("incoming", rows)
        connection.execute(f"CREATE TABLE {each.name} AS SELECT * FROM incoming")
    for view in VIEWS:
        connection.execute(f"CREATE VIEW {view.name} AS {_duck(view.sql)}")
    return connection


def _duck(sql, parameters=()):
    values = iter(parameters)

    def bound(node):
        return sqlglot.parse_one(next(values), read="athena") if isinstance(node, sqlglot.exp.Placeholder) else node

    tree = sqlglot.parse_one(sql, read="athena").transform(bound)
    assert next(values, None) is None, "more parameters than placeholders"
    # DuckDB unnests lists, not maps.
    pairs = "(SELECT unnest(map_keys(attributes)) AS attribute, unnest(map_values(attributes)) AS value) AS pair"
    return (
        tree.sql("duckdb")
        .replace("UNNEST(attributes) AS pair(attribute, value)", pairs)
        .replace("UNNEST(attributes) AS pairs(attribute, value)", f"{pairs}s")
    )


TYPES = {
    "VARCHAR": "varchar",
    "BIGINT": "bigint",
    "HUGEINT": "bigint",
    "INTEGER": "integer",
    "DOUBLE": "double",
    "DATE": "date",
}


class DuckAthena:
    """The part of the Athena client that the dashboards use. `fail` maps a piece of SQL to a failure reason.

    Kept as strict as Athena where it matters: results are text in pages of `page_size`, and `?` takes SQL literals.
    """

    def __init__(self, connection, page_size=1000):
        self.connection, self.page_size = connection, page_size
        self.requests, self.stopped, self.executions = [], [], {}
        self.fail, self.hang, self.refuse = {}, False, None
        self.ids, self.lock = itertools.count(1), threading.Lock()

    def start_query_execution(self, **request):
        if self.refuse:
            raise ClientError(
                {"Error": {"Code": self.refuse, "Message": "not allowed to athena:StartQueryExecution"}},
                "StartQueryExecution",
            )
        with self.lock:
            self.requests.append(request)
            execution_id = f"execution-{next(self.ids)}"
            status = {"State": "RUNNING", "SubmissionDateTime": dt.datetime(2026, 3, 20, 9, 30, tzinfo=dt.UTC)}
            self.executions[execution_id] = {"Status": status, "result": None}
            reason = next((why for piece, why in self.fail.items() if piece in request["QueryString"]), None)
            if reason:
                status |= {"State": "FAILED", "StateChangeReason": reason}
            elif not self.hang:
                found = self.connection.cursor().execute(
                    _duck(request["QueryString"], request.get("ExecutionParameters", ()))
                )
                columns = [
                    {"Name": name, "Type": TYPES[str(kind).split("(")[0]]} for name, kind, *_ in found.description
                ]
                self.executions[execution_id]["result"] = columns, found.fetchall()
                status["State"] = "SUCCEEDED"
            return {"QueryExecutionId": execution_id}

    def get_query_execution(self, QueryExecutionId):  # noqa: N803  as boto3 calls it
        statistics = {"DataScannedInBytes": 1024, "ResultReuseInformation": {"ReusedPreviousResult": False}}
        return {"QueryExecution": {"Status": self.executions[QueryExecutionId]["Status"], "Statistics": statistics}}

    def stop_query_execution(self, QueryExecutionId):  # noqa: N803  as boto3 calls it
        self.stopped.append(QueryExecutionId)

    def get_paginator(self, name):
        assert name == "get_query_results"
        return SimpleNamespace(paginate=self._pages)

    def _pages(self, QueryExecutionId):  # noqa: N803  as boto3 calls it
        columns, rows = self.executions[QueryExecutionId]["result"]
        texts = [[each["Name"] for each in columns], *rows]
        for start in range(0, len(texts), self.page_size):
            page = texts[start : start + self.page_size]
            data = [{"Data": [{} if cell is None else {"VarCharValue": _text(cell)} for cell in row]} for row in page]
            yield {"ResultSet": {"Rows": data, "ResultSetMetadata": {"ColumnInfo": columns}}}


def _text(cell):
    return str(cell).lower() if isinstance(cell, bool) else str(cell)
