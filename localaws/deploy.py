"""Deploys a CDK cloud assembly (cdk.out) with plain boto3: publish the assets, then each stack in dependency order.

What `cdk deploy` does, without Node: the assembly's manifest names assets, stacks and their order. It knows nothing of
the emulator; the stock CDK CLI works against the same endpoint.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from localaws.engines.sagemaker.images import bucket_of, key_of, packed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import boto3

    from localaws.home import Document

BOOTSTRAP_VERSION = "30"


_WHOLE = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
_NEVER_MADE = {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}


class DeployError(Exception):
    """A stack did not reach its state. The message names the resource and the reason."""


@dataclass(frozen=True)
class Progress:
    """One line of a deployment: `done` of `total` resources of `stack`, the last being `resource`."""

    stack: str
    done: int
    total: int
    resource: str
    status: str


def deploy(
    assembly: Path, session: boto3.session.Session, report: Callable[[Progress], None] | None = None
) -> dict[str, dict[str, str]]:
    """Brings every stack of an assembly up to date and returns their outputs by stack name.

    Args:
        assembly: folder with manifest.json; nested assemblies (stages) are deployed too.
        session: account and region to deploy into.
        report: called as resources reach their state.

    Raises:
        DeployError: a stack failed; it names the stack, the first failed resource and the reason.
    """
    account = session.client("sts").get_caller_identity()["Account"]
    _bootstrap(session)
    outputs: dict[str, dict[str, str]] = {}
    for folder in _assemblies(assembly):
        manifest = json.loads((folder / "manifest.json").read_text())["artifacts"]
        places = _places(account, session.region_name)
        for artifact in manifest.values():
            if artifact["type"] == "cdk:asset-manifest":
                _publish(folder, folder / artifact["properties"]["file"], session, places)
        for name in _in_order(manifest):
            stack = _Stack(folder, name, manifest[name], session, places)
            outputs[stack.name] = stack.deploy(report)
    return outputs


def destroy(assembly: Path, session: boto3.session.Session) -> None:
    """Deletes the stacks of an assembly, dependents first. Resources with a retain policy stay, as on AWS."""
    places = _places(session.client("sts").get_caller_identity()["Account"], session.region_name)
    for folder in reversed(list(_assemblies(assembly))):
        manifest = json.loads((folder / "manifest.json").read_text())["artifacts"]
        for name in reversed(_in_order(manifest)):
            _Stack(folder, name, manifest[name], session, places).delete()


def _assemblies(folder: Path) -> Iterator[Path]:
    """The assembly and the nested ones of its stages."""
    yield folder
    manifest = json.loads((folder / "manifest.json").read_text())["artifacts"]
    for artifact in manifest.values():
        if artifact["type"] == "cdk:cloud-assembly":
            yield from _assemblies(folder / artifact["properties"]["directoryName"])


def _places(account: str, region: str) -> Callable[[str], str]:
    def fill(text: str) -> str:
        for token, value in (("AccountId", account), ("Region", region), ("Partition", "aws")):
            text = text.replace(f"${{AWS::{token}}}", value)
        return text

    return fill


def _bootstrap(session: boto3.session.Session) -> None:
    """What `cdk bootstrap` leaves for templates to check: the version of the bootstrap resources."""
    name = "/cdk-bootstrap/hnb659fds/version"
    session.client("ssm").put_parameter(Name=name, Value=BOOTSTRAP_VERSION, Type="String", Overwrite=True)


def _publish(folder: Path, asset_manifest: Path, session: boto3.session.Session, fill: Callable[[str], str]) -> None:
    s3 = session.client("s3")
    known: set[str] = set()
    assets = json.loads(asset_manifest.read_text())
    for entry in assets.get("dockerImages", {}).values():
        _publish_image(folder, entry, s3, session.region_name, fill)
    for entry in assets["files"].values():
        source = folder / entry["source"]["path"]
        for destination in entry["destinations"].values():
            bucket, key = fill(destination["bucketName"]), fill(destination["objectKey"])
            if bucket not in known:
                _ensure_bucket(s3, bucket)
                known.add(bucket)
            if source.suffix != ".json" and _exists(s3, bucket, key):
                continue  # an asset's key is its content's hash; templates carry fixed keys in tests
            s3.put_object(Bucket=bucket, Key=key, Body=_content(source, entry["source"]["packaging"]))


def _publish_image(folder: Path, entry: Document, s3: Any, region: str, fill: Callable[[str], str]) -> None:
    """Nothing is built: the build context that CDK staged is what the engines run (see sagemaker/images.py)."""
    for destination in entry["destinations"].values():
        bucket = bucket_of(fill("${AWS::AccountId}"), region)
        key = key_of(fill(destination["repositoryName"]), destination["imageTag"])
        _ensure_bucket(s3, bucket)
        if not _exists(s3, bucket, key):
            source = entry["source"]
            body = packed(folder / source["directory"], source.get("dockerFile", "Dockerfile"))
            s3.put_object(Bucket=bucket, Key=key, Body=body)


def _content(source: Path, packaging: str) -> bytes:
    if packaging != "zip":
        return source.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                # A fixed time: the same content is the same archive.
                info = zipfile.ZipInfo(path.relative_to(source).as_posix(), (1980, 1, 1, 0, 0, 0))
                info.external_attr = (path.stat().st_mode & 0xFFFF) << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, path.read_bytes())
    return buffer.getvalue()


def _ensure_bucket(s3: Any, bucket: str) -> None:
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError:
        s3.create_bucket(Bucket=bucket)


def _exists(s3: Any, bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError:
        return False
    return True


def _in_order(manifest: Document) -> list[str]:
    """Stack artifacts, each after those it depends on."""
    stacks = {name for name, artifact in manifest.items() if artifact["type"] == "aws:cloudformation:stack"}
    ordered: list[str] = []

    def visit(name: str) -> None:
        if name in ordered:
            return
        for dependency in manifest[name].get("dependencies", []):
            if dependency in stacks:
                visit(dependency)
        ordered.append(name)

    for name in sorted(stacks):
        visit(name)
    return ordered


class _Stack:
    """One stack artifact against CloudFormation."""

    def __init__(
        self,
        folder: Path,
        artifact_id: str,
        artifact: Document,
        session: boto3.session.Session,
        fill: Callable[[str], str],
    ) -> None:
        properties = artifact["properties"]
        self.name: str = properties.get("stackName", artifact_id)
        self._tags = [{"Key": key, "Value": value} for key, value in properties.get("tags", {}).items()]
        self._cloudformation: Any = session.client("cloudformation")
        self._template = (folder / properties["templateFile"]).read_text()
        self._protected = properties.get("terminationProtection", False)
        url = fill(properties["stackTemplateAssetObjectUrl"])
        endpoint = session.client("s3").meta.endpoint_url
        self._url = f"{endpoint}/{url.removeprefix('s3://')}"
        self._digest = hashlib.sha256(self._template.encode()).hexdigest()

    def deploy(self, report: Callable[[Progress], None] | None) -> dict[str, str]:
        request = {
            "StackName": self.name,
            "TemplateURL": self._url,
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            "Tags": [*self._tags, {"Key": "sextant:template", "Value": self._digest}],
        }
        stack = self._describe()
        if stack and stack["StackStatus"] in _NEVER_MADE:
            self.delete()  # AWS too refuses to update a stack whose creation failed
            stack = None
        if stack is None:
            try:
                self._cloudformation.create_stack(**request)
            except ClientError as error:
                raise DeployError(f"Stack {self.name} was refused: {error.response['Error']['Message']}") from error
        elif stack["StackStatus"] in _WHOLE and self._is_deployed(stack):
            return _outputs(stack)  # nothing changed
        else:
            try:
                self._cloudformation.update_stack(**request)
            except ClientError as error:
                if "No updates are to be performed" not in str(error):
                    reason = error.response["Error"]["Message"]
                    raise DeployError(f"The update of stack {self.name} was refused: {reason}") from error
        stack = self._wait(report)
        if not stack["StackStatus"].endswith("_COMPLETE") or "ROLLBACK" in stack["StackStatus"]:
            raise DeployError(self._failure(stack))
        return _outputs(stack)

    def _is_deployed(self, stack: Document) -> bool:
        return {"Key": "sextant:template", "Value": self._digest} in stack.get("Tags", [])

    def delete(self) -> None:
        if self._describe() is None:
            return
        self._cloudformation.delete_stack(StackName=self.name)
        stack = self._wait(None)
        if stack and stack["StackStatus"] != "DELETE_COMPLETE":
            raise DeployError(self._failure(stack))

    def _describe(self) -> Document | None:
        try:
            return self._cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise

    def _wait(self, report: Callable[[Progress], None] | None) -> Document:
        total = len(json.loads(self._template).get("Resources", {}))
        seen: set[str] = set()
        while True:
            stack = self._describe() or {"StackStatus": "DELETE_COMPLETE"}
            if report:
                for resource in self._settled():
                    if resource["LogicalResourceId"] not in seen:
                        seen.add(resource["LogicalResourceId"])
                        kind, status = resource["ResourceType"], resource["ResourceStatus"]
                        report(Progress(self.name, min(len(seen), total), total, kind, status))
            if not stack["StackStatus"].endswith("_IN_PROGRESS"):
                return stack
            time.sleep(0.1)

    def _settled(self) -> list[Document]:
        try:
            resources = self._cloudformation.describe_stack_resources(StackName=self.name)["StackResources"]
        except ClientError:
            return []
        return [resource for resource in resources if not resource["ResourceStatus"].endswith("_IN_PROGRESS")]

    def _failure(self, stack: Document) -> str:
        reason = stack.get("StackStatusReason", stack["StackStatus"])
        events = self._cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        failed = [event for event in reversed(events) if event["ResourceStatus"].endswith("FAILED")]
        for event in failed:
            text = event.get("ResourceStatusReason", "")
            if event["LogicalResourceId"] != self.name and "cancelled" not in text:
                where = f"{event['LogicalResourceId']} ({event['ResourceType']})"
                return f"Stack {self.name}: {where} failed: {text}"
        return f"Stack {self.name} ended as {stack['StackStatus']}: {reason}"


def _outputs(stack: Document) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
