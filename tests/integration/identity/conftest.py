"""A verifier of tokens, and all that it asks and tells."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from messaging_service.adapters.identity import TokenVerifier
from messaging_service.application.logins import Login
from messaging_service.tenants import Tenant
from tests.parts.tokens import Build, Clock, KeyServer, Shelf, tenant


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counted() -> list[str]:
    return []


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def logins() -> list[Login]:
    return []


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    keys = KeyServer()
    app = web.Application()
    app.router.add_get("/{tail:.*}", keys.handle)
    async with TestServer(app, host="127.0.0.1") as running:
        keys.url = str(running.make_url("/keys"))
        yield keys


@pytest.fixture
async def build(clock: Clock, counted: list[str], logins: list[Login], shelf: Shelf) -> AsyncIterator[Build]:
    async with aiohttp.ClientSession() as http:

        def verifier(*tenants: Tenant) -> TokenVerifier:
            return TokenVerifier(
                {one.id: one for one in tenants}, http, clock, count=counted.append, register=logins.append, shelf=shelf
            )

        yield verifier


@pytest.fixture
def verifier(build: Build, server: KeyServer) -> TokenVerifier:
    return build(tenant(server.url))
