"""The network an environment names, for the functions and jobs of one stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import aws_cdk as cdk
import aws_cdk.aws_ec2 as ec2
from constructs import Construct

from stacks.building_blocks.nag import acknowledge

if TYPE_CHECKING:
    from stacks.config import EnvironmentConfig


class Network(Construct):
    """Existing subnets and a security group of the stack's own: out by HTTPS, in from its own members.

    The subnets must reach S3, KMS, Athena, Glue and CloudWatch Logs, through endpoints or a NAT gateway.
    """

    def __init__(self, scope: Construct, construct_id: str, *, vpc_id: str, subnet_ids: tuple[str, ...]) -> None:
        super().__init__(scope, construct_id)
        zone = f"{cdk.Stack.of(self).region}a"  # the CDK wants one; no template of ours shows it
        self.vpc = ec2.Vpc.from_vpc_attributes(self, "Vpc", vpc_id=vpc_id, availability_zones=[zone])
        self.subnet_ids = subnet_ids
        self.subnets = ec2.SubnetSelection(
            subnets=[ec2.Subnet.from_subnet_id(self, subnet_id, subnet_id) for subnet_id in subnet_ids]
        )
        acknowledge(
            self,
            "Nothing here asks for the subnets' routes; their owner sees to them.",
            "Annotation::@aws-cdk/aws-ec2:noSubnetRouteTableId",
        )
        self.security_group = ec2.SecurityGroup(
            self, "SecurityGroup", vpc=self.vpc, description="Out by HTTPS", allow_all_outbound=False
        )
        self.security_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS APIs")
        self.security_group.connections.allow_internally(ec2.Port.all_tcp(), "Workers of one Glue job")


def network(scope: Construct, environment: EnvironmentConfig) -> Network | None:
    """The stack's one `Network`, or None where the environment names no VPC."""
    if environment.vpc_id is None:
        return None
    stack = cdk.Stack.of(scope)
    there = stack.node.try_find_child("Network")
    if there is not None:
        return cast("Network", there)
    return Network(stack, "Network", vpc_id=environment.vpc_id, subnet_ids=environment.subnet_ids)
