"""Model versions from CreateModel to DeleteModel, as scripts of the service wait for them."""

import base64
import datetime as dt
import hashlib
import json

import pytest
from botocore.exceptions import ClientError

from sextant.inspection.api import models, packaging, training
from sextant.inspection.api.services import champion_key
from tests.inspection_api.stand import ACCOUNT, JPEG, PLACE, PNG, REGION, RESULT, archive, client_error, refused

ONE = {"ProjectName": "lego", "ModelVersion": "1"}


def described(api, version="1"):
    return api.client.describe_model(ProjectName="lego", ModelVersion=version)["ModelDescription"]


def status(api, version="1"):
    return described(api, version)["Status"]


def test_a_model_is_trained_by_a_job_on_copies_of_the_manifests(api):
    api.project("lego", normal=12, anomaly=4, unlabelled=2)
    api.project("lego", "test", normal=3, anomaly=3, start=50)
    made = api.train(Description="first.try", KmsKeyId="arn:aws:kms:us-east-1:111122223333:key/k")
    assert made == {
        "ModelVersion": "1",
        "ModelArn": f"arn:aws:lookoutvision:{REGION}:{ACCOUNT}:model/lego/1",
        "CreationTimestamp": dt.datetime.fromtimestamp(1_800_000_000, dt.UTC),
        "Description": "first.try",
        "Status": "TRAINING",
        "StatusMessage": "The model is being trained.",
    }
    ((name, job),) = api.sagemaker.jobs.items()
    assert name.startswith("dev-inspection-lego-1-")
    assert len(name) <= 63
    assert job["HyperParameters"] == {"project_name": "lego", "model_version": "1", "model_arn": made["ModelArn"]}
    uris = {each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"] for each in job["InputDataConfig"]}
    root = "s3://data/projects/lego/models/1"
    assert uris == {"training": f"{root}/train.manifest", "test": f"{root}/test.manifest"}
    manifest = api.s3.get_object(Bucket="data", Key="projects/lego/models/1/train.manifest")["Body"].read().decode()
    labels = [json.loads(line)["auto-label-metadata"]["class-name"] for line in manifest.splitlines()]
    assert sorted(labels) == ["anomaly"] * 4 + ["normal"] * 12
    assert job["ResourceConfig"]["VolumeKmsKeyId"].endswith("key/k")
    assert status(api) == "TRAINING"
    # The project's datasets are free to change while it trains.
    api.client.delete_dataset(ProjectName="lego", DatasetType="train")
    assert api.work() == ["DELETE_COMPLETE"]


def test_the_end_of_the_job_makes_the_model_trained_with_its_evaluation(api):
    api.project("lego", normal=12)
    api.train()
    (job,) = api.sagemaker.jobs
    assert training.ended(api.services, job) == "TRAINING"
    api.clock[0] += 90
    api.finish(job)
    assert training.ended(api.services, job) == "TRAINED"
    assert training.ended(api.services, job) == "unchanged"
    told = described(api)
    assert told["Status"] == "TRAINED"
    assert told["StatusMessage"] == "Training completed successfully."
    assert told["Performance"] == {"F1Score": 0.8, "Recall": 0.75, "Precision": 0.9}
    assert told["OutputConfig"] == {"S3Location": {"Bucket": "customer", "Prefix": "out"}}
    assert told["EvaluationManifest"] == {"Bucket": "customer", "Key": "out/EvaluationManifest-lego-1.json"}
    assert told["EvaluationResult"] == {"Bucket": "customer", "Key": "out/EvaluationResult-lego-1.json"}
    assert told["EvaluationEndTimestamp"].timestamp() == 1_800_000_090
    assert json.loads(api.s3.get_object(**told["EvaluationResult"])["Body"].read()) == RESULT
    assert api.s3.get_object(**told["EvaluationManifest"])["Body"].read() == b'{"source-ref":"s3://b/k"}\n'
    assert api.s3.head_object(Bucket="data", Key="projects/lego/models/1/model.tar.gz")
    assert [each["Status"] for each in api.client.list_models(ProjectName="lego")["Models"]] == ["TRAINED"]


def test_whoever_asks_first_settles_a_training_whose_event_was_lost(api):
    api.project("lego", normal=12)
    api.train()
    (job,) = api.sagemaker.jobs
    api.finish(job)
    assert status(api) == "TRAINED"
    assert training.ended(api.services, job) == "unchanged"


@pytest.mark.parametrize(
    ("end", "told"), [("Failed", "AlgorithmError: too dark"), ("Stopped", "The training job was stopped.")]
)
def test_a_failed_training_tells_why(api, end, told):
    api.project("lego", normal=12)
    api.train()
    (job,) = api.sagemaker.jobs
    api.finish(job, end, **({"FailureReason": told} if end == "Failed" else {}))
    training.ended(api.services, job)
    found = described(api)
    assert (found["Status"], found["StatusMessage"]) == ("TRAINING_FAILED", told)
    assert "Performance" not in found
    refused("ConflictException", lambda: api.client.start_model(**ONE, MinInferenceUnits=1), "TRAINING_FAILED")
    assert api.client.delete_model(**ONE)["ModelArn"].endswith("model/lego/1")


def test_a_place_for_the_evaluation_that_is_not_there_is_refused_at_once(api):
    api.project("lego", normal=12)
    absent = {"OutputConfig": {"S3Location": {"Bucket": "elsewhere"}}}
    refused("ValidationException", lambda: api.train(**absent), "no bucket elsewhere.*output_buckets")
    assert (api.sagemaker.jobs, api.client.list_models(ProjectName="lego")["Models"]) == ({}, [])
    assert api.train()["ModelVersion"] == "1"


@pytest.mark.parametrize(
    ("code", "status", "told"), [("AccessDenied", 403, "AccessDeniedException"), ("BadDigest", 400, None),
                                 ("SlowDown", 503, None)]
)  # fmt: skip
def test_only_what_cannot_be_written_to_is_refused(api, monkeypatch, code, status, told):
    asked = []

    def answered(**request):
        if request["Bucket"] != "customer":
            return put(**request)
        asked.append(request)
        raise client_error(code, "so it is", "PutObject", status)

    api.project("lego", normal=12)
    put = api.s3.put_object
    monkeypatch.setattr(api.s3, "put_object", answered)
    if told:
        refused(told, api.train, "customer, which OutputConfig names, may not be written to")
    else:
        api.train()
    assert [each["Key"] for each in asked] == ["out/EvaluationResult-lego.json"]
    assert base64.b64decode(asked[0]["ContentMD5"]) != hashlib.md5(asked[0]["Body"]).digest()


def test_a_bucket_that_refuses_the_evaluation_does_not_cost_the_model(api):
    api.project("lego", normal=12)
    api.s3.create_bucket(Bucket="elsewhere")
    api.train(OutputConfig={"S3Location": {"Bucket": "elsewhere"}})
    for each in api.s3.list_objects_v2(Bucket="elsewhere").get("Contents", []):
        api.s3.delete_object(Bucket="elsewhere", Key=each["Key"])  # moto keeps what S3 refuses for its checksum
    api.s3.delete_bucket(Bucket="elsewhere")
    api.finish(next(iter(api.sagemaker.jobs)))
    told = described(api)
    assert told["Status"] == "TRAINED"
    assert told["EvaluationResult"] == {"Bucket": "data", "Key": "projects/lego/models/1/EvaluationResult-lego-1.json"}
    assert "elsewhere refused it (NoSuchBucket)" in told["StatusMessage"]


BAD_RESULT = {training.RESULT: b"[]", training.MANIFEST: b""}


@pytest.mark.parametrize(
    "body",
    [b"no gzip", archive({"x": b"y" * 9000})[:-30], archive(BAD_RESULT), archive({**BAD_RESULT, training.RESULT: b"{"}),
     archive({**BAD_RESULT, training.RESULT: b"{}"}), None],
    ids=["no gzip", "cut off", "a list", "no JSON", "no metrics", "missing"],
)  # fmt: skip
def test_an_archive_that_cannot_be_read_fails_its_training_only(api, body):
    api.project("lego", normal=12)
    api.project("other", normal=12)
    api.train()
    (job,) = api.sagemaker.jobs
    api.finish(job)
    bucket, _, key = api.sagemaker.jobs[job]["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    if body is None:
        api.s3.delete_object(Bucket=bucket, Key=key)
    else:
        api.s3.put_object(Bucket=bucket, Key=key, Body=body)
    for _ in range(2):
        assert api.train("other")["Status"] == "TRAINING", "both places are free"
    told = described(api)
    assert told["Status"] == "TRAINING_FAILED"
    assert f"s3://{bucket}/{key}, cannot be used (" in told["StatusMessage"]
    assert "Contents" not in api.s3.list_objects_v2(Bucket="data", Prefix="projects/lego/models/1/model.tar.gz")
    api.client.delete_model(**ONE)


def test_an_archive_that_may_not_be_read_now_is_tried_again(api, monkeypatch):
    api.project("lego", normal=12)
    api.train()
    (job,) = api.sagemaker.jobs
    api.finish(job)
    for denied in (
        client_error("AccessDenied", "no", "GetObject", 403),
        client_error("SlowDown", "x", "GetObject", 503),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(api.services.s3, "get_object", lambda error=denied, **_: (_ for _ in ()).throw(error))
            with pytest.raises(ClientError):
                training.ended(api.services, job)
    assert status(api) == "TRAINED"


def test_a_test_without_anomalies_measures_no_f1(api):
    api.project("lego", normal=12)
    api.train()
    metrics = {**RESULT["AggregatedEvaluationResults"]["Metrics"], "F1Score": None}
    result = {**RESULT, "AggregatedEvaluationResults": {"Metrics": metrics}}
    files = {training.RESULT: json.dumps(result).encode(), training.MANIFEST: b""}
    api.finish(next(iter(api.sagemaker.jobs)), files=files)
    assert "Performance" not in described(api)
    assert status(api) == "TRAINED"


def test_two_trainings_run_at_once_and_the_third_has_to_wait(api):
    for name in ("a", "b", "c"):
        api.project(name, normal=12)
    api.train("a")
    api.train("b")
    answer = refused("ServiceQuotaExceededException", lambda: api.train("c"), "2 trainings are under way")
    assert (answer["ServiceCode"], answer["QuotaCode"]) == ("lookoutvision", "concurrent-trainings")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 402
    first, second = api.sagemaker.jobs
    api.finish(first)  # its event is lost
    assert api.train("c")["ModelVersion"] == "1"
    api.finish(second, "Failed", FailureReason="x")
    assert training.ended(api.services, second) == "TRAINING_FAILED"
    assert api.train("a")["ModelVersion"] == "2"


def test_projects_with_too_little_to_train_on_are_told_what_they_lack(api):
    api.client.create_project(ProjectName="lego")
    refused("ResourceNotFoundException", api.train, "no train dataset")
    api.project("lego", normal=9, anomaly=30)
    refused("ValidationException", api.train, "9 photographs labelled normal; a training needs 10")
    api.client.update_dataset_entries(ProjectName="lego", DatasetType="train", Changes=api.lines(normal=10))
    refused("ConflictException", api.train, "UPDATE_IN_PROGRESS")
    api.work()
    api.project("lego", "test", unlabelled=4)
    refused("ValidationException", api.train, "no labelled photograph")
    api.client.delete_dataset(ProjectName="lego", DatasetType="test")
    api.work()
    assert api.train()["ModelVersion"] == "1"


def test_a_training_that_sagemaker_refuses_leaves_nothing(api):
    api.project("lego", normal=12)
    api.sagemaker.refuse = client_error("ResourceLimitExceeded", "0 Instances", "CreateTrainingJob")
    tag = [{"Key": "k", "Value": "v"}]
    refused("ServiceQuotaExceededException", lambda: api.train(Tags=tag), "no instance of SageMaker free: 0 Instances")
    assert api.client.list_models(ProjectName="lego")["Models"] == []
    api.sagemaker.refuse = None
    assert api.train()["ModelVersion"] == "2", "a number that was given is not given again"
    api.train()
    refused("ServiceQuotaExceededException", api.train, "2 trainings")


def test_the_same_token_trains_once(api):
    api.project("lego", normal=12)
    first, again = (api.train(ClientToken="once") for _ in range(2))
    assert first == again
    assert len(api.sagemaker.jobs) == 1


def test_a_projects_settings_are_hyperparameters(api):
    settings = {"input_px": 448, "crop": "none", "false_reject_budget": 0.02}
    api.s3.put_object(Bucket="data", Key="projects/lego/settings.json", Body=json.dumps(settings).encode())
    api.project("lego", normal=12)
    api.train()
    (job,) = api.sagemaker.jobs.values()
    given = {"input_px": "448", "crop": "none", "false_reject_budget": "0.02"}
    assert given.items() <= job["HyperParameters"].items()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"input_px": 448', "Expecting ',' delimiter"),
        (b"[448]", "a JSON object is wanted, not list"),
        (b"\xff", "codec can't decode"),
        (b'{"input_pixels": 448}', "input_pixels: Extra inputs are not permitted"),
        (b'{"input_px": 5000, "rules": {"min_labels": 0}}', "input_px: .*; rules.min_labels: "),
    ],
)
def test_settings_that_cannot_be_used_are_told_and_take_no_place(api, body, told):
    api.s3.put_object(Bucket="data", Key="projects/lego/settings.json", Body=body)
    api.project("lego", normal=12)
    api.project("other", normal=12)
    for _ in range(3):
        refused("ValidationException", api.train, f"s3://data/projects/lego/settings.json cannot be used: .*{told}")
    assert api.client.list_models(ProjectName="lego")["Models"] == []
    for _ in range(2):
        api.train("other")


def test_a_training_that_is_settled_late_leaves_the_place_to_whoever_has_it_now(api):
    for name in ("lego", "b", "c", "d"):
        api.project(name, normal=12)
    api.train()
    (job,) = api.sagemaker.jobs
    held = models.observed(api.services, "lego", "1")[0]
    api.finish(job)
    assert training.ended(api.services, job) == "TRAINED"
    api.train("b")
    api.train("c")
    assert training.settle(api.services, held) == "TRAINED", "by whoever read it while it was training"
    refused("ServiceQuotaExceededException", lambda: api.train("d"), "2 trainings are under way")
    api.client.delete_model(**ONE)
    assert training.settle(api.services, held) == "gone"
    refused("ServiceQuotaExceededException", lambda: api.train("d"), "2 trainings are under way")


def test_a_model_that_trains_is_not_deleted(api):
    api.project("lego", normal=12)
    api.train()
    refused("ConflictException", lambda: api.client.delete_model(**ONE), "TRAINING and cannot be deleted. Wait")
    api.finish(next(iter(api.sagemaker.jobs)))
    api.client.delete_model(**ONE)
    refused("ResourceNotFoundException", lambda: api.client.describe_model(**ONE))
    left = api.s3.list_objects_v2(Bucket="data", Prefix="projects/lego/models/").get("Contents", [])
    assert left == []
    assert api.s3.head_object(Bucket="customer", Key="out/EvaluationResult-lego-1.json")
    assert api.train()["ModelVersion"] == "2"


@pytest.mark.parametrize(("points", "left"), [(1, None), (2, 2)])
def test_a_champion_that_is_deleted_is_none_any_more(api, points, left):
    api.project("lego", normal=12)
    api.trained()
    api.trained()
    pointer = champion_key("lego")
    api.services.table.put_all([(pointer, {"version": points, "before": 1, "since": "x", "by": "x", "reason": "x"})])
    api.client.delete_model(**ONE)
    found = api.services.table.get(pointer)
    assert (found and found["version"]) == left


def test_a_project_made_anew_gets_jobs_of_new_names(api):
    for _ in range(2):
        api.clock[0] += 1
        api.project("lego", normal=12)
        api.trained()
        api.client.delete_model(**ONE)
        api.client.delete_dataset(ProjectName="lego", DatasetType="train")
        api.work()
        api.client.delete_project(ProjectName="lego")
    assert len(api.sagemaker.jobs) == 2


def test_a_model_is_hosted_answers_and_is_stopped(api):
    api.project("lego", normal=12)
    api.trained()
    detect = {**ONE, "Body": JPEG, "ContentType": "image/jpeg"}
    answer = refused("ConflictException", lambda: api.client.detect_anomalies(**detect), "TRAINED, not HOSTED")
    assert (answer["ResourceId"], answer["ResourceType"]) == ("lego/1", "MODEL")
    refused("ValidationException", lambda: api.client.start_model(**ONE, MinInferenceUnits=2, MaxInferenceUnits=1))
    assert api.client.start_model(**ONE, MinInferenceUnits=1, MaxInferenceUnits=3)["Status"] == "STARTING_HOSTING"
    told = described(api, "latest")
    assert (told["Status"], told["MinInferenceUnits"], told["MaxInferenceUnits"]) == ("HOSTED", 1, 3)
    refused("ConflictException", lambda: api.client.start_model(**ONE, MinInferenceUnits=1), "HOSTED; it would")
    refused("ConflictException", lambda: api.client.delete_model(**ONE), "Stop it first")
    assert api.client.detect_anomalies(**detect)["DetectAnomalyResult"] == api.backend.result
    assert api.backend.calls[-1] == ("detect", "lego", 1, JPEG, "image/jpeg")
    assert api.client.stop_model(**ONE)["Status"] == "STOPPING_HOSTING"
    assert status(api) == "TRAINED"
    refused("ConflictException", lambda: api.client.stop_model(**ONE), "TRAINED; it would have to be HOSTED")
    refused("ConflictException", lambda: api.client.detect_anomalies(**detect), "not HOSTED")


def test_hosting_that_takes_its_time_is_asked_about(api):
    api.project("lego", normal=12)
    api.trained()
    api.backend.after_start, api.backend.told = "STARTING_HOSTING", ("STARTING_HOSTING", "")
    api.client.start_model(**ONE, MinInferenceUnits=1)
    assert status(api) == "STARTING_HOSTING"
    api.backend.told = ("HOSTING_FAILED", "no capacity")
    assert (status(api), described(api)["StatusMessage"]) == ("HOSTING_FAILED", "no capacity")
    api.client.start_model(**ONE, MinInferenceUnits=1)
    api.backend.told = ("HOSTED", "")
    assert api.client.detect_anomalies(**ONE, Body=PNG, ContentType="image/png")


class Slow:
    """A backend whose endpoint SageMaker is still making: it cannot be deleted yet."""

    def __init__(self, api):
        self.endpoint, self.settled = None, []
        api.backend.start, api.backend.stop = self.start, self.stop
        api.backend.state, api.backend.settle = self.state, self.settle

    def start(self, _version, _units):
        self.endpoint = "Creating"
        return "STARTING_HOSTING"

    def stop(self, version):
        return self.settle(version, "STOPPING_HOSTING")[0]

    def state(self, _version, state):
        if self.endpoint is None:
            return ("TRAINED" if state == "STOPPING_HOSTING" else "HOSTING_FAILED"), ""
        return ("HOSTED" if (self.endpoint, state) == ("InService", "STARTING_HOSTING") else state), ""

    def settle(self, version, state):
        self.settled.append(state)
        reached = self.state(version, state)
        if state == "STOPPING_HOSTING" and self.endpoint == "InService":
            self.endpoint = None
        return reached


def test_a_model_that_is_stopped_while_it_starts_ends_without_an_endpoint(api):
    api.project("lego", normal=12)
    api.trained()
    slow = Slow(api)
    api.client.start_model(**ONE, MinInferenceUnits=1)
    for _ in range(2):  # the second time because the first may have been lost
        assert api.client.stop_model(**ONE)["Status"] == "STOPPING_HOSTING"
    assert status(api) == "STOPPING_HOSTING"
    slow.endpoint = "InService"
    models.settle_hosting(api.services, "lego")
    assert slow.endpoint is None
    models.settle_hosting(api.services, "lego")
    assert status(api) == "TRAINED"
    before = len(slow.settled)
    models.settle_hosting(api.services, "lego")
    assert len(slow.settled) == before, "nothing is on its way"


@pytest.mark.parametrize("meanwhile", ["stop_model", "describe_model"])
def test_an_endpoint_that_comes_after_its_version_was_stopped_or_given_up_goes_again(api, meanwhile):
    api.project("lego", normal=12)
    api.trained()
    slow = Slow(api)

    def start(version, units):
        getattr(api.client, meanwhile)(**ONE)  # before SageMaker has anything
        return slow.start(version, units)

    api.backend.start = start
    api.client.start_model(**ONE, MinInferenceUnits=1)
    assert status(api) == "STOPPING_HOSTING"
    slow.endpoint = "InService"
    status(api)
    assert (slow.endpoint, status(api)) == (None, "TRAINED")


def test_a_model_whose_endpoint_is_still_there_is_not_deleted(api, monkeypatch):
    api.project("lego", normal=12)
    api.trained()
    slow = Slow(api)
    failing = client_error("ThrottlingException", "slow down", "CreateEndpoint")
    with monkeypatch.context() as patch:
        patch.setattr(api.backend, "start", lambda *_: (_ for _ in ()).throw(failing))
        refused("InternalServerException", lambda: api.client.start_model(**ONE, MinInferenceUnits=1))
    slow.endpoint = "Creating"  # SageMaker had begun all the same
    refused("ConflictException", lambda: api.client.delete_model(**ONE), "still being stopped")
    assert status(api) == "STOPPING_HOSTING"
    slow.endpoint = "InService"
    status(api)
    api.client.delete_model(**ONE)
    refused("ResourceNotFoundException", lambda: api.client.describe_model(**ONE))


def test_who_may_only_look_sees_what_is_hosted_and_changes_nothing(api):
    api.project("lego", normal=12)
    api.trained()
    slow = Slow(api)
    api.client.start_model(**ONE, MinInferenceUnits=1)
    slow.endpoint = "InService"
    version, item = models.observed(api.services, "lego", "1")
    assert (version.number, item["status"]) == (1, "HOSTED")
    assert slow.settled == []
    assert [each["Status"] for each in api.client.list_models(ProjectName="lego")["Models"]] == ["STARTING_HOSTING"]
    api.train()
    api.finish(list(api.sagemaker.jobs)[-1])
    assert models.observed(api.services, "lego", "2")[1]["status"] == "TRAINING", "others bring it to its end"
    assert status(api, "2") == "TRAINED"


def test_hosting_that_is_refused_fails_and_may_be_tried_again(api, monkeypatch):
    api.project("lego", normal=12)
    api.trained()
    full = client_error("ResourceLimitExceeded", "0 Instances", "CreateEndpoint")
    with monkeypatch.context() as patch:
        patch.setattr(api.backend, "start", lambda *_: (_ for _ in ()).throw(full))
        start = {**ONE, "MinInferenceUnits": 1}
        refused("ServiceQuotaExceededException", lambda: api.client.start_model(**start), "no instance of SageMaker")
    assert (status(api), "0 Instances" in described(api)["StatusMessage"]) == ("HOSTING_FAILED", True)
    api.client.start_model(**ONE, MinInferenceUnits=1)
    assert status(api) == "HOSTED"


def test_a_training_whose_function_died_before_it_began_fails_and_frees_its_place(api):
    api.project("lego", normal=12)
    api.train()
    api.sagemaker.jobs.clear()
    assert status(api) == "TRAINING", "the job may be just about to begin"
    api.clock[0] += 121
    assert status(api) == "TRAINING_FAILED"
    assert "never started" in described(api)["StatusMessage"]
    api.train()
    assert api.train()["ModelVersion"] == "3"


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        (JPEG, "image/gif", "'image/gif'. Photographs are image/jpeg or image/png"),
        (JPEG, "application/json", "Photographs are image/jpeg"),
        (JPEG, "image/png", "but the body is image/jpeg"),
        (b"GIF89a", "image/jpeg", "neither a JPEG nor a PNG"),
        (JPEG + b"0" * (8 << 20), "image/jpeg", "at most 8388608"),
        (b"", "image/jpeg", "Body is empty, 0 bytes. Send the bytes of one photograph"),
    ],
)
def test_what_is_no_photograph_is_refused(api, body, kind, told):
    api.project("lego", normal=12)
    api.trained()
    api.client.start_model(**ONE, MinInferenceUnits=1)
    refused("ValidationException", lambda: api.client.detect_anomalies(**ONE, Body=body, ContentType=kind), told)


def test_the_answer_of_a_segmentation_model_is_that_of_the_service(api):
    api.project("lego", normal=12)
    api.trained()
    api.client.start_model(**ONE, MinInferenceUnits=1)
    mask = b"\x89PNG mask"
    anomalies = [
        {"Name": "background", "PixelAnomaly": {"TotalPercentageArea": 0.9818974137306213, "Color": "#FFFFFF"}},
        {"Name": "cracked", "PixelAnomaly": {"TotalPercentageArea": 0.018102575093507767, "Color": "#23A436"}},
    ]
    import base64

    api.backend.result |= {"Anomalies": anomalies, "AnomalyMask": base64.b64encode(mask).decode()}
    told = api.client.detect_anomalies(**ONE, Body=JPEG, ContentType="image/jpeg")["DetectAnomalyResult"]
    assert told["Anomalies"] == anomalies
    assert told["AnomalyMask"] == mask


def test_versions_are_listed_in_their_order(api):
    api.project("lego", normal=12)
    for _ in range(3):
        api.trained()
    pages = api.client.get_paginator("list_models").paginate(ProjectName="lego", PaginationConfig={"PageSize": 2})
    assert [[each["ModelVersion"] for each in page["Models"]] for page in pages] == [["1", "2"], ["3"]]
    assert described(api, "latest")["ModelVersion"] == "3"
    refused("ResourceNotFoundException", lambda: api.client.describe_model(ProjectName="lego", ModelVersion="4"))


CONFIGURATION = {"S3OutputLocation": {"Bucket": "customer", "Prefix": "edge/"}, "ComponentName": "lego.sorter"}
PI = {"Os": "LINUX", "Arch": "ARM64"}


def package(api, **more):
    configuration = {"Greengrass": {**CONFIGURATION, "TargetPlatform": PI, **more.pop("greengrass", {})}}
    request = {"ProjectName": "lego", "ModelVersion": "1", "Configuration": configuration, **more}
    return api.client.start_model_packaging_job(**request)["JobName"]


def test_a_packaging_job_puts_the_component_into_the_bucket(api):
    api.project("lego", normal=12)
    api.trained()
    job = package(api, Description="for the Pi")
    told = api.client.describe_model_packaging_job(ProjectName="lego", JobName=job)["ModelPackagingDescription"]
    assert (told["Status"], told["ModelVersion"], told["ModelPackagingMethod"]) == ("CREATED", "1", "GreenGrass")
    assert api.work() == ["SUCCEEDED"]
    told = api.client.describe_model_packaging_job(ProjectName="lego", JobName=job)["ModelPackagingDescription"]
    assert told["Status"] == "SUCCEEDED"
    assert told["ModelPackagingOutputDetails"]["Greengrass"] == {
        "ComponentVersionArn": f"arn:aws:greengrass:{REGION}:aws:components:lego.sorter",
        "ComponentName": "lego.sorter",
        "ComponentVersion": "1.0.0",
    }
    body = api.s3.get_object(Bucket="customer", Key="edge/lego.sorter/1.0.0/lego.sorter.zip")["Body"].read()
    assert body.startswith(b"bundle for lego of \x1f\x8b")
    listed = api.client.list_model_packaging_jobs(ProjectName="lego")["ModelPackagingJobs"]
    assert [(each["JobName"], each["Status"]) for each in listed] == [(job, "SUCCEEDED")]
    refused("ConflictException", lambda: package(api), "component lego.sorter 1.0.0 already")
    assert package(api, JobName="second", greengrass={"ComponentVersion": "1.0.1"}) == "second"
    refused("ConflictException", lambda: package(api, JobName="second", greengrass={"ComponentVersion": "1.0.2"}))


def test_a_packaging_job_that_fails_tells_why_and_frees_the_component(api):
    api.project("lego", normal=12)
    api.trained()
    place = {"greengrass": {"S3OutputLocation": {"Bucket": "nowhere"}}}
    job = package(api, **place)
    assert api.work() == ["FAILED"]
    told = api.client.describe_model_packaging_job(ProjectName="lego", JobName=job)["ModelPackagingDescription"]
    assert "PutObject was refused: NoSuchBucket" in told["StatusMessage"]
    package(api)
    api.client.delete_model(**ONE)
    assert api.work() == ["FAILED"]


def test_a_packaging_that_fails_by_itself_is_told_and_raised(api):
    api.project("lego", normal=12)
    api.trained()
    job = package(api)
    with pytest.raises(ZeroDivisionError):
        packaging.pack(api.services, "lego", job, lambda *_: 1 / 0)
    told = api.client.describe_model_packaging_job(ProjectName="lego", JobName=job)["ModelPackagingDescription"]
    assert (told["Status"], "ZeroDivisionError" in told["StatusMessage"]) == ("FAILED", True)
    assert package(api), "the component's name is free again"


@pytest.mark.parametrize(
    ("greengrass", "told"),
    [
        ({"TargetDevice": "jetson_xavier"}, "either TargetDevice or TargetPlatform"),
        ({"CompilerOptions": "{'mcpu'"}, "give a JSON object"),
    ],
)
def test_contradictory_packages_are_refused(api, greengrass, told):
    api.project("lego", normal=12)
    api.trained()
    refused("ValidationException", lambda: package(api, greengrass=greengrass), told)


def test_only_a_trained_model_is_packed(api):
    api.project("lego", normal=12)
    api.train()
    refused("ConflictException", lambda: package(api), "only a trained one")
    refused(
        "ResourceNotFoundException",
        lambda: api.client.describe_model_packaging_job(ProjectName="lego", JobName="none"),
    )


def test_names_of_jobs_suit_sagemaker():
    from sextant.inspection.api.services import job_name

    name = job_name(PLACE.PREFIX, "_" * 3 + "Ünder_score" * 30, 999_999_999, 1.5)
    import re

    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)
