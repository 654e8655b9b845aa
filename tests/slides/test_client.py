"""A cohort's upload, without the run that follows it; tests/local/test_slides_end_to_end.py has both."""

from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from sextant.pipeline import PipelineError
from sextant.slides.client import Deployed, run_cohort

DEPLOYED = Deployed(slides_bucket="slides", runs_bucket="runs", machine_arn="arn", model_package_group="group")


class UploadedError(Exception):
    pass


@pytest.fixture
def s3(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        made = boto3.client("s3", region_name="us-east-1")
        made.create_bucket(Bucket="slides")
        yield made


def test_a_cohort_replaces_the_one_of_its_name_and_no_other(s3, tmp_path):
    for key in ("cohorts/lung/A.tif", "cohorts/lung/old/B.svs", "cohorts/lung/slides.csv", "cohorts/lung-2/A.tif"):
        s3.put_object(Bucket="slides", Key=key, Body=b"earlier")
    (tmp_path / "new").mkdir()
    for name in ("A.svs", "new/B.svs", "slides.csv"):
        (tmp_path / name).write_bytes(b"now")
    answers = iter([{"executions": []}])

    def executions(**_):
        for each in answers:
            return each
        raise UploadedError

    clients = {"s3": s3, "stepfunctions": SimpleNamespace(list_executions=executions)}
    with pytest.raises(UploadedError):
        run_cohort(SimpleNamespace(client=clients.get), DEPLOYED, tmp_path, "lung", lambda *_: None)
    found = {
        each["Key"]: s3.get_object(Bucket="slides", Key=each["Key"])["Body"].read()
        for each in s3.list_objects_v2(Bucket="slides")["Contents"]
    }
    assert found == {
        "cohorts/lung/A.svs": b"now",
        "cohorts/lung/new/B.svs": b"now",
        "cohorts/lung/slides.csv": b"now",
        "cohorts/lung-2/A.tif": b"earlier",
    }


def test_a_folder_without_a_table_leaves_everything(s3, tmp_path):
    s3.put_object(Bucket="slides", Key="cohorts/lung/A.svs", Body=b"earlier")
    with pytest.raises(PipelineError, match=r"no slides\.csv"):
        run_cohort(SimpleNamespace(client={"s3": s3}.get), DEPLOYED, tmp_path, "lung", lambda *_: None)
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="slides")["Contents"]] == ["cohorts/lung/A.svs"]
