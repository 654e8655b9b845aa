import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from localaws.engines.glue import crawl as crawl_module
from localaws.engines.glue.engine import Glue
from localaws.home import Call, ServiceError

COMBINE = json.dumps(
    {
        "Version": 1.0,
        "Grouping": {"TableGroupingPolicy": "CombineCompatibleSchemas"},
        "CrawlerOutput": {"Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}},
    }
)
LOG = {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}


def parquet(**columns):
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def ground_truth(aws, modality, job, frames=1):
    """The folders a video job leaves behind."""
    base = f"batch_manifests/{modality}/b1-first-{job}/output/{job}/"
    box = {
        "height": 66,
        "width": 83,
        "label-category-attributes": {"Moving": "Dynamic", "Vehicle_Type": "Car"},
        "object-name": "Vehicle:1",
    }
    sequence = [
        {"annotations": [box], "frame-no": str(at), "frame": f"{at}.jpg", "frame-attributes": {}}
        for at in range(frames)
    ]
    aws.put(
        f"{base}annotations/consolidated-annotation/output/0/SeqLabel.json",
        json.dumps({"tracking-annotations": sequence}),
    )
    aws.put(
        f"{base}annotations/consolidated-annotation/consolidation-response/iteration-1/2020.json",
        json.dumps([{"datasetObjectId": "0"}]),
    )
    aws.put(f"{base}annotations/worker-response/iteration-1/0/2020-12-28_19:00:00.json", json.dumps({"answers": []}))
    aws.put(f"{base}annotations/intermediate/1/annotations.json", "{}")
    aws.put(
        f"{base}manifests/output/output.manifest",
        json.dumps({"source-ref": "s3://x", f"{job}-ref": "s3://y", f"{job}-ref-metadata": {"class-map": {"0": "Car"}}})
        + "\n",
    )


def test_the_four_crawlers_of_the_labeling_reports(aws):
    ground_truth(aws, "VideoObjectTracking", "vehicle")
    ground_truth(aws, "VideoObjectTrackingAudit", "vehicle-audit")
    answers = [[{"trackingannotations": {"framedata": {"entries": ["x"]}}}]]
    aws.put(
        "processed_worker_metrics/part-00000.snappy.parquet", parquet(answercontent=answers, timespentinseconds=[1.5])
    )
    aws.put("processed_worker_metrics/_SUCCESS", b"")
    aws.crawl(
        "objects",
        "s3://lake/batch_manifests/VideoObjectTracking/",
        TablePrefix="output_manifest_",
        Configuration=COMBINE,
        exclusions=["**/annotations/**", "**/temp/**", "**/intermediate/**"],
    )
    aws.crawl(
        "audit",
        "s3://lake/batch_manifests/VideoObjectTrackingAudit/",
        TablePrefix="output_manifest_",
        Configuration=COMBINE,
        exclusions=["**/annotations/**"],
    )
    aws.crawl("metrics", "s3://lake/processed_worker_metrics/", TablePrefix="worker_metrics_", Configuration=COMBINE)
    aws.crawl(
        "annotations",
        "s3://lake/batch_manifests/",
        TablePrefix="annotations_",
        Configuration=COMBINE,
        exclusions=["**/worker-response/**", "**/temp/**", "**/intermediate/**", "**/manifests/**"],
    )
    assert aws.tables() == [
        "annotations_batch_manifests",
        "output_manifest_videoobjecttracking",
        "output_manifest_videoobjecttrackingaudit",
        "worker_metrics_processed_worker_metrics",
    ]
    table = aws.catalog.table("db", "annotations_batch_manifests")
    assert [key["Name"] for key in table["PartitionKeys"]] == [f"partition_{at}" for at in range(8)]
    values = aws.partitions("annotations_batch_manifests")
    assert {(v[0], v[1]) for v in values} == {
        ("VideoObjectTracking", "b1-first-vehicle"),
        ("VideoObjectTrackingAudit", "b1-first-vehicle-audit"),
    }
    assert aws.columns("annotations_batch_manifests")["tracking-annotations"] == (
        "array<struct<annotations:array<struct<height:int,width:int,label-category-attributes:struct<moving:string,vehicle_type:string>,"
        "object-name:string>>,frame-no:string,frame:string,frame-attributes:map<string,string>>>"
    )
    assert aws.columns("worker_metrics_processed_worker_metrics") == {
        "answercontent": "array<struct<trackingannotations:struct<framedata:struct<entries:array<string>>>>>",
        "timespentinseconds": "double",
    }
    descriptor = table["StorageDescriptor"]
    assert descriptor["SerdeInfo"]["SerializationLibrary"] == "org.openx.data.jsonserde.JsonSerDe"
    assert "tracking-annotations" in descriptor["SerdeInfo"]["Parameters"]["paths"]
    partition = aws.catalog.partitions("db", "annotations_batch_manifests")[0]
    assert partition["StorageDescriptor"]["Columns"] == descriptor["Columns"]  # InheritFromTable
    assert partition["StorageDescriptor"]["Location"].endswith("/")
    assert aws.partitions("output_manifest_videoobjecttracking") == [
        ("b1-first-vehicle", "output", "vehicle", "manifests", "output")
    ]


def test_a_second_crawl_adds_only_what_is_new(aws):
    ground_truth(aws, "VideoObjectTracking", "one")
    aws.crawl(
        "a",
        "s3://lake/batch_manifests/",
        exclusions=["**/worker-response/**", "**/manifests/**", "**/intermediate/**"],
        Configuration=COMBINE,
    )
    before = aws.catalog.table("db", "batch_manifests")
    aws.run_crawler("a")
    assert aws.catalog.table("db", "batch_manifests") == before
    metrics = aws.glue.get_crawler_metrics(aws.call, {"CrawlerNameList": ["a"]})["CrawlerMetricsList"][0]
    assert (metrics["TablesCreated"], metrics["TablesUpdated"]) == (0, 0)
    ground_truth(aws, "VideoObjectTracking", "two")
    aws.run_crawler("a")
    assert {v[1] for v in aws.partitions("batch_manifests")} == {"b1-first-one", "b1-first-two"}


def test_hive_folders_name_their_keys(aws):
    for day in ("2020-01-01", "2020-01-02"):
        aws.put(f"data/day={day}/Kind=a%20b/x.json", '{"a": 1}')
    aws.crawl()
    assert [key["Name"] for key in aws.catalog.table("db", "data")["PartitionKeys"]] == ["day", "kind"]
    assert aws.partitions("data") == [("2020-01-01", "a b"), ("2020-01-02", "a b")]


def test_unlike_folders_become_tables_and_like_folders_partitions(aws):
    aws.put("data/sales/1.json", '{"sku": "x", "price": 2.5}')
    aws.put("data/people/1.json", '{"name": "ada", "age": 36}')
    aws.put("data/people/2.csv", "id,age\n1,2\n3,4\n")
    aws.crawl(TablePrefix="my-")
    assert aws.tables() == ["my_people", "my_people_csv", "my_sales"]
    assert aws.columns("my_sales") == {"sku": "string", "price": "double"}


def test_like_folders_are_partitions(aws):
    aws.put("data/north/1.json", '{"sku": "x", "price": 2.5, "n": 1}')
    aws.put("data/south/1.json", '{"sku": "y", "price": 3, "n": 2}')
    aws.crawl()
    assert aws.tables() == ["data"]
    assert aws.partitions("data") == [("north",), ("south",)]
    assert aws.columns("data")["price"] == "double"


def test_a_table_level_cuts_the_path(aws):
    for region in ("eu", "us"):
        aws.put(f"data/{region}/shop1/x.json", '{"a": 1}')
    aws.crawl(Configuration=json.dumps({"Version": 1.0, "Grouping": {"TableLevelConfiguration": 3}}))
    assert aws.tables() == ["eu", "us"]
    assert aws.partitions("eu") == [("shop1",)]


def test_folders_of_unequal_depth(aws):
    aws.put("data/a/b/x.json", '{"v": 1}')
    aws.put("data/c/x.json", '{"v": 1}')
    aws.crawl(Configuration=COMBINE)
    assert aws.partitions("data") == [("a", "b"), ("c", "__HIVE_DEFAULT_PARTITION__")]
    # Data inside a data folder belongs to that folder's partition: no reader counts it twice.
    aws.put("data/a/x.json", '{"v": 1}')
    aws.crawl("d", Configuration=COMBINE, TablePrefix="n_")
    assert aws.partitions("n_data") == [("a",), ("c",)]


def test_names_with_another_location_get_a_hash(aws):
    aws.put("data/x.json", '{"a": 1}')
    aws.put("other/data/x.json", '{"a": 1}')
    aws.crawl()
    aws.crawl("second", "s3://lake/other/data/")
    assert len(aws.tables()) == 2
    assert aws.tables()[1].startswith("data_")
    assert len(aws.tables()[1]) == len("data_") + 32


def test_csv_tables(aws):
    aws.put("data/a.csv", 'id,note\n1,"x, y"\n2,z\n')
    aws.crawl()
    table = aws.catalog.table("db", "data")
    assert table["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"].endswith("OpenCSVSerde")
    assert table["Parameters"]["skip.header.line.count"] == "1"
    assert table["Parameters"]["classification"] == "csv"


# -- schema change policies ----------------------------------------------------------------------------------------


def test_update_in_database_and_log(aws):
    aws.put("data/1.json", '{"a": 1}')
    aws.crawl(SchemaChangePolicy={"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"})
    aws.put("data/2.json", '{"a": 1.5, "b": "x"}')
    aws.run_crawler("c")
    assert aws.columns("data") == {"a": "int"}
    assert "new b; changed a only logged" in aws.log("/aws-glue/crawlers", "c")
    aws.crawl(SchemaChangePolicy={"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "LOG"})
    assert aws.columns("data") == {"a": "double", "b": "string"}


def test_merge_new_columns_keeps_what_is_there(aws):
    merging = json.dumps({"Version": 1.0, "CrawlerOutput": {"Tables": {"AddOrUpdateBehavior": "MergeNewColumns"}}})
    aws.put("data/1.json", '{"a": 1, "old": true}')
    aws.crawl(Configuration=merging)
    aws.objects.delete("lake", "data/1.json")
    aws.put("data/2.json", '{"a": "text", "b": 1}')
    aws.run_crawler("c")
    assert aws.columns("data") == {"a": "int", "old": "boolean", "b": "int"}


@pytest.mark.parametrize("behaviour", ["LOG", "DELETE_FROM_DATABASE", "DEPRECATE_IN_DATABASE"])
def test_deleted_objects(aws, behaviour):
    aws.put("data/x/1.json", '{"a": 1}')
    aws.put("data/y/1.json", '{"a": 1}')
    aws.crawl(SchemaChangePolicy={"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": behaviour})
    aws.objects.delete("lake", "data/y/1.json")
    aws.run_crawler("c")
    gone = [p for p in aws.catalog.partitions("db", "data") if p["Values"] == ["y"]]
    assert len(gone) == (0 if behaviour == "DELETE_FROM_DATABASE" else 1)
    assert (
        ("DEPRECATED_BY_CRAWLER" in gone[0]["Parameters"]) is (behaviour == "DEPRECATE_IN_DATABASE") if gone else True
    )
    aws.objects.delete("lake", "data/x/1.json")
    aws.run_crawler("c")
    assert aws.tables() == ([] if behaviour == "DELETE_FROM_DATABASE" else ["data"])
    if behaviour == "DEPRECATE_IN_DATABASE":
        assert "DEPRECATED_BY_CRAWLER" in aws.catalog.table("db", "data")["Parameters"]


def test_a_declared_table_only_gets_partitions(aws):
    declared = {
        "Name": "annotations_data",
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [{"Name": f"partition_{at}", "Type": "string"} for at in range(2)],
        "StorageDescriptor": {
            "Columns": [{"Name": "mine", "Type": "map<string,string>"}],
            "Location": "s3://lake/data",
            "SerdeInfo": {"SerializationLibrary": "x"},
        },
        "Parameters": {"classification": "json"},
    }
    aws.catalog.put_table("db", declared)
    before = aws.catalog.table("db", "annotations_data")
    aws.put("data/video/job/deeper/still/x.json", '{"mine": {"k": 1}, "more": 2}')
    aws.put("data/too-high.json", '{"mine": {}}')
    last = aws.crawl(TablePrefix="annotations_", SchemaChangePolicy=LOG, Configuration=COMBINE)
    assert aws.catalog.table("db", "annotations_data") == before
    assert aws.partitions("annotations_data") == [("video", "job")]
    partition = aws.catalog.partitions("db", "annotations_data")[0]["StorageDescriptor"]
    assert partition["Columns"] == declared["StorageDescriptor"]["Columns"]
    assert partition["Location"] == "s3://lake/data/video/job/"
    assert "2 partition keys" in last["ErrorMessage"]


def test_new_folders_only(aws):
    aws.put("data/x/1.json", '{"a": 1}')
    aws.crawl(SchemaChangePolicy=LOG, RecrawlPolicy={"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"})
    aws.put("data/x/2.json", '{"a": 1, "b": 1}')
    aws.put("data/y/1.json", '{"a": 1}')
    aws.run_crawler("c")
    assert aws.partitions("data") == [("x",), ("y",)]
    assert "1 objects" in aws.log("/aws-glue/crawlers", "c").splitlines()[-1]


def test_catalog_targets(aws):
    aws.put("data/x/1.json", '{"a": 1, "b": 2}')
    aws.catalog.put_table(
        "db",
        {
            "Name": "t",
            "PartitionKeys": [{"Name": "p", "Type": "string"}],
            "StorageDescriptor": {"Columns": [{"Name": "a", "Type": "int"}], "Location": "s3://lake/data/"},
        },
    )
    request = {"Name": "cat", "Role": "r", "Targets": {"CatalogTargets": [{"DatabaseName": "db", "Tables": ["t"]}]}}
    with pytest.raises(ServiceError, match="DeleteBehavior LOG"):
        aws.glue.create_crawler(aws.call, request)
    aws.glue.create_crawler(
        aws.call, {**request, "SchemaChangePolicy": {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "LOG"}}
    )
    assert aws.run_crawler("cat")["Status"] == "SUCCEEDED"
    assert aws.columns("t") == {"a": "int", "b": "int"}
    assert aws.partitions("t") == [("x",)]


# -- faults --------------------------------------------------------------------------------------------------------


def test_bad_files_are_skipped_with_reasons(aws):
    aws.put("data/good.json", '{"a": 1}')
    aws.put("data/cut.json", '{"a": 1, "b": [')
    aws.put("data/empty.json", b"")
    aws.put("data/picture.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00")
    aws.put("data/mixed.json", '{"a": "text"}')
    last = aws.crawl()
    assert last["Status"] == "SUCCEEDED"
    assert last["ErrorMessage"].startswith("3 problems in 5 objects")
    assert aws.columns("data") == {"a": "string"}
    log = aws.log("/aws-glue/crawlers", "c")
    for line in ("cut.json: it is not valid JSON", "empty.json: it is empty", "picture.png: it is binary"):
        assert line in log


def test_an_object_deleted_between_list_and_read(aws, monkeypatch):
    aws.put("data/a.json", '{"a": 1}')
    aws.put("data/b.json", '{"b": 1}')
    listed = aws.objects.list

    def deleting(bucket, prefix=""):
        entries = list(listed(bucket, prefix))
        aws.objects.delete("lake", "data/b.json")
        return iter(entries)

    monkeypatch.setattr(aws.objects, "list", deleting)
    last = aws.crawl()
    assert last["Status"] == "SUCCEEDED"
    assert "was deleted after it was listed" in last["ErrorMessage"]
    assert aws.columns("data") == {"a": "int"}


def test_missing_bucket_and_database_fail_the_crawl(aws):
    last = aws.crawl("one", "s3://nowhere/x/")
    assert (last["Status"], "NoSuchBucket" in last["ErrorMessage"]) == ("FAILED", True)
    last = aws.crawl("two", DatabaseName="missing")
    assert (last["Status"], "missing not found" in last["ErrorMessage"]) == ("FAILED", True)
    assert [e["detail"]["state"] for e in aws.home.events][-2:] == ["Started", "Failed"]


def test_the_role_needs_its_permissions(aws, monkeypatch):
    aws.put("data/a.json", '{"a": 1}')
    asked = []

    def allowed(refused):
        def authorize(action, resource):
            asked.append((action, resource))
            if action == refused:
                raise ServiceError("AccessDeniedException", f"not allowed: {action} on {resource}")

        return lambda account, region, role, _service: Call(account, region, authorize, role)

    for refused in ("s3:ListBucket", "s3:GetObject", "glue:CreateTable"):
        monkeypatch.setattr(aws.home, "as_role", allowed(refused))
        last = aws.crawl()
        assert last["Status"] == "FAILED"
        assert refused in last["ErrorMessage"]
        assert aws.tables() == []
    monkeypatch.setattr(aws.home, "as_role", allowed("nothing"))
    assert aws.crawl()["Status"] == "SUCCEEDED"
    assert ("s3:GetObject", "arn:aws:s3:::lake/data/a.json") in asked
    assert ("glue:CreateTable", "arn:aws:glue:eu-west-1:111122223333:table/db/data") in asked


@pytest.mark.parametrize(
    ("behaviour", "partition", "table"),
    [
        ("DELETE_FROM_DATABASE", "glue:BatchDeletePartition", "glue:DeleteTable"),
        ("DEPRECATE_IN_DATABASE", "glue:UpdatePartition", "glue:UpdateTable"),
    ],
)
def test_what_is_gone_is_dropped_by_who_may(aws, monkeypatch, behaviour, partition, table):
    for folder in ("x", "y"):
        aws.put(f"data/{folder}/1.json", '{"a": 1}')
    aws.crawl(SchemaChangePolicy={"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": behaviour})

    def authorize(action, resource):
        if action in (partition, table):
            raise ServiceError("AccessDeniedException", f"not allowed: {action} on {resource}")

    monkeypatch.setattr(aws.home, "as_role", lambda account, region, role, _: Call(account, region, authorize, role))
    for folder, action in (("y", partition), ("x", table)):
        aws.objects.delete("lake", f"data/{folder}/1.json")
        last = aws.run_crawler("c")
        assert last["Status"] == "FAILED"
        assert f"{action} on arn:aws:glue:eu-west-1:111122223333:catalog" in last["ErrorMessage"]
    assert aws.partitions("data") == [("x",), ("y",)]
    assert "DEPRECATED_BY_CRAWLER" not in aws.catalog.table("db", "data")["Parameters"]


def test_stop_and_running_errors(aws, monkeypatch):
    import threading

    aws.put("data/a.json", '{"a": 1}')
    inside, go_on = threading.Event(), threading.Event()
    real = crawl_module.sample_file

    def slow(*arguments):
        inside.set()
        go_on.wait(30)
        return real(*arguments)

    monkeypatch.setattr(crawl_module, "sample_file", slow)
    aws.put("data/b.json", '{"a": 1}')
    aws.glue.create_crawler(
        aws.call,
        {"Name": "c", "Role": "r", "DatabaseName": "db", "Targets": {"S3Targets": [{"Path": "s3://lake/data/"}]}},
    )
    with pytest.raises(ServiceError) as error:
        aws.glue.stop_crawler(aws.call, {"Name": "c"})
    assert error.value.code == "CrawlerNotRunningException"
    aws.glue.start_crawler(aws.call, {"Name": "c"})
    assert inside.wait(10)
    for operation in ("start_crawler", "delete_crawler", "update_crawler"):
        with pytest.raises(ServiceError) as error:
            getattr(aws.glue, operation)(aws.call, {"Name": "c"})
        assert error.value.code == "CrawlerRunningException"
    aws.glue.stop_crawler(aws.call, {"Name": "c"})
    with pytest.raises(ServiceError) as error:
        aws.glue.stop_crawler(aws.call, {"Name": "c"})
    assert error.value.code == "CrawlerStoppingException"
    go_on.set()
    crawler = aws.wait(
        lambda: (c := aws.glue.get_crawler(aws.call, {"Name": "c"})["Crawler"])["State"] == "READY" and c
    )
    assert crawler["LastCrawl"]["Status"] == "CANCELLED"
    assert aws.tables() == []
    assert aws.glue.list_crawls(aws.call, {"CrawlerName": "c"})["Crawls"][0]["State"] == "STOPPED"


def test_a_crawler_found_running_at_start_is_ready_again(aws, home):
    aws.put("data/a.json", '{"a": 1}')
    aws.crawl()
    key = "111122223333/eu-west-1/c"
    records = home.records("glue_crawlers")
    records[key] = {**records[key], "State": "RUNNING", "StartedOn": records[key]["CreationTime"], "CrawlId": "x"}
    restarted = Glue(home, schedule=False)
    crawler = restarted.get_crawler(aws.call, {"Name": "c"})["Crawler"]
    restarted.close()
    assert (crawler["State"], crawler["LastCrawl"]["Status"]) == ("READY", "FAILED")
    assert "start the crawler again" in crawler["LastCrawl"]["ErrorMessage"]


def test_definitions(aws):
    target = {"Targets": {"S3Targets": [{"Path": "s3://lake/x"}]}, "Role": "r", "DatabaseName": "db"}
    wrong = [
        ({"Targets": {"JdbcTargets": [{}]}}, "JdbcTargets"),
        ({"Targets": {}}, "targets are required"),
        ({"Targets": {"S3Targets": [{"Path": "lake/x"}]}}, "s3://bucket/prefix"),
        ({"Targets": {"S3Targets": [{"Path": "s3://lake", "Exclusions": ["{"]}]}}, "closing brace"),
        ({"Schedule": "rate(1 hour)"}, "rate"),
        ({"Configuration": "{"}, "not JSON"),
        ({"Configuration": '{"Version": 2}'}, "Version"),
        ({"Classifiers": ["nope"]}, "nope"),
        ({"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"}}, "LOG and LOG"),
    ]
    for change, reason in wrong:
        with pytest.raises(ServiceError, match=reason) as error:
            aws.glue.create_crawler(aws.call, {"Name": "c", **target, **change})
        assert error.value.code == "InvalidInputException"
    for at in range(5):
        aws.glue.create_crawler(aws.call, {"Name": f"c{at}", **target, "Tags": {"n": str(at % 2)}})
    with pytest.raises(ServiceError) as error:
        aws.glue.create_crawler(aws.call, {"Name": "c0", **target})
    assert error.value.code == "AlreadyExistsException"
    names, token = [], None
    while True:
        page = aws.glue.list_crawlers(aws.call, {"MaxResults": 2, **({"NextToken": token} if token else {})})
        names += page["CrawlerNames"]
        token = page.get("NextToken")
        if not token:
            break
    assert names == [f"c{at}" for at in range(5)]
    assert aws.glue.list_crawlers(aws.call, {"Tags": {"n": "1"}})["CrawlerNames"] == ["c1", "c3"]
    arn = "arn:aws:glue:eu-west-1:111122223333:crawler/c1"
    aws.glue.tag_resource(aws.call, {"ResourceArn": arn, "TagsToAdd": {"x": "y"}})
    aws.glue.untag_resource(aws.call, {"ResourceArn": arn, "TagsToRemove": ["n"]})
    assert aws.glue.get_tags(aws.call, {"ResourceArn": arn})["Tags"] == {"x": "y"}
    aws.glue.delete_crawler(aws.call, {"Name": "c1"})
    for operation in ("get_crawler", "start_crawler", "delete_crawler"):
        with pytest.raises(ServiceError) as error:
            getattr(aws.glue, operation)(aws.call, {"Name": "c1"})
        assert error.value.code == "EntityNotFoundException"
    with pytest.raises(ServiceError):
        aws.glue.get_crawlers(aws.call, {"NextToken": "junk"})
    other = Call("999999999999", "eu-west-1")
    assert aws.glue.get_crawlers(other, {})["Crawlers"] == []
