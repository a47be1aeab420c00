"""kill -9 of any worker, the gateway, RabbitMQ and the database server, while messages flow.

pytest tests/faults                   the quick form, from a new seed
pytest tests/faults --seed 7          the same faults again
pytest tests/faults --campaign 200    the long form: so many rounds of faults
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faults.campaign import Campaign, plan
from tests.parts.mongo import mongo_server
from tests.parts.rabbit import RabbitNode
from tests.parts.servers import virtual_host
from tests.parts.system import SEPARATE, TWO_OF_EACH, running


@asynccontextmanager
async def campaign(store: str, node: RabbitNode, folder: Path, seed: int) -> AsyncIterator[Campaign]:
    """A campaign over a system of its own: one process a step with MongoDB, two of most with SQLite documents."""
    broker = await virtual_host(node)
    if store == "sqlite":
        documents = f"sqlite:{folder}/documents.sqlite"
        async with running(folder, broker=broker, store=documents, plan=TWO_OF_EACH, parks_unknown="") as system:
            yield Campaign(system, node, None, seed)
        return
    with mongo_server(folder / "mongo") as mongo:
        documents = f"{mongo.uri}/faults"
        async with running(folder, broker=broker, store=documents, plan=SEPARATE, parks_unknown="") as system:
            yield Campaign(system, node, mongo, seed)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(0)
@pytest.mark.parametrize("store", ["mongodb", "sqlite"])
async def test_no_promise_is_broken(
    request: pytest.FixtureRequest, rabbit_node: RabbitNode, tmp_path: Path, store: str
) -> None:
    """Every id behind a 202 is filed once, under its own TXA-12, threads in order; and the ledger agrees."""
    given: int | None = request.config.getoption("--seed")
    seed = secrets.randbelow(10_000) if given is None else given
    async with campaign(store, rabbit_node, tmp_path, seed) as faults:
        quick = len(faults.victims) if store == "mongodb" else len(faults.victims) // 2
        rounds: int = request.config.getoption("--campaign") or quick
        print(f"\nseed {seed}, to play it again: pytest tests/faults -k {store} --seed {seed} --campaign {rounds}")
        await faults.play(rounds)
        await faults.check()
        print(f"{len(faults.held.promises)} promises kept through {rounds} faults")


def test_a_seed_is_a_plan() -> None:
    """The same seed gives the same faults, another one others, and each victim comes before one comes twice."""
    victims = ["gateway", "persist", "broker"]
    assert plan(7, victims, 6) == plan(7, victims, 6) != plan(8, victims, 6)
    assert {fault.victim for fault in plan(7, victims, 3)} == set(victims)
