"""A number of a demo beside the known truth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """`expected` is the truth; None where nobody knows it (your own data), and then only `measured` is shown.

    `tolerance` is the largest absolute difference that still counts as equal, for numbers.
    """

    name: str
    measured: float | str
    expected: float | str | None = None
    tolerance: float = 0.0

    @property
    def ok(self) -> bool:
        if self.expected is None:
            return True
        if isinstance(self.measured, str) or isinstance(self.expected, str):
            return self.measured == self.expected
        return abs(self.measured - self.expected) <= self.tolerance
