"""CloudFormation custom resource: puts the console's files and its configuration into the site's bucket."""

import json
import urllib.request
from typing import Any

from aws_lambda_powertools import Logger

from sextant import aws
from sextant.console.site import publish, remove

logger = Logger()
s3: Any = aws.client("s3")


def handler(event: dict[str, Any], context: Any) -> None:
    """Create and Update publish, Delete empties the bucket; CloudFormation is told the outcome either way.

    A failed import or the time limit tells it nothing: then the resource's `ServiceTimeout` ends its waiting.
    """
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"PhysicalResourceId": event.get("PhysicalResourceId", "site"), "Status": "SUCCESS"}
    try:
        properties = event["ResourceProperties"]
        target = properties["TargetBucket"]
        answer["PhysicalResourceId"] = f"site-of-{target}"
        if event["RequestType"] == "Delete":
            remove(s3, target)
        else:
            source = s3.get_object(Bucket=properties["SourceBucket"], Key=properties["SourceKey"])
            publish(s3, source["Body"].read(), target, properties["Config"])
    except Exception as error:
        logger.exception("the site was not published")
        answer |= {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"}
    body = json.dumps(answer).encode()
    request = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")  # noqa: S310  CloudFormation's own URL
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
