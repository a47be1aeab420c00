"""What a system under test runs on: a virtual host and a database of its own, on servers that tests share."""

from __future__ import annotations

import asyncio
import itertools

from tests.parts.rabbit import RabbitNode

_numbers = itertools.count(1)


async def virtual_host(node: RabbitNode) -> str:
    """The URL of a new, empty virtual host; two seconds, where a new node takes ten."""
    name = f"system{next(_numbers)}"
    add = f'rabbit_vhost:add(<<"{name}">>, <<"test">>)'
    arguments = ", ".join(f'<<"{text}">>' for text in ("guest", name, ".*", ".*", ".*", "test"))
    allow = f"rabbit_auth_backend_internal:set_permissions({arguments})"
    await asyncio.to_thread(node.ctl, "eval", f"{add}, {allow}.")
    return f"{node.url}{name}"
