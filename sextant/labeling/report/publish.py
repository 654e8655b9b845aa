"""Puts the report where people find it and tells a topic of each batch whose summary changed.

Many changed batches are one message: the first run over an account's whole history must not fill an inbox. What was
told last lies beside the report, one object per batch: an event that comes twice, and an hourly run without
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
    from sextant.labeling.report.summary import Summary


MOST_MESSAGES = 10
"""More changed batches than this are told in one message."""
_LONGEST = 100_000  # characters: SNS takes 256 KiB


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
    report = f"s3://{target.REPORT_BUCKET}/{key}"
    changed = [
        each for each in summaries(athena, lake) if _text(s3, target.REPORT_BUCKET, _told(target, each)) != each.body
    ]
    messages = [(each.subject, each.body, [each]) for each in changed]
    if len(changed) > MOST_MESSAGES:
        listed = "".join(f"- {each.subject}\n" for each in changed)[:_LONGEST]
        messages = [(f"Labeling: news of {len(changed)} batches", listed, changed)]
    for subject, message, batches in messages:
        sns.publish(TopicArn=target.TOPIC_ARN, Subject=subject, Message=f"{message}\nThe whole report: {report}\n")
        for each in batches:
            remembered = each.body.encode()
            s3.put_object(
                Bucket=target.REPORT_BUCKET, Key=_told(target, each), Body=remembered, ContentType="text/plain"
            )
    return Published(report=report, published=tuple(each.batch for each in changed))


def _told(target: Target, summary: Summary) -> str:
    """Key of what was told last. A batch may be called anything; its object's name must not depend on that."""
    return f"{target.REPORT_PREFIX}told/{hashlib.sha256(summary.batch.encode()).hexdigest()}.txt"


def _text(s3: Any, bucket: str, key: str) -> str | None:
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()  # type: ignore[no-any-return]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return None
        raise
