"""What an environment file may say. The model is frozen and passed to every stack whole."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import Field, field_validator, model_validator

from stacks.building_blocks.section import Email, Section
from stacks.inspection.config import InspectionConfig
from stacks.labeling.config import LabelingConfig
from stacks.slides.config import SlidesConfig

System: TypeAlias = Literal["labeling", "slides", "inspection"]
"""The systems this app can deploy."""

SYSTEMS: tuple[System, ...] = get_args(System)

RetentionDays: TypeAlias = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]  # the values CloudWatch Logs accepts

QuickSightPrincipal: TypeAlias = Annotated[
    str, Field(pattern=r"^arn:aws[a-z-]*:quicksight:[a-z0-9-]+:\d{12}:(user|group|namespace)/.+$")
]
QuickSightOwner: TypeAlias = Annotated[
    str, Field(pattern=r"^arn:aws[a-z-]*:quicksight:[a-z0-9-]+:\d{12}:(user|group)/.+$")
]


class QuickSightConfig(Section):
    """`[quicksight]`: the labeling dashboards in QuickSight, for accounts that subscribe to it.

    Leave the section out and nothing of it is deployed.
    """

    owners: Annotated[tuple[QuickSightOwner, ...], Field(min_length=1)]
    """ARNs of QuickSight users or groups that may change what is deployed; `aws quicksight list-users` prints them."""
    readers: tuple[QuickSightPrincipal, ...] = ()
    """The same for those who may only look; a namespace's ARN stands for everybody in it."""


class ConsoleConfig(Section):
    """`[console]`: the web pages. Leave the section out and no console is deployed."""

    mfa: Literal["required", "optional"] = "required"
    callback_urls: tuple[Annotated[str, Field(pattern=r"^https?://\S+$")], ...] = ()
    """Further places that sign-in may return to, besides the distribution itself."""


class EnvironmentConfig(Section):
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
    inspection: InspectionConfig = InspectionConfig()
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
