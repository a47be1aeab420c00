"""(f) What comes in from the EPD: messages a second and memory of the receive step, a process of its own."""

from __future__ import annotations

import asyncio
import time
import tomllib
from collections.abc import Callable, Iterator

import uvloop

from tests.benchmarks.children import Failed
from tests.benchmarks.figures import Figure
from tests.benchmarks.system import TENANT, Ground, free_port, workers
from tests.parts.epd_sender import admission, code, document, sender
from tests.parts.hospitals import as_toml

_CONNECTIONS = 4
_EVENTS_OF_A_PATIENT = 10
_AIM_MB = 120


def measure(on: Ground, count: int, say: Callable[[str], None]) -> Iterator[Figure]:
    """`count` ADT messages about a tenth as many patients, then as many replies to be filed under new threads."""
    port = free_port()
    _listen_on(on, port)
    with workers(on, ("receive",), on.environment(f"sqlite:{on.folder}/documents.sqlite")) as processes:
        process = processes["receive"]
        at_rest = process.resident_mb
        people = [f"{100_000 + number}^^^ZKH^PI" for number in range(max(count // _EVENTS_OF_A_PATIENT, _CONNECTIONS))]
        kinds = {"ADT": _admissions(people, count), "MDM (replies)": _replies(people, count)}
        for kind, messages in kinds.items():
            spent = process.cpu_seconds
            rate = uvloop.run(_sent(port, messages))
            each = 1e6 * (process.cpu_seconds - spent) / count
            say(f"{kind}: {rate:.0f}/s taken in, {each:.0f} µs of processor time each")
            yield Figure("f", f"{kind} taken in over {_CONNECTIONS} connections", rate, "messages/s")
            yield Figure("f", f"{kind}: processor time", each, "µs/message")
        yield Figure("f", "receive, resident at the start", at_rest, "MB")
        yield Figure("f", f"receive, resident after {2 * count}", process.resident_mb, "MB", aim=_AIM_MB, at_most=True)


def _listen_on(on: Ground, port: int) -> None:
    path = on.folder / "tenants" / f"{TENANT}.toml"
    tenant = tomllib.loads(path.read_text("utf-8"))
    tenant["epd"] |= {"listener": {"listen": f"127.0.0.1:{port}"}, "staff": {"CARD": "cardiology"}}
    path.write_text(as_toml(tenant), "utf-8")


def _admissions(people: list[str], count: int) -> list[str]:
    return [
        admission(
            "A01" if number < len(people) else "A08",
            control=f"A{number}",
            patient=people[number % len(people)],
            visit=f"V{number % len(people)}",
            at=f"20260528{number // 3600 % 24:02}{number // 60 % 60:02}{number % 60:02}+0200",
        )
        for number in range(count)
    ]


def _replies(people: list[str], count: int) -> list[str]:
    return [
        document(
            "Komt u maandag langs. " * 20,
            control=f"M{number}",
            number=f"D{number}",
            patient=people[number % len(people)],
        )
        for number in range(count)
    ]


async def _sent(port: int, messages: list[str]) -> float:
    """How many a second; each patient's on one connection, one at a time. Raises Failed unless every answer is AA."""
    begun = time.perf_counter()

    async def over_one(number: int) -> None:
        async with sender(port) as epd:
            for message in messages[number::_CONNECTIONS]:
                if code(answer := await epd.send(message)) != "AA":
                    raise Failed(f"the receive step answered {answer}")

    await asyncio.gather(*(over_one(number) for number in range(_CONNECTIONS)))
    return len(messages) / (time.perf_counter() - begun)
