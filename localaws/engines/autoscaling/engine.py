"""Application Auto Scaling for the instances of SageMaker's endpoints, really scaling them.

Once a period the engine reads how many requests an instance of each registered variant has answered, and has SageMaker
start or end instances as the variant's target tracking policy wants it; see `tracking`. What cannot be done here (other
services and metrics, step and scheduled scaling) is refused by name.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from localaws.engines import ledger
from localaws.engines.autoscaling.tracking import COOLDOWN_SECONDS, Policy, Track
from localaws.engines.ledger import Ledger, faults, shown
from localaws.engines.sagemaker import state as sagemaker_state
from localaws.home import Call, Document, Home, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

logger = logging.getLogger("localaws")

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
METRIC = "SageMakerVariantInvocationsPerInstance"
RESOURCE = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")
SERVICE = "sagemaker.application-autoscaling.amazonaws.com"
ROLE = f"role/aws-service-role/{SERVICE}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
PERIOD_SECONDS = 60.0
MINUTE = 60.0
PAGE = 50
ACTIVITIES_KEPT = 100
ENDED = ("Successful", "Failed")


class Place(ledger.Place):
    """One account's Application Auto Scaling in one region."""

    __slots__ = ()

    def sagemaker(self) -> sagemaker_state.Place:
        return sagemaker_state.Place(self.account, self.region)

    def role(self) -> str:
        """The ARN of the service-linked role."""
        return f"arn:aws:iam::{self.account}:{ROLE}"


def invalid(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


class Autoscaling(Ledger[Place]):
    """The engine. Its public methods are operations of Application Auto Scaling; `close()` ends its thread.

    Args:
        home: the surroundings.
        sagemaker: the engine whose endpoints are scaled.
        period: seconds between two readings (AWS: a minute). Readings are per minute whatever it is.
        clock: epoch seconds, for time stamps.
    """

    def __init__(
        self, home: Home, sagemaker: Any, *, period: float = PERIOD_SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        kinds = ("targets", "policies", "activities", "tags", "roles")
        super().__init__(home, clock, place=Place, service="autoscaling", kinds=kinds)
        self._sagemaker = sagemaker
        self._period = period
        self._tracks: dict[tuple[Place, str], Track] = {}
        self._counted: dict[tuple[Place, str], tuple[int, float]] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True, name="autoscaling")
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    # -- targets ---------------------------------------------------------------------------------------------------

    def register_scalable_target(self, call: Call, params: Document) -> Document:
        """The caller must be allowed what the service will do with the endpoint, as AWS checks it."""
        place, resource = self._resource(call, "RegisterScalableTarget", params)
        endpoint, variant = _names(resource)
        arn = place.sagemaker().arn
        call.authorize("sagemaker:DescribeEndpoint", arn("endpoints", endpoint))
        config = self._serving(place, endpoint, variant)["EndpointConfigName"]
        call.authorize("sagemaker:DescribeEndpointConfig", arn("endpoint_configs", config))
        call.authorize("sagemaker:UpdateEndpointWeightsAndCapacities", arn("endpoints", endpoint))
        with self._lock:
            known = self._read("targets", place, resource)
            if known is None and not {"MinCapacity", "MaxCapacity"} <= params.keys():
                raise invalid("Both MinCapacity and MaxCapacity are required to register a new scalable target")
            if known is not None and params.get("Tags"):
                raise invalid(
                    "The scalable target that you tried to tag already exists. To update tags on an existing scalable "
                    "target, use the TagResource API."
                )
            changed = {
                name: params[name] for name in ("MinCapacity", "MaxCapacity", "SuspendedState") if name in params
            }
            record = {**(known or self._new_target(call, place, resource)), **changed}
            if not 0 < record["MinCapacity"] <= record["MaxCapacity"]:
                raise invalid(
                    f"MinCapacity {record['MinCapacity']} and MaxCapacity {record['MaxCapacity']} of {resource}: the "
                    "minimum is at least 1 for an instance count, and not more than the maximum"
                )
            self._write("targets", place, record, resource)
            if params.get("Tags"):
                self._write("tags", place, {"Tags": params["Tags"]}, record["ScalableTargetARN"])
        return {"ScalableTargetARN": record["ScalableTargetARN"]}

    def _new_target(self, call: Call, place: Place, resource: str) -> Document:
        if self._read("roles", place, "linked") is None:  # the account's first target has the service make its role
            call.authorize("iam:CreateServiceLinkedRole", place.role(), {"iam:AWSServiceName": SERVICE})
            self._write("roles", place, {"RoleARN": place.role()}, "linked")
        base = f"arn:aws:application-autoscaling:{place.region}:{place.account}:scalable-target"
        return {
            "ServiceNamespace": NAMESPACE,
            "ResourceId": resource,
            "ScalableDimension": DIMENSION,
            "RoleARN": place.role(),
            "CreationTime": self._now(),
            "SuspendedState": dict.fromkeys(
                ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended"), False
            ),
            "ScalableTargetARN": f"{base}/{uuid.uuid4().hex}",
        }

    def describe_scalable_targets(self, call: Call, params: Document) -> Document:
        place = self._scope(call, params)
        wanted = params.get("ResourceIds")
        found = [shown(t) for t in self._all("targets", place) if not wanted or t["ResourceId"] in wanted]
        return _page(found, params, "ScalableTargets")

    def deregister_scalable_target(self, call: Call, params: Document) -> Document:
        """With the target go its policies."""
        place, resource = self._resource(call, "DeregisterScalableTarget", params)
        with self._lock:
            self._target(place, resource)
            if self._all("policies", place, resource):
                call.authorize("cloudwatch:DeleteAlarms", _alarms(place, resource))
            self._forget(place, resource)
        return {}

    def _forget(self, place: Place, resource: str) -> None:
        target = self._read("targets", place, resource)
        if target is not None:
            self._remove("tags", place, target["ScalableTargetARN"])
        self._remove("targets", place, resource)
        for policy in self._all("policies", place, resource):
            self._remove("policies", place, resource, policy["PolicyName"])
        self._tracks.pop((place, resource), None)
        self._counted.pop((place, resource), None)

    # -- policies --------------------------------------------------------------------------------------------------

    def put_scaling_policy(self, call: Call, params: Document) -> Document:
        """No CloudWatch alarms are made, but who may not make them on AWS may not make the policy here."""
        place, resource = self._resource(call, "PutScalingPolicy", params)
        name = params["PolicyName"]
        call.authorize("cloudwatch:PutMetricAlarm", _alarms(place, resource))
        call.authorize("cloudwatch:DescribeAlarms", f"arn:aws:cloudwatch:{place.region}:{place.account}:alarm:*")
        with self._lock:
            self._target(place, resource)
            known = self._read("policies", place, resource, name)
            kind = params.get("PolicyType", known["PolicyType"] if known else "StepScaling")
            tracking = params.get("TargetTrackingScalingPolicyConfiguration")
            _check_tracking(kind, tracking)
            if any(other["PolicyName"] != name for other in self._all("policies", place, resource)):
                raise invalid("Only one TargetTrackingScaling policy for a given metric specification is allowed.")
            base = f"arn:aws:autoscaling:{place.region}:{place.account}:scalingPolicy:{uuid.uuid4()}"
            record = {
                "PolicyARN": known["PolicyARN"] if known else f"{base}:resource/sagemaker/{resource}:policyName/{name}",
                "PolicyName": name,
                "ServiceNamespace": NAMESPACE,
                "ResourceId": resource,
                "ScalableDimension": DIMENSION,
                "PolicyType": kind,
                "TargetTrackingScalingPolicyConfiguration": tracking,
                "Alarms": list[Document](),
                "CreationTime": known["CreationTime"] if known else self._now(),
            }
            self._write("policies", place, record, resource, name)
        return {"PolicyARN": record["PolicyARN"], "Alarms": []}

    def describe_scaling_policies(self, call: Call, params: Document) -> Document:
        place, names = self._scope(call, params), params.get("PolicyNames")
        found = [p for p in self._of(place, "policies", params) if not names or p["PolicyName"] in names]
        return _page(found, params, "ScalingPolicies")

    def delete_scaling_policy(self, call: Call, params: Document) -> Document:
        place, resource = self._resource(call, "DeleteScalingPolicy", params)
        with self._lock:
            if self._read("policies", place, resource, params["PolicyName"]) is None:
                raise ServiceError(
                    "ObjectNotFoundException",
                    f"No scaling policy found for service namespace: {NAMESPACE}, resource ID: {resource}, scalable "
                    f"dimension: {DIMENSION}: {params['PolicyName']}",
                )
            call.authorize("cloudwatch:DeleteAlarms", _alarms(place, resource))
            self._remove("policies", place, resource, params["PolicyName"])
        return {}

    def describe_scaling_activities(self, call: Call, params: Document) -> Document:
        """The last hundred of each target, newest first."""
        found = self._of(self._scope(call, params), "activities", params)
        found.sort(key=lambda activity: activity["StartTime"], reverse=True)
        return _page(found, params, "ScalingActivities")

    # -- tags ------------------------------------------------------------------------------------------------------

    def list_tags_for_resource(self, call: Call, params: Document) -> Document:
        place, arn = self._tagged(call, params)
        return {"Tags": (self._read("tags", place, arn) or {"Tags": {}})["Tags"]}

    def tag_resource(self, call: Call, params: Document) -> Document:
        with self._lock:
            place, arn = self._tagged(call, params)
            self._write(
                "tags", place, {"Tags": {**self.list_tags_for_resource(call, params)["Tags"], **params["Tags"]}}, arn
            )
        return {}

    def untag_resource(self, call: Call, params: Document) -> Document:
        with self._lock:
            place, arn = self._tagged(call, params)
            tags = self.list_tags_for_resource(call, params)["Tags"]
            self._write("tags", place, {"Tags": {k: v for k, v in tags.items() if k not in params["TagKeys"]}}, arn)
        return {}

    def _tagged(self, call: Call, params: Document) -> tuple[Place, str]:
        place, arn = Place(call.account, call.region), params["ResourceARN"]
        if not any(target["ScalableTargetARN"] == arn for target in self._all("targets", place)):
            raise ServiceError("ResourceNotFoundException", f"The scalable target {arn} does not exist")
        return place, arn

    # -- what requests name ----------------------------------------------------------------------------------------

    def _scope(self, call: Call, params: Document) -> Place:
        if params["ServiceNamespace"] != NAMESPACE:
            raise invalid(
                f"ServiceNamespace {params['ServiceNamespace']!r} is not supported by the embedded Application Auto "
                f"Scaling: it scales {NAMESPACE}"
            )
        return Place(call.account, call.region)

    def _resource(self, call: Call, operation: str, params: Document) -> tuple[Place, str]:
        if found := faults("application-autoscaling", operation, params):
            raise invalid(f"{operation}: {found}")
        place, resource = self._scope(call, params), params["ResourceId"]
        if params["ScalableDimension"] != DIMENSION:
            raise invalid(
                f"ScalableDimension {params['ScalableDimension']!r} is not supported by the embedded Application Auto "
                f"Scaling: it scales {DIMENSION}"
            )
        if not RESOURCE.fullmatch(resource):
            raise invalid(f"Unsupported resource type in {resource!r}: give endpoint/NAME/variant/VARIANT")
        return place, resource

    def _of(self, place: Place, kind: str, params: Document) -> list[Document]:
        wanted = params.get("ResourceId")
        return [shown(d) for d in self._all(kind, place) if wanted in (None, d["ResourceId"])]

    def _target(self, place: Place, resource: str) -> Document:
        target = self._read("targets", place, resource)
        if target is None:
            raise ServiceError(
                "ObjectNotFoundException",
                f"No scalable target registered for service namespace: {NAMESPACE}, resource ID: {resource}, scalable "
                f"dimension: {DIMENSION}",
            )
        return target

    def _serving(self, place: Place, endpoint: str, variant: str) -> Document:
        """The endpoint's description, which has the variant.

        Raises:
            ServiceError: ValidationException: there is no such endpoint or variant, or it is not up yet.
        """
        described: Document = self._sagemaker.describe_endpoint(self._own(place), {"EndpointName": endpoint})
        if all(each["VariantName"] != variant for each in described.get("ProductionVariants", [])):
            raise invalid(f"Endpoint {endpoint} ({described['EndpointStatus']}) has no variant {variant} that serves")
        return described

    def _own(self, place: Place) -> Call:
        """The service's call in its service-linked role, which may do this and nothing else."""
        return Call(place.account, place.region, principal=place.role())

    # -- scaling ---------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        while not self._closing.wait(self._period):
            for place, target in self._everywhere("targets"):
                try:
                    self._look(place, target)
                except Exception:  # the next period looks again
                    logger.exception("autoscaling of %s failed", target["ResourceId"])

    def _look(self, place: Place, target: Document) -> None:
        """One reading of one target, and what follows from it."""
        resource = target["ResourceId"]
        endpoint, variant = _names(resource)
        now = self._clock()
        total = self._sagemaker.invocations(place.sagemaker(), endpoint, variant)
        before, since = self._counted.get((place, resource), (total, now - self._period))
        self._counted[place, resource] = total, now
        try:
            described = self._serving(place, endpoint, variant)
        except ServiceError:  # a deleted endpoint takes its targets with it
            with self._lock:
                self._forget(place, resource)
            return
        if described["EndpointStatus"] != "InService":
            return
        [capacity] = [
            each["CurrentInstanceCount"] for each in described["ProductionVariants"] if each["VariantName"] == variant
        ]
        self._settle(place, resource, capacity)
        rate = (total - before) * MINUTE / max(now - since, 1e-9) / capacity
        policies = self._all("policies", place, resource)
        track = self._tracks.setdefault((place, resource), Track())
        if policies:
            desired = track.step(_policy(target, policies[0]), capacity, rate, now)
            cause = f"{METRIC} was {rate:.1f} per minute; policy {policies[0]['PolicyName']}"
        else:
            desired = min(max(capacity, target["MinCapacity"]), target["MaxCapacity"])
            cause = "minimum or maximum capacity was changed"
        if desired != capacity:
            self._scale(place, resource, desired, cause)

    def _scale(self, place: Place, resource: str, desired: int, cause: str) -> None:
        endpoint, variant = _names(resource)
        activity: Document = {
            "ActivityId": str(uuid.uuid4()),
            "ServiceNamespace": NAMESPACE,
            "ResourceId": resource,
            "ScalableDimension": DIMENSION,
            "Description": f"Setting desired instance count to {desired}.",
            "Cause": cause,
            "StartTime": self._now(),
            "StatusCode": "InProgress",
            "_desired": desired,
        }
        change = {"VariantName": variant, "DesiredInstanceCount": desired}
        request = {"EndpointName": endpoint, "DesiredWeightsAndCapacities": [change]}
        try:
            self._sagemaker.update_endpoint_weights_and_capacities(self._own(place), request)
        except ServiceError as error:  # somebody has just begun another update
            self._ended(activity, "Failed", f"Failed to set desired instance count to {desired}: {error.message}")
        self._write("activities", place, activity, resource, activity["ActivityId"])
        old = sorted(self._all("activities", place, resource), key=lambda each: each["StartTime"])[:-ACTIVITIES_KEPT]
        for each in old:
            self._remove("activities", place, resource, each["ActivityId"])

    def _settle(self, place: Place, resource: str, capacity: int) -> None:
        """Writes down how the last change ended, now that the endpoint is in service again."""
        for activity in self._all("activities", place, resource):
            if activity["StatusCode"] in ENDED:
                continue
            desired = activity["_desired"]
            if capacity == desired:
                done = (
                    f"Successfully set desired instance count to {desired}. Change successfully fulfilled by sagemaker."
                )
                self._ended(activity, "Successful", done)
            else:
                self._ended(
                    activity,
                    "Failed",
                    f"Failed to set desired instance count to {desired}: the endpoint has {capacity}, see its "
                    "FailureReason; an endpoint has at most two instances of a variant here",
                )
            self._write("activities", place, activity, resource, activity["ActivityId"])

    def _ended(self, activity: Document, status: str, message: str) -> None:
        activity |= {"StatusCode": status, "StatusMessage": message, "EndTime": self._now()}


def _names(resource: str) -> tuple[str, str]:
    """Endpoint and variant of a resource's id."""
    _, endpoint, _, variant = resource.split("/")
    return endpoint, variant


def _alarms(place: Place, resource: str) -> str:
    """An ARN of the policy's alarms, as AWS names them."""
    return f"arn:aws:cloudwatch:{place.region}:{place.account}:alarm:TargetTracking-{resource}-AlarmHigh-{uuid.uuid4()}"


def _check_tracking(kind: str, tracking: Mapping[str, Any] | None) -> None:
    if kind != "TargetTrackingScaling":
        raise invalid(
            f"PolicyType {kind!r} is not supported by the embedded Application Auto Scaling: use target tracking"
        )
    if tracking is None:
        raise invalid("TargetTrackingScalingPolicyConfiguration is required for the policy type TargetTrackingScaling")
    metric = tracking.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
    if metric != METRIC:
        raise invalid(
            f"The metric {metric or 'of your own'} is not supported by the embedded Application Auto Scaling: it "
            f"follows {METRIC}"
        )
    if tracking["TargetValue"] <= 0:
        raise invalid(f"TargetValue {tracking['TargetValue']:g} must be more than 0")


def _policy(target: Mapping[str, Any], policy: Mapping[str, Any]) -> Policy:
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    suspended = target.get("SuspendedState", {})
    return Policy(
        target=float(tracking["TargetValue"]),
        least=target["MinCapacity"],
        most=target["MaxCapacity"],
        cooldown_out=float(tracking.get("ScaleOutCooldown", COOLDOWN_SECONDS)),
        cooldown_in=float(tracking.get("ScaleInCooldown", COOLDOWN_SECONDS)),
        out_suspended=suspended.get("DynamicScalingOutSuspended", False),
        in_suspended=suspended.get("DynamicScalingInSuspended", False) or tracking.get("DisableScaleIn", False),
    )


def _page(found: Iterable[Document], params: Mapping[str, Any], key: str) -> Document:
    """One page of a list.

    Raises:
        ServiceError: InvalidNextTokenException for a token this service did not give.
    """
    items, token = list(found), params.get("NextToken") or "0"
    if not token.isdigit() or int(token) > len(items):
        raise ServiceError("InvalidNextTokenException", f"NextToken {token!r} was not given by this operation")
    start = int(token)
    end = start + int(params.get("MaxResults") or PAGE)
    page: Document = {key: items[start:end]}
    if end < len(items):
        page["NextToken"] = str(end)
    return page
