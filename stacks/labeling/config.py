"""What an environment file may say of the labeling system."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from sextant.labeling.views import AUDIT_ATTRIBUTE, FRAME_ATTRIBUTES, LABEL_ATTRIBUTES
from stacks.building_blocks.section import Arn, BucketName, Email, Section

AttributeName: TypeAlias = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,127}$")]


class CostConfig(Section):
    """`[labeling.cost]`: what the cost reports cannot learn from Ground Truth output. US dollars."""

    wage_usd_per_hour: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] | None = None
    """What an hour of a private worker costs, taxes and overhead included. None leaves labor out of the cost."""
    budget_usd: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Budget of each batch; reports tell when it will be used up. None: no budget."""


class LabelingConfig(Section):
    """`[labeling]`: reports over Ground Truth output, ours or anybody's.

    Names with a default are those of the original system: people type them in SQL and in the consoles.
    """

    prefix: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,31}$")] = "SMGT"
    """Starts the name of the Athena workgroup: `{prefix}ReportsWorkGroup`."""
    database_name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,255}$")] = "smgt-gluedatabase"
    workflow_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,255}$")] = "SMGT-Glue-Workflow"
    glue_cron: Annotated[str, Field(pattern=r"^cron\(\S+ \S+ \S+ \S+ \S+ \S+\)$")] = "cron(0 * * * ? *)"
    """When the workflow starts by itself, in UTC. It is active from the first deployment on."""
    input_bucket: BucketName | None = None
    """An existing bucket with Ground Truth output, in the same account. None creates one."""
    input_key_arn: Arn | None = None
    """The KMS key of the existing bucket, where it has one of its own."""
    input_prefix: Annotated[str, Field(pattern=r"^([^/\s][^\s]*/)?$", min_length=0)] = "batch_manifests/"
    """The folder that holds `{modality}/{batch-level-job}/output/…`; ends in a slash, empty for the whole bucket."""
    cognito_user_pool_id: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d_[A-Za-z0-9]+$")] | None = None
    """The user pool of the private workforce; it turns subs into user names. None leaves workers anonymous."""
    create_workforce: Literal["none", "mfa-optional", "mfa-required"] = "none"
    """Creates a user pool for a private workforce, where there is none yet."""
    stale_after_hours: Annotated[int, Field(ge=0, le=24)] = 24
    """Wakes somebody when the ETL job has not succeeded for so long; CloudWatch looks back a day. 0 for rarer runs."""
    summary_email: Email | None = None
    """Gets a few lines about each batch whose numbers changed, after each run of the workflow."""
    bytes_scanned_cutoff: Annotated[int, Field(ge=10_000_000)] = 100_000_000_000
    """Athena stops a query that has read more bytes than this (10 MB at least, as Athena demands)."""
    label_attributes: tuple[AttributeName, ...] = LABEL_ATTRIBUTES
    """Label attributes of your label category configuration, in lower case: columns and reports of their own."""
    frame_attributes: tuple[AttributeName, ...] = FRAME_ATTRIBUTES
    """The same for frame attributes."""
    audit_attribute: AttributeName = AUDIT_ATTRIBUTE
    """The label attribute in which an audit job records its verdict."""
    cost: CostConfig = CostConfig()

    @property
    def workgroup_name(self) -> str:
        return f"{self.prefix}ReportsWorkGroup"

    @model_validator(mode="after")
    def _attributes_once(self) -> LabelingConfig:
        names = self.label_attributes + self.frame_attributes
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"attribute {name!r} is named twice: each becomes one report column")
        return self

    @model_validator(mode="after")
    def _one_workforce(self) -> LabelingConfig:
        if self.cognito_user_pool_id and self.create_workforce != "none":
            raise ValueError("cognito_user_pool_id names an existing workforce: leave create_workforce at none")
        return self

    @model_validator(mode="after")
    def _key_needs_bucket(self) -> LabelingConfig:
        if self.input_key_arn and not self.input_bucket:
            raise ValueError("input_key_arn is the key of an existing bucket: name it in input_bucket")
        return self
