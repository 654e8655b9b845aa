"""What all of SageMaker's operations share: durable records, names, listing, tags, errors, events."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from localaws.engines import ledger
from localaws.engines.ledger import Ledger, faults, shown
from localaws.home import Call, Document, Home, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SERVICE = "sagemaker.amazonaws.com"
KINDS = {
    "processing_jobs": "processing-job",
    "training_jobs": "training-job",
    "transform_jobs": "transform-job",
    "models": "model",
    "endpoint_configs": "endpoint-config",
    "endpoints": "endpoint",
    "model_package_groups": "model-package-group",
    "model_packages": "model-package",
}
PAGE = 10
NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


class Place(ledger.Place):
    """One account's SageMaker in one region."""

    __slots__ = ()

    def arn(self, kind: str, *names: str) -> str:
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{KINDS.get(kind, kind)}/{'/'.join(names)}"


def place_of(call: Call) -> Place:
    return Place(call.account, call.region)


def invalid(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def not_supported(what: str, remedy: str) -> ServiceError:
    """A request that AWS would take and this engine cannot do: it is refused by name, never half done."""
    return ServiceError("ValidationException", f"{what} is not supported by the embedded SageMaker: {remedy}")


class State(Ledger[Place]):
    """The base of the engine's parts.

    A record is the Describe response as AWS gives it, plus members that begin with `_`, which no response shows.
    """

    def __init__(self, home: Home, clock: Callable[[], float] = time.time) -> None:
        super().__init__(home, clock, place=Place, service="sagemaker", kinds=(*KINDS, "tags"))

    def _assumed(self, place: Place, role: str) -> Call:
        """The call of SageMaker in the role of a job or model.

        Raises:
            ServiceError: ValidationException, as AWS words it, when the role cannot be assumed.
        """
        try:
            return self._home.as_role(*place, role, SERVICE)
        except ServiceError as error:
            message = (
                f"Could not assume role {role}. Please ensure that the role exists and allows principal '{SERVICE}' "
                f"to assume the role. ({error.message})"
            )
            raise invalid(message) from error

    def _passed(self, call: Call, role: str) -> Call:
        """The call of SageMaker in a role that the caller hands over, and may hand over."""
        call.authorize("iam:PassRole", role, {"iam:PassedToService": SERVICE})
        return self._assumed(place_of(call), role)

    # -- tags ------------------------------------------------------------------------------------------------------

    def _set_tags(self, place: Place, arn: str, tags: Iterable[Document] | None) -> None:
        if tags:
            known = (self._read("tags", place, arn) or {}).get("Tags", {})
            self._write("tags", place, {"Tags": {**known, **{tag["Key"]: tag["Value"] for tag in tags}}}, arn)

    def add_tags(self, call: Call, params: Document) -> Document:
        with self._lock:
            self._set_tags(place_of(call), params["ResourceArn"], params["Tags"])
        return self.list_tags(call, params)

    def list_tags(self, call: Call, params: Document) -> Document:
        tags = (self._read("tags", place_of(call), params["ResourceArn"]) or {}).get("Tags", {})
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def delete_tags(self, call: Call, params: Document) -> Document:
        place, arn = place_of(call), params["ResourceArn"]
        with self._lock:
            tags = (self._read("tags", place, arn) or {}).get("Tags", {})
            kept = {key: value for key, value in tags.items() if key not in params["TagKeys"]}
            self._write("tags", place, {"Tags": kept}, arn)
        return {}

    # -- events ----------------------------------------------------------------------------------------------------

    def _emit(self, place: Place, detail_type: str, record: Document, arn_member: str) -> None:
        detail = {**plain(shown(record)), "Tags": self._tags_of(place, record[arn_member])}
        self._home.emit(*place, "aws.sagemaker", detail_type, detail)

    def _tags_of(self, place: Place, arn: str) -> dict[str, str]:
        return dict((self._read("tags", place, arn) or {}).get("Tags", {}))


def plain(value: Any) -> Any:
    """JSON as SageMaker's events and Step Functions' results have it: times are epoch milliseconds."""
    if isinstance(value, datetime):
        return int(value.timestamp() * 1000)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def validate(operation: str, params: Mapping[str, Any], *names: str) -> None:
    """Checks a request against botocore's model: clients do so too, state machines and templates do not.

    Args:
        operation: such as `CreateTrainingJob`.
        params: its request.
        names: the members that name what is made.

    Raises:
        ServiceError: ValidationException.
    """
    if found := faults("sagemaker", operation, params):
        raise invalid(f"{operation}: {found}")
    for member in names:
        if not NAME.fullmatch(params[member]):
            wire = member[0].lower() + member[1:]
            raise invalid(
                f"1 validation error detected: Value '{params[member]}' at '{wire}' failed to satisfy constraint: "
                "Member must satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
            )


def listed(
    records: Iterable[Document],
    params: Mapping[str, Any],
    key: str,
    members: tuple[str, ...],
    *,
    name: str,
    status: str = "",
) -> Document:
    """One page of a List operation, with the filters and the order that all of SageMaker's lists have.

    Args:
        records: all documents of the kind.
        params: the request.
        key: the response's list member.
        members: of a summary.
        name: the member that names a record.
        status: the member that `StatusEquals` compares.

    Raises:
        ServiceError: ValidationException for a token this service did not give.
    """
    found = [record for record in records if _matches(record, params, name, status)]
    by_name = params.get("SortBy") == "Name"
    found.sort(key=lambda record: (str(record[name]),) if by_name else (record["CreationTime"], str(record[name])))
    if params.get("SortOrder", "Descending" if not by_name else "Ascending") == "Descending":
        found.reverse()
    token = params.get("NextToken") or "0"
    if not token.isdigit() or int(token) > len(found):
        raise invalid(f"NextToken {token!r} was not given by this operation")
    start = int(token)
    end = start + int(params.get("MaxResults") or PAGE)
    page: Document = {key: [{m: record[m] for m in members if m in record} for record in found[start:end]]}
    if end < len(found):
        page["NextToken"] = str(end)
    return page


def _matches(record: Document, params: Mapping[str, Any], name: str, status: str) -> bool:
    wanted = params.get("NameContains", "")
    if wanted.lower() not in str(record[name]).lower():
        return False
    if params.get("StatusEquals") and record.get(status) != params["StatusEquals"]:
        return False
    for member in ("CreationTime", "LastModifiedTime"):
        at = record.get(member, record["CreationTime"])
        after, before = params.get(f"{member}After"), params.get(f"{member}Before")
        if (after and at < after) or (before and at > before):
            return False
    return True
