"""What an environment file may say. The model is frozen and passed to every stack whole."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sextant.labeling.views import AUDIT_ATTRIBUTE, FRAME_ATTRIBUTES, LABEL_ATTRIBUTES

System: TypeAlias = Literal["labeling", "slides"]
"""The systems this app can deploy."""

SYSTEMS: tuple[System, ...] = get_args(System)

RetentionDays: TypeAlias = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]  # the values CloudWatch Logs accepts

Arn: TypeAlias = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:\d{0,12}:.+$")]
QuickSightPrincipal: TypeAlias = Annotated[
    str, Field(pattern=r"^arn:aws[a-z-]*:quicksight:[a-z0-9-]+:\d{12}:(user|group|namespace)/.+$")
]
QuickSightOwner: TypeAlias = Annotated[
    str, Field(pattern=r"^arn:aws[a-z-]*:quicksight:[a-z0-9-]+:\d{12}:(user|group)/.+$")
]
Email: TypeAlias = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
AttributeName: TypeAlias = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,127}$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_min_length=1)


class CostConfig(_Section):
    """`[labeling.cost]`: what the cost reports cannot learn from Ground Truth output. US dollars."""

    wage_usd_per_hour: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] | None = None
    """What an hour of a private worker costs, taxes and overhead included. None leaves labor out of the cost."""
    budget_usd: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Budget of each batch; reports tell when it will be used up. None: no budget."""


class LabelingConfig(_Section):
    """`[labeling]`: reports over Ground Truth output, ours or anybody's.

    Names with a default are those of the original system: people type them in SQL and in the consoles.
    """

    prefix: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,31}$")] = "SMGT"
    """Starts the name of the Athena workgroup: `{prefix}ReportsWorkGroup`."""
    database_name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,255}$")] = "smgt-gluedatabase"
    workflow_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,255}$")] = "SMGT-Glue-Workflow"
    glue_cron: Annotated[str, Field(pattern=r"^cron\(\S+ \S+ \S+ \S+ \S+ \S+\)$")] = "cron(0 * * * ? *)"
    """When the workflow starts by itself, in UTC. It is active from the first deployment on."""
    input_bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] | None = None
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


class QuickSightConfig(_Section):
    """`[quicksight]`: the labeling dashboards in QuickSight, for accounts that subscribe to it.

    Leave the section out and nothing of it is deployed.
    """

    owners: Annotated[tuple[QuickSightOwner, ...], Field(min_length=1)]
    """ARNs of QuickSight users or groups that may change what is deployed; `aws quicksight list-users` prints them."""
    readers: tuple[QuickSightPrincipal, ...] = ()
    """The same for those who may only look; a namespace's ARN stands for everybody in it."""


InstanceType: TypeAlias = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]


class SlidesConfig(_Section):
    """`[slides]`: from whole-slide images to slide-level scores. A cohort is a folder of a bucket with `slides.csv`."""

    slides_bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] | None = None
    """An existing bucket with slides, in the same account, that sends its events to EventBridge. None creates one."""
    slides_key_arn: Arn | None = None
    """The KMS key of the existing bucket, where it has one of its own."""
    magnification: Annotated[float, Field(gt=0, le=100)] = 20.0
    """Tiles are made at this objective power."""
    tile_px: Annotated[int, Field(ge=64, le=2048, multiple_of=16)] = 512
    unknown_magnification: Annotated[float, Field(gt=0, le=100)] | None = None
    """Power of slides that tell neither objective power nor resolution. None: they are quarantined."""
    salt: str = "sextant"
    """Decides which patients are in which split: another salt is another split."""
    tiling_instances: Annotated[int, Field(ge=1, le=100)] = 2
    tiling_instance_type: InstanceType = "ml.m5.4xlarge"
    tiling_volume_gb: Annotated[int, Field(ge=1, le=16_384)] = 200
    """Holds the slides an instance works on at the same time, not all of its slides."""
    feature_instances: Annotated[int, Field(ge=1, le=100)] = 1
    feature_instance_type: InstanceType = "ml.c5.4xlarge"
    training_instance_type: InstanceType = "ml.m5.2xlarge"
    serving_instance_type: InstanceType = "ml.c5.2xlarge"
    serving_instances: Annotated[int, Field(ge=1, le=20)] = 1
    """Of the endpoint of an approved model; it scales out to four times as many."""

    @model_validator(mode="after")
    def _key_needs_bucket(self) -> SlidesConfig:
        if self.slides_key_arn and not self.slides_bucket:
            raise ValueError("slides_key_arn is the key of an existing bucket: name it in slides_bucket")
        return self


class ConsoleConfig(_Section):
    """`[console]`: the web pages. Leave the section out and no console is deployed."""

    mfa: Literal["required", "optional"] = "required"
    callback_urls: tuple[Annotated[str, Field(pattern=r"^https?://\S+$")], ...] = ()
    """Further places that sign-in may return to, besides the distribution itself."""


class EnvironmentConfig(_Section):
    """One environment file: an account and region, what is deployed there and how it is kept."""

    name: Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,13}[a-z0-9])?$")]
    """The stage: stacks are called `{name}-{Stack}`. The file has the same name."""
    account: Annotated[str, Field(pattern=r"^\d{12}$")]
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    systems: Annotated[tuple[System, ...], Field(min_length=1)]
    removal: Literal["retain", "destroy"] = "retain"
    """What happens to buckets, keys, user pools and logs when their stack is deleted."""
    termination_protection: bool = True
    permissions_boundary: str | None = None
    """Name or ARN of the policy that bounds every role."""
    tags: dict[str, str] = Field(default_factory=dict)
    vpc_id: Annotated[str, Field(pattern=r"^vpc-[0-9a-f]{8,17}$")] | None = None
    """An existing network for functions and jobs. Synthesis looks nothing up, so its subnets are named too. Never tried
    against a real network: at home there is none."""
    subnet_ids: tuple[Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8,17}$")], ...] = ()
    bootstrap_qualifier: Annotated[str, Field(pattern=r"^[a-z0-9]{1,10}$")] = "hnb659fds"
    alarm_email: Email | None = None
    log_retention_days: RetentionDays = 365
    """Of functions', the API's and buckets' access logs. Not of `/aws-glue/*`: Glue makes those groups itself, under
    names the template cannot know; they never expire until somebody sets it (docs/deploy.md, Logs of Glue)."""
    labeling: LabelingConfig = LabelingConfig()
    slides: SlidesConfig = SlidesConfig()
    console: ConsoleConfig | None = None
    quicksight: QuickSightConfig | None = None

    @property
    def metrics_namespace(self) -> str:
        """Of the functions' own metrics: one for each environment, for several may share an account and region."""
        return f"Sextant/{self.name}"

    @field_validator("name")
    @classmethod
    def _may_be_a_domain(cls, name: str) -> str:
        for word in ("aws", "amazon", "cognito"):
            if word in name:
                raise ValueError(
                    f"holds {word!r}, which Cognito refuses in the domain of a sign-in page: choose another"
                )
        return name

    @field_validator("systems")
    @classmethod
    def _once(cls, systems: tuple[System, ...]) -> tuple[System, ...]:
        if len(set(systems)) != len(systems):
            raise ValueError("names a system twice")
        return systems

    @model_validator(mode="after")
    def _quicksight_shows_labeling(self) -> EnvironmentConfig:
        if self.quicksight and "labeling" not in self.systems:
            raise ValueError("quicksight shows the labeling dashboards: add labeling to systems, or leave it out")
        return self

    @model_validator(mode="after")
    def _network_is_whole(self) -> EnvironmentConfig:
        if bool(self.vpc_id) != bool(self.subnet_ids):
            raise ValueError("vpc_id and subnet_ids belong together: give both or neither")
        return self
