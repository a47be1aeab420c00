"""Waiting for something that happens in another process."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

PATIENCE = 30.0
_BETWEEN_LOOKS = 0.05


async def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> Any:
    """The first true value of `condition`, which may be a coroutine function.

    Fails the test after `seconds`, saying `what` did not come.
    """
    found: object = None
    try:
        async with asyncio.timeout(seconds):
            while not (found := await _value(condition)):  # noqa: ASYNC110 - it happens in another process
                await asyncio.sleep(_BETWEEN_LOOKS)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:.0f} s: {what} (last seen: {found!r})") from None
    return found


async def _value(condition: Callable[[], object]) -> object:
    value = condition()
    return await value if inspect.isawaitable(value) else value
