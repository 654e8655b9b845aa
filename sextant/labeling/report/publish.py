"""Puts the report where people find it and tells a topic of each batch whose summary changed.

What was told last lies beside the report, one object per batch: an event that comes twice, and an hourly run without
news, say nothing. The object is written after the message: a run that dies between both tells a batch once more
rather than never.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Annotated, Any

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, Field

from sextant.labeling.dashboards.spec import SPECIFICATION
from sextant.labeling.report.collect import sections
from sextant.labeling.report.document import html
from sextant.labeling.report.summary import summaries

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient

    from sextant.labeling.dashboards.athena import Lake


class Target(BaseModel):
    """Where reports go: the environment of the function."""

    model_config = ConfigDict(frozen=True)

    REPORT_BUCKET: Annotated[str, Field(min_length=1)]
    REPORT_PREFIX: Annotated[str, Field(pattern=r"^[^/].*/$")] = "reports/"
    TOPIC_ARN: Annotated[str, Field(pattern=r"^arn:")]


class Published(BaseModel):
    """The report's URI and the batches that were told of."""

    model_config = ConfigDict(frozen=True)

    report: str
    published: tuple[str, ...]


def publish(athena: AthenaClient, s3: Any, sns: Any, lake: Lake, target: Target) -> Published:
    """Writes `{prefix}labeling.html` and publishes the changed summaries.

    Raises:
        QueryError: the summaries cannot be asked for; single reports that fail are told in the page.
        ClientError: S3 or SNS refuses.
    """
    found = sections(athena, lake, SPECIFICATION)
    page = html(SPECIFICATION, found, title="Labeling report", made=dt.datetime.now(dt.UTC))
    key = f"{target.REPORT_PREFIX}labeling.html"
    s3.put_object(Bucket=target.REPORT_BUCKET, Key=key, Body=page.encode(), ContentType="text/html; charset=utf-8")
    told = []
    for each in summaries(athena, lake):
        # A batch may be called anything; its object's name must not depend on that.
        last = f"{target.REPORT_PREFIX}told/{hashlib.sha256(each.batch.encode()).hexdigest()}.txt"
        if _text(s3, target.REPORT_BUCKET, last) == each.body:
            continue
        sns.publish(TopicArn=target.TOPIC_ARN, Subject=each.subject, Message=each.body)
        s3.put_object(Bucket=target.REPORT_BUCKET, Key=last, Body=each.body.encode(), ContentType="text/plain")
        told.append(each.batch)
    return Published(report=f"s3://{target.REPORT_BUCKET}/{key}", published=tuple(told))


def _text(s3: Any, bucket: str, key: str) -> str | None:
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()  # type: ignore[no-any-return]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return None
        raise
