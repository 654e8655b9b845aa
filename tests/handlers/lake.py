"""A small labeling lake with known truth, and a client of the embedded Athena over it: what tests give the handler.

The rows of single labels and of the analytics are those of `tests.handlers.insight`.
"""

import datetime as dt
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from localaws.engines.athena import Athena
from localaws.folder_home import FolderHome
from localaws.home import Call, ServiceError
from sextant.labeling.insight.tables import INSIGHT_TABLES
from sextant.labeling.tables import TABLES, arrow_schema, glue_columns
from sextant.labeling.views import VIEWS
from tests.handlers.insight import BASE_JOBS, INSIGHTS

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
                    # Jobs number their data objects each in their own way.
                    "object": str((task + 7) % 9 if modality == AUDIT_JOBS else task),
                    "source_ref": f"s3://batch/{'harbour' if j == 3 else 'street'}-{task}.json",
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
    yield "job", [
        {
            "job_name": j, "modality": m, "task_type": kind, "level": level, "base_job": BASE_JOBS.get(j),
            "batch": "street" if level else "harbour",
            "failed_count": sum(x["job"] == j and x["status"] == "failed" for x in facts.tasks),
            "finished_at": max(dt.datetime.combine(x["day"], noon) for x in facts.tasks if x["job"] == j),
        }
        for j, (m, level) in JOBS.items()
    ]  # fmt: skip
    yield (
        "task",
        [
            {
                "job_name": x["job"],
                "modality": x["modality"],
                "task_type": kind,
                "object_id": x["object"],
                "source_ref": x["source_ref"],
                "frame_count": 300,
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


DATABASE, WORKGROUP = "smgt-gluedatabase", "SMGTReportsWorkGroup"
CALL = Call("111122223333", "eu-central-1")
PARQUET = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}


class LakeAthena:
    """The embedded Athena over those facts (none: empty tables), called as a boto3 client is.

    `fail` maps a piece of SQL to the reason its queries fail for, `hang` lets queries run for ever, `refuse` is the
    code of an error that refuses them: the faults that no good lake shows.
    """

    def __init__(self, facts=None, page_size=1000):
        self.page_size = page_size
        self.requests, self.stopped = [], []
        self.fail, self.hang, self.refuse = {}, False, None
        self.failed = {}
        self.folder = tempfile.TemporaryDirectory(prefix="sextant-lake-")
        home = FolderHome(Path(self.folder.name))
        objects, catalog = home.objects(CALL.account), home.catalog(CALL.account, CALL.region)
        objects.create_bucket("lake")
        catalog.create_database({"Name": DATABASE})
        given = {**dict(_rows(facts)), **INSIGHTS} if facts else {}
        for each in (*TABLES, *INSIGHT_TABLES):
            if each.name in given:
                body = pa.BufferOutputStream()
                pq.write_table(pa.Table.from_pylist(given[each.name], schema=arrow_schema(each)), body)
                objects.write("lake", f"labels/{each.name}/part-0.parquet", body.getvalue().to_pybytes())
            storage = {"Columns": glue_columns(each.columns), "Location": f"s3://lake/labels/{each.name}/", **PARQUET}
            catalog.put_table(
                DATABASE, {"Name": each.name, "TableType": "EXTERNAL_TABLE", "StorageDescriptor": storage}
            )
        self.engine = Athena(home)
        output = {"ResultConfiguration": {"OutputLocation": "s3://lake/results/"}}
        self.engine.create_work_group(CALL, {"Name": WORKGROUP, "Configuration": output})
        for view in VIEWS:
            self._setup(f"CREATE OR REPLACE VIEW {view.name} AS {view.sql}")

    def _setup(self, sql):
        context = {"QueryExecutionContext": {"Database": DATABASE}, "WorkGroup": WORKGROUP}
        started = self.engine.start_query_execution(CALL, {"QueryString": sql, **context})
        while (status := self.engine.get_query_execution(CALL, started)["QueryExecution"]["Status"])["State"] not in (
            "SUCCEEDED",
            "FAILED",
        ):
            time.sleep(0.002)
        assert status["State"] == "SUCCEEDED", status

    def close(self):
        self.engine.close()
        self.folder.cleanup()

    def start_query_execution(self, **request):
        if self.refuse:
            raise ClientError(
                {"Error": {"Code": self.refuse, "Message": "not allowed to athena:StartQueryExecution"}}, ""
            )
        self.requests.append(request)
        try:
            started = self.engine.start_query_execution(CALL, request)
        except ServiceError as error:
            raise ClientError({"Error": {"Code": error.code, "Message": error.message}}, "") from error
        reason = next((why for piece, why in self.fail.items() if piece in request["QueryString"]), None)
        if reason:
            self.failed[started["QueryExecutionId"]] = {"State": "FAILED", "StateChangeReason": reason}
        elif self.hang:
            self.failed[started["QueryExecutionId"]] = {"State": "RUNNING"}
        return started

    def get_query_execution(self, **request):
        found = self.engine.get_query_execution(CALL, request)
        found["QueryExecution"]["Status"] |= self.failed.get(request["QueryExecutionId"], {})
        return found

    def stop_query_execution(self, **request):
        self.stopped.append(request["QueryExecutionId"])
        return self.engine.stop_query_execution(CALL, request)

    def get_paginator(self, name):
        assert name == "get_query_results"
        return SimpleNamespace(paginate=self._pages)

    def _pages(self, **request):
        token = {}
        while True:
            page = self.engine.get_query_results(CALL, {**request, "MaxResults": self.page_size, **token})
            yield page
            if "NextToken" not in page:
                return
            token = {"NextToken": page["NextToken"]}
