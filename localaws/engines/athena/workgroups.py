"""Athena's workgroups and tags."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from localaws.home import Call, Document, ServiceError

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

ENGINE_VERSION = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"}
_UNSUPPORTED = ("ManagedQueryResultsConfiguration", "IdentityCenterConfiguration", "ExecutionRole")


def paged(items: Sequence[Any], member: str, params: Document, most: int) -> Document:
    """One page of a listing; the token is the position of the next item."""
    token = params.get("NextToken") or "0"
    if not token.isdigit():
        raise ServiceError("InvalidRequestException", f"Invalid NextToken: {token}")
    start, size = int(token), params.get("MaxResults") or most
    response: Document = {member: list(items[start : start + size])}
    if start + size < len(items):
        response["NextToken"] = str(start + size)
    return response


class Workgroups:
    """Operations on workgroups; `primary` is there without being created."""

    groups: MutableMapping[str, Document]
    saved: MutableMapping[str, Document]
    prepared: MutableMapping[str, Document]
    tags: MutableMapping[str, Document]
    _executions: MutableMapping[str, Document]

    def group(self, call: Call, name: str) -> Document:
        """A workgroup's record.

        Raises:
            ServiceError: InvalidRequestException when there is none of that name.
        """
        try:
            return self.groups[f"{call.account}/{call.region}/{name}"]
        except KeyError:
            if name != "primary":
                raise ServiceError("InvalidRequestException", f"WorkGroup {name} is not found.") from None
            configuration: Document = {
                "EnforceWorkGroupConfiguration": False,
                "PublishCloudWatchMetricsEnabled": False,
                "RequesterPaysEnabled": False,
                "ResultConfiguration": {},
                "EngineVersion": ENGINE_VERSION,
            }
            return {
                "Name": "primary",
                "State": "ENABLED",
                "Configuration": configuration,
                "created": 0.0,
                "Description": "",
            }

    def _arn(self, call: Call, name: str) -> str:
        return f"arn:aws:athena:{call.region}:{call.account}:workgroup/{name}"

    def create_work_group(self, call: Call, params: Document) -> Document:
        name = params["Name"]
        key = f"{call.account}/{call.region}/{name}"
        if key in self.groups or name == "primary":
            raise ServiceError("InvalidRequestException", "WorkGroup is already created")
        given = params.get("Configuration") or {}
        _check(given)
        configuration: Document = {
            "EnforceWorkGroupConfiguration": True,
            "PublishCloudWatchMetricsEnabled": True,
            "RequesterPaysEnabled": False,
            "ResultConfiguration": {},
            **{k: v for k, v in given.items() if v is not None},
            "EngineVersion": ENGINE_VERSION,
        }
        self.groups[key] = {
            "Name": name,
            "State": "ENABLED",
            "Configuration": configuration,
            "Description": params.get("Description", ""),
            "created": time.time(),
        }
        if params.get("Tags"):
            self.tags[self._arn(call, name)] = {"tags": {t["Key"]: t["Value"] for t in params["Tags"]}}
        return {}

    def get_work_group(self, call: Call, params: Document) -> Document:
        return {"WorkGroup": _shown(self.group(call, params["WorkGroup"]), configuration=True)}

    def list_work_groups(self, call: Call, params: Document) -> Document:
        prefix = f"{call.account}/{call.region}/"
        names = {"primary", *(key.removeprefix(prefix) for key in self.groups if key.startswith(prefix))}
        summaries = [
            {**_shown(self.group(call, name), configuration=False), "EngineVersion": ENGINE_VERSION}
            for name in sorted(names)
        ]
        return paged(summaries, "WorkGroups", params, 50)

    def update_work_group(self, call: Call, params: Document) -> Document:
        group = self.group(call, params["WorkGroup"])
        updates = dict(params.get("ConfigurationUpdates") or {})
        _check(updates)
        configuration = group["Configuration"]
        results = updates.pop("ResultConfigurationUpdates", None) or {}
        own = dict(configuration.get("ResultConfiguration") or {})
        for name, value in results.items():
            if not name.startswith("Remove"):
                own[name] = value
            elif value:
                own.pop(name.removeprefix("Remove"), None)
        configuration["ResultConfiguration"] = own
        if updates.pop("RemoveBytesScannedCutoffPerQuery", False):
            configuration.pop("BytesScannedCutoffPerQuery", None)
        updates.pop("EngineVersion", None)
        configuration.update({k: v for k, v in updates.items() if v is not None and not k.startswith("Remove")})
        group["State"] = params.get("State") or group["State"]
        group["Description"] = params.get("Description", group["Description"])
        self.groups[f"{call.account}/{call.region}/{group['Name']}"] = group
        return {}

    def delete_work_group(self, call: Call, params: Document) -> Document:
        name = params["WorkGroup"]
        if name == "primary":
            raise ServiceError("InvalidRequestException", "WorkGroup primary cannot be deleted.")
        self.group(call, name)
        prefix = f"{call.account}/{call.region}/"
        owned = [
            (store, key)
            for store in (self.saved, self.prepared)
            for key in list(store)
            if key.startswith(prefix) and store[key]["WorkGroup"] == name
        ]
        if owned and not params.get("RecursiveDeleteOption"):
            raise ServiceError("InvalidRequestException", f"WorkGroup {name} is not empty")
        for store, key in owned:
            del store[key]
        del self.groups[f"{prefix}{name}"]
        self.tags.pop(self._arn(call, name), None)
        return {}

    def list_engine_versions(self, call: Call, params: Document) -> Document:
        return {"EngineVersions": [ENGINE_VERSION]}

    # --- tags -------------------------------------------------------------------------------------------------------

    def _tagged(self, call: Call, arn: str) -> dict[str, str]:
        kind, _, name = arn.rpartition(":")[2].partition("/")
        if kind == "workgroup":
            self.group(call, name)
        elif kind != "datacatalog" or name.lower() != "awsdatacatalog":
            raise ServiceError("ResourceNotFoundException", f"Resource {arn} not found", 404)
        return dict(self.tags.get(arn, {"tags": {}})["tags"])

    def tag_resource(self, call: Call, params: Document) -> Document:
        tags = self._tagged(call, params["ResourceARN"])
        tags.update({tag["Key"]: tag.get("Value", "") for tag in params["Tags"]})
        self.tags[params["ResourceARN"]] = {"tags": tags}
        return {}

    def untag_resource(self, call: Call, params: Document) -> Document:
        tags = self._tagged(call, params["ResourceARN"])
        self.tags[params["ResourceARN"]] = {"tags": {k: v for k, v in tags.items() if k not in params["TagKeys"]}}
        return {}

    def list_tags_for_resource(self, call: Call, params: Document) -> Document:
        tags = self._tagged(call, params["ResourceARN"])
        return paged([{"Key": k, "Value": v} for k, v in sorted(tags.items())], "Tags", params, 75)


def _check(configuration: Document) -> None:
    """Refuses what would change where results go or who runs a query and is not built here."""
    for name in _UNSUPPORTED:
        value = configuration.get(name) or configuration.get(f"{name}Updates")
        if value and (not isinstance(value, dict) or value.get("Enabled") or value.get("EnableIdentityCenter")):
            raise ServiceError("InvalidRequestException", f"{name} is not supported by this engine")
    cutoff = configuration.get("BytesScannedCutoffPerQuery")
    if cutoff is not None and cutoff < 10_000_000:
        raise ServiceError("InvalidRequestException", "BytesScannedCutoffPerQuery must be at least 10000000 (10 MB)")


def _shown(group: Document, *, configuration: bool) -> Document:
    shown = {
        "Name": group["Name"],
        "State": group["State"],
        "Description": group["Description"],
        "CreationTime": datetime.fromtimestamp(group["created"], UTC),
    }
    return {**shown, "Configuration": group["Configuration"]} if configuration else shown
