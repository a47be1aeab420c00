"""Traces: off they cost nothing, on they never keep anybody waiting, and nothing leaves the machine in the clear."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from messaging_service.adapters.otlp import OtlpTraces
from messaging_service.application.ports import SpanKind
from messaging_service.application.ports.tracing import valid_traceparent
from messaging_service.bootstrap.traces import traces_of
from messaging_service.config import Settings, load_settings
from messaging_service.domain.errors import SettingInvalid
from tests.parts.collector import Collector, collector
from tests.parts.waiting import until

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def settings(**given: str) -> Settings:
    """Settings of a process, with these MESSAGING_TRACES… variables."""
    rest = {"BROKER": "amqp://localhost", "STORE": "sqlite:x", "KEYRING": "k", "TENANTS": "t"}
    return load_settings({f"MESSAGING_{name}": value for name, value in {**rest, **given}.items()})


@contextmanager
def traces(url: str, **given: Any) -> Iterator[tuple[OtlpTraces, dict[str, int]]]:
    """Traces to this collector, and what was lost of them by reason."""
    lost: dict[str, int] = {}

    def count(reason: str, number: int) -> None:
        lost[reason] = lost.get(reason, 0) + number

    made = OtlpTraces(url, process="test", messaging_system="rabbitmq", lost=count, **given)
    try:
        yield made, lost
    finally:
        made.close()


def test_off_it_is_not_even_imported() -> None:
    """The commands, the gateway and the workers come without the library unless the settings ask for traces."""
    asked = "import sys, messaging_service.cli; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
    assert traces_of(settings(), "test", lambda _reason, _count: None, AsyncExitStack()) is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"TRACES": "http://collector.example:4318"}, "MESSAGING_TRACES"),
        ({"TRACES": "collector:4317"}, "MESSAGING_TRACES"),
        ({"TRACES": "http://127.0.0.1:1", "TRACES_CA_FILE": "/nowhere.pem"}, "MESSAGING_TRACES_CA_FILE"),
        ({"TRACES": "http://127.0.0.1:1", "TRACES_HEADERS": "no colon"}, "MESSAGING_TRACES_HEADERS"),
        ({"TRACES": "http://127.0.0.1:1", "TRACES_RATIO": "1.5"}, "MESSAGING_TRACES_RATIO"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, str], says: str) -> None:
    """Unencrypted beyond this machine, no URL, a missing file, malformed headers, a ratio above 1: refused by name."""
    with pytest.raises(SettingInvalid, match=f"{says}\\b"):
        traces_of(settings(**given), "test", lambda _reason, _count: None, AsyncExitStack())


@pytest.mark.parametrize(
    "given",
    [
        "",
        None,
        7,
        PARENT[:-1],
        PARENT + "-x",
        PARENT.upper(),
        "01" + PARENT[2:],
        f"00-{'0' * 32}{PARENT[35:]}",
        PARENT + "\n",
    ],
)
def test_what_is_no_traceparent_is_none(given: object) -> None:
    """Anything but the 55 characters of version 00 counts as none; those count as they are."""
    assert valid_traceparent(given) == ""
    assert valid_traceparent(PARENT) == PARENT


async def test_a_span_goes_on_with_its_parent_or_is_linked(tmp_path: Path) -> None:
    """Under way: the parent. Another trace's: that one goes on, linked. Forgotten: not told. Headers come by file."""
    (tmp_path / "headers").write_text("Authorization: Bearer of-the-collector\n")
    async with collector() as found, AsyncExitStack() as closing:
        given = settings(TRACES=found.url, TRACES_HEADERS=f"file:{tmp_path}/headers")
        made = traces_of(given, "test", lambda _reason, _count: None, closing)
        assert made is not None
        with made.span("request", SpanKind.SERVER, {}, PARENT) as request, made.span("inner", SpanKind.PRODUCER, {}):
            with made.span("message", SpanKind.PRODUCER, {}, PARENT.replace("4bf9", "1111")):
                pass
            with made.span("nothing", SpanKind.CONSUMER, {}) as nothing:
                nothing.forget()
        with pytest.raises(ValueError), made.span("failed", SpanKind.CLIENT, {}):
            raise ValueError("what a patient wrote")
        await until(lambda: len(found.spans) == 4, "they are told")
    by_name = {span.name: span for span in found.spans}
    assert set(by_name) == {"request", "inner", "message", "failed"}
    assert request.traceparent.split("-")[1] == by_name["request"].trace == PARENT.split("-")[1]
    assert by_name["request"].parent == PARENT.split("-")[2]
    assert by_name["inner"].parent == by_name["request"].span
    assert by_name["message"].trace.startswith("1111")
    assert by_name["message"].links == (by_name["request"].trace,)
    assert (by_name["failed"].failed, by_name["failed"].attributes) == (True, {"error.type": "ValueError"})
    assert b"patient" not in b"".join(found.raw)
    assert found.headers[0]["Authorization"] == "Bearer of-the-collector"


async def test_a_share_of_the_traces_is_told_whoever_asks_for_more(tmp_path: Path) -> None:
    """With ratio 0 not even a trace that the portal samples is told; one that it does not sample never is."""
    async with collector() as found:
        for ratio, parent in ((0.0, PARENT), (1.0, f"{PARENT[:-1]}0")):
            with traces(found.url, ratio=ratio) as (made, _), made.span("x", SpanKind.SERVER, {}, parent) as span:
                assert span.traceparent.startswith(PARENT[:36])
                assert span.traceparent.endswith("-00")
        assert found.asked == 0


@pytest.mark.parametrize("mode", ["hang", "away"])
async def test_a_collector_that_takes_nothing_keeps_nobody_waiting(mode: str) -> None:
    """Hanging or not there: so many wait, the rest is lost and counted at once, and the process can end."""
    async with collector() if mode == "hang" else nullcontext(Collector(url="http://127.0.0.1:9")) as found:
        found.set_mode("hang")
        with traces(found.url, most_waiting=10) as (made, lost):

            def begin() -> None:
                with made.span("x", SpanKind.CONSUMER, {}):
                    pass

            for _ in range(10):
                begin()
            if mode == "hang":
                await until(lambda: found.asked == 1, "the collector is asked")
            for _ in range(40):
                begin()
            assert lost["queue_full"] >= 20
            ending = asyncio.to_thread(made.close)
            await asyncio.wait_for(ending, 20)
