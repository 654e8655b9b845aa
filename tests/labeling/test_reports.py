"""The whole job over the generated batch, against the truth that the generator counted."""

import json
import shutil
import socket

import boto3
import pytest

from localaws import emulator
from samples.labeling import generate
from sextant.labeling.tables import TABLES
from sextant.labeling.users import pool_users
from sextant.labeling.views import VIEWS
from tests.labeling.pipeline import catalog, published, read, report, rows, run_job, same


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def embedded_aws(tmp_path_factory):
    """S3 and Cognito over HTTP, with nothing deployed."""
    state = tmp_path_factory.mktemp("embedded")
    running = emulator.start(state, port=free_port(), console_port=free_port())
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in running.environment().items():
                patch.setenv(name, value)
            yield running
    finally:
        emulator.stop(state)
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="module")
def on_s3(tmp_path_factory, embedded_aws):  # noqa: ARG001  it must be there first
    """The job over S3 and a user pool whose users were there before the sample."""
    folder = tmp_path_factory.mktemp("batch")
    generate(folder / "names", 7)
    names = [each["username"] for each in json.loads((folder / "names" / "users.json").read_text())]
    cognito = boto3.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="workers")["UserPool"]["Id"]
    for name in names:
        email = [{"Name": "email", "Value": f"{name}@example.com"}]
        cognito.admin_create_user(UserPoolId=pool, Username=name, UserAttributes=email)
    truth = generate(folder / "batch", 7, subs={username: sub for sub, username, _ in pool_users(pool)})
    s3 = boto3.client("s3")
    for bucket in ("batch", "processed"):
        s3.create_bucket(Bucket=bucket)
    for path in sorted((folder / "batch").rglob("*")):
        if path.is_file():
            s3.put_object(Bucket="batch", Key=path.relative_to(folder / "batch").as_posix(), Body=path.read_bytes())
    s3.put_object(Bucket="processed", Key="labels/answer/part-00007.parquet", Body=b"left by an earlier version")
    run_job("s3://batch/batch_manifests", "s3://processed", pool=pool)
    target = folder / "processed"
    for each in s3.list_objects_v2(Bucket="processed")["Contents"]:
        path = target / each["Key"]
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file("processed", each["Key"], str(path))
    return target, truth, len(names)


def test_the_pool_has_more_users_than_one_page(on_s3):
    _, truth, users = on_s3
    assert users > 60
    known = [row for row in truth.reports["report_jobs_per_worker"] if row[2]]
    assert len(known) == 10


@pytest.mark.parametrize("view", [each.name for each in VIEWS if not each.name.endswith("_rows")])
def test_report_is_exactly_the_truth(on_s3, view):
    target, truth, _ = on_s3
    same(report(catalog(target), view), truth.reports[view])


def test_every_table_has_its_rows(on_s3):
    target, truth, _ = on_s3
    assert {name: len(rows(target, name)) for name in truth.tables} == truth.tables


def test_keys_are_unique(on_s3):
    target, _, _ = on_s3
    for table in TABLES:
        keys = [tuple(map(str, (row[name] for name in table.key))) for row in rows(target, table.name)]
        assert len(keys) == len(set(keys)), table.name


def test_stale_parts_and_staging_are_gone(on_s3):
    target, _, _ = on_s3
    names = published(target)
    assert all(name.endswith("part-00000.parquet") for name in names if not name.startswith("audits/"))
    assert "processed_worker_metrics/part-00000.parquet" in names
    assert not list(target.glob("_staging/**/*.parquet"))


def test_unlisted_workers_are_shown_by_their_sub(on_s3):
    target, _, _ = on_s3
    workers = rows(target, "worker")
    deleted = [each for each in workers if each["provider"] == "Cognito" and each["username"] == each["sub"]]
    assert len(deleted) == 1
    assert [each["username"].startswith("auth0|") for each in workers if each["provider"] == "Oidc"] == [True]
    assert all(
        each["username"] == each["worker_id"] and each["sub"] is None
        for each in workers
        if each["provider"] == "public"
    )


def test_worker_metrics_keep_the_nesting_of_the_original(on_s3):
    target, truth, _ = on_s3
    answers = read(target / "processed_worker_metrics" / "part-00000.parquet")
    framed = [each["answercontent"][0]["trackingannotations"] for each in answers]
    tasks = sum(len(each["framedata"]["entries"]) for each in framed if each)
    assert {"rows": len(answers), "tasks": tasks} == truth.queries["worker_metrics"]


def test_running_twice_gives_the_same_files_and_rows(tmp_path):
    generate(tmp_path / "batch", 7)
    results = []
    for _ in range(2):
        run_job(tmp_path / "batch" / "batch_manifests", tmp_path / "out")
        results.append({name: sorted(map(repr, read(tmp_path / "out" / name))) for name in published(tmp_path / "out")})
    assert results[0] == results[1]


def test_another_seed_gives_another_truth_and_it_holds(tmp_path):
    truth = generate(tmp_path / "batch", 11, 2)
    run_job(tmp_path / "batch" / "batch_manifests", tmp_path / "out")
    connection = catalog(tmp_path / "out")
    for view in ("report_label_cube", "report_frame_cube", "report_tasks", "report_label_attribute"):
        same(report(connection, view), truth.reports[view])
