"""Options and servers that several kinds of test share."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.faults.campaign", "tests.parts")

from tests.parts.rabbit_fixture import rabbit_node  # noqa: E402 - the modules whose assertions are rewritten are named first

__all__ = ["rabbit_node"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The fault campaign's options."""
    group = parser.getgroup("faults", "the fault campaign (tests/faults)")
    group.addoption("--seed", type=int, default=None, help="play the campaign of this seed again")
    group.addoption(
        "--campaign", type=int, default=None, metavar="ROUNDS", help="the long form: so many rounds of faults"
    )
