"""Every operation by its name, and requests that come twice answered once."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sextant.inspection.api import datasets, models, packaging, projects, wire
from sextant.inspection.api.errors import ApiError, conflict, internal, throttled
from sextant.inspection.api.store import Put, Remove

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sextant.inspection.api.errors import Resource
    from sextant.inspection.api.services import Document, Services

logger = logging.getLogger(__name__)

OPERATIONS: dict[str, Callable[[Services, Mapping[str, Any]], Document]] = {
    "CreateDataset": datasets.create_dataset,
    "CreateModel": models.create_model,
    "CreateProject": projects.create_project,
    "DeleteDataset": datasets.delete_dataset,
    "DeleteModel": models.delete_model,
    "DeleteProject": projects.delete_project,
    "DescribeDataset": datasets.describe_dataset,
    "DescribeModel": models.describe_model,
    "DescribeModelPackagingJob": packaging.describe_model_packaging_job,
    "DescribeProject": projects.describe_project,
    "DetectAnomalies": models.detect_anomalies,
    "ListDatasetEntries": datasets.list_dataset_entries,
    "ListModelPackagingJobs": packaging.list_model_packaging_jobs,
    "ListModels": models.list_models,
    "ListProjects": projects.list_projects,
    "ListTagsForResource": projects.list_tags_for_resource,
    "StartModel": models.start_model,
    "StartModelPackagingJob": packaging.start_model_packaging_job,
    "StopModel": models.stop_model,
    "TagResource": projects.tag_resource,
    "UntagResource": projects.untag_resource,
    "UpdateDatasetEntries": datasets.update_dataset_entries,
}

_REMEMBERED = 8 * 3600
"""Seconds for which a token stands for its first request."""
_LONGEST_REQUEST = 60
"""Seconds after which a request that told no result has died: a function behind the gateway ends before."""


def answer(services: Services, event: Mapping[str, Any]) -> Document:
    """The response to an event of an HTTP API (payload format 2.0), whatever happens."""
    request_id = event["requestContext"].get("requestId", "")
    try:
        operation, params = wire.request(event)
        return wire.answer(operation, run(services, operation.name, params), request_id)
    except ApiError as error:
        logger.info("refused: %s", error)
        return wire.error_answer(error, request_id)
    except Exception as error:
        logger.exception("request %s failed", request_id)
        return wire.error_answer(_fault(error), request_id)


def run(services: Services, operation: str, params: Mapping[str, Any]) -> Document:
    """An operation's result: with a ClientToken that was there before, that of the first request.

    Raises:
        ApiError: as the operation, or the token belongs to another request or to one that is still under way.
    """
    token = params.get("ClientToken")
    request = {name: value for name, value in params.items() if name != "ClientToken"}
    if token is None:
        return OPERATIONS[operation](services, request)
    key = (f"TOKEN#{operation}#{token}", "TOKEN")
    digest = hashlib.sha256(json.dumps(request, sort_keys=True, default=_text).encode()).hexdigest()
    known = _claim(services, key, digest, operation)
    if known is not None:
        return known
    try:
        result = OPERATIONS[operation](services, request)
    except BaseException:
        services.table.commit(Remove(key))  # it may be tried again with the same token
        raise
    _remember(services, key, digest, json.dumps(result, default=float))
    return result


def _claim(services: Services, key: tuple[str, str], digest: str, operation: str) -> Document | None:
    now = int(services.now())
    mine = {"request": digest, "since": now, "expires": now + _REMEMBERED}
    for _ in range(2):
        if not services.table.commit(Put(key, mine)):
            return None
        first = services.table.get(key)
        if first is None:
            continue
        if first["request"] != digest:
            token = key[0].rpartition("#")[2]
            message = f"The ClientToken {token} came with another request before. Choose a new one for each request."
            raise conflict(_kind(operation), token, message)
        if "result" in first and now < first["expires"]:
            return dict(json.loads(first["result"]))
        if "result" not in first and now - first["since"] < _LONGEST_REQUEST:
            raise throttled("The same request is under way already: its answer is this one's too.", 1)
        services.table.commit(Remove(key, {"since": [first["since"]]}))
    raise throttled("The same request is under way already: its answer is this one's too.", 1)


def _remember(services: Services, key: tuple[str, str], digest: str, result: str) -> None:
    now = int(services.now())
    kept = {"request": digest, "since": now, "expires": now + _REMEMBERED, "result": result}
    services.table.commit(Put(key, kept, absent=False))


def _kind(operation: str) -> Resource:
    if "Packaging" in operation:
        return "MODEL_PACKAGE_JOB"
    return "MODEL" if "Model" in operation else "DATASET" if "Dataset" in operation else "PROJECT"


def _text(value: object) -> str:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else str(value)


def _fault(error: Exception) -> ApiError:
    """What went wrong behind the API, without what only its owner may know."""
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        if code in {"TransactionConflictException", "TransactionCanceledException", "ThrottlingException"}:
            return throttled("Too many requests change the same thing at once.", 1)
        return internal(f"AWS refused what this request needs ({error.operation_name}: {code}). The log tells more.")
    return internal("The request failed for a fault of the API. Its log tells more, by the request's id.")
