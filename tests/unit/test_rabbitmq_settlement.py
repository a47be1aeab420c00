"""Joined acknowledgements never cover a message that is still open or was given back."""

from __future__ import annotations

from typing import cast

from aiormq.abc import AbstractChannel as Wire

from messaging_service.adapters.rabbitmq_settlement import Settlement

Frame = tuple[str, int, bool]


class RecordingWire:
    """Notes the frames; `settlement` gives `meanwhile` back while the first return is being written."""

    is_closed = False

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.settlement: Settlement | None = None
        self.meanwhile: list[int] = []

    async def basic_ack(self, tag: int, multiple: bool = False, wait: bool = True) -> None:
        self.frames.append(("ack", tag, multiple))

    async def basic_reject(self, tag: int, *, requeue: bool, wait: bool = True) -> None:
        assert requeue
        while self.meanwhile and self.settlement is not None:
            self.settlement.give_back(self.meanwhile.pop())
        self.frames.append(("return", tag, False))


def settlement_over(wire: RecordingWire) -> Settlement:
    """A settlement that writes to the recorder."""
    wire.settlement = Settlement(cast(Wire, wire))
    return wire.settlement


async def test_a_run_of_acks_is_one_frame() -> None:
    """Whatever the order within one turn, a run from the floor on takes a single multiple ack."""
    wire = RecordingWire()
    settlement = settlement_over(wire)
    for tag in (3, 1, 2):
        settlement.ack(tag)
    await settlement.close()
    assert wire.frames == [("ack", 3, True)]


async def test_acks_above_an_open_delivery_go_alone() -> None:
    """With tag 1 open nothing is acknowledged below 3; once it is settled a later ack passes over them."""
    wire = RecordingWire()
    settlement = settlement_over(wire)
    settlement.ack(3)
    settlement.ack(2)
    await settlement.close()
    assert wire.frames == [("ack", 2, False), ("ack", 3, False)]
    settlement.ack(1)
    await settlement.close()
    settlement.ack(4)
    settlement.ack(5)
    await settlement.close()
    assert wire.frames[2:] == [("ack", 1, False), ("ack", 5, True)]


async def test_returns_go_before_the_ack_that_passes_over_them() -> None:
    """A returned tag below an acknowledged one has left before a multiple ack could swallow it."""
    wire = RecordingWire()
    settlement = settlement_over(wire)
    settlement.ack(1)
    settlement.give_back(2)
    settlement.ack(3)
    await settlement.close()
    assert wire.frames == [("return", 2, False), ("ack", 3, True)]


async def test_a_return_that_comes_while_writing_is_not_swallowed() -> None:
    """Tag 2 is given back while the return of tag 1 is being written: no ack covers it before its own return."""
    wire = RecordingWire()
    settlement = settlement_over(wire)
    settlement.give_back(1)
    settlement.ack(3)
    settlement.ack(4)
    wire.meanwhile = [2]
    await settlement.close()
    assert wire.frames == [("return", 1, False), ("ack", 3, False), ("ack", 4, False), ("return", 2, False)]
