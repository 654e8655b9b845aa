"""The Glue database with the typed tables and the report views; the crawlers add theirs."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_glue as glue
import aws_cdk.aws_iam as iam
from constructs import Construct

from sextant.labeling.insight.tables import INSIGHT_TABLES
from sextant.labeling.tables import TABLES
from sextant.labeling.views import report_views
from stacks.building_blocks.grants import as_finding
from stacks.building_blocks.nag import acknowledge

if TYPE_CHECKING:
    from collections.abc import Sequence

    import aws_cdk.aws_s3 as s3

    from sextant.labeling.tables import Column, Table
    from sextant.labeling.views import View
    from stacks.labeling.config import LabelingConfig

_PRESTO_TYPES = {"string": "varchar", "int": "integer", "smallint": "smallint", "float": "real"}
"""Presto's names of Hive's scalar types, where they differ."""


class Catalog(Construct):
    """Database, tables and views. Nothing here holds data: it is made anew from source at any time."""

    def __init__(self, scope: Construct, construct_id: str, *, config: LabelingConfig, processed: s3.IBucket) -> None:
        super().__init__(scope, construct_id)
        self.name = config.database_name
        self.database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_name=config.database_name,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=config.database_name, description="Ground Truth output, worker metrics and reports over them"
            ),
        )
        for table in (*TABLES, *INSIGHT_TABLES):
            self._declare(table.name, _table_input(table, processed))
        for view in report_views(config.label_attributes, config.frame_attributes, config.audit_attribute):
            self._declare(view.name, _view_input(view, config.database_name))

    def _declare(self, name: str, table_input: glue.CfnTable.TableInputProperty) -> None:
        table = glue.CfnTable(
            self,
            "".join(part.title() for part in name.split("_")),
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_name=self.name,
            table_input=table_input,
        )
        table.add_resource_dependency(self.database)

    def grant_read(self, role: iam.Role) -> None:
        """Lets a role read the definitions of this database."""
        self._grant(
            role,
            "glue:GetDatabase",
            "glue:GetTable",
            "glue:GetTables",
            "glue:GetPartition",
            "glue:GetPartitions",
            "glue:BatchGetPartition",
        )

    def grant_crawl(self, role: iam.Role, prefixes: Sequence[str]) -> None:
        """Lets crawlers read the definitions, make and change tables, and add partitions.

        What is gone they may only delete from tables whose names begin with one of `prefixes`.
        """
        self.grant_read(role)
        self._grant(
            role,
            "glue:CreateTable",
            "glue:UpdateTable",
            "glue:CreatePartition",
            "glue:BatchCreatePartition",
            "glue:UpdatePartition",
            "glue:BatchUpdatePartition",
        )
        for prefix in prefixes:
            self._grant(
                role,
                "glue:DeleteTable",
                "glue:BatchDeleteTable",
                "glue:DeletePartition",
                "glue:BatchDeletePartition",
                tables=f"{prefix}*",
            )

    def _grant(self, role: iam.Role, *actions: str, tables: str = "*") -> None:
        stack = cdk.Stack.of(self)
        arn = stack.format_arn(service="glue", resource="table", resource_name=f"{self.name}/{tables}")
        role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=list(actions),
                resources=[  # Glue checks all three for an action on a table
                    stack.format_arn(service="glue", resource="catalog"),
                    stack.format_arn(service="glue", resource="database", resource_name=self.name),
                    arn,
                ],
            )
        )
        acknowledge(
            role,
            "The tables of this one database: crawlers add tables that are not known beforehand.",
            f"AwsSolutions-IAM5[Resource::{as_finding(role, arn)}]",
        )


def _table_input(table: Table, processed: s3.IBucket) -> glue.CfnTable.TableInputProperty:
    return glue.CfnTable.TableInputProperty(
        name=table.name,
        description=table.doc,
        table_type="EXTERNAL_TABLE",
        parameters={"EXTERNAL": "TRUE", "classification": "parquet"},
        partition_keys=_columns(table.partition_keys),
        storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
            columns=_columns(table.columns),
            location=f"s3://{processed.bucket_name}/labels/{table.name}/",
            input_format="org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            output_format="org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            serde_info=glue.CfnTable.SerdeInfoProperty(
                serialization_library="org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
            ),
        ),
    )


def _columns(columns: tuple[Column, ...]) -> list[glue.CfnTable.ColumnProperty]:
    return [
        glue.CfnTable.ColumnProperty(name=column.name, type=column.type, comment=column.doc or None)
        for column in columns
    ]


def _view_input(view: View, database: str) -> glue.CfnTable.TableInputProperty:
    """A view as Athena stores it: `CREATE VIEW` through the API leaves exactly this in the catalog."""
    text = json.dumps(
        {
            "originalSql": view.sql,
            "catalog": "awsdatacatalog",
            "schema": database,
            "columns": [
                {"name": column.name, "type": _PRESTO_TYPES.get(column.type, column.type)} for column in view.columns
            ],
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
