from __future__ import annotations
import aws_cdk as cdk
class ConsoleStack(cdk.Stack):
    def __init__(self, scope, construct_id, environment, *, console, dashboards):
        super().__init__(scope, construct_id)
