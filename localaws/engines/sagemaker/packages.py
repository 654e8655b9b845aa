"""Model package groups and versions: the model registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localaws.engines.ledger import shown
from localaws.engines.sagemaker.models import Models
from localaws.engines.sagemaker.state import Place, invalid, listed, place_of, validate

if TYPE_CHECKING:
    from localaws.home import Call, Document

EVENT = "SageMaker Model Package State Change"
OWN = ("Tags", "ClientToken")


class Packages(Models):
    """The operations of the model registry."""

    # -- groups ----------------------------------------------------------------------------------------------------

    def create_model_package_group(self, call: Call, params: Document) -> Document:
        validate("CreateModelPackageGroup", params, "ModelPackageGroupName")
        place, name = place_of(call), params["ModelPackageGroupName"]
        arn = place.arn("model_package_groups", name)
        with self._lock:
            if self._read("model_package_groups", place, name) is not None:
                raise invalid(f"Model Package Group already exists: {arn}")
            record = {key: value for key, value in params.items() if key not in OWN}
            record |= {"ModelPackageGroupArn": arn, "CreationTime": self._now(), "ModelPackageGroupStatus": "Completed"}
            self._write("model_package_groups", place, record, name)
            self._set_tags(place, arn, params.get("Tags"))
        return {"ModelPackageGroupArn": arn}

    def describe_model_package_group(self, call: Call, params: Document) -> Document:
        return {**shown(self._group(place_of(call), params["ModelPackageGroupName"])), "CreatedBy": {}}

    def list_model_package_groups(self, call: Call, params: Document) -> Document:
        members = (
            "ModelPackageGroupName", "ModelPackageGroupArn", "ModelPackageGroupDescription", "CreationTime",
            "ModelPackageGroupStatus",
        )  # fmt: skip
        records = self._all("model_package_groups", place_of(call))
        return listed(records, params, "ModelPackageGroupSummaryList", members, name="ModelPackageGroupName")

    def delete_model_package_group(self, call: Call, params: Document) -> Document:
        place = place_of(call)
        with self._lock:
            group = self._group(place, params["ModelPackageGroupName"])
            name, arn = group["ModelPackageGroupName"], group["ModelPackageGroupArn"]
            if self._all("model_packages", place, name):
                raise invalid(f"Model Package Group: {arn} cannot be deleted because it still contains Model Packages")
            self._remove("model_package_groups", place, name)
            self._remove("tags", place, arn)
        return {}

    def _group(self, place: Place, name: str) -> Document:
        """A group by its name or ARN."""
        record = self._read("model_package_groups", place, name.rpartition("/")[2])
        if record is None:
            arn = place.arn("model_package_groups", name.rpartition("/")[2])
            raise invalid(f"ModelPackageGroup {arn} does not exist.")
        return record

    # -- versions --------------------------------------------------------------------------------------------------

    def create_model_package(self, call: Call, params: Document) -> Document:
        validate("CreateModelPackage", params)
        place = place_of(call)
        if "ModelPackageGroupName" not in params:
            raise invalid("ModelPackageGroupName is required here: the registry keeps versions of groups")
        with self._lock:
            group = self._group(place, params["ModelPackageGroupName"])
            name, token = group["ModelPackageGroupName"], params.get("ClientToken")
            for known in self._all("model_packages", place, name) if token else ():
                if known.get("_token") == token:  # the same request again
                    return {"ModelPackageArn": known["ModelPackageArn"]}
            # A deleted version's number is not given again.
            version = max(group.get("_last", 0), 0) + 1
            self._write("model_package_groups", place, {**group, "_last": version}, name)
            now, arn = self._now(), place.arn("model_packages", name, str(version))
            record = {key: value for key, value in params.items() if key not in OWN}
            record |= {
                "_token": token,
                "ModelPackageGroupName": name,
                "ModelPackageVersion": version,
                "ModelPackageArn": arn,
                "ModelApprovalStatus": params.get("ModelApprovalStatus", "PendingManualApproval"),
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
                "CreationTime": now,
                "LastModifiedTime": now,
            }
            self._write("model_packages", place, record, name, str(version))
            self._set_tags(place, arn, params.get("Tags"))
        self._emit(place, EVENT, record, "ModelPackageArn")
        return {"ModelPackageArn": arn}

    def describe_model_package(self, call: Call, params: Document) -> Document:
        record = self._package(place_of(call), params["ModelPackageName"])
        return {"ModelPackageName": record["ModelPackageArn"].partition("/")[2], **shown(record)}

    def list_model_packages(self, call: Call, params: Document) -> Document:
        place, group = place_of(call), params.get("ModelPackageGroupName")
        found = self._all(
            "model_packages", place, *([self._group(place, group)["ModelPackageGroupName"]] if group else [])
        )
        wanted = params.get("ModelApprovalStatus")
        records = [record for record in found if not wanted or record["ModelApprovalStatus"] == wanted]
        members = (
            "ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "ModelPackageDescription",
            "CreationTime", "ModelPackageStatus", "ModelApprovalStatus",
        )  # fmt: skip
        return listed(records, params, "ModelPackageSummaryList", members, name="ModelPackageArn")

    def update_model_package(self, call: Call, params: Document) -> Document:
        place = place_of(call)
        with self._lock:
            record = self._package(place, params["ModelPackageArn"])
            properties = {
                **record.get("CustomerMetadataProperties", {}),
                **params.get("CustomerMetadataProperties", {}),
            }
            for name in params.get("CustomerMetadataPropertiesToRemove", []):
                properties.pop(name, None)
            kept = ("ModelApprovalStatus", "ApprovalDescription", "ModelCard", "InferenceSpecification", "SourceUri")
            record |= {key: params[key] for key in kept if key in params}
            record |= {"CustomerMetadataProperties": properties, "LastModifiedTime": self._now()}
            names = (record["ModelPackageGroupName"], str(record["ModelPackageVersion"]))
            self._write("model_packages", place, record, *names)
        if "ModelApprovalStatus" in params:
            self._emit(place, EVENT, record, "ModelPackageArn")
        return {"ModelPackageArn": record["ModelPackageArn"]}

    def delete_model_package(self, call: Call, params: Document) -> Document:
        place = place_of(call)
        with self._lock:
            record = self._package(place, params["ModelPackageName"])
            self._remove("model_packages", place, record["ModelPackageGroupName"], str(record["ModelPackageVersion"]))
            self._remove("tags", place, record["ModelPackageArn"])
        return {}

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def _package(self, place: Place, name: str) -> Document:
        """A version by its ARN or `group/version`."""
        names = name.partition(":model-package/")[2] if name.startswith("arn:") else name
        record = self._read("model_packages", place, *names.split("/"))
        if record is None:
            raise invalid(f"ModelPackage {name} does not exist.")
        return record
