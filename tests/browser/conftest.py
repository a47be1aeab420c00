"""One browser a file, and the whole service with hospitals as the operations page shows them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.contract.http_service import HttpService, http_service
from tests.parts.chromium import chromium


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """The whole service, with one answer of its event stream as long as it is in use."""
    with http_service(tmp_path_factory.mktemp("service"), stream_seconds=55) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all."""
    with chromium() as opened:
        yield opened
