import os
import socket
import subprocess
import sys
import time
import urllib.request
from types import SimpleNamespace

import pytest

from localaws.engines.glue.engine import Glue
from localaws.engines.glue.process import SparkEngine
from localaws.folder_home import FolderHome
from localaws.home import Call

CALL = Call("111122223333", "eu-west-1")


@pytest.fixture
def home(tmp_path):
    made = FolderHome(tmp_path)
    objects = made.objects(CALL.account)
    objects.create_bucket("lake")
    objects.create_bucket("code")
    made.catalog(CALL.account, CALL.region).create_database({"Name": "db"})
    return made


@pytest.fixture
def glue(home):
    engine = Glue(home, engine=SparkEngine("duckdb"), schedule=False)
    yield engine
    engine.close()


@pytest.fixture
def aws(home, glue):
    """Shorthand for what most tests do."""
    objects, catalog = home.objects(CALL.account), home.catalog(CALL.account, CALL.region)

    def put(key, body, bucket="lake"):
        objects.write(bucket, key, body if isinstance(body, bytes) else body.encode())

    def wait(done, seconds=60):
        end = time.monotonic() + seconds
        while not (found := done()):
            assert time.monotonic() < end, "it did not come to an end"
            time.sleep(0.02)
        return found

    def crawl(name="c", path="s3://lake/data/", **definition):
        targets = {"S3Targets": [{"Path": path, "Exclusions": definition.pop("exclusions", [])}]}
        request = {"Name": name, "Role": "crawler", "DatabaseName": "db", "Targets": targets, **definition}
        known = glue.batch_get_crawlers(CALL, {"CrawlerNames": [name]})["Crawlers"]
        (glue.update_crawler if known else glue.create_crawler)(CALL, request)
        return run_crawler(name)

    def run_crawler(name):
        glue.start_crawler(CALL, {"Name": name})
        ended = lambda: glue.get_crawler(CALL, {"Name": name})["Crawler"]  # noqa: E731
        return wait(lambda: ended() if ended()["State"] == "READY" else None)["LastCrawl"]

    def columns(table):
        return {c["Name"]: c["Type"] for c in catalog.table("db", table)["StorageDescriptor"]["Columns"]}

    def job(script, name="j", command="glueetl", **definition):
        put(f"{name}.py", script, "code")
        request = {
            "Name": name,
            "Role": "runner",
            "Command": {"Name": command, "ScriptLocation": f"s3://code/{name}.py"},
            **definition,
        }
        glue.create_job(CALL, request)
        return name

    def run(name="j", **params):
        return finish(name, glue.start_job_run(CALL, {"JobName": name, **params})["JobRunId"])

    def finish(name, run_id):
        get = lambda: glue.get_job_run(CALL, {"JobName": name, "RunId": run_id})["JobRun"]  # noqa: E731
        return wait(lambda: get() if get()["JobRunState"] not in ("STARTING", "RUNNING", "STOPPING") else None)

    return SimpleNamespace(
        call=CALL, home=home, glue=glue, objects=objects, catalog=catalog, put=put, wait=wait, crawl=crawl,
        run_crawler=run_crawler,
        columns=columns, job=job, run=run, finish=finish,
        tables=lambda: sorted(t["Name"] for t in catalog.tables("db")),
        partitions=lambda table: sorted(tuple(p["Values"]) for p in catalog.partitions("db", table)),
        log=lambda group, stream: "\n".join(home.logs.get((group, stream), [])),
    )  # fmt: skip


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory):
    """A stock emulator of its own, for what needs S3 on the wire."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    settings = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "ERROR",
    }
    folder = tmp_path_factory.mktemp("s3")
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            env={**inherited, **settings, "TMPDIR": str(folder)},
            stdout=log,
            stderr=log,
        )
    try:
        end = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=5):
                    break
            except OSError:
                assert started.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < end
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        started.terminate()
        started.wait(20)
