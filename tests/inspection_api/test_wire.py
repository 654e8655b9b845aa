"""The service model is that of the service; requests out of its bounds are refused in its words."""

import json

import botocore.session
import pytest
from botocore.loaders import Loader

from sextant.inspection.api import operations, wire
from tests.inspection_api.stand import event_of, refused


def test_botocore_loads_the_model_and_every_operation_is_answered():
    loader = Loader(extra_search_paths=[str(wire.MODELS)], include_default_search_paths=False)
    assert loader.list_available_services("service-2") == ["lookoutvision"]
    session = botocore.session.get_session()
    session.get_component("data_loader").search_paths.insert(0, str(wire.MODELS))
    model = session.get_service_model("lookoutvision")
    assert len(model.operation_names) == 22
    assert set(model.operation_names) == set(operations.OPERATIONS)
    client = session.create_client("lookoutvision", region_name="us-east-1")
    paged = {"list_projects", "list_models", "list_dataset_entries", "list_model_packaging_jobs"}
    assert {name for name in paged if client.can_paginate(name)} == paged
    assert {error.name: error.metadata["error"]["httpStatusCode"] for error in model.error_shapes} == {
        "AccessDeniedException": 403,
        "ConflictException": 409,
        "InternalServerException": 500,
        "ResourceNotFoundException": 404,
        "ServiceQuotaExceededException": 402,
        "ThrottlingException": 429,
        "ValidationException": 400,
    }


def test_every_changing_operation_takes_a_token():
    tokens = {name for name in wire.service().operation_names
              if "ClientToken" in wire.service().operation_model(name).input_shape.members}  # fmt: skip
    assert tokens == {
        "CreateDataset", "CreateModel", "CreateProject", "DeleteDataset", "DeleteModel", "DeleteProject",
        "StartModel", "StartModelPackagingJob", "StopModel", "UpdateDatasetEntries",
    }  # fmt: skip
    member = wire.service().operation_model("StartModel").input_shape.members["ClientToken"]
    assert member.serialization == {"location": "header", "name": "X-Amzn-Client-Token"}


def ask(method, path, body=None, **headers):
    content = json.dumps(body).encode() if body is not None else b""
    return wire.request(event_of(method, path, {"content-type": "application/json", **headers}, content))


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("POST", "/projects", {"ProjectName": "a b"}, "'a b' at 'projectName'.*regular expression"),
        ("POST", "/projects", {"ProjectName": "a" * 256}, "length less than or equal to 255"),
        ("POST", "/projects", {"ProjectName": 5}, "Member must be a string"),
        ("POST", "/projects", {}, "'null' at 'projectName'.*must not be null"),
        ("POST", "/projects", [1], "must be a JSON object"),
        ("GET", "/projects?maxResults=0", None, "value greater than or equal to 1"),
        ("GET", "/projects?maxResults=101", None, "value less than or equal to 100"),
        ("GET", "/projects?maxResults=x", None, "must be a integer"),
        ("GET", "/projects?nextToken=%21", None, "regular expression pattern"),
        ("POST", "/projects/p/datasets", {"DatasetType": "trial"}, "regular expression pattern: train|test"),
        ("GET", "/projects/p/datasets/other", None, "'other' at 'datasetType'"),
        ("GET", "/projects/p/datasets/train/entries?createdBefore=yesterday", None, "'yesterday' at 'createdBefore'"),
        ("GET", "/projects/p/datasets/train/entries?labeled=maybe", None, "must be a boolean"),
        ("GET", "/projects/p/models/0", None, "'0' at 'modelVersion'"),
        ("DELETE", "/projects/p/models/latest", None, "'latest' at 'modelVersion'"),
        ("POST", "/projects/p/models/1/start", {"MinInferenceUnits": 0}, "greater than or equal to 1"),
        ("POST", "/projects/p/models/1/start", {"MinInferenceUnits": True}, "must be a integer"),
        ("POST", "/projects/p/models", {"OutputConfig": {}}, "'outputConfig.S3Location'"),
        ("PATCH", "/projects/p/datasets/train/entries", {"Changes": "%%%"}, "must be a blob"),
        (
            "POST",
            "/projects/p/modelpackagingjobs",
            {"ModelVersion": "1", "Configuration": {"Greengrass": {
                "S3OutputLocation": {"Bucket": "bbb"}, "ComponentName": "c", "TargetDevice": "toaster"}}},
            "enum value set: .jetson_xavier.",
        ),
    ],
)  # fmt: skip
def test_a_request_out_of_bounds_is_refused(method, path, body, told):
    with pytest.raises(Exception, match=f"ValidationException: .*{told}"):
        ask(method, f"/2020-11-20{path}", body)


def test_an_unknown_path_is_no_operation():
    with pytest.raises(Exception, match="UnknownOperationException"):
        ask("GET", "/2020-11-20/trials")


def test_a_tagged_arn_may_have_its_slashes_decoded_or_not():
    arn = "arn:aws:lookoutvision:us-east-1:111122223333:model/p/1"
    for path in (arn, arn.replace("/", "%2F").replace(":", "%3A")):
        operation, params = ask("DELETE", f"/2020-11-20/tags/{path}?tagKeys=a&tagKeys=b.c")
        assert operation.name == "UntagResource"
        assert params == {"ResourceArn": arn, "TagKeys": ["a", "b.c"]}


def test_a_fault_of_the_api_is_an_internal_error(api, monkeypatch):
    monkeypatch.setitem(operations.OPERATIONS, "CreateProject", lambda *_: 1 / 0)
    monkeypatch.setattr(api.client.meta.config, "retries", {"mode": "standard", "total_max_attempts": 1})
    event = event_of("POST", "/2020-11-20/projects", {"content-type": "application/json"}, b'{"ProjectName":"p"}')
    told = operations.answer(api.services, event)
    assert told["statusCode"] == 500
    assert told["headers"]["x-amzn-errortype"] == "InternalServerException"
    assert "ZeroDivision" not in told["body"]


def test_what_the_models_own_check_lets_through_is_checked_here(api):
    # boto3 checks no patterns: the server does.
    refused("ValidationException", lambda: api.client.create_project(ProjectName="no blanks"), "regular expression")
