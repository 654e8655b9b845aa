"""Target tracking: from the readings of a metric to the number of instances.

As AWS documents it: more as soon as the metric was above the target for three periods in a row, fewer only after it was
below nine tenths of the target for fifteen, and in proportion to it
(https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html).
Simplified: a cooldown only blocks, AWS also lets a larger step through; and there are no CloudWatch alarms between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

PERIODS_OUT = 3
PERIODS_IN = 15
BELOW = 0.9
COOLDOWN_SECONDS = 300.0  # for SageMaker's endpoints, where the policy says none


@dataclass(frozen=True)
class Policy:
    """A target tracking policy and the bounds of its target."""

    target: float
    least: int
    most: int
    cooldown_out: float = COOLDOWN_SECONDS
    cooldown_in: float = COOLDOWN_SECONDS
    out_suspended: bool = False
    in_suspended: bool = False


@dataclass
class Track:
    """What one policy has seen: periods in a row above and below, and when capacity changed last (epoch seconds)."""

    above: int = 0
    below: int = 0
    changed: float = field(default=-math.inf)

    def step(self, policy: Policy, capacity: int, rate: float, now: float) -> int:
        """Takes the reading of one period.

        Args:
            policy: what to hold.
            capacity: instances during the period.
            rate: the metric, per instance.
            now: epoch seconds.

        Returns:
            The number of instances that there should be.
        """
        if capacity < policy.least or capacity > policy.most:
            return self._to(min(max(capacity, policy.least), policy.most), now)
        self.above = self.above + 1 if rate > policy.target else 0
        self.below = self.below + 1 if rate < BELOW * policy.target else 0
        fitting = min(max(math.ceil(capacity * rate / policy.target), policy.least), policy.most)
        since = now - self.changed
        if self.above >= PERIODS_OUT and fitting > capacity and since >= policy.cooldown_out:
            return capacity if policy.out_suspended else self._to(fitting, now)
        if self.below >= PERIODS_IN and fitting < capacity and since >= policy.cooldown_in:
            return capacity if policy.in_suspended else self._to(fitting, now)
        return capacity

    def _to(self, capacity: int, now: float) -> int:
        self.above = self.below = 0
        self.changed = now
        return capacity
