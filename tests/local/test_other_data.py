"""One embedded AWS, one set of data after another: the crawled tables follow, and stay readable."""

import json
import shutil

import boto3
import pytest

from localaws import deploy, emulator
from samples.labeling import generate
from sextant import pipeline
from sextant.labeling import client
from sextant.labeling.client import Deployed
from stacks.labeling.queries import CRAWLED_TABLES
from tests.conftest import free_port


@pytest.fixture(scope="module")
def lake(tmp_path_factory, cloud_assembly):
    """An embedded AWS of its own, as what follows replaces the data; runs a folder of input through it."""
    state = tmp_path_factory.mktemp("other-data")
    running = emulator.start(state, port=free_port(), console_port=free_port())
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in running.environment().items():
                patch.setenv(name, value)
            keys = {"aws_access_key_id": emulator.ACCOUNT, "aws_secret_access_key": "local"}
            session = boto3.session.Session(**keys, region_name=emulator.REGION)
            yield Lake(session, Deployed.of(deploy.deploy(cloud_assembly, session)["local-Labeling"]))
    finally:
        emulator.stop(state)
        shutil.rmtree(state, ignore_errors=True)


class Lake:
    def __init__(self, session, deployed):
        self.session, self.deployed = session, deployed

    def run(self, folder):
        s3 = self.session.client("s3")
        pipeline.clear(s3, self.deployed.batch_bucket, self.deployed.input_prefix)
        pipeline.upload(s3, folder, self.deployed.batch_bucket, self.deployed.input_prefix, lambda *_: None)
        client.run_workflow(self.session.client("glue"), self.deployed.workflow, lambda *_: None)

    def first_rows(self, table):
        """The post's verification query."""
        return client.query(self.session.client("athena"), self.deployed, f'SELECT * FROM "{table}" limit 10')

    def tables(self):
        pages = self.session.client("glue").get_paginator("get_tables").paginate(DatabaseName=self.deployed.database)
        return {table["Name"] for page in pages for table in page["TableList"]}


def write(folder, job, modality, frames):
    """One job whose sequence and manifest look otherwise than the sample's: numbers for texts, polygons for boxes."""
    root = folder / modality / f"other-{'second' if 'Audit' in modality else 'first'}_level-{job}" / "output" / job
    key = "annotations/consolidated-annotation/output/0/SeqLabel.json"
    metadata = {"type": "groundtruth/video-object-tracking", "job-name": f"labeling-job/{job}", "class-map": {"7": "x"}}
    line = {"source-ref": "s3://other/0.json", f"{job}-ref": f"s3://other/{job}/{key}", f"{job}-ref-metadata": metadata}
    answer = {"answerContent": {"other": {"label": "x"}}, "workerId": "w", "submissionTime": "2026-01-01T00:00:00Z"}
    for name, document in (
        (key, {"tracking-annotations": frames}),
        ("manifests/output/output.manifest", line),
        ("annotations/worker-response/iteration-1/0/2026.json", {"answers": [answer]}),
    ):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(json.dumps(document) + "\n")


FRAMES = [
    # What was a struct is a number: nothing converts one to the other.
    {"frame-no": number, "polygons": [{"vertices": [{"x": 1.5, "y": 2}], "class-id": 7}], "frame-attributes": 5}
    for number in range(3)
]


def test_the_posts_verification_queries_work_whatever_was_there_before(lake, tmp_path):
    generate(tmp_path / "sample")
    lake.run(tmp_path / "sample" / "batch_manifests")
    assert all(lake.first_rows(table) for table in CRAWLED_TABLES)

    for job, modality in (("lines", "VideoObjectTracking"), ("lines-check", "VideoObjectTrackingAudit")):
        write(tmp_path / "other", job, modality, FRAMES)
    lake.run(tmp_path / "other")
    found = {table: lake.first_rows(table) for table in CRAWLED_TABLES}
    assert {table: len(rows) for table, rows in found.items()} == {
        "annotations_batch_manifests": 2,
        "worker_metrics_processed_worker_metrics": 2,
        "output_manifest_videoobjecttracking": 1,
        "output_manifest_videoobjecttrackingaudit": 1,
    }
    assert {row["partition_1"] for row in found["annotations_batch_manifests"]} == {
        "other-first_level-lines",
        "other-second_level-lines-check",
    }

    shutil.rmtree(tmp_path / "other" / "VideoObjectTrackingAudit")
    lake.run(tmp_path / "other")
    assert set(CRAWLED_TABLES) - lake.tables() == {"output_manifest_videoobjecttrackingaudit"}
    assert all(len(lake.first_rows(table)) == 1 for table in set(CRAWLED_TABLES) & lake.tables())
