"""The functions behind the console's inspection pages: one answers, one examines datasets while nobody waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_iam as iam

from sextant.inspection.loop.arrival import NEW_DATA
from stacks.building_blocks.alarms import alarm
from stacks.building_blocks.function import PythonFunction
from stacks.inspection.looking import MEMORY_MB, looking_image

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_lambda as lambda_
    import aws_cdk.aws_sns as sns
    from constructs import Construct

    from stacks.config import EnvironmentConfig
    from stacks.inspection.api import Api
    from stacks.inspection.catalog import Catalog
    from stacks.inspection.execution import Execution
    from stacks.inspection.storage import Storage


def pages_function(
    scope: Construct,
    *,
    environment: EnvironmentConfig,
    storage: Storage,
    execution: Execution,
    api: Api,
    catalog: Catalog,
    alarms: sns.Topic,
    key: kms.Key,
) -> lambda_.Function:
    """A function that may do what the API does, ask in the workgroup, and copy photographs into a trial."""
    doctor = _doctor(scope, environment=environment, storage=storage, execution=execution, api=api, key=key)
    made = PythonFunction(
        scope,
        "Pages",
        environment=environment,
        handler="lambdas.inspection.pages.handler",
        description="Answers the console's inspection pages: projects, datasets, models, review, belts",
        key=key,
        variables={
            **api.variables(),
            "DATABASE": catalog.name,
            "WORKGROUP": catalog.workgroup.name,
            "DOCTOR_FUNCTION": doctor.function.function_name,
        },
        timeout_seconds=29,  # API Gateway gives up after 30
        memory_mb=MEMORY_MB,
        image=looking_image(),
    )
    api.grant(made.role)
    storage.grant_data(made.role, writes=(NEW_DATA,))
    catalog.grant_query(made.role)
    made.role.add_to_principal_policy(
        iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[doctor.function.function_arn])
    )
    alarm(
        scope,
        "PagesErrors",
        topic=alarms,
        metric=made.function.metric_errors(period=cdk.Duration.minutes(5)),
        threshold=1,
        description="The function behind the console's inspection pages failed or ran out of time. Its log holds the "
        "error; a failed start names the variable that is missing.",
    )
    return made.function


def _doctor(
    scope: Construct,
    *,
    environment: EnvironmentConfig,
    storage: Storage,
    execution: Execution,
    api: Api,
    key: kms.Key,
) -> PythonFunction:
    """A function that may read photographs wherever they lie, and writes its report into the project."""
    made = PythonFunction(
        scope,
        "Doctor",
        environment=environment,
        handler="lambdas.inspection.doctor.handler",
        description="Examines the photographs of a project's datasets",
        key=key,
        variables=api.variables(),
        timeout_seconds=900,
        memory_mb=MEMORY_MB,
        lost_events=api.lost,
        image=looking_image(),
    )
    storage.grant_table(made.role)
    storage.grant_sources(made.role)
    storage.grant_data(made.role, writes=("projects/",))
    execution.grant_ask(made.role)  # a version on its way is asked about
    return made
