"""Athena's view of the data catalog: catalogs, databases and table metadata."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from localaws.engines.athena.workgroups import paged
from localaws.home import Call, Document, Home, ServiceError

if TYPE_CHECKING:
    from localaws.home import Catalog

_NAME = "AwsDataCatalog"


class Metadata:
    """Operations that read the catalog; `AwsDataCatalog` is the only one."""

    home: Home

    def _catalog(self, call: Call, name: str | None) -> Catalog:
        if (name or _NAME).lower() != _NAME.lower():
            raise ServiceError("InvalidRequestException", f"Data catalog {name} was not found")
        return self.home.catalog(call.account, call.region)

    def list_data_catalogs(self, call: Call, params: Document) -> Document:
        return paged([{"CatalogName": _NAME, "Type": "GLUE"}], "DataCatalogsSummary", params, 50)

    def get_data_catalog(self, call: Call, params: Document) -> Document:
        self._catalog(call, params["Name"])
        return {"DataCatalog": {"Name": _NAME, "Type": "GLUE", "Parameters": {"catalog-id": call.account}}}

    def list_databases(self, call: Call, params: Document) -> Document:
        found = self._catalog(call, params.get("CatalogName")).databases()
        call.authorize("glue:GetDatabases", f"arn:aws:glue:{call.region}:{call.account}:catalog")
        return paged([_database(d) for d in sorted(found, key=lambda d: d["Name"])], "DatabaseList", params, 50)

    def get_database(self, call: Call, params: Document) -> Document:
        name = params["DatabaseName"]
        call.authorize("glue:GetDatabase", f"arn:aws:glue:{call.region}:{call.account}:database/{name}")
        for found in self._catalog(call, params.get("CatalogName")).databases():
            if found["Name"] == name:
                return {"Database": _database(found)}
        raise ServiceError("MetadataException", f"Database {name} not found.")

    def list_table_metadata(self, call: Call, params: Document) -> Document:
        catalog, name = self._catalog(call, params.get("CatalogName")), params["DatabaseName"]
        self.get_database(call, {"DatabaseName": name})
        call.authorize("glue:GetTables", f"arn:aws:glue:{call.region}:{call.account}:database/{name}")
        found = sorted(catalog.tables(name), key=lambda d: d["Name"])
        if params.get("Expression"):
            found = [d for d in found if re.fullmatch(params["Expression"], d["Name"])]
        return paged([_table(d) for d in found], "TableMetadataList", params, 50)

    def get_table_metadata(self, call: Call, params: Document) -> Document:
        database, name = params["DatabaseName"], params["TableName"]
        call.authorize("glue:GetTable", f"arn:aws:glue:{call.region}:{call.account}:table/{database}/{name}")
        found = self._catalog(call, params.get("CatalogName")).table(database, name)
        if found is None:
            raise ServiceError("MetadataException", f"EntityNotFoundException: Table {database}.{name} not found.")
        return {"TableMetadata": _table(found)}


def _database(document: Document) -> Document:
    shown = {"Name": document["Name"], "Parameters": document.get("Parameters") or {}}
    return {**shown, "Description": document["Description"]} if document.get("Description") else shown


def _column(document: Document) -> Document:
    return {k: document[k] for k in ("Name", "Type", "Comment") if document.get(k)}


def _table(document: Document) -> Document:
    descriptor = document.get("StorageDescriptor") or {}
    parameters: dict[str, Any] = dict(document.get("Parameters") or {})
    info = descriptor.get("SerdeInfo") or {}
    formats = {
        "inputformat": descriptor.get("InputFormat"),
        "outputformat": descriptor.get("OutputFormat"),
        "location": descriptor.get("Location"),
        "serde.serialization.lib": info.get("SerializationLibrary"),
    }
    parameters.update({name: value for name, value in formats.items() if value})
    parameters.update({f"serde.param.{k}": v for k, v in (info.get("Parameters") or {}).items()})
    shown: Document = {
        "Name": document["Name"],
        "TableType": document.get("TableType", "EXTERNAL_TABLE"),
        "Columns": [_column(c) for c in descriptor.get("Columns") or ()],
        "PartitionKeys": [_column(c) for c in document.get("PartitionKeys") or ()],
        "Parameters": parameters,
    }
    if document.get("CreateTime"):
        shown["CreateTime"] = document["CreateTime"]
    return shown
