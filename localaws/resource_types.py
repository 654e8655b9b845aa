"""CloudFormation resource types of our engines: properties in, API calls out.

A type is three functions on an engine. Most properties have the API's own names; what differs is said here. Creating
something that exists updates it: after a crash the stack's record may be older than the engine's.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore import xform_name

from localaws.home import Call, Document, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

Created = tuple[str, Document]


@dataclass(frozen=True)
class ResourceType:
    """How CloudFormation makes, changes and removes one type.

    `create(engine, call, name, properties)` gives the physical id and the attributes of `Fn::GetAtt`; `name` is the
    name to use where the properties give none. `update` changes in place; None: a change replaces the resource.
    """

    engine: str
    create: Callable[[Any, Call, str, Document], Created]
    delete: Callable[[Any, Call, str], None]
    update: Callable[[Any, Call, str, Document], None] | None = None


def generated_name(stack: str, logical_id: str, max_length: int = 128) -> str:
    """A name as CloudFormation generates one, but the same for the same stack and logical id."""
    suffix = hashlib.sha256(f"{stack}/{logical_id}".encode()).hexdigest()[:12].upper()
    return f"{f'{stack}-{logical_id}'[: max_length - 13]}-{suffix}"


def api_params(service: str, operation: str, properties: Document) -> Document:
    """The properties that an operation takes, with CloudFormation's text values as the types the API has."""
    shape = _input_shape(service, operation)
    return {name: _typed(shape.members[name], value) for name, value in properties.items() if name in shape.members}


def _input_shape(service: str, operation: str) -> Any:
    return botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape


def _typed(shape: Any, value: Any) -> Any:
    match shape.type_name:
        case "structure" if isinstance(value, dict):
            return {name: _typed(shape.members[name], item) for name, item in value.items() if name in shape.members}
        case "list" if isinstance(value, list):
            return [_typed(shape.member, item) for item in value]
        case "map" if isinstance(value, dict):
            return {key: _typed(shape.value, item) for key, item in value.items()}
        case "integer" | "long":
            return int(value)
        case "double" | "float":
            return float(value)
        case "boolean":
            return value if isinstance(value, bool) else str(value).lower() == "true"
        case "string":
            return value if isinstance(value, str) else str(value)
        case _:
            return value


def _tolerating(action: Callable[[], object], *codes: str) -> None:
    try:
        action()
    except ServiceError as error:
        if error.code not in codes:
            raise


def _glue(kind: str, create_operation: str, key: str, adapt: Callable[[Document], Document]) -> ResourceType:
    """A named Glue resource; `key` is how Update… wraps the changes (None: members stand at the top)."""

    def create(engine: Any, call: Call, name: str, properties: Document) -> Created:
        adapted = adapt(properties)
        name = adapted.get("Name") or name
        params = {**api_params("glue", create_operation, adapted), "Name": name}
        try:
            getattr(engine, f"create_{kind}")(call, params)
        except ServiceError as error:
            if error.code != "AlreadyExistsException":
                raise
            update(engine, call, name, properties)
        return name, {}

    def update(engine: Any, call: Call, name: str, properties: Document) -> None:
        changes = {k: v for k, v in api_params("glue", create_operation, adapt(properties)).items() if k != "Name"}
        members = _input_shape("glue", f"Update{kind.title()}").members
        if key:
            name_member = f"{kind.title()}Name" if f"{kind.title()}Name" in members else "Name"
            request = {name_member: name, key: {k: v for k, v in changes.items() if k in members[key].members}}
        else:
            request = {"Name": name, **{k: v for k, v in changes.items() if k in members}}
        getattr(engine, f"update_{kind}")(call, request)

    def delete(engine: Any, call: Call, name: str) -> None:
        member = "JobName" if kind == "job" else "Name"
        _tolerating(lambda: getattr(engine, f"delete_{kind}")(call, {member: name}), "EntityNotFoundException")

    return ResourceType(engine="glue", create=create, update=update, delete=delete)


def _crawler_properties(properties: Document) -> Document:
    """CloudFormation nests the cron text: `Schedule: {ScheduleExpression: …}`."""
    schedule = properties.get("Schedule")
    if isinstance(schedule, dict):
        return {**properties, "Schedule": schedule.get("ScheduleExpression", "")}
    return properties


def _workgroup_create(engine: Any, call: Call, name: str, properties: Document) -> Created:
    name = properties.get("Name") or name
    renamed = {**properties, "Name": name, "Configuration": properties.get("WorkGroupConfiguration", {})}
    try:
        engine.create_work_group(call, api_params("athena", "CreateWorkGroup", renamed))
    except ServiceError as error:
        if "already" not in error.message.lower():
            raise
    _workgroup_update(engine, call, name, properties)
    return name, {}


def _workgroup_update(engine: Any, call: Call, name: str, properties: Document) -> None:
    """UpdateWorkGroup sets what is there; what the template no longer names is removed by the API's own flags."""
    configuration = properties.get("WorkGroupConfiguration", {})
    updates = {k: v for k, v in configuration.items() if k != "ResultConfiguration"}
    if "ResultConfiguration" in configuration:
        updates["ResultConfigurationUpdates"] = configuration["ResultConfiguration"]
    if "BytesScannedCutoffPerQuery" not in configuration:
        updates["RemoveBytesScannedCutoffPerQuery"] = True
    request = {
        "WorkGroup": name,
        "ConfigurationUpdates": updates,
        "Description": properties.get("Description", ""),
        "State": properties.get("State", "ENABLED"),
    }
    engine.update_work_group(call, api_params("athena", "UpdateWorkGroup", request))


def _workgroup_delete(engine: Any, call: Call, name: str) -> None:
    request = {"WorkGroup": name, "RecursiveDeleteOption": True}
    _tolerating(lambda: engine.delete_work_group(call, request), "InvalidRequestException")


def _named_query_create(engine: Any, call: Call, name: str, properties: Document) -> Created:
    params = api_params("athena", "CreateNamedQuery", {"Name": name, **properties})
    query_id = engine.create_named_query(call, params)["NamedQueryId"]
    return query_id, {"NamedQueryId": query_id}


def _named_query_delete(engine: Any, call: Call, name: str) -> None:
    _tolerating(lambda: engine.delete_named_query(call, {"NamedQueryId": name}), "InvalidRequestException")


def _security_configuration_create(engine: Any, call: Call, name: str, properties: Document) -> Created:
    name = properties.get("Name") or name
    _tolerating(
        lambda: engine.create_security_configuration(call, {**properties, "Name": name}), "AlreadyExistsException"
    )
    return name, {}


def _security_configuration_update(engine: Any, call: Call, name: str, properties: Document) -> None:
    """Glue cannot change one: it is made anew under its name, which the jobs and crawlers go on to use."""
    _security_configuration_delete(engine, call, name)
    engine.create_security_configuration(call, {**properties, "Name": name})


def _security_configuration_delete(engine: Any, call: Call, name: str) -> None:
    _tolerating(lambda: engine.delete_security_configuration(call, {"Name": name}), "EntityNotFoundException")


def _sagemaker(prefix: str, missing: str = "Could not find") -> ResourceType:
    """A SageMaker resource that never changes: a change makes another one. Its `Ref` is its ARN.

    A generated name holds the properties' digest, so that the other one has a name of its own.
    """
    snake = xform_name(prefix)

    def create(engine: Any, call: Call, name: str, properties: Document) -> Created:
        own = properties.get(f"{prefix}Name")
        digest = hashlib.sha256(json.dumps([name, properties], sort_keys=True).encode()).hexdigest()[:12]
        name = own or f"{name[:50].rstrip('-')}-{digest}"
        params = {**api_params("sagemaker", f"Create{prefix}", properties), f"{prefix}Name": name}
        try:
            getattr(engine, f"create_{snake}")(call, params)
        except ServiceError as error:
            if "already exist" not in error.message:
                raise
        found = getattr(engine, f"describe_{snake}")(call, {f"{prefix}Name": name})
        if any(found.get(key, value) != value for key, value in params.items() if key != "Tags"):
            message = f"{name} is there with other properties, and a {prefix} cannot be changed: give it a new name"
            raise ServiceError("ValidationException", message)
        arn = found[f"{prefix}Arn"]
        return arn, {f"{prefix}Name": name, f"{prefix}Arn": arn}

    def delete(engine: Any, call: Call, physical_id: str) -> None:
        params = {f"{prefix}Name": physical_id.rpartition("/")[2]}
        try:
            getattr(engine, f"delete_{snake}")(call, params)
        except ServiceError as error:
            if missing not in error.message:
                raise

    return ResourceType("sagemaker", create, delete)


def _endpoint_create(engine: Any, call: Call, name: str, properties: Document) -> Created:
    """CloudFormation on AWS waits until the endpoint serves; here the stack goes on while it comes up."""
    name = properties.get("EndpointName") or f"{name[:50].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    params = {**api_params("sagemaker", "CreateEndpoint", properties), "EndpointName": name}
    params["EndpointConfigName"] = params["EndpointConfigName"].rpartition("/")[2]
    try:
        arn = engine.create_endpoint(call, params)["EndpointArn"]
    except ServiceError as error:
        if "already exist" not in error.message:
            raise
        arn = engine.describe_endpoint(call, {"EndpointName": name})["EndpointArn"]
        _endpoint_update(engine, call, arn, properties)
    return arn, {"EndpointName": name}


def _endpoint_update(engine: Any, call: Call, physical_id: str, properties: Document) -> None:
    name, config = physical_id.rpartition("/")[2], properties["EndpointConfigName"].rpartition("/")[2]
    if engine.describe_endpoint(call, {"EndpointName": name})["EndpointConfigName"] != config:
        engine.update_endpoint(call, {"EndpointName": name, "EndpointConfigName": config})


def _endpoint_delete(engine: Any, call: Call, physical_id: str) -> None:
    _tolerating(
        lambda: engine.delete_endpoint(call, {"EndpointName": physical_id.rpartition("/")[2]}), "ValidationException"
    )


def _same(properties: Document) -> Document:
    return properties


RESOURCE_TYPES: dict[str, ResourceType] = {
    "AWS::Glue::Crawler": _glue("crawler", "CreateCrawler", "", _crawler_properties),
    "AWS::Glue::Job": _glue("job", "CreateJob", "JobUpdate", _same),
    "AWS::Glue::Trigger": _glue("trigger", "CreateTrigger", "TriggerUpdate", _same),
    "AWS::Glue::Workflow": _glue("workflow", "CreateWorkflow", "", _same),
    "AWS::Glue::SecurityConfiguration": ResourceType(
        "catalog", _security_configuration_create, _security_configuration_delete, _security_configuration_update
    ),
    "AWS::Athena::WorkGroup": ResourceType("athena", _workgroup_create, _workgroup_delete, _workgroup_update),
    "AWS::SageMaker::ModelPackageGroup": _sagemaker("ModelPackageGroup", "does not exist"),
    "AWS::SageMaker::Model": _sagemaker("Model"),
    "AWS::SageMaker::EndpointConfig": _sagemaker("EndpointConfig"),
    "AWS::SageMaker::Endpoint": ResourceType("sagemaker", _endpoint_create, _endpoint_delete, _endpoint_update),
    "AWS::Athena::NamedQuery": ResourceType("athena", _named_query_create, _named_query_delete),
}
