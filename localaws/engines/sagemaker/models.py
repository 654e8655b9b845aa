"""Models and endpoint configurations, and a model's container as a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localaws.engines.ledger import shown
from localaws.engines.sagemaker.container import Root, free_port, isolation
from localaws.engines.sagemaker.data import DataError, Storage, split
from localaws.engines.sagemaker.images import ImageError
from localaws.engines.sagemaker.jobs import Jobs
from localaws.engines.sagemaker.server import ModelServer
from localaws.engines.sagemaker.state import SERVICE, Place, invalid, listed, not_supported, place_of, validate
from localaws.home import Call, Document, ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Models(Jobs):
    """The operations of models and endpoint configurations."""

    # -- models ----------------------------------------------------------------------------------------------------

    def create_model(self, call: Call, params: Document) -> Document:
        validate("CreateModel", params, "ModelName")
        place, name = place_of(call), params["ModelName"]
        containers = [
            *([params["PrimaryContainer"]] if "PrimaryContainer" in params else []),
            *params.get("Containers", []),
        ]
        if len(containers) != 1:
            raise not_supported(f"A model of {len(containers)} containers", "give one PrimaryContainer")
        role = params.get("ExecutionRoleArn")
        if role is None:
            raise invalid("ExecutionRoleArn is required: the container runs in its name")
        assumed = self._passed(call, role)
        self._check_container(assumed, self._container_of(place, containers[0]))
        with self._lock:
            arn = self._new("models", place, name, "model")
            members = (
                "ModelName",
                "ExecutionRoleArn",
                "VpcConfig",
                "EnableNetworkIsolation",
                "InferenceExecutionConfig",
            )
            record = {member: params[member] for member in members if member in params}
            record |= {"PrimaryContainer": containers[0], "CreationTime": self._now(), "ModelArn": arn}
            self._write("models", place, record, name)
            self._set_tags(place, arn, params.get("Tags"))
        return {"ModelArn": arn}

    def describe_model(self, call: Call, params: Document) -> Document:
        return shown(self._named("models", place_of(call), params["ModelName"], "model"))

    def list_models(self, call: Call, params: Document) -> Document:
        members = ("ModelName", "ModelArn", "CreationTime")
        return listed(self._all("models", place_of(call)), params, "Models", members, name="ModelName")

    def delete_model(self, call: Call, params: Document) -> Document:
        return self._delete("models", call, params["ModelName"], "model")

    # -- endpoint configurations -----------------------------------------------------------------------------------

    def create_endpoint_config(self, call: Call, params: Document) -> Document:
        validate("CreateEndpointConfig", params, "EndpointConfigName")
        place, name = place_of(call), params["EndpointConfigName"]
        if params.get("ShadowProductionVariants"):
            raise not_supported("A shadow variant", "leave ShadowProductionVariants out")
        if params.get("AsyncInferenceConfig", {}).get("OutputConfig", {}).get("NotificationConfig"):
            raise not_supported("A notification of asynchronous answers", "wait for the object, or use its S3 event")
        variants = params["ProductionVariants"]
        names = [variant["VariantName"] for variant in variants]
        if len(set(names)) < len(names):
            raise invalid(f"The production variants {', '.join(names)} must have different names")
        for variant in variants:
            if "ModelName" not in variant:
                raise not_supported("A variant of inference components", "give it a ModelName")
            self._named("models", place, variant["ModelName"], "model")
        with self._lock:
            arn = self._new("endpoint_configs", place, name, "endpoint configuration")
            record = {key: value for key, value in params.items() if key != "Tags"}
            record |= {"EndpointConfigArn": arn, "CreationTime": self._now()}
            self._write("endpoint_configs", place, record, name)
            self._set_tags(place, arn, params.get("Tags"))
        return {"EndpointConfigArn": arn}

    def describe_endpoint_config(self, call: Call, params: Document) -> Document:
        name = params["EndpointConfigName"]
        return shown(self._named("endpoint_configs", place_of(call), name, "endpoint configuration"))

    def list_endpoint_configs(self, call: Call, params: Document) -> Document:
        records = self._all("endpoint_configs", place_of(call))
        members = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        return listed(records, params, "EndpointConfigs", members, name="EndpointConfigName")

    def delete_endpoint_config(self, call: Call, params: Document) -> Document:
        return self._delete("endpoint_configs", call, params["EndpointConfigName"], "endpoint configuration")

    # -- shared ----------------------------------------------------------------------------------------------------

    def _new(self, kind: str, place: Place, name: str, shown_kind: str) -> str:
        """The ARN of what is to be made, unless it is there already."""
        arn = place.arn(kind, name)
        if self._read(kind, place, name) is not None:
            raise invalid(f'Cannot create already existing {shown_kind} "{arn}".')
        return arn

    def _named(self, kind: str, place: Place, name: str, shown_kind: str) -> Document:
        name = name.rpartition("/")[2]  # CloudFormation's Ref is the ARN
        record = self._read(kind, place, name)
        if record is None:
            raise invalid(f'Could not find {shown_kind} "{place.arn(kind, name)}".')
        return record

    def _delete(self, kind: str, call: Call, name: str, shown_kind: str) -> Document:
        place = place_of(call)
        with self._lock:
            self._named(kind, place, name, shown_kind)
            self._remove(kind, place, name)
            self._remove("tags", place, place.arn(kind, name))
        return {}

    def _container_of(self, place: Place, container: Document) -> Document:
        """The container definition; that of the model package where it names one."""
        package = container.get("ModelPackageName")
        if package is None:
            return container
        inside = self._package(place, package)["InferenceSpecification"]["Containers"][0]
        return {**inside, "Environment": {**inside.get("Environment", {}), **container.get("Environment", {})}}

    def _package(self, place: Place, name: str) -> Document:
        raise NotImplementedError

    def _check_container(self, call: Call, container: Document) -> None:
        if "Image" not in container:
            raise invalid("The container needs an Image, or a ModelPackageName")
        url = _archive_of(container)
        if url is not None:
            try:
                Storage(self._home, call).check(url)
            except (DataError, ServiceError) as error:
                raise invalid(
                    f'Could not access model data at {url}. Please ensure that the role "{call.principal}" exists and '
                    f'that its trust relationship policy allows the action "sts:AssumeRole" for the service principal '
                    f'"{SERVICE}". Also ensure that the role has "s3:GetObject" permissions and that the object is '
                    f"located in {call.region}. ({error})"
                ) from error

    # -- servers ---------------------------------------------------------------------------------------------------

    def _serve(
        self,
        place: Place,
        group: str,
        stream: str,
        *,
        model: Document,
        root: Root,
        variables: Mapping[str, str],
    ) -> ModelServer:
        """Starts a model's container as a server for a job or endpoint.

        Raises:
            DataError, ImageError, ServiceError: it cannot start, and why.
        """
        role = model["ExecutionRoleArn"]
        call = self._assumed(place, role)
        container = self._container_of(place, model["PrimaryContainer"])
        image = self._images.resolve(call, container["Image"])
        if image.toolkit:
            raise ImageError(f"The image {container['Image']} cannot serve here: deploy a server image of your own")
        root.make()
        storage = Storage(self._home, call)
        archive, source = _archive_of(container), container.get("ModelDataSource", {}).get("S3DataSource")
        if archive is not None:
            storage.extract(archive, root.ml / "model")
        elif source is not None:
            storage.download(storage.items(source["S3Uri"]), root.ml / "model")
        port = free_port()
        given = {
            **self._home.role_environment(*place, role, SERVICE),
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "SAGEMAKER_BIND_TO_HOST": "127.0.0.1",
            "SAGEMAKER_SAFE_PORT_RANGE": f"{port}-{port}",
            "PORT": str(port),
            "SM_MODEL_DIR": "/opt/ml/model" if isolation() else str(root.ml / "model"),
            **container.get("Environment", {}),
            **variables,
        }
        argv = image.argv("serve")
        started = self._start(place, group, stream, image=image, argv=argv, root=root, variables=given)
        return ModelServer(started, port)


def _archive_of(container: Mapping[str, Any]) -> str | None:
    """The URI of the model's tar.gz, if it is one."""
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    if source.get("CompressionType") == "Gzip":
        return str(source["S3Uri"])
    url = container.get("ModelDataUrl")
    if url is not None:
        split(url)
    return url
