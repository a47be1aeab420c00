"""Options and servers that several kinds of test share."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.faults.campaign", "tests.parts")

from tests.parts.rabbit_fixture import rabbit_node  # noqa: E402 - the modules whose assertions are rewritten are named first

__all__ = ["rabbit_node"]

LONGEST_FIRST = ("acceptance", "faults", "benchmarks", "contract", "browser", "deployment", "integration", "unit")
"""The folders of the tests by how long they take, so that no process is left with a long one at the end."""
_TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share servers run in one process: a module, and all of acceptance."""
    for item in items:
        kind = _kind(item)
        item.add_marker(pytest.mark.xdist_group(kind if kind == "acceptance" else str(item.path)))
    items.sort(key=lambda item: LONGEST_FIRST.index(_kind(item)))


def _kind(item: pytest.Item) -> str:
    return item.path.relative_to(_TESTS).parts[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the long forms."""
    parser.addoption(
        "--whole-day", action="store_true", help="test_replayed_day.py: 5,000 ADT, 2,000 messages and replies"
    )
    group = parser.getgroup("faults", "the fault campaign (tests/faults)")
    group.addoption("--seed", type=int, default=None, help="play the campaign of this seed again")
    group.addoption(
        "--campaign", type=int, default=None, metavar="ROUNDS", help="the long form: so many rounds of faults"
    )
