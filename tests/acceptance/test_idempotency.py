"""The same message sent again is the same message: one after the other, at once, and across a gateway's death."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.parts.patient import URGENT
from tests.parts.system import System

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_retry_is_the_same_message(system: System, number: str) -> None:
    """The same key and fields answer the same id and are filed once; other text or another patient is another."""
    patient, other = system.patient("sein", number), system.patient("sein", f"{number}9")
    first = await patient.post("Recept", "Graag een herhaalrecept.", key="k-1")
    again = await patient.post("Recept", "Graag een herhaalrecept.", key="k-1")
    changed = await patient.post("Recept", "Graag twee herhaalrecepten.", key="k-1")
    others = await other.post("Recept", "Graag een herhaalrecept.", key="k-1")
    assert first.body == again.body
    assert len({first.id, changed.id, others.id}) == 3
    for who, answer in ((patient, first), (patient, changed), (other, others)):
        await who.until_is(answer.id, "filed")
        assert system.filed("sein", answer.id).count == 1


async def test_retries_at_once_are_one_message(system: System, number: str) -> None:
    """Twelve requests at the same moment with one key: one id, filed once, one alarm."""
    patient = system.patient("spijkenisse", number)
    answers = await asyncio.gather(*(patient.post("Pijn", URGENT, key="k-2") for _ in range(12)))
    assert {answer.status for answer in answers} == {202}
    (id,) = {answer.id for answer in answers}
    await patient.until_is(id, "filed")
    assert system.filed("spijkenisse", id).count == 1
    threads = (await patient.get("/v1/threads")).body["threads"]
    assert [thread["id"] for thread in threads] == [id]


async def test_a_retry_across_a_gateways_death_is_the_same_message(system: System, number: str) -> None:
    """Killed after its 202, the gateway's next life answers the retry with the same id; filed once."""
    patient = system.patient("spijkenisse", number)
    first = await patient.post("Afspraak", "Kan het een dag later?", key="k-3")
    await system.children.kill("gateway")
    with pytest.raises(aiohttp.ClientError):
        await patient.post("Afspraak", "Kan het een dag later?", key="k-3")
    await system.start("gateway")
    again = await patient.post("Afspraak", "Kan het een dag later?", key="k-3")
    assert again.id == first.id
    await patient.until_is(first.id, "filed")
    assert system.filed("spijkenisse", first.id).count == 1
    await system.ledger()
