"""How much somebody may do in how long, and what is left of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """`most` units in `seconds`; `name` is that of the policy in the RateLimit headers, `unit` of what is counted."""

    name: str
    most: int
    seconds: int
    unit: str = "requests"


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a quota as this gateway knows it, and in how many seconds all of it is there again."""

    quota: Quota
    left: int
    reset: int
