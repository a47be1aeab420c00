"""The fixture `rabbit_node`: name this module in `pytest_plugins` to share one node in the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.parts.rabbit import RabbitNode


@pytest.fixture(scope="session")
def rabbit_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitNode]:
    """The run's node, running. A test that kills, freezes or alarms it leaves it as it was."""
    node = RabbitNode(tmp_path_factory.mktemp("rabbit"))
    try:
        node.start()
        yield node
    finally:
        node.stop()
