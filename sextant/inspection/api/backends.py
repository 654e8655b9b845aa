"""What answers DetectAnomalies: the API's own function, an endpoint of SageMaker, or the service that once was.

Where nothing runs between two photographs, hosting is a word in the table; an endpoint exists only from StartModel to
StopModel, so that stopping a model ends what it costs.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sextant import aws
from sextant.inspection import client
from sextant.inspection.api.errors import ApiError, internal, invalid
from sextant.inspection.api.services import split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sextant.inspection.api.services import Backend, Document, HostingState, Place, Version
    from sextant.inspection.detector import Detector

UNIT_PER_MINUTE = 300.0
"""Requests a minute from which on one more instance is wanted: five a second, as an inference unit did."""
_log = logging.getLogger(__name__)
_LOADED = 4
"""Detectors that a function keeps in memory; each needs some 20 MB."""
_ENDED: dict[HostingState, HostingState] = {"STARTING_HOSTING": "HOSTED", "STOPPING_HOSTING": "TRAINED"}


def backend(place: Place, s3: Any, sagemaker: Any) -> Backend:
    """The backend that the environment names."""
    match place.BACKEND:
        case "lambda":
            return Lambda(s3)
        case "sagemaker" | "marketplace":
            clients = aws.client("sagemaker-runtime"), aws.client("application-autoscaling")
            return SageMakerEndpoint(place, sagemaker, *clients)
        case "legacy":
            return Legacy(client.legacy(place.AWS_REGION))


class Lambda:
    """The function that answers the API detects by itself, with the detector of the version's archive."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self._loaded: OrderedDict[str, Detector] = OrderedDict()

    def start(self, version: Version, units: int) -> HostingState:  # noqa: ARG002 - Lambda scales by itself
        """Hosted at once: the archive is read with the first photograph."""
        bucket, key = split(version.archive)
        self._s3.head_object(Bucket=bucket, Key=key)
        return "HOSTED"

    def stop(self, version: Version) -> HostingState:
        """Stopped at once."""
        self._loaded.pop(version.name, None)
        return "TRAINED"

    def state(self, version: Version, state: HostingState) -> tuple[HostingState, str]:  # noqa: ARG002
        """A start or stop that was interrupted is at its end all the same."""
        return _ENDED.get(state, state), ""

    settle = state

    def detect(self, version: Version, body: bytes, content_type: str) -> Document:  # noqa: ARG002 - it is checked
        """See `Backend.detect`."""
        # Only where photographs are answered: the API's other functions have no onnxruntime.
        from sextant.inspection import detector, photograph  # noqa: PLC0415

        try:
            pixels = photograph.read(body)
        except photograph.PhotographError as error:
            raise invalid(f"The photograph cannot be used: {error}") from error
        return _result(detector.response(detector.detect(self._detector(version), pixels)))

    def _detector(self, version: Version) -> Detector:
        from sextant.inspection import archive  # noqa: PLC0415 - as above

        if version.name not in self._loaded:
            bucket, key = split(version.archive)
            body = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            try:
                self._loaded[version.name] = archive.load(body)
            except archive.ArchiveError as error:
                raise internal(f"The model {version.archive} cannot be loaded: {error}") from error
            while len(self._loaded) > _LOADED:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(version.name)
        return self._loaded[version.name]


class SageMakerEndpoint:
    """An endpoint for each hosted version, in our own image; or of an endpoint configuration that is there already.

    The latter is for AWS's algorithm "Computer Vision Defect Detection Model" of its Marketplace, which answers without
    the member DetectAnomalyResult.
    """

    def __init__(self, place: Place, sagemaker: Any, runtime: Any, scaling: Any) -> None:
        self._place = place
        self._sagemaker = sagemaker
        self._runtime = runtime
        self._scaling = scaling

    def start(self, version: Version, units: int) -> HostingState:
        """Makes the endpoint: some minutes."""
        config = self._place.ENDPOINT_CONFIG if self._foreign else self._configured(version, units)
        self._once(self._sagemaker.create_endpoint, EndpointName=version.name, EndpointConfigName=config)
        return "STARTING_HOSTING"

    def stop(self, version: Version) -> HostingState:
        """Deletes the endpoint and what was made for it; while it is still being made, `settle` must do it later."""
        return self.settle(version, "STOPPING_HOSTING")[0]

    def state(self, version: Version, state: HostingState) -> tuple[HostingState, str]:
        """See `Backend.state`."""
        return _reached(self._endpoint(version), state)

    def settle(self, version: Version, state: HostingState) -> tuple[HostingState, str]:
        """Has an endpoint that came up scale, and deletes one that failed or is to be stopped: as often as it takes."""
        found = self._endpoint(version)
        reached, told = _reached(found, state)
        if state == "STOPPING_HOSTING" or reached == "HOSTING_FAILED":
            self._delete(version, found)
        elif reached == "HOSTED" and found is not None:
            told = self._scaled(version, found)
        return reached, told

    def detect(self, version: Version, body: bytes, content_type: str) -> Document:
        """See `Backend.detect`."""
        try:
            answer = self._runtime.invoke_endpoint(
                EndpointName=version.name, ContentType=content_type, Accept="application/json", Body=body
            )
        except self._runtime.exceptions.ModelError as error:
            told = _words(error.response.get("OriginalMessage") or error.response["Error"]["Message"])
            if 400 <= int(error.response.get("OriginalStatusCode", 500)) < 500:
                raise invalid(f"The photograph cannot be used: {told}") from error
            raise internal(f"The endpoint failed: {told}") from error
        return _result(json.loads(answer["Body"].read()))

    def _endpoint(self, version: Version) -> Mapping[str, Any] | None:
        """The endpoint as SageMaker describes it, None where there is none."""
        try:
            found: Mapping[str, Any] = self._sagemaker.describe_endpoint(EndpointName=version.name)
        except ClientError as error:
            if not _not_there(error):
                raise
            return None
        return found

    def _delete(self, version: Version, found: Mapping[str, Any] | None) -> None:
        """Deletes an endpoint, and once that is accepted what was made for it."""
        if found is not None and found["EndpointStatus"] != "Deleting":
            if version.most_units > version.units:
                self._unscaled(version, found)
            try:
                self._sagemaker.delete_endpoint(EndpointName=version.name)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ValidationException":
                    raise
                # SageMaker deletes none that it is just making or changing: whoever asks next tries again. The
                # configuration stays until then, for SageMaker needs it.
                return
        if not self._foreign:
            _gone(self._sagemaker.delete_endpoint_config, EndpointConfigName=version.name)
            _gone(self._sagemaker.delete_model, ModelName=version.name)

    def _scaled(self, version: Version, endpoint: Mapping[str, Any]) -> str:
        """Has the instances follow the requests, up to MaxInferenceUnits; tells why it does not, where it cannot."""
        if version.most_units <= version.units:
            return ""
        variant = _variant(version, endpoint["ProductionVariants"][0]["VariantName"])
        tracked = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
        policy = {"TargetValue": UNIT_PER_MINUTE, "PredefinedMetricSpecification": tracked}
        try:
            numbers = {"MinCapacity": version.units, "MaxCapacity": version.most_units}
            self._scaling.register_scalable_target(**variant, **numbers)
            self._scaling.put_scaling_policy(
                **variant,
                PolicyName="requests",
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration=policy,
            )
        except ClientError as error:  # a line that is hosted must not stand still for it
            code = error.response["Error"]["Code"]
            return f"The model is hosted, but stays at {version.units} units: scaling was refused ({code})."
        return ""

    def _unscaled(self, version: Version, endpoint: Mapping[str, Any]) -> None:
        """Takes the endpoint out of scaling. SageMaker does the same when it deletes one, but later."""
        try:
            for variant in endpoint.get("ProductionVariants", []):  # one that is being made tells none
                self._scaling.deregister_scalable_target(**_variant(version, variant["VariantName"]))
        except ClientError as error:  # neither may it keep an endpoint from being deleted
            _log.warning("%s stays registered for scaling: %s", version.name, error)

    @property
    def _foreign(self) -> bool:
        return self._place.BACKEND == "marketplace"

    def _configured(self, version: Version, units: int) -> str:
        place = self._place
        self._once(
            self._sagemaker.create_model,
            ModelName=version.name,
            ExecutionRoleArn=place.ROLE_ARN,
            PrimaryContainer={"Image": place.IMAGE, "ModelDataUrl": version.archive},
            **({"VpcConfig": place.NETWORK} if place.NETWORK else {}),
        )
        variant = {
            "VariantName": "main",
            "ModelName": version.name,
            "InstanceType": place.HOSTING_INSTANCE_TYPE,
            "InitialInstanceCount": units,
        }
        create = self._sagemaker.create_endpoint_config
        self._once(create, EndpointConfigName=version.name, ProductionVariants=[variant])
        return version.name

    @staticmethod
    def _once(create: Any, **request: Any) -> None:
        try:
            create(**request)
        except ClientError as error:  # an earlier attempt made it
            if "already exist" not in error.response["Error"].get("Message", ""):
                raise


class Legacy:
    """Amazon Lookout for Vision itself, for who still has it: projects and versions of the same names.

    AWS ended it on 2025-10-31; nothing of it was left to try this with.
    """

    def __init__(self, service: Any) -> None:
        self._service = service

    def start(self, version: Version, units: int) -> HostingState:
        """StartModel of the service."""
        state: HostingState = self._service.start_model(**_named(version), MinInferenceUnits=units)["Status"]
        return state

    def stop(self, version: Version) -> HostingState:
        """StopModel of the service."""
        known = self._service.exceptions
        try:
            state: HostingState = self._service.stop_model(**_named(version))["Status"]
        except known.ResourceNotFoundException:
            return "TRAINED"
        except known.ConflictException:  # it is stopped already, or just being stopped
            return self.state(version, "STOPPING_HOSTING")[0]
        return state

    def state(self, version: Version, state: HostingState) -> tuple[HostingState, str]:  # noqa: ARG002
        """DescribeModel of the service."""
        found = self._service.describe_model(**_named(version))["ModelDescription"]
        return found["Status"], found.get("StatusMessage", "")

    settle = state

    def detect(self, version: Version, body: bytes, content_type: str) -> Document:
        """DetectAnomalies of the service."""
        try:
            answer = self._service.detect_anomalies(**_named(version), Body=body, ContentType=content_type)
        except ClientError as error:
            told, status = error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            raise ApiError(told["Code"], status, told.get("Message", "")) from error
        result: Document = answer["DetectAnomalyResult"]
        return result


def _variant(version: Version, name: str) -> dict[str, str]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{version.name}/variant/{name}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def _named(version: Version) -> dict[str, str]:
    return {"ProjectName": version.project, "ModelVersion": str(version.number)}


def _result(answer: Document) -> Document:
    """DetectAnomalyResult of an answer with or without it."""
    result: Document = answer.get("DetectAnomalyResult", answer)
    return result


def _words(answer: str) -> str:
    """What an endpoint tells of an error: our image in the member `error`, others as they like."""
    try:
        document = json.loads(answer)
    except ValueError:
        return answer
    return str(document.get("error", answer)) if isinstance(document, dict) else answer


def _reached(endpoint: Mapping[str, Any] | None, state: HostingState) -> tuple[HostingState, str]:
    """How far a start or stop in `state` has come, by its endpoint, and why it failed."""
    if endpoint is None:
        lost = "The endpoint is not there any more."
        return ("TRAINED", "") if state == "STOPPING_HOSTING" else ("HOSTING_FAILED", lost)
    match endpoint["EndpointStatus"]:
        case "InService" if state == "STARTING_HOSTING":
            return "HOSTED", ""
        case "Failed" if state == "STARTING_HOSTING":
            return "HOSTING_FAILED", str(endpoint.get("FailureReason", ""))
        case _:
            return state, ""


def _gone(delete: Any, **request: Any) -> None:
    try:
        delete(**request)
    except ClientError as error:
        if not _not_there(error):
            raise


def _not_there(error: ClientError) -> bool:
    """Whether what SageMaker was asked for does not exist; it refuses for other reasons by the same code."""
    told = error.response["Error"]
    return told["Code"] == "ValidationException" and told.get("Message", "").startswith("Could not find")
