"""The only module that knows ministack's private names: our engines into the emulator, its parts to our engines.

`main()` starts the emulator with everything in place. Each patch below says which defect or gap of ministack 1.5.33 it
mends; tests/local/test_adapter_contract.py holds every name it touches and fails when ministack changes under us.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import itertools
import json
import logging
import os
import re
import shutil
import signal
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore import xform_name
from botocore.config import Config
from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime, persistence, responses, router
from ministack.services import (
    apigateway,
    cloudformation,
    cloudfront,
    eventbridge,
    glue,
    iam,
    lambda_svc,
    s3,
    ssm,
    stepfunctions,
    sts,
)
from ministack.services.cloudformation import provisioners

from localaws.emulator import hold_state
from localaws.engines import registry
from localaws.engines.sagemaker.images import URI as IMAGE_URI
from localaws.engines.sagemaker.images import bucket_of, key_of
from localaws.engines.sagemaker.state import plain
from localaws.front_door import front_door, guarded, sign_in
from localaws.home import Authorizer, Call, Catalog, Document, Objects, ServiceError, StoredObject, allow_all
from localaws.records import Records, open_records
from localaws.resource_types import RESOURCE_TYPES, ResourceType, generated_name
from localaws.wire import Request, Response, error_response, not_implemented
from samples.console import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence

logger = logging.getLogger("localaws")
_make_client: Any = boto3.session.Session().client  # its overloads want the service's name as a literal

# A Lambda worker is a process of about 50 MB: more than this at once swamps a laptop (200 S3 events made 180 of them).
LAMBDA_SLOTS = int(os.environ.get("SEXTANT_LAMBDA_SLOTS", "4"))
JSONATA_PATIENCE = 30
# How much of DynamoDB, queues and stack records a kill -9 can cost. Objects and engine records are on disk at once.
SNAPSHOT_SECONDS = float(os.environ.get("SEXTANT_SNAPSHOT_SECONDS", "5"))


# --- What engines may ask: localaws.home.Home on the running emulator ------------------------------------------------


class EmulatorObjects(Objects):
    """Buckets as ministack keeps them with S3_PERSIST: metadata in memory, bodies in files."""

    def __init__(self, account: str, client: Any) -> None:
        self._account = account
        self._client = client

    def list(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        objects = self._bucket(bucket)["objects"]
        # A copy of the keys: requests go on while an engine reads.
        for key in sorted((key for key in list(objects) if key.startswith(prefix)), key=str.encode):
            record = objects.get(key)
            if record is not None:
                modified = _epoch(record["last_modified"])
                yield StoredObject(key=key, size=record["size"], etag=record["etag"].strip('"'), modified=modified)

    def read(self, bucket: str, key: str) -> bytes:
        return self.path(bucket, key).read_bytes()

    def path(self, bucket: str, key: str) -> Path:
        if key not in self._bucket(bucket)["objects"]:
            raise ServiceError("NoSuchKey", f"The specified key does not exist: s3://{bucket}/{key}", 404)
        path = s3._object_disk_path(bucket, key, self._account)
        if path is None or not Path(path).is_file():
            raise ServiceError("NoSuchKey", f"The body of s3://{bucket}/{key} is not on disk", 404)
        return Path(path)

    def write(self, bucket: str, key: str, body: bytes | Path, content_type: str = "application/octet-stream") -> None:
        if isinstance(body, Path):
            self._client.upload_file(str(body), bucket, key, ExtraArgs={"ContentType": content_type})
            body.unlink()
        else:
            self._client.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def delete(self, bucket: str, key: str) -> None:
        self._client.delete_object(Bucket=bucket, Key=key)

    def _bucket(self, bucket: str) -> Document:
        found = s3._buckets._data.get((self._account, bucket))
        if found is None:
            raise ServiceError("NoSuchBucket", f"The specified bucket does not exist: {bucket}", 404)
        return found


class EmulatorCatalog(Catalog):
    """ministack's Glue Data Catalog, called in process."""

    def __init__(self, account: str, region: str) -> None:
        self._scope = (account, region)

    def databases(self) -> list[Document]:
        return self._ask(glue._get_databases, {})["DatabaseList"]

    def create_database(self, database_input: Document) -> None:
        self._ask(glue._create_database, {"DatabaseInput": database_input})

    def delete_database(self, name: str) -> None:
        self._ask(glue._delete_database, {"Name": name})

    def tables(self, database: str) -> list[Document]:
        return self._ask(glue._get_tables, {"DatabaseName": database})["TableList"]

    def table(self, database: str, name: str) -> Document | None:
        try:
            return self._ask(glue._get_table, {"DatabaseName": database, "Name": name})["Table"]
        except ServiceError as error:
            if error.code == "EntityNotFoundException":
                return None
            raise

    def put_table(self, database: str, table_input: Document) -> None:
        known = self.table(database, table_input["Name"])
        operation = glue._create_table if known is None else glue._update_table
        self._ask(operation, {"DatabaseName": database, "TableInput": table_input})

    def delete_table(self, database: str, name: str) -> None:
        self._ask(glue._delete_table, {"DatabaseName": database, "Name": name})

    def partitions(self, database: str, table: str) -> list[Document]:
        return self._ask(glue._get_partitions, {"DatabaseName": database, "TableName": table})["Partitions"]

    def put_partitions(self, database: str, table: str, partition_inputs: Sequence[Document]) -> None:
        known = {tuple(partition["Values"]) for partition in self.partitions(database, table)}
        scope = {"DatabaseName": database, "TableName": table}
        new = [entry for entry in partition_inputs if tuple(entry["Values"]) not in known]
        changed = [entry for entry in partition_inputs if tuple(entry["Values"]) in known]
        if new:
            self._ask(glue._batch_create_partition, {**scope, "PartitionInputList": new})
        if changed:
            entries = [{"PartitionValueList": entry["Values"], "PartitionInput": entry} for entry in changed]
            self._ask(glue._batch_update_partition, {**scope, "Entries": entries})

    def delete_partitions(self, database: str, table: str, values: Sequence[Sequence[str]]) -> None:
        for value in values:
            scope = {"DatabaseName": database, "TableName": table, "PartitionValues": list(value)}
            self._ask(glue._delete_partition, scope)

    def _ask(self, operation: Callable[[Document], Response], data: Document) -> Document:
        return _answer(_scoped(*self._scope, operation, data))


class SecurityConfigurations:
    """ministack has Glue's security configurations in its API but not in its CloudFormation."""

    def create_security_configuration(self, call: Call, params: Document) -> Document:
        return _answer(_scoped(call.account, call.region, glue._create_security_configuration, params))

    def delete_security_configuration(self, call: Call, params: Document) -> Document:
        return _answer(_scoped(call.account, call.region, glue._delete_security_configuration, params))


def _answer(response: Response) -> Document:
    status, _, body = response
    answer = json.loads(body or b"{}")
    if status >= 400:
        raise ServiceError(answer.get("__type", "InternalServiceException"), answer.get("message", ""), status)
    return answer


class EmulatorHome:
    """See `localaws.home.Home`."""

    def __init__(self, state: Path, endpoint: str) -> None:
        self.endpoint = endpoint
        self.bodies = Path(s3.DATA_DIR)
        self.scratch = state / "scratch"
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        self._connection, self._lock = open_records(state / "engines.sqlite")
        self._tables: dict[str, Records] = {}
        self._clients: dict[tuple[str, str, str], Any] = {}

    def objects(self, account: str) -> EmulatorObjects:
        return EmulatorObjects(account, self._client("s3", account, "us-east-1"))

    def catalog(self, account: str, region: str) -> EmulatorCatalog:
        return EmulatorCatalog(account, region)

    def records(self, name: str) -> MutableMapping[str, Document]:
        if name not in self._tables:
            self._tables[name] = Records(self._connection, self._lock, name)
        return self._tables[name]

    def as_role(self, account: str, region: str, role_arn: str, service: str) -> Call:
        session = self._role_session(account, role_arn, service)
        return Call(
            account=account,
            region=region,
            principal=role_arn,
            authorize=_authorizer(account, region, session["AWS_ACCESS_KEY_ID"]),
        )

    def role_environment(self, account: str, region: str, role_arn: str, service: str) -> dict[str, str]:
        return {
            **self._role_session(account, role_arn, service),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def log(self, account: str, region: str, group: str, stream: str, lines: Sequence[str]) -> None:
        client = self._client("logs", account, region)
        for create in (
            lambda: client.create_log_group(logGroupName=group),
            lambda: client.create_log_stream(logGroupName=group, logStreamName=stream),
        ):
            try:
                create()
            except client.exceptions.ResourceAlreadyExistsException:
                continue
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line or " "} for line in lines]
        if events:
            client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    def metric(
        self, account: str, region: str, namespace: str, *, name: str, value: float, dimensions: Mapping[str, str]
    ) -> None:
        named = [{"Name": key, "Value": text} for key, text in dimensions.items()]
        datum = {"MetricName": name, "Value": value, "Dimensions": named}
        self._client("cloudwatch", account, region).put_metric_data(Namespace=namespace, MetricData=[datum])

    def emit(self, account: str, region: str, source: str, detail_type: str, detail: Document) -> None:
        event = {
            "EventId": responses.new_uuid(),
            "Source": source,
            "DetailType": detail_type,
            "Detail": json.dumps(detail, default=str),
            "EventBusName": "default",
            "Time": responses.now_iso(),
            "Resources": list[str](),
            "Account": account,
            "Region": region,
        }
        _scoped(account, region, eventbridge._dispatch_event, event)

    def _client(self, service: str, account: str, region: str) -> Any:
        """A client of this very emulator as the account's root: what an engine does itself is not a customer's call."""
        key = (service, account, region)
        if key not in self._clients:
            config = Config(retries={"max_attempts": 2}, max_pool_connections=16, inject_host_prefix=False)
            self._clients[key] = _make_client(
                service,
                endpoint_url=self.endpoint,
                aws_access_key_id=account,
                aws_secret_access_key="local",  # noqa: S106 - root of an account of this emulator
                region_name=region,
                config=config,
            )
        return self._clients[key]

    def _role_session(self, account: str, role_arn: str, service: str) -> dict[str, str]:
        name = role_arn.rsplit("/", 1)[-1]
        role = iam._roles.get_scoped(account, None, name)
        if role is None:
            raise ServiceError("InvalidInputException", f"The role {role_arn} does not exist.")
        if app.AUTH and not _trusts(role, service):
            raise ServiceError(
                "InvalidInputException", f"{service} is not authorized to perform: sts:AssumeRole on role {role_arn}"
            )
        digest = hashlib.sha256(f"{account}:{role_arn}:{service}".encode()).hexdigest()
        keys = {
            "AWS_ACCESS_KEY_ID": f"ASIA{digest[:16].upper()}",
            "AWS_SECRET_ACCESS_KEY": hashlib.sha256(f"secret:{digest}".encode()).hexdigest(),
            "AWS_SESSION_TOKEN": hashlib.sha256(f"token:{digest}".encode()).hexdigest(),
        }
        if not app.AUTH:
            return {**keys, "AWS_ACCESS_KEY_ID": account}
        session_name = service.partition(".")[0]
        sts.register_session(
            keys["AWS_ACCESS_KEY_ID"],
            {
                "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session_name}",
                "UserId": f"{name}:{session_name}",
                "SecretAccessKey": keys["AWS_SECRET_ACCESS_KEY"],
                "SessionToken": keys["AWS_SESSION_TOKEN"],
            },
        )
        return keys


def _trusts(role: Document, service: str) -> bool:
    document = role["AssumeRolePolicyDocument"]
    statements = (json.loads(document) if isinstance(document, str) else document).get("Statement", [])
    return any(
        statement.get("Effect") == "Allow"
        and iam_evaluator._service_principal_matches(statement.get("Principal"), service)
        for statement in statements
    )


def _scoped(account: str, region: str, function: Callable[..., Any], *args: Any) -> Any:
    """Calls into ministack as a request of this account and region would."""
    context = contextvars.copy_context()

    def run() -> Any:
        responses.set_request_account_id(account)
        responses.set_request_region(region)
        return function(*args)

    return context.run(run)


def _epoch(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()


# --- IAM -------------------------------------------------------------------------------------------------------------


def _authorizer(account: str, region: str, access_key: str) -> Authorizer:
    """A function that raises AccessDeniedException where the key's policies (and the resource's) do not allow."""
    if not app.AUTH:
        return allow_all

    def authorize(action: str, resource: str, extra: Mapping[str, str] | None = None) -> None:
        principal = _scoped(account, region, iam_evaluator.resolve_principal, access_key, account)
        if isinstance(principal, iam_evaluator.AuthError):
            raise ServiceError(principal.code, principal.message, 403)
        if principal.policies is None:  # the account's root
            return
        context = iam_evaluator.EvalContext(
            principal_arn=principal.arn,
            principal_type=principal.type,
            principal_account=principal.account,
            action=action,
            resource_arn=resource,
            region=region,
            secure_transport=True,
            principal_keys=principal.keys,
            service_context={key.lower(): value for key, value in (extra or {}).items()},
        )
        result = iam_evaluator.evaluate(context, principal.policies, *principal.limits)
        policy = _scoped(account, region, iam_evaluator._resource_policy, action.partition(":")[0], resource)
        if policy is not None:
            result = iam_evaluator.combine_resource_policy(result, context, *policy, limits=principal.limits)
        if result.decision != "Allow":
            raise ServiceError(
                "AccessDeniedException",
                f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource}",
                400,
            )

    return authorize


# --- Our services on the emulator's port -----------------------------------------------------------------------------


def _install_services(home: EmulatorHome) -> dict[str, Any]:
    built = registry.engines(home)
    for name, service in registry.services(built).items():
        own_catalog = glue.handle_request if name == "glue" else None
        app.SERVICE_HANDLERS[name] = _handler(service, own_catalog)
        # An unknown name would make the router read every botocore model first (13 s); ours are named here.
        router.SERVICE_PATTERNS.setdefault(name, {})
        # Without a namespace ministack only authenticates: the wire authorizes, as it knows the resources' ARNs.
        iam_actions.SERVICE_TO_IAM_NAMESPACE.pop(name, None)
    return built


class _Services(dict[str, Any]):
    """ministack's table of services, in which no service is missing: what nobody implements says so.

    ministack answers such a request with "Unsupported service" in a form that no AWS client takes for an error of AWS.
    """

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else _absent(key)


def _absent(name: str) -> Callable[..., Any]:
    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: Document) -> Response:
        return not_implemented(name, Request(method, path, headers, body, query))

    return handle


def _install_fallback() -> None:
    """See `_Services`. And whether a name is a service's is asked of the list first: reading every model takes 13 s."""
    app.SERVICE_HANDLERS = _Services(app.SERVICE_HANDLERS)
    names = frozenset(boto3.session.Session().get_available_services())
    reads_all = router._is_aws_service_name

    def is_service(name: str) -> bool:
        return name in names or reads_all(name)

    router._is_aws_service_name = is_service


def _handler(service: Any, fallback: Any) -> Callable[..., Any]:
    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: Document) -> Response:
        account, region = responses.get_account_id(), responses.get_region()
        access_key = router.extract_access_key_id(headers, query) or ""
        call = Call(account, region, _authorizer(account, region, access_key), access_key)
        request = Request(method, path, headers, body, query)
        if fallback is None or service.implements(request):
            return await service.handle(request, call)
        try:
            service.check(request, call)
        except ServiceError as error:
            return error_response(error)
        return await fallback(method, path, headers, body, query)

    return handle


# --- CloudFormation --------------------------------------------------------------------------------------------------


def _install_resource_types(built: dict[str, Any]) -> None:
    owners = {**built, "catalog": SecurityConfigurations()}
    for type_name, resource in RESOURCE_TYPES.items():
        provisioners._RESOURCE_HANDLERS[type_name] = _provisioner(resource, owners[resource.engine])


def _provisioner(resource: ResourceType, engine: Any) -> Document:
    def call() -> Call:
        return Call(account=responses.get_account_id(), region=responses.get_region(), principal="cloudformation")

    def create(logical_id: str, props: Document, stack: str) -> tuple[str, Document]:
        return resource.create(engine, call(), generated_name(stack, logical_id), props)

    def update(physical_id: str, _old: Document, new: Document, stack: str, logical_id: str) -> tuple[str, Document]:
        named = new.get("Name")
        if resource.update is None or (named and named != physical_id):
            created = create(logical_id, new, stack)
            if created[0] != physical_id:
                resource.delete(engine, call(), physical_id)
            return created
        resource.update(engine, call(), physical_id, new)
        return physical_id, {}

    def delete(physical_id: str, _properties: Document) -> None:
        resource.delete(engine, call(), physical_id)

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _install_image_functions() -> None:
    """Functions from an image: its build context runs, as in sagemaker/images.py; ministack would ask Docker for it.

    The command names the handler; the context's folder stands for WORKDIR, and what RUN installs is this interpreter's.
    """
    kind = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
    create, update = kind["create"], kind["update"]

    def create_any(logical_id: str, props: Document, stack: str) -> tuple[str, Document]:
        return create(logical_id, _as_zip(props), stack)

    def update_any(physical_id: str, old: Document, new: Document, stack: str, *logical_id: str) -> Any:
        return update(physical_id, _as_zip(old), _as_zip(new), stack, *logical_id)

    kind["create"], kind["update"] = create_any, update_any


def _as_zip(properties: Document) -> Document:
    """The properties of a function from an image as those of one from a zip; any other's as they are."""
    uri = properties.get("Code", {}).get("ImageUri", "")
    matched = IMAGE_URI.fullmatch(uri)
    if matched is None:
        return properties
    command = properties.get("ImageConfig", {}).get("Command", [])
    if len(command) != 1:
        raise ValueError(f"the function of image {uri} must name its handler, and nothing else, as its command")
    code = {
        "S3Bucket": bucket_of(matched["account"], matched["region"]),
        "S3Key": key_of(matched["repository"], matched["tag"] or "latest"),
    }
    kept = {name: value for name, value in properties.items() if name not in {"ImageConfig", "PackageType"}}
    return {**kept, "Code": code, "Handler": command[0], "Runtime": "python3.13"}


# --- Step Functions --------------------------------------------------------------------------------------------------


def _install_integrations(built: dict[str, Any], home: EmulatorHome) -> None:
    """Optimised integrations that ministack lacks, with `.sync` where AWS has it; all under the machine's role."""
    dispatch = stepfunctions._SERVICE_DISPATCH
    _enforce_execution_roles(home)

    def caller() -> Call:
        account, region = responses.get_account_id(), responses.get_region()
        role = _execution_role.get()
        if role:
            return home.as_role(account, region, role, "states.amazonaws.com")
        return Call(account=account, region=region, principal="states")

    def start_job_run(resource: str, data: Document) -> Document:
        started = _task(lambda: built["glue"].start_job_run(caller(), data), "Glue")
        if ".sync" not in resource:
            return started
        key = {"JobName": data["JobName"], "RunId": started["JobRunId"]}
        run = _wait(lambda: built["glue"].get_job_run(caller(), key)["JobRun"], "JobRunState", _GLUE_RUNNING)
        if run["JobRunState"] != "SUCCEEDED":
            raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(run, default=str))
        return json.loads(json.dumps(run, default=str))

    def start_query(resource: str, data: Document) -> Document:
        started = _task(lambda: built["athena"].start_query_execution(caller(), data), "Athena")
        if ".sync" not in resource:
            return started

        def fetch() -> Document:
            query = built["athena"].get_query_execution(caller(), started)["QueryExecution"]
            return {**query, "State": query["Status"]["State"]}

        query = _wait(fetch, "State", {"QUEUED", "RUNNING"})
        if query.pop("State") != "SUCCEEDED":
            raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(query, default=str))
        return {"QueryExecution": json.loads(json.dumps(query, default=str))}

    def athena_call(method: str) -> Callable[[str, Document], Document]:
        def run(_resource: str, data: Document) -> Document:
            answer = _task(lambda: getattr(built["athena"], method)(caller(), data), "Athena")
            return json.loads(json.dumps(answer or {}, default=str))

        return run

    dispatch["arn:aws:states:::glue:startJobRun"] = start_job_run
    dispatch["arn:aws:states:::athena:startQueryExecution"] = start_query
    for operation in ("getQueryResults", "getQueryExecution", "stopQueryExecution"):
        dispatch[f"arn:aws:states:::athena:{operation}"] = athena_call(xform_name(operation))
    dispatch |= _sagemaker_integrations(built["sagemaker"], caller)
    for prefix, handler in list(dispatch.items()):
        dispatch[prefix] = _under_role(prefix.removeprefix("arn:aws:states:::"), handler, home)


_SAGEMAKER_JOBS = ("Processing", "Training", "Transform")


def _sagemaker_integrations(engine: Any, caller: Callable[[], Call]) -> dict[str, Callable[[str, Document], Document]]:
    """SageMaker's optimised integrations. The result of `.sync` is the Describe response, times in milliseconds."""

    def job(kind: str) -> Callable[[str, Document], Document]:
        snake, status = kind.lower(), f"{kind}JobStatus"

        def run(resource: str, data: Document) -> Document:
            _end_if_stopped()  # while it waited for a retry
            made = _sagemaker_task(lambda: getattr(engine, f"create_{snake}_job")(caller(), data))
            if ".sync" not in resource:
                return made
            key = {f"{kind}JobName": data[f"{kind}JobName"]}
            arn = made[f"{kind}JobArn"]

            def fetch() -> Document:
                call = caller()
                call.authorize(f"sagemaker:Describe{kind}Job", arn)
                found: Document = getattr(engine, f"describe_{snake}_job")(call, key)
                if found[status] == "InProgress" and _aborted():
                    call.authorize(f"sagemaker:Stop{kind}Job", arn)
                    getattr(engine, f"stop_{snake}_job")(call, key)
                return found

            ended = _sagemaker_task(lambda: _wait(fetch, status, {"InProgress", "Stopping"}))
            _end_if_stopped()
            if ended[status] != "Completed":
                raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(plain(ended)))
            return plain(ended)

        return run

    def once(operation: str) -> Callable[[str, Document], Document]:
        return lambda _resource, data: _sagemaker_task(lambda: getattr(engine, operation)(caller(), data))

    # ministack takes the first prefix that fits: createEndpointConfig must stand before createEndpoint.
    names = ("createModel", "createEndpointConfig", "createEndpoint", "updateEndpoint")
    base = "arn:aws:states:::sagemaker:create"
    jobs = {f"{base}{kind}Job": job(kind) for kind in _SAGEMAKER_JOBS}
    return jobs | {f"arn:aws:states:::sagemaker:{name}": once(xform_name(name)) for name in names}


def _sagemaker_task(action: Callable[[], Document]) -> Document:
    """Step Functions names a refused request of SageMaker after the exception of its Java client."""
    try:
        return action()
    except ServiceError as error:
        code = error.code if error.code.startswith("Resource") else "AmazonSageMaker"
        raise stepfunctions._ExecutionError(f"SageMaker.{code}Exception", error.message) from error


def _aborted() -> bool:
    """Whether the execution whose task runs now was stopped from outside."""
    execution = stepfunctions._executions.get(_execution_arn.get())
    return execution is not None and execution["status"] != "RUNNING"


def _end_if_stopped() -> None:
    """Ends the thread of an execution that was stopped: a job that ended for that is no failure to be tried again."""
    if _aborted():
        raise SystemExit


# The state machine's role and the execution whose task runs now; ministack copies the context into branches and maps.
_execution_role: contextvars.ContextVar[str] = contextvars.ContextVar("execution_role", default="")
_execution_arn: contextvars.ContextVar[str] = contextvars.ContextVar("execution_arn", default="")


def _enforce_execution_roles(home: EmulatorHome) -> None:
    """Tasks run with the state machine's role on AWS; ministack runs them with none.

    Covers Lambda and every optimised integration. Not covered: `aws-sdk:` integrations, which ministack calls itself.
    """
    run_execution, call_lambda = stepfunctions._run_execution, stepfunctions._call_lambda

    def run(execution_arn: str) -> None:
        execution = stepfunctions._executions.get(execution_arn)
        machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) if execution else None
        _execution_role.set(machine["roleArn"] if machine else "")
        _execution_arn.set(execution_arn)
        _walkers[execution_arn] = threading.current_thread()
        if execution and machine and execution.get("redriveCount"):
            _walk_on(execution, machine)
        else:
            run_execution(execution_arn)

    def call(function: str, *args: Any, **kwargs: Any) -> Any:
        arn = function
        if not function.startswith("arn:"):
            arn = f"arn:aws:lambda:{responses.get_region()}:{responses.get_account_id()}:function:{function}"
        _authorize_task(home, "lambda:InvokeFunction", arn)
        return call_lambda(function, *args, **kwargs)

    stepfunctions._run_execution, stepfunctions._call_lambda = run, call


# --- Step Functions: RedriveExecution, which ministack lacks ---------------------------------------------------------

# By execution, the thread that walks its states, or did.
_walkers: dict[str, threading.Thread] = {}
_LAST_TASK_SECONDS = 50.0
_REDRIVABLE = ("FAILED", "ABORTED", "TIMED_OUT")


def _install_redrive() -> None:
    """A failed or stopped execution goes on with the state it ended in; its history and its input stay.

    As on AWS, retries begin anew and the context object tells the number of redrives. Otherwise than on AWS, a Map or
    Parallel state is done again as a whole, variables (`Assign`) are lost, and where an execution was stopped, the
    answer waits for the end of its last task. The state machine is the one of now, not the one that the execution began
    with.
    """
    answer = app.SERVICE_HANDLERS["states"]

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: Document) -> Response:
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action == "RedriveExecution":
            execution_arn = json.loads(body).get("executionArn", "")
            if stepfunctions._executions.get(execution_arn, {}).get("status") == "ABORTED":
                await asyncio.to_thread(_await_walker, execution_arn)
            response = _redrive(execution_arn)
        else:
            response = await answer(method, path, headers, body, query)
            if action == "DescribeExecution" and response[0] == 200:
                response = responses.json_response(_with_redrives(json.loads(response[2])))
        return stepfunctions._finalize_response(response)

    app.SERVICE_HANDLERS["states"] = handle


def _await_walker(execution_arn: str) -> None:
    """Until the last task of a stopped execution has come to its end, too."""
    walker = _walkers.get(execution_arn)
    if walker is not None:
        walker.join(_LAST_TASK_SECONDS)


def _redrive(execution_arn: str) -> Response:
    execution = stepfunctions._executions.get(execution_arn)
    if execution is None:
        return responses.error_response_json("ExecutionDoesNotExist", f"Execution Does Not Exist: '{execution_arn}'")
    walker = _walkers.get(execution_arn)
    status = execution["status"]
    if status not in _REDRIVABLE or (walker is not None and walker.is_alive()):
        reason = f"Execution is {status} and cannot be redriven"
        return responses.error_response_json("ExecutionNotRedrivable", reason)
    now, count = responses.now_iso(), execution.get("redriveCount", 0) + 1
    for member in ("stopDate", "output", "error", "cause"):
        execution[member] = None
    execution |= {"status": "RUNNING", "redriveCount": count, "redriveDate": now}
    stepfunctions._add_event(execution, "ExecutionRedriven", {"executionRedrivenEventDetails": {"redriveCount": count}})
    stepfunctions._emit_execution_status_event(execution)
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(stepfunctions._run_execution, execution_arn), daemon=True).start()
    return responses.json_response({"redriveDate": now})


def _with_redrives(told: Document) -> Document:
    execution = stepfunctions._executions[told["executionArn"]]
    redrivable = told["status"] in _REDRIVABLE
    return {
        **told,
        "redriveCount": execution.get("redriveCount", 0),
        **({"redriveDate": execution["redriveDate"]} if execution.get("redriveDate") else {}),
        "redriveStatus": "REDRIVABLE" if redrivable else "NOT_REDRIVABLE",
        **({} if redrivable else {"redriveStatusReason": f"Execution is {told['status']} and cannot be redriven"}),
    }


def _walk_on(execution: Document, machine: Document) -> None:
    """The walk of ministack's `_run_execution`, begun at the state that the execution ended in."""
    definition = json.loads(machine["definition"])
    states = definition["States"]
    name, given = _ended_in(execution, states) or (definition["StartAt"], json.loads(execution["input"]))
    context: Document = {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "Execution": {
            "Id": execution["executionArn"],
            "Input": json.loads(execution["input"]),
            "Name": execution["name"],
            "StartTime": execution["startDate"],
            "RedriveCount": execution["redriveCount"],
            "RedriveTime": execution["redriveDate"],
        },
        "StateMachine": {"Id": execution["stateMachineArn"], "Name": machine["name"]},
        "variables": {},
    }
    first = True
    try:
        while name and execution["status"] == "RUNNING":
            state = states[name]
            kind = state["Type"]
            context["State"] = {"Name": name, "EnteredTime": responses.now_iso(), "RetryCount": 0}
            if not first:
                entered = {"name": name, "input": json.dumps(given)}
                stepfunctions._add_event(execution, f"{kind}StateEntered", {"stateEnteredEventDetails": entered})
            first = False
            given, following = _execute_state(state, given, execution, context)
            left = {"name": name, "output": json.dumps(given)}
            stepfunctions._add_event(execution, f"{kind}StateExited", {"stateExitedEventDetails": left})
            name = following
        if execution["status"] == "RUNNING":
            output = json.dumps(given)
            execution |= {"status": "SUCCEEDED", "output": output, "stopDate": responses.now_iso()}
            stepfunctions._add_event(
                execution, "ExecutionSucceeded", {"executionSucceededEventDetails": {"output": output}}
            )
            stepfunctions._emit_execution_status_event(execution)
    except stepfunctions._ExecutionError as error:
        stepfunctions._fail_execution(execution, error.error, error.cause)
    except Exception as error:
        logger.exception("redrive of %s", execution["executionArn"])
        stepfunctions._fail_execution(execution, "States.Runtime", str(error))


def _execute_state(state: Document, given: Any, execution: Document, context: Document) -> tuple[Any, str | None]:
    kind = state["Type"]
    if kind == "Succeed":
        return given, None
    if kind == "Fail":
        raise stepfunctions._ExecutionError(*stepfunctions._fail_state_error(state, given, context))
    execute = getattr(stepfunctions, f"_execute_{kind.lower()}")
    arguments = (execution, context) if kind in ("Task", "Parallel", "Map") else (context,)
    output, following = execute(state, given, *arguments)
    return output, following


def _ended_in(execution: Document, states: Document) -> tuple[str, Any] | None:
    """The last of the machine's own states that was entered, and its input."""
    for event in reversed(execution["events"]):
        entered = event.get("stateEnteredEventDetails", {})
        if entered.get("name") in states:
            return entered["name"], json.loads(entered["input"])
    return None


def _under_role(integration: str, handler: Callable[..., Any], home: EmulatorHome) -> Callable[..., Any]:
    service, _, operation = integration.partition(":")
    action = f"{service}:{operation[0].upper()}{operation[1:]}"

    def run(resource: str, data: Document) -> Any:
        for arn in _task_resources(service, action, data):
            _authorize_task(home, action, arn)
        return handler(resource, data)

    return run


def _task_resources(service: str, action: str, data: Document) -> list[str]:
    scope = f"{responses.get_region()}:{responses.get_account_id()}"
    match service:
        case "glue":
            return [f"arn:aws:glue:{scope}:job/{data.get('JobName', '')}"]
        case "athena" if "QueryExecutionId" not in data:
            return [f"arn:aws:athena:{scope}:workgroup/{data.get('WorkGroup', 'primary')}"]
        case "dynamodb":
            return [f"arn:aws:dynamodb:{scope}:table/{data.get('TableName', '')}"]
        case "sns":
            return [data.get("TopicArn", "*")]
        case "sqs":
            return [f"arn:aws:sqs:{scope}:{data.get('QueueUrl', '').rsplit('/', 1)[-1]}"]
        case "sagemaker":
            call = Call(responses.get_account_id(), responses.get_region())
            return registry.sagemaker_resources(action.partition(":")[2], data, call)
        case _:
            return ["*"]


def _authorize_task(home: EmulatorHome, action: str, resource: str) -> None:
    role = _execution_role.get()
    if not (app.AUTH and role):
        return
    try:
        call = home.as_role(responses.get_account_id(), responses.get_region(), role, "states.amazonaws.com")
        call.authorize(action, resource)
    except ServiceError as error:
        raise stepfunctions._ExecutionError("States.Permissions", error.message) from error


def _install_targets(built: dict[str, Any], home: EmulatorHome) -> None:
    """EventBridge targets: Glue workflows, which ministack lacks, and the target's role, which it does not ask for.

    A delivery that the role does not allow is dropped with a warning in the log, as EventBridge drops it.
    """
    deliver = eventbridge._invoke_target

    def invoke(target: Document, event: Document, rule: Document, view: Any = None) -> None:
        arn = target.get("Arn", "")
        service, _, resource = arn.partition("arn:aws:")[2].partition(":")
        action = {"glue": "glue:notifyEvent", "states": "states:StartExecution"}.get(service)
        if action is None:
            deliver(target, event, rule, view)
            return
        account, region = responses.get_account_id(), responses.get_region()
        try:
            call = home.as_role(account, region, target.get("RoleArn", ""), "events.amazonaws.com")
            call.authorize(action, arn)
            if service == "glue":
                name = resource.rpartition("workflow/")[2]
                built["glue"].notify_event(call, {"WorkflowName": name, "EventId": event["EventId"]})
                return
        except ServiceError as error:
            logger.warning("EventBridge did not deliver to %s: %s", arn, error.message)
            return
        deliver(target, event, rule, view)

    eventbridge._invoke_target = invoke


_GLUE_RUNNING = {"STARTING", "RUNNING", "STOPPING", "WAITING"}


def _task(action: Callable[[], Document], service: str) -> Document:
    try:
        return action()
    except ServiceError as error:
        raise stepfunctions._ExecutionError(f"{service}.{error.code}", error.message) from error


def _wait(fetch: Callable[[], Document], member: str, running: set[str]) -> Document:
    while True:
        state = fetch()
        if state[member] not in running:
            return state
        time.sleep(0.1)


# --- Patches of ministack's defects (research: emulation.md §3) ------------------------------------------------------


def _patch_lambda() -> None:
    """Error types, a cap on workers, and no checkout on a function's path.

    1. The warm Python worker reports every exception as Runtime.HandlerError, so Retry and Catch never match.
    2. It starts a process per concurrent event without a limit. A nested invoke never waits: that would deadlock.
    3. Functions run on this interpreter, where the checkout is installed: what is missing in an asset or layer would
       still import. The worker forgets that path entry.
    """
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    reported = '"error": str(e), "trace"'
    started = "    init = json.loads(sys.stdin.readline())\n"
    if reported not in script or started not in script:
        raise RuntimeError("ministack's Lambda worker script has changed: see localaws/adapter.py:_patch_lambda")
    checkout = str(Path(__file__).resolve().parent.parent)
    forget = f"    sys.path[:] = [p for p in sys.path if p not in ('', {checkout!r})]\n"
    script = script.replace(reported, '"error": str(e), "type": type(e).__name__, "trace"')
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(started, started + forget)

    last = threading.local()
    invoke = lambda_runtime.Worker.invoke
    warm = lambda_svc._execute_function_warm
    slots = threading.BoundedSemaphore(LAMBDA_SLOTS)

    def invoke_and_note(self: Any, *args: Any, **kwargs: Any) -> Document:
        result = invoke(self, *args, **kwargs)
        last.error_type = result.get("type")
        return result

    def execute(func: Document, event: Document, request_id: str) -> Document:
        # A call through the API counts itself: depth 1 is from outside. An event's invocation starts at 0 and must
        # count as 1 too, or what it invokes would look like a call from outside.
        depth = lambda_svc._invoke_depth.get() or 0
        nested = depth > 1
        counted = lambda_svc._invoke_depth.set(max(depth, 1))
        if not nested:
            slots.acquire()
        try:
            last.error_type = None
            result = warm(func, event, request_id)
        finally:
            lambda_svc._invoke_depth.reset(counted)
            if not nested:
                slots.release()
        if result.get("error") and last.error_type:
            result["body"]["errorType"] = last.error_type
        return result

    lambda_runtime.Worker.invoke = invoke_and_note
    lambda_svc._execute_function_warm = execute


def _patch_jsonata() -> None:
    """An expression may take a second on AWS. Measured on the wall of a busy machine, harmless ones took longer.

    Of 154 photographs at a load of 10 one got no verdict for it ("D1012: Evaluation timeout").
    """
    library = stepfunctions.jsonata.Jsonata
    compiled = library.jsonata

    def patient(expression: str, timeout: int | None = None) -> Any:  # none is given where it is only parsed
        return compiled(expression, timeout=None if timeout is None else timeout * JSONATA_PATIENCE)

    library.jsonata = staticmethod(patient)


def _patch_transport() -> None:
    """Loopback counts as TLS: bucket policies that deny aws:SecureTransport=false must hold as they do on AWS."""
    pin = app.pin_request_origin

    def pin_as_secure(source_ip: str, secure_transport: bool) -> None:  # noqa: ARG001 - ministack's signature
        pin(source_ip, True)

    app.pin_request_origin = pin_as_secure


def _patch_cloudfront(port: int) -> None:
    """An API of this emulator as a CloudFront origin: ministack dials no AWS-owned host, but this one is itself."""
    target = cloudfront._origin_connect_target

    def connect_here(origin: Document, viewer_is_https: bool) -> tuple[str, int, bool]:
        if _API_HOST.fullmatch(origin["domain_name"]):
            return "127.0.0.1", port, False
        return target(origin, viewer_is_https)

    cloudfront._origin_connect_target = connect_here
    app._EXECUTE_API_RE = _API_HOST


def _patch_lookout_for_vision() -> None:
    """Requests of `lookoutvision` reach the API that a stack deployed for it.

    On AWS its clients are told that API's own URL; here one URL serves every client, so the path tells. They are signed
    for API Gateway, or by botocore's own model of before October 2025 for the service. Signature and policies are
    checked by what follows, as for any HTTP API.
    """
    handle = app._handle_execute_api_request

    async def handle_ours(host: str, path: str, method: str, headers: dict[str, str], *rest: Any, **raw: Any) -> Any:
        if path.startswith(LOOKOUT_FOR_VISION) and _LOOKOUT_SIGNED.search(headers.get("authorization", "")):
            found = _api_with(LOOKOUT_FOR_VISION)
            if found is None:
                message = "No stack of this embedded AWS deploys the API of Lookout for Vision: deploy `inspection`."
                return error_response(ServiceError("ResourceNotFoundException", message, 404))
            host = f"{found}.execute-api.localhost"
        return await handle(host, path, method, headers, *rest, **raw)

    app._handle_execute_api_request = handle_ours


LOOKOUT_FOR_VISION = "/2020-11-20/"
_LOOKOUT_SIGNED = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/(?:lookoutvision|execute-api)/aws4_request")


def _api_with(path: str) -> str | None:
    """The id of the HTTP API in the request's account and region that has a route below this path."""
    for api, routes in apigateway._routes.items():
        if any(route.get("routeKey", "").partition(" ")[2].startswith(path) for route in routes.values()):
            return str(api)
    return None


# An HTTP API's host as AWS names it, and as the emulator does. Group 1 is the API's id.
_API_HOST = re.compile(r"^([a-f0-9]{8})\.execute-api\.(?:localhost|[a-z0-9-]+\.amazonaws\.com)(?::\d+)?$")


def _install_public_parameters() -> None:
    """AWS publishes the ARN of its Powertools layer as an SSM parameter, which templates read at deployment.

    The layer's content is in this interpreter already, and ministack tolerates an ARN that it does not hold.
    """
    seeded: set[tuple[str, str]] = set()
    reserved = ssm._reserved_name_error

    def reserved_but_for_ours(name: str) -> Response | None:
        return None if name in _public_parameters("") else reserved(name)

    ssm._reserved_name_error = reserved_but_for_ours

    def seeding(handler: Callable[..., Any]) -> Callable[..., Any]:
        async def handle(*request: Any) -> Response:
            scope = (responses.get_account_id(), responses.get_region())
            if scope not in seeded:
                seeded.add(scope)
                for name, arn in _public_parameters(scope[1]).items():
                    ssm._put_parameter({"Name": name, "Value": arn, "Type": "String", "Overwrite": True})
            return await handler(*request)

        return handle

    for service in ("ssm", "cloudformation"):
        app.SERVICE_HANDLERS[service] = seeding(app.SERVICE_HANDLERS[service])


def _public_parameters(region: str) -> dict[str, str]:
    layers = itertools.product(("x86_64", "arm64"), ("python3.11", "python3.12", "python3.13", "python3.14"))
    return {
        f"/aws/service/powertools/python/{architecture}/{runtime}/latest": (
            f"arn:aws:lambda:{region}:017000801446:layer:"
            f"AWSLambdaPowertoolsPythonV3-{runtime.replace('.', '')}-{architecture}:1"
        )
        for architecture, runtime in layers
    }


# --- Snapshots -------------------------------------------------------------------------------------------------------


_requests_seen = 0


def save_snapshot() -> None:
    """Writes what ministack keeps in memory; it does so itself only on a clean stop."""
    persistence.save_all(app._build_persistence_save_dict())


def _settle_interrupted_stacks() -> None:
    """A stack that was being changed when the emulator was killed would stay so for ever: nobody goes on with it.

    Half made ones count as failed, half updated ones as rolled back; the next deployment makes or updates them.
    """
    load = app._load_persisted_state

    def load_and_settle() -> None:
        load()
        for stack in cloudformation._stacks._data.values():
            status = stack.get("StackStatus", "")
            if status.endswith("_IN_PROGRESS"):
                kind = status.partition("_")[0]
                settled = {"CREATE": "CREATE_FAILED", "DELETE": "DELETE_FAILED", "ROLLBACK": "ROLLBACK_COMPLETE"}
                stack["StackStatus"] = settled.get(kind, "UPDATE_ROLLBACK_COMPLETE")
                stack["StackStatusReason"] = "The embedded AWS was stopped in the middle of it"

    app._load_persisted_state = load_and_settle


def _snapshot_loop() -> None:
    saved = 0
    while True:
        time.sleep(SNAPSHOT_SECONDS)
        seen = _requests_seen
        if seen == saved:
            continue
        try:
            save_snapshot()
            saved = seen
        except Exception:  # a full disk now may be free in five seconds
            logger.exception("the snapshot could not be written; it is tried again")


async def _gateway(scope: Document, receive: Any, send: Any) -> None:
    """The emulator's app; counts changes for the snapshots."""
    global _requests_seen  # noqa: PLW0603 - one counter of one process
    if scope["type"] == "http" and scope["method"] not in {"GET", "HEAD"}:
        _requests_seen += 1
    await app.app(scope, receive, send)


def _distribution_domain() -> str | None:
    """The host name of the first CloudFront distribution: the console's."""
    for distribution in cloudfront._distributions.values():
        return distribution["DomainName"]
    return None


# --- Start -----------------------------------------------------------------------------------------------------------


def main() -> None:
    """Runs the embedded AWS until SIGTERM. The environment comes from `localaws.emulator`."""
    from hypercorn.asyncio import serve  # noqa: PLC0415 - the server is needed only here
    from hypercorn.config import Config as ServerConfig  # noqa: PLC0415

    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO"), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    port, console_port = int(os.environ["GATEWAY_PORT"]), int(os.environ["SEXTANT_CONSOLE_PORT"])
    lock = hold_state(Path(os.environ["SEXTANT_STATE"]))
    _patch_lambda()
    _patch_jsonata()
    _patch_transport()
    _patch_cloudfront(port)
    _patch_lookout_for_vision()
    _install_public_parameters()
    home = EmulatorHome(Path(os.environ["SEXTANT_STATE"]), f"http://127.0.0.1:{port}")
    built = _install_services(home)
    _install_fallback()
    _install_resource_types(built)
    _install_image_functions()
    _install_integrations(built, home)
    _install_redrive()
    _install_targets(built, home)
    _settle_interrupted_stacks()
    threading.Thread(target=_snapshot_loop, daemon=True, name="snapshots").start()

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        gateway, console = ServerConfig(), ServerConfig()
        gateway.bind, console.bind = [f"127.0.0.1:{port}"], [f"127.0.0.1:{console_port}"]
        for config in (gateway, console):
            config.loglevel = "WARNING"
            config.keep_alive_timeout = 75
            config.graceful_timeout = 2
        console_url = f"http://127.0.0.1:{console_port}"
        pages_here = frozenset({console_url, f"http://localhost:{console_port}", f"http://127.0.0.1:{port}"})
        apis: Any = guarded(sign_in(_gateway, _distribution_domain, console_url, (USER, PASSWORD)), pages_here)
        pages: Any = front_door(app.app, _distribution_domain, f"http://127.0.0.1:{port}", console_url)
        pages = guarded(pages, pages_here)
        await asyncio.gather(
            serve(apis, gateway, shutdown_trigger=stop.wait),
            serve(pages, console, shutdown_trigger=stop.wait),
        )

    try:
        asyncio.run(run())
    finally:
        for engine in built.values():
            engine.close()  # ends its threads and child processes; their records are on disk
        lock.close()


if __name__ == "__main__":
    main()
