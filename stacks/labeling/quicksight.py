"""The opt-in QuickSight stack: an Athena data source, SPICE data sets refreshed every hour, the dashboards.

It needs a QuickSight subscription, which CloudFormation cannot make, and bills by SPICE size and reader: so it is a
stack of its own. CloudFormation's QuickSight types are written as plain properties: the CDK's typed classes take
another spelling than the API, and the Definition is checked against the API's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import aws_cdk.aws_iam as iam

from sextant.labeling.dashboards.spec import SPECIFICATION
from sextant.labeling.quicksight.datasets import in_database
from sextant.labeling.quicksight.definition import definition, spices_of
from stacks.building_blocks.grants import grant_read, grant_read_write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constructs import Construct

    from sextant.labeling.quicksight.datasets import Spice
    from stacks.config import EnvironmentConfig, QuickSightConfig
    from stacks.labeling.stack import LabelingStack

_TELL_OWNERS = {"FailureConfiguration": {"EmailAlert": {"AlertStatus": "ENABLED"}}}
_READ_DASHBOARD = ["DescribeDashboard", "ListDashboardVersions", "QueryDashboard"]
_OWN_DASHBOARD = [
    "DescribeDashboard",
    "ListDashboardVersions",
    "QueryDashboard",
    "UpdateDashboard",
    "DeleteDashboard",
    "DescribeDashboardPermissions",
    "UpdateDashboardPermissions",
    "UpdateDashboardPublishedVersion",
]
_OWN_DATA_SET = [
    "DescribeDataSet",
    "PassDataSet",
    "UpdateDataSet",
    "DeleteDataSet",
    "DescribeDataSetPermissions",
    "UpdateDataSetPermissions",
    "DescribeIngestion",
    "ListIngestions",
    "CreateIngestion",
    "CancelIngestion",
]
_OWN_DATA_SOURCE = [
    *(f"{verb}DataSource" for verb in ("Describe", "Pass", "Update", "Delete")),
    *(f"{verb}DataSourcePermissions" for verb in ("Describe", "Update")),
]
"""The permission sets of owners and readers, as QuickSight's API demands them whole."""


class QuickSightStack(cdk.Stack):
    """Data source → one SPICE data set per data set of the specification → one dashboard per page."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        environment: EnvironmentConfig,
        *,
        settings: QuickSightConfig,
        labeling: LabelingStack,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            description="Sextant: the labeling dashboards in QuickSight",
            termination_protection=environment.termination_protection,
            synthesizer=cdk.DefaultStackSynthesizer(qualifier=environment.bootstrap_qualifier),
        )
        self._prefix = f"{environment.name}-labeling"
        self._owners, self._readers = settings.owners, settings.readers
        source = self._resource(
            "DataSource",
            "AWS::QuickSight::DataSource",
            f"{self._prefix}-athena",
            {
                "Name": f"Sextant labeling, {environment.name}",
                "Type": "ATHENA",
                "DataSourceParameters": {
                    "AthenaParameters": {
                        "WorkGroup": environment.labeling.workgroup_name,
                        "RoleArn": _reader(labeling).role_arn,
                    }
                },
                "Permissions": self._permissions(_OWN_DATA_SOURCE, ()),
            },
            id_property="DataSourceId",
        )
        spices = spices_of(SPECIFICATION)
        arns = {}
        for name, each in spices.items():
            made = self._data_set(name, each, source.get_att("Arn").to_string(), environment.labeling.database_name)
            arns[name] = made.get_att("Arn").to_string()
        for dashboard in SPECIFICATION.dashboards:
            self._resource(
                f"{_camel(dashboard.id)}Dashboard",
                "AWS::QuickSight::Dashboard",
                f"{self._prefix}-{dashboard.id}",
                {
                    "Name": f"{dashboard.title} ({environment.name})",
                    "Definition": definition(SPECIFICATION, dashboard, spices, arns),
                    "Permissions": self._permissions(_OWN_DASHBOARD, _READ_DASHBOARD),
                    "DashboardPublishOptions": {
                        "AdHocFilteringOption": {"AvailabilityStatus": "ENABLED"},
                        "ExportToCSVOption": {"AvailabilityStatus": "ENABLED"},
                        "SheetControlsOption": {"VisibilityState": "EXPANDED"},
                    },
                },
                id_property="DashboardId",
            )

    def _data_set(self, name: str, held: Spice, source: str, database: str) -> cdk.CfnResource:
        data_set_id = f"{self._prefix}-{name}"
        made = self._resource(
            f"{_camel(name)}DataSet",
            "AWS::QuickSight::DataSet",
            data_set_id,
            {
                "Name": f"Sextant labeling: {name.replace('_', ' ')}",
                "ImportMode": "SPICE",
                "PhysicalTableMap": {
                    name.replace("_", "-"): {
                        "CustomSql": {
                            "DataSourceArn": source,
                            "Name": name,
                            "SqlQuery": in_database(held.sql, database),
                            "Columns": [{"Name": column, "Type": kind} for column, kind in held.columns.items()],
                        }
                    }
                },
                "DataSetRefreshProperties": _TELL_OWNERS,
                "Permissions": self._permissions(_OWN_DATA_SET, ()),
            },
            id_property="DataSetId",
        )
        schedule = cdk.CfnResource(
            self,
            f"{_camel(name)}Refresh",
            type="AWS::QuickSight::RefreshSchedule",
            properties={
                "AwsAccountId": self.account,
                "DataSetId": data_set_id,
                "Schedule": {
                    "ScheduleId": "hourly",
                    "RefreshType": "FULL_REFRESH",
                    "ScheduleFrequency": {"Interval": "HOURLY"},
                },
            },
        )
        schedule.add_resource_dependency(made)
        return made

    def _resource(
        self, construct_id: str, kind: str, resource_id: str, properties: dict[str, Any], *, id_property: str
    ) -> cdk.CfnResource:
        return cdk.CfnResource(
            self,
            construct_id,
            type=kind,
            properties={"AwsAccountId": self.account, id_property: resource_id, **properties},
        )

    def _permissions(self, own: Sequence[str], read: Sequence[str]) -> list[dict[str, Any]]:
        given = [(each, own) for each in self._owners] + [(each, read) for each in self._readers if read]
        return [{"Principal": each, "Actions": [f"quicksight:{verb}" for verb in verbs]} for each, verbs in given]


def _reader(labeling: LabelingStack) -> iam.Role:
    """What the data source acts as, instead of the account-wide role that somebody would have to set by hand.

    It belongs to the labeling stack: who may read the lake is told beside it.
    """
    role = iam.Role(
        labeling,
        "QuickSightReader",
        # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
        assumed_by=iam.ServicePrincipal(
            "quicksight.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": labeling.account}}
        ),
    )
    labeling.reports.grant_browse(role)
    labeling.catalog.grant_read(role)
    grant_read(role, labeling.processed, "labels/")
    grant_read_write(role, labeling.reports.results)
    return role


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.replace("-", "_").split("_"))
