"""Headless Chromium, and axe-core's judgement of what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
AXE = Path(__file__).parent / "npm" / "node_modules" / "axe-core" / "axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; a test opens pages in contexts of its own."""
    if not CHROMIUM.exists():
        pytest.fail("Chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def accessibility_faults(page: Page) -> list[tuple[str, list[Any]]]:
    """What axe-core finds on the page at WCAG 2.2 AA: rule and the elements. The page's policy need not allow it."""
    if not AXE.exists():
        pytest.fail("axe-core is missing: npm ci --ignore-scripts --prefix tests/parts/npm")
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("tags => axe.run({ runOnly: tags })", WCAG)
    return [(fault["id"], [node["target"] for node in fault["nodes"]]) for fault in found["violations"]]
