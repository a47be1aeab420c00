"""Waiting for something that happens in another process."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 30.0
_BETWEEN_LOOKS = 0.05


async def until(condition: Callable[[], T | Awaitable[T]], what: str, seconds: float = PATIENCE) -> T:
    """The first true value of `condition`; fails the test, saying `what` did not come, after `seconds`."""
    found: T | None = None
    try:
        async with asyncio.timeout(seconds):
            while not (found := await _value(condition)):  # noqa: ASYNC110 - it happens in another process
                await asyncio.sleep(_BETWEEN_LOOKS)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:.0f} s: {what} (last seen: {found!r})") from None
    return found


async def _value(condition: Callable[[], T | Awaitable[T]]) -> T:
    value = condition()
    return await value if inspect.isawaitable(value) else value  # type: ignore[return-value]
