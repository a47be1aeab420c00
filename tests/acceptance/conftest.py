"""One service over RabbitMQ and MongoDB for all of these tests; each test leaves it working."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
import pytest_asyncio

from tests.parts.collector import Collector, collector
from tests.parts.mongo import MongoServer, mongo_server
from tests.parts.rabbit import RabbitNode
from tests.parts.servers import virtual_host
from tests.parts.system import System, running

_numbers = count(1000)


@pytest.fixture(scope="package")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """A MongoDB wire server of our own: tests kill it."""
    with mongo_server(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def spans() -> AsyncIterator[Collector]:
    """Where the shared service's traces go."""
    async with collector() as found:
        yield found


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def shared_system(
    rabbit_node: RabbitNode, mongo: MongoServer, spans: Collector, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """The service, every step a process of its own, its traces told."""
    broker = await virtual_host(rabbit_node)
    folder = tmp_path_factory.mktemp("system")
    traced = {"MESSAGING_TRACES": spans.url}
    async with running(folder, broker=broker, store=f"{mongo.uri}/acceptance", settings=traced) as system:
        yield system


@pytest_asyncio.fixture(loop_scope="session")
async def system(shared_system: System) -> AsyncIterator[System]:
    """The shared service, well before and after the test."""
    await shared_system.well_again()
    yield shared_system
    await shared_system.well_again()


@pytest.fixture
def number() -> str:
    """A patient number that no other test uses."""
    return str(next(_numbers))
