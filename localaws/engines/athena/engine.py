"""The operations of Amazon Athena that run queries.

State lives in the home's records and survives a restart; a query that was running when the process died is FAILED when
it comes back, and may be started again. Source of shapes, states and messages: the Athena API reference.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from localaws.engines.athena import execution, results, statements, syntax
from localaws.engines.athena.errors import USER_ERRORS, Cancelled, SqlError
from localaws.engines.athena.metadata import Metadata
from localaws.engines.athena.run import run_statement
from localaws.engines.athena.saved import SavedQueries, prepared_statements
from localaws.engines.athena.workgroups import ENGINE_VERSION, paged
from localaws.home import Call, Document, Home, ServiceError

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

_FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
_KEPT_DAYS = 45
_IN_MEMORY = 1000
_AGE = "ResultReuseByAgeConfiguration"
_WITH_QUERY = (statements.Query, statements.Insert, statements.CreateTableAs, statements.CreateView)


class Athena(SavedQueries, Metadata):
    """Amazon Athena on DuckDB. Each public method is an API operation: `(call, params) -> response`."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.groups = home.records("athena.workgroups")
        self.saved = home.records("athena.named_queries")
        self.prepared = home.records("athena.prepared_statements")
        self.tags = home.records("athena.tags")
        self._executions = home.records("athena.executions")
        self._tokens = home.records("athena.tokens")
        self._reusable: dict[str, str] = {}  # what was asked → the record of its latest own run that succeeded
        self._live: OrderedDict[str, Document] = OrderedDict()
        self._runs: dict[str, tuple[execution.Run, Future[None]]] = {}
        self._lock = threading.RLock()
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="athena")
        self._engine = execution.open_engine(home)
        self._recover()

    def close(self) -> None:
        """Stops running queries and the pool."""
        for run, future in list(self._runs.values()):
            _stop(run, future)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._engine.connection.close()

    def _recover(self) -> None:
        oldest = time.time() - _KEPT_DAYS * 86400
        for key in list(self._executions):
            record = self._executions[key]
            if record["submitted"] < oldest:
                del self._executions[key]
            elif record["state"] not in _FINAL:
                reason = "Query interrupted by a restart of the service. Please run it again."
                record.update(state="FAILED", reason=reason, completed=time.time())
                record["error"] = {"ErrorCategory": 1, "ErrorType": 0, "Retryable": True, "ErrorMessage": reason}
                self._executions[key] = record
            else:
                self._offer(key, record)
        for token in list(self._tokens):
            account, region, _ = token.split("/", 2)
            if f"{account}/{region}/{self._tokens[token]['id']}" not in self._executions:
                del self._tokens[token]

    # --- start and stop ---------------------------------------------------------------------------------------------

    def start_query_execution(self, call: Call, params: Document) -> Document:
        sql = params["QueryString"]
        group = self.group(call, params.get("WorkGroup") or "primary")
        if group["State"] == "DISABLED":
            raise ServiceError("InvalidRequestException", f"WorkGroup {group['Name']} is disabled.")
        token = params.get("ClientRequestToken")
        token_key = f"{call.account}/{call.region}/{token}"
        with self._lock:
            if token and token_key in self._tokens:
                known = self._tokens[token_key]
                if known["query"] != sql:
                    raise ServiceError("InvalidRequestException", "Idempotent parameters do not match")
                return {"QueryExecutionId": known["id"]}
            context = params.get("QueryExecutionContext") or {}
            catalog = (context.get("Catalog") or "AwsDataCatalog").lower()
            if catalog != "awsdatacatalog":
                raise ServiceError("InvalidRequestException", f"Catalog {context['Catalog']} was not found")
            record = self._record(call, params, group, sql, context)
            self._executions[_key(call, record["id"])] = record
            if token:
                self._tokens[token_key] = {"id": record["id"], "query": sql}
            self._remember(_key(call, record["id"]), record)
            bucket, prefix = _location(record["output"])
            run = execution.Run(
                engine=self._engine,
                call=call,
                id=record["id"],
                database=(context.get("Database") or "").lower() or None,
                output=(bucket, prefix),
                cutoff=group["Configuration"].get("BytesScannedCutoffPerQuery"),
                prepared=prepared_statements(self, call, group["Name"]),
            )
            future = self._pool.submit(self._work, run, record)
            self._runs[_key(call, record["id"])] = run, future
        return {"QueryExecutionId": record["id"]}

    def _record(self, call: Call, params: Document, group: Document, sql: str, context: Document) -> Document:
        arguments = tuple(params.get("ExecutionParameters") or ())
        if any("\x00" in text for text in (sql, *arguments)):
            raise ServiceError("InvalidRequestException", syntax.NUL_REFUSED, AthenaErrorCode="MALFORMED_QUERY")
        try:
            statement = statements.parse(sql)
            filled = sql
            if arguments and isinstance(statement, statements.Execute):
                filled = f"EXECUTE {statement.name} USING {', '.join(arguments)}"
            elif arguments:
                filled = statements.fill_parameters(sql, arguments)
            inner = statements.parse(filled)
            if isinstance(
                inner, (statements.Query, statements.Insert, statements.CreateTableAs, statements.CreateView)
            ):
                syntax.parse(inner.sql)
        except SqlError as error:
            # Athena refuses what its parser cannot read; what it can read fails later, as a query.
            if error.code in ("SYNTAX_ERROR", "INVALID_PARAMETER_USAGE"):
                raise ServiceError(
                    "InvalidRequestException", error.message, AthenaErrorCode="MALFORMED_QUERY"
                ) from error
            kind, filled = ("DDL", "UNKNOWN"), sql
        else:
            kind = statements.kind_of(statement)
        configuration = _result_configuration(group, params)
        identity = str(uuid.uuid4())
        return {
            "id": identity,
            "account": call.account,
            "region": call.region,
            "query": sql,
            "filled": filled,
            "arguments": list(arguments),
            "type": kind[0],
            "subtype": kind[1],
            "workgroup": group["Name"],
            "context": {k: v for k, v in context.items() if v},
            "configuration": configuration,
            "reuse": _reuse(params),
            "output": configuration["OutputLocation"],
            "state": "QUEUED",
            "submitted": time.time(),
            "sequence": 1,
        }

    def stop_query_execution(self, call: Call, params: Document) -> Document:
        key = _key(call, params["QueryExecutionId"])
        self._find(call, params["QueryExecutionId"])
        with self._lock:
            found = self._runs.get(key)
        if found:
            run, future = found
            if future.cancel():
                self._finish(key, "CANCELLED", reason="Query cancelled by user")
            _stop(run, future)
        return {}

    def _work(self, run: execution.Run, record: Document) -> None:
        key = _key(run.call, run.id)
        started = time.monotonic()
        self._change(key, state="RUNNING", queued_ms=int((time.time() - record["submitted"]) * 1000))
        try:
            self._permit_output(run)
            earlier = self._earlier(run, record)
            if earlier is not None:
                same = {name: earlier[name] for name in ("location", "rows", "update_count", "columns", "manifest")}
                self._finish(key, "SUCCEEDED", run=run, started=started, reused=True, **same)
                return
            outcome = run_statement(run, record["filled"])
            executed = time.monotonic()
            location = self._publish(run, record, outcome)
        except Cancelled as stop:
            self._finish(key, "CANCELLED", reason=str(stop), run=run, started=started)
        except SqlError as error:
            self._finish(key, "FAILED", reason=str(error), error=_athena_error(error), run=run, started=started)
        except Exception as error:  # an engine's fault must end the query, not hang the client
            reason = f"GENERIC_INTERNAL_ERROR: {type(error).__name__}: {error}"
            fault = {"ErrorCategory": 1, "ErrorType": 1, "Retryable": False, "ErrorMessage": reason}
            self._finish(key, "FAILED", reason=reason, error=fault, run=run, started=started)
        else:
            self._finish(
                key, "SUCCEEDED", run=run, started=started, executed=executed, location=location, rows=outcome.rows,
                update_count=outcome.update_count, columns=outcome.columns, manifest=outcome.manifest is not None,
            )  # fmt: skip

    # --- result reuse -----------------------------------------------------------------------------------------------

    def _offer(self, key: str, record: Document) -> None:
        """Remembers the result of a SELECT that ran; one that was itself reused must not grow younger by that."""
        if record["state"] != "SUCCEEDED" or record["subtype"] != "SELECT" or record.get("reused"):
            return
        asked = _asked(record)
        known = self._executions.get(self._reusable.get(asked, ""))
        if known is None or known["completed"] <= record["completed"]:
            self._reusable[asked] = key

    def _earlier(self, run: execution.Run, record: Document) -> Document | None:
        """The record whose result answers this query, if the caller allows its age and may read all it was made from.

        As in Athena, what changed in the data since does not matter.
        """
        if not record["reuse"] or record["subtype"] != "SELECT":
            return None
        with self._lock:
            found = self._executions.get(self._reusable.get(_asked(record), ""))
        if found is None or time.time() - found["completed"] > record["reuse"] * 60:
            return None
        bucket, _, key = found["location"].removeprefix("s3://").partition("/")
        try:
            self.home.objects(run.call.account).path(bucket, key)
        except ServiceError:
            return None  # somebody deleted the result
        execution.permit_query(run, record["filled"])
        return found

    def _permit_output(self, run: execution.Run) -> None:
        bucket, prefix = run.output
        for action, resource in (
            ("s3:GetBucketLocation", f"arn:aws:s3:::{bucket}"),
            ("s3:PutObject", f"arn:aws:s3:::{bucket}/{prefix}*"),
        ):
            try:
                run.call.authorize(action, resource)
            except ServiceError as error:
                raise SqlError(
                    "ACCESS_DENIED",
                    f"Access denied when writing output to url: s3://{bucket}/{prefix}{run.id}. Please ensure you are "
                    f"allowed to access the S3 bucket: {action} on resource: {resource} ({error.message})",
                ) from error

    def _publish(self, run: execution.Run, record: Document, outcome: execution.Outcome) -> str:
        """Puts the result files where Athena puts them; returns the OutputLocation."""
        bucket, prefix = run.output
        metadata = json.dumps({"columns": outcome.columns, "updateCount": outcome.update_count}).encode()
        try:
            if outcome.manifest is not None:
                folder = "tables/" if outcome.created else ""
                lines = "".join(f"{address}\n" for address in outcome.manifest).encode()
                run.objects.write(bucket, f"{prefix}{folder}{run.id}-manifest.csv", lines, "text/csv")
                run.objects.write(bucket, f"{prefix}{folder}{run.id}.metadata", metadata, "application/octet-stream")
                return f"s3://{bucket}/{prefix}{folder}{run.id}"
            suffix = ".csv" if outcome.csv or record["type"] == "DML" else ".txt"
            body: bytes | Path = outcome.csv or "".join(f"{line}\n" for line in outcome.lines or ()).encode()
            run.objects.write(bucket, f"{prefix}{run.id}{suffix}.metadata", metadata, "application/octet-stream")
            run.objects.write(
                bucket, f"{prefix}{run.id}{suffix}", body, "text/csv" if suffix == ".csv" else "text/plain"
            )
        except ServiceError as error:
            raise SqlError(
                "ACCESS_DENIED", f"Unable to write results to s3://{bucket}/{prefix}: {error.message}"
            ) from error
        return f"s3://{bucket}/{prefix}{run.id}{suffix}"

    # --- records ----------------------------------------------------------------------------------------------------

    def _remember(self, key: str, record: Document) -> None:
        self._live[key] = record
        while len(self._live) > _IN_MEMORY:
            oldest = next(iter(self._live))
            if self._live[oldest]["state"] not in _FINAL:
                break
            del self._live[oldest]

    def _change(self, key: str, **changes: Any) -> Document:
        """Changes a live record and tells EventBridge about a new state."""
        with self._lock:
            record = self._live[key]
            previous = record["state"]
            record.update(changes, sequence=record["sequence"] + 1)
            shown = dict(record)
        if "state" in changes and changes["state"] != previous:
            detail = {
                "versionId": "0",
                "currentState": shown["state"],
                "previousState": previous,
                "statementType": shown["type"],
                "queryExecutionId": shown["id"],
                "workgroupName": shown["workgroup"],
                "sequenceNumber": str(shown["sequence"]),
            }
            self.home.emit(shown["account"], shown["region"], "aws.athena", "Athena Query State Change", detail)
        return shown

    def _finish(
        self, key: str, state: str, *, run: execution.Run | None = None, started: float = 0.0, **changes: Any
    ) -> None:
        now = time.monotonic()
        executed = changes.pop("executed", now)
        if run is not None:
            planned = run.planned or now
            changes["statistics"] = {
                "EngineExecutionTimeInMillis": round((executed - planned) * 1000),
                "DataScannedInBytes": run.scanned,
                "ServicePreProcessingTimeInMillis": round((planned - started) * 1000),
                "ServiceProcessingTimeInMillis": round((now - executed) * 1000),
                "QueryPlanningTimeInMillis": 0,
            }
        record = self._live[key]
        total = round((time.time() - record["submitted"]) * 1000)
        durable = {**record, **changes, "state": state, "completed": time.time(), "total_ms": total}
        # Durable first: whoever sees the final state finds it after a crash as well.
        self._executions[key] = {**durable, "sequence": record["sequence"] + 1}
        with self._lock:
            self._offer(key, durable)
        self._change(key, **changes, state=state, completed=durable["completed"], total_ms=total)
        with self._lock:
            self._runs.pop(key, None)

    def _find(self, call: Call, identity: str) -> Document:
        key = _key(call, identity)
        with self._lock:
            if key in self._live:
                return dict(self._live[key])
        try:
            return self._executions[key]
        except KeyError:
            raise ServiceError(
                "InvalidRequestException",
                f"QueryExecution {identity} was not found",
                AthenaErrorCode="INVALID_QUERY_EXECUTION_ID",
            ) from None

    # --- reading executions -----------------------------------------------------------------------------------------

    def get_query_execution(self, call: Call, params: Document) -> Document:
        return {"QueryExecution": _shown(self._find(call, params["QueryExecutionId"]))}

    def batch_get_query_execution(self, call: Call, params: Document) -> Document:
        found: list[Document] = []
        missing: list[Document] = []
        for identity in params["QueryExecutionIds"]:
            try:
                found.append(_shown(self._find(call, identity)))
            except ServiceError as error:
                missing.append(
                    {
                        "QueryExecutionId": identity,
                        "ErrorCode": "INVALID_QUERY_EXECUTION_ID",
                        "ErrorMessage": error.message,
                    }
                )
        return {"QueryExecutions": found, "UnprocessedQueryExecutionIds": missing}

    def list_query_executions(self, call: Call, params: Document) -> Document:
        group = self.group(call, params.get("WorkGroup") or "primary")["Name"]
        prefix = f"{call.account}/{call.region}/"
        records = [self._executions[key] for key in list(self._executions) if key.startswith(prefix)]
        newest = sorted((r for r in records if r["workgroup"] == group), key=lambda r: r["submitted"], reverse=True)
        return paged([r["id"] for r in newest], "QueryExecutionIds", params, 50)

    def get_query_runtime_statistics(self, call: Call, params: Document) -> Document:
        record = self._find(call, params["QueryExecutionId"])
        if record["state"] not in _FINAL:
            raise ServiceError("InvalidRequestException", "Query has not yet finished.")
        statistics = record.get("statistics") or {}
        scanned = statistics.get("DataScannedInBytes", 0)
        timeline = {k: v for k, v in statistics.items() if k.endswith("InMillis")}
        timeline |= {
            "QueryQueueTimeInMillis": record.get("queued_ms", 0),
            "TotalExecutionTimeInMillis": record.get("total_ms", 0),
        }
        rows = {"InputBytes": scanned, "OutputRows": record.get("rows", 0)}
        return {"QueryRuntimeStatistics": {"Timeline": timeline, "Rows": rows}}

    def get_query_results(self, call: Call, params: Document) -> Document:
        record = self._find(call, params["QueryExecutionId"])
        if record["state"] != "SUCCEEDED":
            ended = record["state"] in _FINAL
            reason = f"Query did not finish successfully. Final query state: {record['state']}" if ended else (
                f"Query has not yet finished. Current state: {record['state']}"
            )  # fmt: skip
            raise ServiceError("InvalidRequestException", reason, AthenaErrorCode="INVALID_QUERY_STATUS")
        most = params.get("MaxResults") or 1000
        if not 1 <= most <= 1000:
            raise ServiceError("InvalidRequestException", "MaxResults must be between 1 and 1000")
        response: Document = {
            "UpdateCount": record.get("update_count", 0),
            "ResultSet": {"Rows": [], "ResultSetMetadata": {"ColumnInfo": record.get("columns") or []}},
        }
        if record.get("manifest"):
            return response
        bucket, _, key = record["location"].removeprefix("s3://").partition("/")
        call.authorize("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        try:
            path = self.home.objects(call.account).path(bucket, key)
        except ServiceError as error:
            raise ServiceError("InvalidRequestException", f"Could not find results: {error.message}") from error
        rows, offset = _read_page(path, _offset(params.get("NextToken")), most, csv=key.endswith(".csv"))
        response["ResultSet"]["Rows"] = results.page(rows)
        if offset is not None:
            response["NextToken"] = f"{record['id']}:{offset}"
        return response


def _key(call: Call, identity: str) -> str:
    return f"{call.account}/{call.region}/{identity}"


def _location(text: str) -> tuple[str, str]:
    bucket, _, prefix = text.removeprefix("s3://").partition("/")
    return bucket, prefix if not prefix or prefix.endswith("/") else f"{prefix}/"


def _result_configuration(group: Document, params: Document) -> Document:
    """The workgroup's settings where they are enforced, else the client's over the workgroup's."""
    configuration = group["Configuration"]
    own = {k: v for k, v in (configuration.get("ResultConfiguration") or {}).items() if v}
    given = {k: v for k, v in (params.get("ResultConfiguration") or {}).items() if v}
    merged = (
        own if configuration.get("EnforceWorkGroupConfiguration") and own.get("OutputLocation") else {**own, **given}
    )
    location = merged.get("OutputLocation")
    if not location:
        raise ServiceError(
            "InvalidRequestException",
            "No output location provided. An output location is required either through the Workgroup result "
            "configuration setting or as an API input.",
        )
    if not location.startswith("s3://") or not location.removeprefix("s3://").partition("/")[0]:
        raise ServiceError("InvalidRequestException", f"outputLocation is not a valid S3 path: {location}")
    return merged


def _reuse(params: Document) -> int:
    """Minutes that a result may be old to be reused; 0 asks anew.

    Raises:
        ServiceError: InvalidRequestException for an age that Athena does not take.
    """
    given = (params.get("ResultReuseConfiguration") or {}).get(_AGE) or {}
    minutes = given.get("MaxAgeInMinutes", 60)
    if not 0 <= minutes <= 10080:
        raise ServiceError("InvalidRequestException", "MaxAgeInMinutes must be between 0 and 10080")
    return minutes if given.get("Enabled") else 0


def _asked(record: Document) -> str:
    """All in which two queries must agree for one to take the other's result."""
    context = {name.lower(): value.lower() for name, value in record["context"].items()}
    parts = [
        *(record[part] for part in ("account", "region", "workgroup", "query", "arguments", "configuration")),
        context.get("database"),
        context.get("catalog", "awsdatacatalog"),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _athena_error(error: SqlError) -> Document:
    """ErrorCategory 2 is the user's, 1 the system's; 1001 marks a denied permission, 1006 a missing table."""
    kinds = {"ACCESS_DENIED": 1100, "TABLE_NOT_FOUND": 1301, "SYNTAX_ERROR": 1001, "COLUMN_NOT_FOUND": 1006}
    system = error.code in ("GENERIC_INTERNAL_ERROR", "EXCEEDED_LOCAL_MEMORY_LIMIT") and error.code not in USER_ERRORS
    return {
        "ErrorCategory": 1 if system else 2,
        "ErrorType": kinds.get(error.code, 1 if system else 1000),
        "Retryable": False,
        "ErrorMessage": str(error),
    }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(round(seconds, 3), UTC)


def _shown(record: Document) -> Document:
    """A record as the API shows it."""
    status: Document = {"State": record["state"], "SubmissionDateTime": _moment(record["submitted"])}
    if record.get("completed"):
        status["CompletionDateTime"] = _moment(record["completed"])
    if record.get("reason"):
        status["StateChangeReason"] = record["reason"]
    if record.get("error"):
        status["AthenaError"] = record["error"]
    statistics = dict(record.get("statistics") or {"DataScannedInBytes": 0})
    now = record.get("total_ms") or round((time.time() - record["submitted"]) * 1000)
    statistics |= {"TotalExecutionTimeInMillis": now, "QueryQueueTimeInMillis": record.get("queued_ms", 0)}
    statistics["ResultReuseInformation"] = {"ReusedPreviousResult": record.get("reused", False)}
    bucket, prefix = _location(record["output"])
    location = (
        record.get("location") or f"s3://{bucket}/{prefix}{record['id']}{'.csv' if record['type'] == 'DML' else '.txt'}"
    )
    if record.get("manifest"):
        statistics["DataManifestLocation"] = f"{location}-manifest.csv"
    shown = {
        "QueryExecutionId": record["id"],
        "Query": record["query"],
        "StatementType": record["type"],
        "SubstatementType": record["subtype"],
        "ResultConfiguration": {**record["configuration"], "OutputLocation": location},
        "ResultReuseConfiguration": {
            _AGE: {"Enabled": True, "MaxAgeInMinutes": record["reuse"]} if record.get("reuse") else {"Enabled": False}
        },
        "QueryExecutionContext": record["context"],
        "Status": status,
        "Statistics": statistics,
        "WorkGroup": record["workgroup"],
        "EngineVersion": ENGINE_VERSION,
    }
    if record["arguments"]:
        shown["ExecutionParameters"] = record["arguments"]
    return shown


def _offset(token: str | None) -> int:
    if not token:
        return 0
    offset = token.rpartition(":")[2]
    if not offset.isdigit():
        raise ServiceError("InvalidRequestException", f"Invalid NextToken: {token}")
    return int(offset)


def _read_page(path: Path, offset: int, most: int, *, csv: bool) -> tuple[list[list[str | None]], int | None]:
    """Up to `most` rows from a byte offset, and the offset of the next page if there is one."""
    rows: list[list[str | None]] = []
    with path.open("rb") as stream:
        stream.seek(offset)
        while len(rows) < most and (line := stream.readline()):
            if not csv:
                rows.append([line.decode().rstrip("\n")])
                continue
            while line.count(b'"') % 2:  # a quoted line break
                line += stream.readline()
            rows.extend(row for row, _ in results.decode_csv(line.decode()))
        next_offset = stream.tell()
        more = stream.read(1) != b""
    return rows, next_offset if more else None


def _stop(run: execution.Run, future: Future[None]) -> None:
    """Stops a run. DuckDB forgets an interrupt that comes just before a statement begins: it is given until it
    works.
    """
    run.stop()

    def again() -> None:
        while not future.done():
            time.sleep(0.05)
            run.stop()

    threading.Thread(target=again, daemon=True, name="athena-stop").start()
