"""A small lake with every kind of table, and a client that runs SQL to its end."""

# ruff: noqa: DTZ001 - Athena's timestamps have no zone

from __future__ import annotations

import datetime as dt
import gzip
import json
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from localaws.engines.athena import Athena
from localaws.folder_home import FolderHome
from localaws.home import Call

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT, REGION = "111122223333", "eu-west-1"


@dataclass
class Answer:
    id: str
    state: str
    reason: str
    execution: dict[str, Any]
    columns: list[str]
    types: list[str]
    rows: list[list[str | None]]


class Client:
    """Athena as a client sees it: start, wait, read all pages."""

    def __init__(self, root: Path, call: Call | None = None) -> None:
        self.home = FolderHome(root)
        self.call = call or Call(ACCOUNT, REGION)
        self.objects = self.home.objects(ACCOUNT)
        self.catalog = self.home.catalog(ACCOUNT, REGION)
        self.athena = Athena(self.home)
        for bucket in ("lake", "results"):
            self.objects.create_bucket(bucket)

    def start(self, sql: str, database: str = "lake", **params: Any) -> str:
        request = {
            "QueryString": sql,
            "QueryExecutionContext": {"Database": database},
            "ResultConfiguration": {"OutputLocation": "s3://results/out/"},
            **params,
        }
        return self.athena.start_query_execution(self.call, request)["QueryExecutionId"]

    def wait(self, identity: str) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = self.athena.get_query_execution(self.call, {"QueryExecutionId": identity})["QueryExecution"]
            if found["Status"]["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                return found
            time.sleep(0.002)
        raise TimeoutError(identity)

    def run(self, sql: str, database: str = "lake", **params: Any) -> Answer:
        identity = self.start(sql, database, **params)
        found = self.wait(identity)
        state, reason = found["Status"]["State"], found["Status"].get("StateChangeReason", "")
        answer = Answer(identity, state, reason, found, [], [], [])
        if state != "SUCCEEDED":
            return answer
        token: dict[str, Any] = {}
        while True:
            page = self.athena.get_query_results(self.call, {"QueryExecutionId": identity, **token})
            answer.rows += [[cell.get("VarCharValue") for cell in row["Data"]] for row in page["ResultSet"]["Rows"]]
            info = page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        answer.columns = [column["Name"] for column in info]
        answer.types = [column["Type"] for column in info]
        if found["StatementType"] == "DML" and answer.rows:
            assert answer.rows.pop(0) == answer.columns, "the first row of a SELECT is its header"
        return answer

    def rows(self, sql: str, **params: Any) -> list[list[str | None]]:
        """The rows of a statement that must succeed."""
        answer = self.run(sql, **params)
        assert answer.state == "SUCCEEDED", answer.reason
        return answer.rows

    def fails(self, sql: str, **params: Any) -> str:
        """The reason of a statement that must fail."""
        answer = self.run(sql, **params)
        assert answer.state == "FAILED", answer.rows
        return answer.reason

    def write(self, key: str, body: bytes | str) -> None:
        self.objects.write("lake", key, body if isinstance(body, bytes) else body.encode())


@pytest.fixture
def client(tmp_path):
    """A client over an empty lake with the database `lake`."""
    made = Client(tmp_path)
    made.catalog.create_database({"Name": "lake"})
    yield made
    made.athena.close()


@pytest.fixture(scope="session")
def lake(tmp_path_factory):
    """A client over the tables of the corpus; tests only read it."""
    made = Client(tmp_path_factory.mktemp("lake"))
    made.catalog.create_database({"Name": "lake"})
    fill(made, tmp_path_factory.mktemp("parquet"))
    yield made
    made.athena.close()


def fill(client: Client, scratch: Path) -> None:
    _trips(client, scratch)
    _visits(client, scratch)
    _sequences(client)
    _workers(client)
    _texts(client)


def write_parquet(client: Client, scratch: Path, key: str, table: pa.Table) -> None:
    path = scratch / "file.parquet"
    pq.write_table(table, path)
    client.objects.write("lake", key, path)


def _trips(client: Client, scratch: Path) -> None:
    schema = pa.schema([
        ("id", pa.int64()),
        ("City", pa.string()),  # declared lower-case: names are matched without case
        ("fare", pa.decimal128(8, 2)),
        ("km", pa.float64()),
        ("started", pa.timestamp("us")),
        ("tags", pa.list_(pa.string())),
        ("extra", pa.map_(pa.string(), pa.string())),
        ("driver", pa.struct([("name", pa.string()), ("age", pa.int32())])),
    ])  # fmt: skip
    rows = [
        [1, 2, 3, 4, 5],
        ["Oslo", "Oslo", "Rome", "Rome", None],
        [Decimal("10.50"), Decimal("20.00"), Decimal("7.25"), None, Decimal("99.99")],
        [2.5, 7.0, None, 0.0, 1.5],
        [
            dt.datetime(2026, 3, 1, 8, 15, 30, 250000),
            dt.datetime(2026, 3, 1, 23, 59, 59, 999000),
            dt.datetime(2026, 3, 2),
            dt.datetime(2026, 3, 31, 12),
            dt.datetime(2026, 4, 1),
        ],
        [["night", "card"], [], None, ["card"], ["day", None]],
        [
            [("vehicle_type", "Car"), ("moving", "Dynamic")],
            [],
            [("vehicle_type", "Van")],
            None,
            [("moving", "Stationary")],
        ],
        [
            {"name": "Ann", "age": 41},
            {"name": "Bo", "age": 29},
            None,
            {"name": "Cy", "age": None},
            {"name": "Di", "age": 33},
        ],
    ]
    table = pa.Table.from_arrays([pa.array(v, type=f.type) for v, f in zip(rows, schema, strict=True)], schema=schema)
    write_parquet(client, scratch, "trip/part-0.parquet", table.slice(0, 3))
    write_parquet(client, scratch, "trip/part-1.parquet", table.slice(3))
    client.write("trip/_SUCCESS", "x")
    client.write("trip/.hidden.parquet", "x")
    client.write("trip/empty.parquet", "")
    client.rows("""
        CREATE EXTERNAL TABLE trip (
          id bigint, city string, fare decimal(8,2), km double, started timestamp, tags array<string>,
          extra map<string,string>, driver struct<name:string,age:int>)
        STORED AS PARQUET LOCATION 's3://lake/trip/'""")


def _visits(client: Client, scratch: Path) -> None:
    """Hive partitions (the newest with a column the older lack), and the same data by projection."""
    for day, columns in (
        ("2026-03-01", {"page": ["a", "b"], "hits": pa.array([1, 2], pa.int32())}),
        ("2026-03-02", {"page": ["a"], "hits": pa.array([40], pa.int32())}),
        ("2026-03-03", {"page": ["c"], "hits": pa.array([5], pa.int64()), "agent": ["bot"]}),
    ):
        write_parquet(client, scratch, f"visit/day={day}/x.parquet", pa.table(columns))
    columns = "page string, hits bigint, agent string"
    client.rows(
        f"CREATE EXTERNAL TABLE visit ({columns}) PARTITIONED BY (day date) STORED AS PARQUET LOCATION 's3://lake/visit/'"
    )
    client.rows("MSCK REPAIR TABLE visit")
    client.rows(f"""
        CREATE EXTERNAL TABLE visit_projected ({columns}) PARTITIONED BY (day string) STORED AS PARQUET
        LOCATION 's3://lake/visit/' TBLPROPERTIES ('projection.enabled'='true', 'projection.day.type'='date',
        'projection.day.format'='yyyy-MM-dd', 'projection.day.range'='2026-03-01,2026-03-31')""")
    client.rows(f"""
        CREATE EXTERNAL TABLE visit_injected ({columns}) PARTITIONED BY (d string) STORED AS PARQUET
        LOCATION 's3://lake/visit/' TBLPROPERTIES ('projection.enabled'='true', 'projection.d.type'='injected',
        'storage.location.template'='s3://lake/visit/day=${{d}}')""")


# One Ground Truth sequence per job, each a single line, as SeqLabel.json is: string frame numbers, keys in mixed case,
# frames without attributes, an empty frame.
SEQUENCES = {
    "night-vehicle": {
        "tracking-annotations": [
            {
                "annotations": [
                    {
                        "height": 66, "width": 83, "top": 545, "left": 952, "class-id": "2",
                        "label-category-attributes": {"Moving": "Dynamic", "Vehicle_Type": "Car", "audit": "Pass"},
                        "object-id": "u1", "object-name": "Vehicle:1",
                    },
                    {
                        "height": 10, "width": 20, "top": 30, "left": 40, "class-id": 0,
                        "label-category-attributes": {"Vehicle_Type": "Van"},
                        "object-id": "u2", "object-name": "Vehicle:2",
                    },
                ],
                "frame-no": "0",
                "frame": "000001.jpg",
                "frame-attributes": {"Number_Of_Vehicles": "2", "Quality_Of_The_Frame": "Pass"},
            },
            {"annotations": [], "frame-no": "1", "frame": "000002.jpg"},
        ]
    },
    "day-vehicle": {
        "tracking-annotations": [
            {
                "annotations": [
                    {
                        "height": 1, "width": 2, "top": 3, "left": 4, "class-id": "1",
                        "label-category-attributes": {}, "object-id": "u3", "object-name": "Vehicle:1",
                    }
                ],
                "frame-no": 7,
                "frame": "000008.jpg",
                "frame-attributes": {"Quality_Of_The_Frame": "Fail"},
            }
        ]
    },
}  # fmt: skip
ANNOTATIONS = (
    "array<struct<annotations:array<struct<height:int,width:int,top:int,left:int,class-id:string,"
    "label-category-attributes:struct<moving:string,vehicle_type:string,audit:string>,object-id:string,"
    "object-name:string>>,frame-no:string,frame:string,"
    "frame-attributes:struct<number_of_vehicles:string,quality_of_the_frame:string>>>"
)


def _json_table(
    name: str, location: str, columns: list[tuple[str, str]], keys: list[tuple[str, str]] = (), **serde: str
) -> dict[str, Any]:
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"classification": "json"},
        "PartitionKeys": [{"Name": n, "Type": of} for n, of in keys],
        "StorageDescriptor": {
            "Columns": [{"Name": n, "Type": of} for n, of in columns],
            "Location": location,
            "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe", "Parameters": serde},
        },
    }


def _sequences(client: Client) -> None:
    """The four tables of the Ground Truth reports, as a crawler makes them: partitions named by position."""
    client.catalog.create_database({"Name": "smgt-gluedatabase"})
    keys = [(f"partition_{i}", "string") for i in range(2)]
    table = _json_table(
        "annotations_batch_manifests", "s3://lake/batch_manifests/", [("tracking-annotations", ANNOTATIONS)], keys
    )
    client.catalog.put_table("smgt-gluedatabase", table)
    for job, document in SEQUENCES.items():
        prefix = f"batch_manifests/VideoObjectTracking/{job}"
        client.write(f"{prefix}/annotations/SeqLabel.json", json.dumps(document))
        descriptor = {**table["StorageDescriptor"], "Location": f"s3://lake/{prefix}/"}
        client.catalog.put_partitions(
            "smgt-gluedatabase",
            "annotations_batch_manifests",
            [{"Values": ["VideoObjectTracking", job], "StorageDescriptor": descriptor}],
        )
    content = (
        "array<struct<trackingannotations:struct<framedata:"
        "struct<entries:array<struct<frame:string>>,s3prefix:string>>>>"
    )
    client.catalog.put_table(
        "smgt-gluedatabase",
        _json_table(
            "worker_metrics_processed_worker_metrics",
            "s3://lake/metrics/",
            [("username", "string"), ("timespentinseconds", "double"), ("answercontent", content)],
        ),
    )
    lines = [
        {
            "username": "ann",
            "timeSpentInSeconds": 12.5,
            "answerContent": [
                {"trackingAnnotations": {"frameData": {"entries": [{"frame": "1"}, {"frame": "2"}], "s3Prefix": "s"}}}
            ],
        },
        {
            "username": "bo",
            "timeSpentInSeconds": 3,
            "answerContent": [{"trackingAnnotations": {"frameData": {"entries": []}}}],
        },
        {"username": "cy", "timeSpentInSeconds": None, "answerContent": []},
    ]
    client.write("metrics/x.json", "\n".join(map(json.dumps, lines)))
    for name, label in (
        ("output_manifest_videoobjecttracking", "v-ref"),
        ("output_manifest_videoobjecttrackingaudit", "a-ref"),
    ):
        client.catalog.put_table(
            "smgt-gluedatabase", _json_table(name, f"s3://lake/{name}/", [("source-ref", "string"), (label, "string")])
        )
        client.write(
            f"{name}/output.manifest", json.dumps({"source-ref": "s3://b/1", label: "s3://b/SeqLabel.json"}) + "\n"
        )


def _workers(client: Client) -> None:
    client.write("worker/w.csv", 'ID,Name,Note\n1,"Ann, A.","says ""hi"""\n2,Bo,\n3,"Cy"\n')
    client.rows("""
        CREATE EXTERNAL TABLE worker (id int, name string, note string)
        ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'
        LOCATION 's3://lake/worker/' TBLPROPERTIES ('skip.header.line.count'='1')""")


def _texts(client: Client) -> None:
    body = "1|x|2026-03-01|a,b|k:v\n2|\\N|nonsense||\nbad|y|2026-03-02|c|k:1,l:2\n"
    client.objects.write("lake", "lazy/data.txt.gz", gzip.compress(body.encode()))
    client.rows("""
        CREATE EXTERNAL TABLE lazy (n int, t string, d date, items array<string>, pairs map<string,string>)
        ROW FORMAT DELIMITED FIELDS TERMINATED BY '|' COLLECTION ITEMS TERMINATED BY ',' MAP KEYS TERMINATED BY ':'
        LOCATION 's3://lake/lazy/'""")
    odd = [
        '{"ID": 1, "Value": "12", "Nested": {"A": 1.5, "unknown": true}}',
        '{"id": "2", "value": {"deep": [1, 2]}}',
        "",
        '{"id": 3, "value": 7, "nested": null, "list": [1, "2", null]}',
    ]
    client.write("odd/o.json", "\n".join(odd))
    client.rows("""
        CREATE EXTERNAL TABLE odd (id bigint, value string, nested struct<a:double,b:string>, list array<int>)
        ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://lake/odd/'""")
    client.write("bad/b.json", '{"id": 1}\n{"id": \n{"id": "x"}\n')
    serde = "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'"
    client.rows(f"CREATE EXTERNAL TABLE bad (id bigint) {serde} LOCATION 's3://lake/bad/'")
    client.rows(
        f"CREATE EXTERNAL TABLE bad_ignored (id bigint) {serde} WITH SERDEPROPERTIES ('ignore.malformed.json'='true') "
        "LOCATION 's3://lake/bad/'"
    )
