"""CloudFormation custom resource: puts the console's files and its configuration into the site's bucket."""

import io
import json
import mimetypes
import urllib.request
import zipfile
from typing import Any

from aws_lambda_powertools import Logger

from sextant import aws

logger = Logger()
s3: Any = aws.client("s3")


def publish(source_bucket: str, source_key: str, target: str, config: str) -> None:
    """Makes the bucket hold exactly the files of an archive, and `config.json` beside them.

    Browsers and CloudFront ask again for every file (`no-cache`, answered by its ETag): a new release shows at once.
    """
    archive = zipfile.ZipFile(io.BytesIO(s3.get_object(Bucket=source_bucket, Key=source_key)["Body"].read()))
    files = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    files["config.json"] = config.encode()
    for name, body in files.items():
        kind = mimetypes.guess_type(name)[0] or "text/plain"
        s3.put_object(Bucket=target, Key=name, Body=body, ContentType=kind, CacheControl="no-cache")
    remove(target, keep=files.keys())


def remove(target: str, keep: Any = ()) -> None:
    """Deletes every object of the bucket but some."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=target):
        for item in page.get("Contents", []):
            if item["Key"] not in keep:
                s3.delete_object(Bucket=target, Key=item["Key"])


def handler(event: dict[str, Any], context: Any) -> None:
    """Create and Update publish, Delete empties the bucket; CloudFormation is told the outcome either way."""
    properties = event["ResourceProperties"]
    target = properties["TargetBucket"]
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"PhysicalResourceId": f"site-of-{target}", "Status": "SUCCESS"}
    try:
        if event["RequestType"] == "Delete":
            remove(target)
        else:
            publish(properties["SourceBucket"], properties["SourceKey"], target, properties["Config"])
    except Exception as error:
        logger.exception("the site was not published")
        answer |= {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"}
    body = json.dumps(answer).encode()
    request = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")  # noqa: S310  CloudFormation's own URL
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
