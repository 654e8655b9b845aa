"""Verdicts in Athena: a table over the lines in the bucket, the views over it, and a workgroup to ask in."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_athena as athena
import aws_cdk.aws_glue as glue
import aws_cdk.aws_iam as iam
from constructs import Construct

from sextant.inspection.loop.lines import PREFIX
from sextant.inspection.loop.views import COLUMNS, VIEWS
from stacks.building_blocks.data_lake import private_bucket
from stacks.building_blocks.grants import as_finding, grant_read, grant_read_write
from stacks.building_blocks.nag import acknowledge

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_s3 as s3

    from sextant.inspection.loop.views import View
    from stacks.config import EnvironmentConfig

_PRESTO_TYPES = {"string": "varchar", "array<string>": "array(varchar)"}
_SCAN_LIMIT = 100_000_000_000


class Catalog(Construct):
    """Nothing here holds data. Partitions are projected from the days, so no crawler runs and none is ever missing."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: EnvironmentConfig,
        data: s3.IBucket,
        access_logs: s3.IBucket,
        key: kms.Key,
    ) -> None:
        super().__init__(scope, construct_id)
        self._data = data
        self.name = f"{environment.name}_inspection".replace("-", "_")
        self.database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_name=self.name,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=self.name, description="Verdicts on photographs of products, and reports over them"
            ),
        )
        self._declare("verdicts", _table(data))
        for view in VIEWS:
            self._declare(view.name, _view(view, self.name))
        self._results = private_bucket(
            self,
            "Results",
            environment=environment,
            access_logs=access_logs,
            key=key,
            unversioned_because="A query result is made again by running its query.",
            expire_after_days=30,
        )
        self.workgroup = self._workgroup(environment, key)

    def grant_query(self, role: iam.Role) -> None:
        """Lets a role ask in the workgroup: definitions, lines of verdicts, and the results."""
        stack = cdk.Stack.of(self)
        name = f"{self.workgroup.name}"
        workgroup = stack.format_arn(service="athena", resource="workgroup", resource_name=name)
        actions = ("StartQueryExecution", "StopQueryExecution", "GetQueryExecution", "GetQueryResults")
        role.add_to_principal_policy(
            iam.PolicyStatement(actions=[f"athena:{each}" for each in actions], resources=[workgroup])
        )
        tables = stack.format_arn(service="glue", resource="table", resource_name=f"{self.name}/*")
        definitions = [
            stack.format_arn(service="glue", resource="catalog"),
            stack.format_arn(service="glue", resource="database", resource_name=self.name),
            tables,
        ]
        reads = ("GetDatabase", "GetTable", "GetTables", "GetPartition", "GetPartitions", "BatchGetPartition")
        role.add_to_principal_policy(
            iam.PolicyStatement(actions=[f"glue:{each}" for each in reads], resources=definitions)
        )
        acknowledge(
            role,
            "All tables and views of this one database.",
            f"AwsSolutions-IAM5[Resource::{as_finding(role, tables)}]",
        )
        grant_read(role, self._data, PREFIX)
        grant_read_write(role, self._results)

    def _declare(self, name: str, table_input: glue.CfnTable.TableInputProperty) -> None:
        table = glue.CfnTable(
            self,
            "".join(part.title() for part in name.split("_")),
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_name=self.name,
            table_input=table_input,
        )
        table.add_resource_dependency(self.database)

    def _workgroup(self, environment: EnvironmentConfig, key: kms.Key) -> athena.CfnWorkGroup:
        return athena.CfnWorkGroup(
            self,
            "Workgroup",
            name=f"{environment.name}-inspection",  # CloudFormation generates none for this type
            description="Reports over verdicts on photographs of products",
            recursive_delete_option=environment.removal == "destroy",  # else a workgroup with a history stays
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                bytes_scanned_cutoff_per_query=_SCAN_LIMIT,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=f"s3://{self._results.bucket_name}/",
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_KMS", kms_key=key.key_arn
                    ),
                ),
            ),
        )


def _table(data: s3.IBucket) -> glue.CfnTable.TableInputProperty:
    location = f"s3://{data.bucket_name}/{PREFIX}"
    return glue.CfnTable.TableInputProperty(
        name="verdicts",
        description="One row per photograph that has a verdict; `day` is the UTC day on which it arrived.",
        table_type="EXTERNAL_TABLE",
        parameters={
            "EXTERNAL": "TRUE",
            "classification": "json",
            "projection.enabled": "true",
            "projection.day.type": "date",
            "projection.day.format": "yyyy-MM-dd",
            "projection.day.range": "NOW-2YEARS,NOW",
            "storage.location.template": f"{location}day=${{day}}/",
        },
        partition_keys=[glue.CfnTable.ColumnProperty(name="day", type="string")],
        storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
            columns=_columns(COLUMNS),
            location=location,
            input_format="org.apache.hadoop.mapred.TextInputFormat",
            output_format="org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
            serde_info=glue.CfnTable.SerdeInfoProperty(serialization_library="org.openx.data.jsonserde.JsonSerDe"),
        ),
    )


def _columns(columns: tuple[tuple[str, str], ...]) -> list[glue.CfnTable.ColumnProperty]:
    return [glue.CfnTable.ColumnProperty(name=name, type=kind) for name, kind in columns]


def _view(view: View, database: str) -> glue.CfnTable.TableInputProperty:
    """A view as Athena stores it: `CREATE VIEW` through the API leaves exactly this in the catalog."""
    text = json.dumps(
        {
            "originalSql": view.sql,
            "catalog": "awsdatacatalog",
            "schema": database,
            "columns": [{"name": name, "type": _PRESTO_TYPES.get(kind, kind)} for name, kind in view.columns],
        }
    )
    return glue.CfnTable.TableInputProperty(
        name=view.name,
        description=view.doc,
        table_type="VIRTUAL_VIEW",
        parameters={"presto_view": "true", "comment": "Presto View"},
        partition_keys=[],
        storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
            columns=_columns(view.columns),
            location="",
            serde_info=glue.CfnTable.SerdeInfoProperty(),  # empty but there: Athena refuses to read a view without it
        ),
        view_original_text=f"/* Presto View: {base64.b64encode(text.encode()).decode()} */",
        view_expanded_text="/* Presto View */",
    )
