"""The rate limit: a bucket that fills evenly, one for each key, in bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging_service.domain.refusals import TooMany
from messaging_service.gateway import limits
from messaging_service.gateway.limits import RateLimit


class Seconds:
    """A monotonic clock."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def taken(limit: RateLimit, key: str, amount: int, seconds: float, tries: int) -> int:
    """How many of so many tries succeed."""
    passed = 0
    for _ in range(tries):
        try:
            limit.take(key, amount, seconds)
            passed += 1
        except TooMany:
            continue
    return passed


def test_so_many_and_no_more() -> None:
    """Ten at once, then none; each key has its own ten."""
    limit = RateLimit(Seconds())
    assert taken(limit, "a", 10, 60, 15) == 10
    assert taken(limit, "b", 10, 60, 15) == 10


def test_it_says_when_to_come_back() -> None:
    """After exactly the seconds that were told, one more passes, and not before."""
    clock = Seconds()
    limit = RateLimit(clock)
    taken(limit, "a", 30, 3600, 30)
    with pytest.raises(TooMany) as raised:
        limit.take("a", 30, 3600)
    assert raised.value.retry_after == 120
    clock.now += 119
    assert taken(limit, "a", 30, 3600, 1) == 0
    clock.now += 1
    assert taken(limit, "a", 30, 3600, 2) == 1


def test_being_refused_costs_nothing() -> None:
    """Whoever hammers is let through again as soon as one who waits."""
    clock = Seconds()
    limit = RateLimit(clock)
    taken(limit, "a", 6, 60, 6)
    for _ in range(100):
        clock.now += 0.1
        taken(limit, "a", 6, 60, 1)
    assert taken(limit, "a", 6, 60, 1) == 0
    clock.now += 10
    assert taken(limit, "a", 6, 60, 1) == 1


def test_a_bucket_never_overflows() -> None:
    """After a night of silence it holds its amount, no more."""
    clock = Seconds()
    limit = RateLimit(clock)
    taken(limit, "a", 5, 60, 1)
    clock.now += 86_400
    assert taken(limit, "a", 5, 60, 20) == 5


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more callers than there are buckets the one longest away is forgotten, not one who just called."""
    monkeypatch.setattr(limits, "_BUCKETS", 3)
    limit = RateLimit(Seconds())
    for key in ("a", "b", "c"):
        assert taken(limit, key, 1, 60, 1) == 1
    assert taken(limit, "a", 1, 60, 1) == 0
    taken(limit, "d", 1, 60, 1)
    assert taken(limit, "a", 1, 60, 1) == 0
    assert taken(limit, "b", 1, 60, 1) == 1


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 20))
def test_never_more_than_the_rate(pauses: list[float], amount: int) -> None:
    """Whatever the rhythm: in any history no more passes than one bucket full plus what flowed in."""
    clock = Seconds()
    limit = RateLimit(clock)
    begun, passed = clock.now, 0
    for pause in pauses:
        clock.now += pause
        passed += taken(limit, "a", amount, 60, 2)
    assert passed <= amount + (clock.now - begun) * amount / 60 + 1e-6
