"""Turns on one connection: one at a time, in order, and what is begun ahead of them."""

from __future__ import annotations

import asyncio

import pytest

from messaging_service.adapters.mllp_turns import Turns
from messaging_service.domain.errors import EpdDown


class Row:
    """Turns on a clock of its own; each exchange ends when it is let go."""

    def __init__(self, most_ahead: int = 16) -> None:
        self.now = 0.0
        self.turns = Turns(most_ahead, lambda: self.now)
        self.begun: list[int] = []
        self.had: list[int] = []
        self.ends = [asyncio.Event() for _ in range(40)]
        self.fails: set[int] = set()
        self.down: set[int] = set()
        self.tasks: list[asyncio.Task[None]] = []

    def ask(self, *numbers: int) -> None:
        """So many exchanges ask for their turn."""
        self.tasks += [asyncio.create_task(self._exchange(number)) for number in numbers]

    async def answered(self, number: int, after: float) -> None:
        """That exchange ends `after` so many seconds."""
        self.now += after
        self.ends[number].set()
        await settled()

    async def _exchange(self, number: int) -> None:
        async def begin() -> None:
            self.begun.append(number)
            if number in self.fails:
                raise RuntimeError

        async with self.turns.turn(begin):
            self.had.append(number)
            await self.ends[number].wait()
            if number in self.down:
                raise EpdDown("refused")


async def settled() -> None:
    """Whatever can go on has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_ahead_as_far_as_the_peer_is_fast() -> None:
    """Nothing ahead of an unknown peer; sixteen of one that answers at once; one or two of a slower one."""
    row = Row()
    row.ask(*range(40))
    await settled()
    assert (row.begun, row.had) == ([0], [0])
    await row.answered(0, 0.001)
    assert (row.begun, row.had) == ([*range(17)], [0, 1])
    for number in range(1, 17):
        await row.answered(number, 0.05)
    assert (row.begun, row.had) == ([*range(20)], [*range(18)])
    for number, begun in ((17, 20), (18, 21)):
        await row.answered(number, 0.3)
        assert row.begun == [*range(begun)]
    for number, begun in ((19, 21), (20, 22)):
        await row.answered(number, 0.6)
        assert row.begun == [*range(begun)]
    for end in row.ends:
        end.set()
    await asyncio.gather(*row.tasks)
    assert row.had == [*range(40)]
    assert len(row.turns) == 0


async def test_what_was_begun_too_early_is_done_again() -> None:
    """After a peer that fell silent the intents of those behind are old; each is written anew before it is sent."""
    row = Row()
    row.ask(*range(3))
    await settled()
    await row.answered(0, 0.001)
    assert row.begun == [0, 1, 2]
    await row.answered(1, 30.0)
    assert (row.begun, row.had) == ([0, 1, 2, 2], [0, 1, 2])
    await row.answered(2, 0.001)


async def test_after_a_failure_what_was_begun_is_begun_again() -> None:
    """What an exchange found out may stop those behind it: each asks once more at its own turn."""
    row = Row()
    row.ask(*range(4))
    await settled()
    await row.answered(0, 0.001)
    row.tasks[1].cancel()
    await settled()
    assert (row.begun, row.had) == ([0, 1, 2, 3, 2], [0, 1, 2])
    await row.answered(2, 0.001)
    await row.answered(3, 0.001)
    assert row.begun == [0, 1, 2, 3, 2, 3]


async def test_none_ahead_where_that_is_not_wanted() -> None:
    """With most_ahead=1 only the one whose turn it is has begun, however fast the peer."""
    row = Row(most_ahead=1)
    row.ask(*range(4))
    await settled()
    for number in range(4):
        assert row.begun == [*range(number + 1)]
        await row.answered(number, 0.0)


async def test_one_that_fails_or_is_given_up_harms_itself_alone() -> None:
    """The failure of what was begun ahead goes to its own caller; one that leaves the row stops none behind it."""
    row = Row()
    row.fails = {2}
    row.ask(*range(5))
    await settled()
    await row.answered(0, 0.001)
    row.tasks[3].cancel()
    await row.answered(1, 0.001)
    assert row.had == [0, 1, 4]
    with pytest.raises(RuntimeError):
        await row.tasks[2]
    await row.answered(4, 0.001)
    assert len(row.turns) == 0


async def test_one_that_finds_the_epd_down_says_so_for_all_that_wait() -> None:
    """None of them tries in vain; who comes after them tries again."""
    row = Row()
    row.down = {0}
    row.ask(*range(4))
    await settled()
    await row.answered(0, 5.0)
    assert [type(task.exception()) for task in row.tasks] == [EpdDown] * 4
    row.ask(4)
    await settled()
    assert row.had == [0, 4]
    await row.answered(4, 0.001)
    assert len(row.turns) == 0
