"""Athena's named queries and prepared statements."""

# ruff: noqa: SLF001 - one store, two views on it

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from localaws.engines.athena.errors import SqlError
from localaws.engines.athena.workgroups import Workgroups, paged
from localaws.home import Call, Document, ServiceError

if TYPE_CHECKING:
    from collections.abc import MutableMapping


class SavedQueries(Workgroups):
    """Operations on named queries and prepared statements."""

    saved: MutableMapping[str, Document]
    prepared: MutableMapping[str, Document]

    # --- named queries ----------------------------------------------------------------------------------------------

    def create_named_query(self, call: Call, params: Document) -> Document:
        group = self.group(call, params.get("WorkGroup") or "primary")
        token = params.get("ClientRequestToken")
        prefix = f"{call.account}/{call.region}/"
        if token:
            for key in self.saved:
                if key.startswith(prefix) and self.saved[key].get("token") == token:
                    return {"NamedQueryId": self.saved[key]["NamedQueryId"]}
        identity = str(uuid.uuid4())
        self.saved[prefix + identity] = {
            "NamedQueryId": identity,
            "Name": params["Name"],
            "Description": params.get("Description", ""),
            "Database": params["Database"],
            "QueryString": params["QueryString"],
            "WorkGroup": group["Name"],
            "token": token,
            "created": time.time(),
        }
        return {"NamedQueryId": identity}

    def _named(self, call: Call, identity: str) -> Document:
        try:
            return self.saved[f"{call.account}/{call.region}/{identity}"]
        except KeyError:
            raise ServiceError("InvalidRequestException", f"NamedQuery {identity} was not found") from None

    def get_named_query(self, call: Call, params: Document) -> Document:
        return {"NamedQuery": _named(self._named(call, params["NamedQueryId"]))}

    def batch_get_named_query(self, call: Call, params: Document) -> Document:
        found: list[Document] = []
        missing: list[Document] = []
        for identity in params["NamedQueryIds"]:
            try:
                found.append(_named(self._named(call, identity)))
            except ServiceError as error:
                missing.append({"NamedQueryId": identity, "ErrorCode": "INVALID_INPUT", "ErrorMessage": error.message})
        return {"NamedQueries": found, "UnprocessedNamedQueryIds": missing}

    def list_named_queries(self, call: Call, params: Document) -> Document:
        group = self.group(call, params.get("WorkGroup") or "primary")["Name"]
        prefix = f"{call.account}/{call.region}/"
        records = [self.saved[key] for key in self.saved if key.startswith(prefix)]
        mine = sorted((r for r in records if r["WorkGroup"] == group), key=lambda r: r["created"])
        return paged([r["NamedQueryId"] for r in mine], "NamedQueryIds", params, 50)

    def update_named_query(self, call: Call, params: Document) -> Document:
        record = self._named(call, params["NamedQueryId"])
        changes = {k: params[k] for k in ("Name", "Description", "QueryString") if k in params}
        self.saved[f"{call.account}/{call.region}/{record['NamedQueryId']}"] = {**record, **changes}
        return {}

    def delete_named_query(self, call: Call, params: Document) -> Document:
        self._named(call, params["NamedQueryId"])
        del self.saved[f"{call.account}/{call.region}/{params['NamedQueryId']}"]
        return {}

    # --- prepared statements ----------------------------------------------------------------------------------------

    def create_prepared_statement(self, call: Call, params: Document) -> Document:
        key = self._prepared_key(call, params)
        if key in self.prepared:
            raise ServiceError(
                "InvalidRequestException", f"Prepared statement {params['StatementName']} already exists"
            )
        self.prepared[key] = {
            "StatementName": params["StatementName"],
            "QueryStatement": params["QueryStatement"],
            "WorkGroupName": params["WorkGroup"],
            "WorkGroup": params["WorkGroup"],
            "Description": params.get("Description", ""),
            "modified": time.time(),
        }
        return {}

    def _prepared_key(self, call: Call, params: Document) -> str:
        group = self.group(call, params["WorkGroup"])["Name"]
        return f"{call.account}/{call.region}/{group}/{params['StatementName'].lower()}"

    def _prepared(self, call: Call, params: Document) -> Document:
        try:
            return self.prepared[self._prepared_key(call, params)]
        except KeyError:
            raise ServiceError(
                "ResourceNotFoundException",
                f"PreparedStatement {params['StatementName']} was not found in workGroup {params['WorkGroup']}",
                ResourceName=params["StatementName"],
            ) from None

    def get_prepared_statement(self, call: Call, params: Document) -> Document:
        return {"PreparedStatement": _prepared(self._prepared(call, params))}

    def batch_get_prepared_statement(self, call: Call, params: Document) -> Document:
        found: list[Document] = []
        missing: list[Document] = []
        for name in params["PreparedStatementNames"]:
            try:
                found.append(_prepared(self._prepared(call, {"StatementName": name, "WorkGroup": params["WorkGroup"]})))
            except ServiceError as error:
                missing.append(
                    {"StatementName": name, "ErrorCode": "STATEMENT_NOT_FOUND", "ErrorMessage": error.message}
                )
        return {"PreparedStatements": found, "UnprocessedPreparedStatementNames": missing}

    def list_prepared_statements(self, call: Call, params: Document) -> Document:
        group = self.group(call, params["WorkGroup"])["Name"]
        prefix = f"{call.account}/{call.region}/{group}/"
        records = [self.prepared[key] for key in sorted(self.prepared) if key.startswith(prefix)]
        shown = [{"StatementName": r["StatementName"], "LastModifiedTime": _moment(r["modified"])} for r in records]
        return paged(shown, "PreparedStatements", params, 50)

    def update_prepared_statement(self, call: Call, params: Document) -> Document:
        record = self._prepared(call, params)
        record |= {"QueryStatement": params["QueryStatement"], "modified": time.time()}
        record["Description"] = params.get("Description", record["Description"])
        self.prepared[self._prepared_key(call, params)] = record
        return {}

    def delete_prepared_statement(self, call: Call, params: Document) -> Document:
        self._prepared(call, params)
        del self.prepared[self._prepared_key(call, params)]
        return {}


@dataclass(frozen=True)
class PreparedStatements:
    """A workgroup's prepared statements, for PREPARE, EXECUTE and DEALLOCATE."""

    athena: SavedQueries
    call: Call
    group: str

    @property
    def arn(self) -> str:
        return f"arn:aws:athena:{self.call.region}:{self.call.account}:workgroup/{self.group}"

    def text(self, name: str) -> str:
        try:
            record = self.athena._prepared(self.call, self._params(name))
        except ServiceError as error:
            raise SqlError("NOT_FOUND", error.message) from error
        return record["QueryStatement"]

    def set(self, name: str, sql: str) -> None:
        """PREPARE replaces a statement of the same name, as Athena does."""
        self._permit("CreatePreparedStatement")
        key = self.athena._prepared_key(self.call, self._params(name))
        self.athena.prepared.pop(key, None)
        self.athena.create_prepared_statement(self.call, {**self._params(name), "QueryStatement": sql})

    def delete(self, name: str) -> None:
        self._permit("DeletePreparedStatement")
        self.text(name)
        self.athena.delete_prepared_statement(self.call, self._params(name))

    def _params(self, name: str) -> Document:
        return {"StatementName": name, "WorkGroup": self.group}

    def _permit(self, operation: str) -> None:
        try:
            self.call.authorize(f"athena:{operation}", self.arn)
        except ServiceError as error:
            raise SqlError(
                "ACCESS_DENIED", f"Insufficient permissions to execute the query. {error.message}"
            ) from error


def prepared_statements(athena: SavedQueries, call: Call, group: str) -> PreparedStatements:
    return PreparedStatements(athena, call, group)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(round(seconds, 3), UTC)


def _named(record: Document) -> Document:
    members = ("Name", "Description", "Database", "QueryString", "NamedQueryId", "WorkGroup")
    return {k: record[k] for k in members if record[k]}


def _prepared(record: Document) -> Document:
    members = ("StatementName", "QueryStatement", "WorkGroupName", "Description")
    shown = {k: record[k] for k in members if record[k]}
    return {**shown, "LastModifiedTime": _moment(record["modified"])}
