"""The engines of the embedded AWS, and what IAM asks of their operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localaws.engines.athena.engine import Athena
from localaws.engines.autoscaling.engine import Autoscaling
from localaws.engines.glue.engine import Glue
from localaws.engines.sagemaker.engine import SageMaker
from localaws.home import Call, ServiceError
from localaws.wire import Service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localaws.home import Home


def engines(home: Home) -> dict[str, Any]:
    """Every engine by the name of its service."""
    sagemaker = SageMaker(home)
    # Closed in this order: what scales endpoints before what runs them.
    return {
        "application-autoscaling": Autoscaling(home, sagemaker),
        "athena": Athena(home),
        "glue": Glue(home),
        "sagemaker": sagemaker,
    }


def services(built: Mapping[str, Any]) -> dict[str, Service]:
    """The engines behind their wire protocols, by credential scope."""
    athena, glue = built["athena"], built["glue"]

    def athena_resources(_operation: str, params: Mapping[str, Any], call: Call) -> list[str]:
        workgroup = params.get("WorkGroup") or params.get("WorkGroupName")
        if workgroup is None:
            workgroup = _workgroup_of(athena, call, params)
        if workgroup is None:
            return ["*"]
        return [f"arn:aws:athena:{call.region}:{call.account}:workgroup/{workgroup}"]

    return {
        "application-autoscaling": Service(
            built["application-autoscaling"],
            "application-autoscaling",
            resources=autoscaling_resources,
            conditions=autoscaling_conditions,
        ),
        "athena": Service(athena, "athena", resources=athena_resources, invalid="InvalidRequestException"),
        "glue": Service(glue, "glue", resources=glue_resources, invalid="InvalidInputException"),
        "sagemaker": Service(built["sagemaker"], "sagemaker", "sagemaker-runtime", resources=sagemaker_resources),
    }


def _workgroup_of(athena: Any, call: Call, params: Mapping[str, Any]) -> str | None:
    """Query executions and named queries are guarded by the workgroup they belong to."""
    try:
        if "QueryExecutionId" in params:
            found = athena.get_query_execution(call, {"QueryExecutionId": params["QueryExecutionId"]})
            return found["QueryExecution"]["WorkGroup"]
        if "NamedQueryId" in params:
            found = athena.get_named_query(call, {"NamedQueryId": params["NamedQueryId"]})
            return found["NamedQuery"]["WorkGroup"]
    except ServiceError:
        return None
    return "primary" if "QueryString" in params else None


def glue_resources(operation: str, params: Mapping[str, Any], call: Call) -> list[str]:
    """The ARNs of a Glue operation: the catalog, database and table of catalog operations, else the named resource."""
    base = f"arn:aws:glue:{call.region}:{call.account}:"
    database = params.get("DatabaseName") or params.get("DatabaseInput", {}).get("Name")
    if database is None and operation in {"GetDatabase", "DeleteDatabase", "UpdateDatabase"}:
        database = params.get("Name")
    if database is not None and "Crawler" not in operation:
        table = params.get("TableName") or params.get("TableInput", {}).get("Name")
        if table is None and operation in {"GetTable", "DeleteTable"}:
            table = params.get("Name")
        if table is None and ("Table" in operation or "Partition" in operation):
            table = "*"
        resources = [f"{base}catalog", f"{base}database/{database}"]
        return [*resources, f"{base}table/{database}/{table}"] if table else resources
    if operation == "GetDatabases":
        return [f"{base}catalog"]
    for kind in ("Job", "Crawler", "Trigger", "Workflow"):
        if kind in operation:
            name = params.get(f"{kind}Name") or params.get("Name")
            return [f"{base}{kind.lower()}/{name}"] if name else ["*"]
    return ["*"]


def autoscaling_resources(operation: str, params: Mapping[str, Any], call: Call) -> list[str]:
    """The ARN of a scalable target; `*` where IAM knows no resource. A new target's number is not known beforehand."""
    if "ResourceARN" in params:
        return [params["ResourceARN"]]
    if operation.startswith("Describe"):
        return ["*"]
    return [f"arn:aws:application-autoscaling:{call.region}:{call.account}:scalable-target/*"]


def autoscaling_conditions(params: Mapping[str, Any]) -> dict[str, str]:
    """What a policy may limit a target by; IAM has no other way to tell one from another beforehand."""
    keys = {"service-namespace": "ServiceNamespace", "scalable-dimension": "ScalableDimension"}
    return {f"application-autoscaling:{key}": params[member] for key, member in keys.items() if member in params}


# The kinds of SageMaker's ARNs by the word in an operation's name, the more special word first.
_SAGEMAKER_KINDS = {
    "ProcessingJob": "processing-job",
    "TrainingJob": "training-job",
    "TransformJob": "transform-job",
    "EndpointConfig": "endpoint-config",
    "Endpoint": "endpoint",
    "ModelPackageGroup": "model-package-group",
    "ModelPackage": "model-package",
    "Model": "model",
}


def sagemaker_resources(operation: str, params: Mapping[str, Any], call: Call) -> list[str]:
    """The ARN of what a SageMaker operation makes, changes, tells of or calls; `*` for lists."""
    if operation.startswith("List") and operation != "ListTags":
        return ["*"]
    if "ResourceArn" in params:
        return [params["ResourceArn"]]
    base = f"arn:aws:sagemaker:{call.region}:{call.account}:"
    for word, kind in _SAGEMAKER_KINDS.items():
        if word not in operation:
            continue
        if kind == "model-package":
            return [_model_package(base, params)]
        name = str(params.get(f"{word}Name", "")).rpartition("/")[2]
        if operation in {"CreateEndpoint", "UpdateEndpoint"}:
            return [f"{base}endpoint/{name}", f"{base}endpoint-config/{params['EndpointConfigName']}"]
        return [f"{base}{kind}/{name}"]
    return ["*"]


def _model_package(base: str, params: Mapping[str, Any]) -> str:
    named = params.get("ModelPackageArn") or params.get("ModelPackageName")
    if named is None:
        group = params.get("ModelPackageGroupName", "").rpartition("/")[2]  # a name or an ARN
        return f"{base}model-package/{group}/*"
    return str(named) if str(named).startswith("arn:") else f"{base}model-package/{named}"
