"""What the sanitiser lets through, rendered in a real browser: nothing runs, nothing is loaded, no odd link."""

from __future__ import annotations

import html
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, Request

from messaging_service.screening.sanitise import sanitise
from tests.parts.chromium import chromium

FRAGMENTS = 2_000
SCHEMES = {"http:", "https:", "mailto:", "tel:"}

RUN = "window.ran=1"
ATTACKS = (
    f"<script>{RUN}</script>",
    f"<img src=x onerror={RUN}>",
    f"<svg onload={RUN}>",
    f"<svg><script>{RUN}</script></svg>",
    f"<body onload={RUN}>",
    f"<a href='javascript:{RUN}'>x</a>",
    f"<a href=' &#106;avascript:{RUN}'>x</a>",
    f"<a href='java\tscript:{RUN}'>x</a>",
    "<a href='data:text/html,<script>parent.ran=1</script>'>x</a>",
    f"<a href='vbscript:{RUN}'>x</a>",
    "<a href='//evil.invalid/x'>x</a>",
    f"<details open ontoggle={RUN}>",
    f"<math><mi xlink:href='javascript:{RUN}'>x</mi></math>",
    "<iframe src='https://evil.invalid'></iframe>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    "<link rel=stylesheet href='https://evil.invalid/x.css'>",
    "<style>@import 'https://evil.invalid/y.css';*{background:url(https://evil.invalid/z)}</style>",
    "<p style='background:url(https://evil.invalid/bg)'>x</p>",
    "<img src='https://evil.invalid/pixel.gif'>",
    "<video src='https://evil.invalid/v'></video><audio src='https://evil.invalid/a'></audio>",
    "<object data='https://evil.invalid/o'></object><embed src='https://evil.invalid/e'>",
    f"<form action='javascript:{RUN}'><button autofocus onfocus={RUN}>x</button></form>",
    f"<input autofocus onfocus={RUN}>",
    "<meta http-equiv=refresh content='0;url=https://evil.invalid'>",
    "<base href='https://evil.invalid/'>",
    f"<template><script>{RUN}</script></template>",
    f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>",
    f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror={RUN}&gt;'>",
    f"<svg></p><style><a id='</style><img src=1 onerror={RUN}>'>",
    f"<!--><img src=x onerror={RUN}>-->",
    f"<![CDATA[<img src=x onerror={RUN}>]]>",
    f"＜img src=x onerror={RUN}＞",
    f"&lt;img src=x onerror={RUN}&gt;",
    f"<xmp><img src=x onerror={RUN}></xmp>",
    f"<textarea><img src=x onerror={RUN}></textarea>",
    f"<a href=x onmouseover={RUN} autofocus tabindex=1 onfocus={RUN}>x</a>",
)
HARMLESS = [
    "<p>",
    "</p>",
    "<b>",
    "</b>",
    "<ul><li>",
    "</ul>",
    "pijn < 3 dagen",
    "&amp;",
    "<br>",
    "a & b",
    "<div>",
    "</div>",
    "\x00",
]


def fragments(seed: int) -> Iterator[str]:
    """Attacks, alone first, then cut up and put together with each other and with harmless markup."""
    chance = random.Random(seed)
    yield from ATTACKS
    for _ in range(FRAGMENTS - len(ATTACKS)):
        parts = [chance.choice(chance.choice((ATTACKS, tuple(HARMLESS)))) for _ in range(chance.randint(1, 5))]
        joined = "".join(parts)
        if chance.random() < 0.5:
            at = chance.randrange(len(joined))
            joined = joined[:at] + chance.choice(("", "<", ">", "'", '"', "\n", "\t", "/", "<!--", "]]>")) + joined[at:]
        if chance.random() < 0.2:
            joined = joined.swapcase().replace("WINDOW.RAN", "window.ran")
        yield joined


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page of headless Chromium."""
    with chromium() as browser:
        yield browser.new_page()


def shown(fragment: str) -> str:
    """The fragment as a portal shows the clean form: HTML as it is, text escaped."""
    clean = sanitise(fragment, html=True)
    return clean.text if clean.format == "html" else html.escape(clean.text)


def render(page: Page, bodies: list[str]) -> tuple[bool, list[str], list[str]]:
    """Whether a script ran, the addresses asked for, and the schemes of the links, when these are on one page."""
    asked: list[str] = []

    def refuse(request: Request) -> None:
        asked.append(request.url)

    page.on("request", refuse)
    page.set_content("".join(f"<article>{body}</article>" for body in bodies), wait_until="load")
    page.wait_for_function("document.readyState === 'complete'")
    ran = page.evaluate("'ran' in window")
    links = page.eval_on_selector_all("a[href]", "links => links.map(link => link.protocol)")
    page.remove_listener("request", refuse)
    return ran, asked, links


@pytest.mark.timeout(240)
def test_hostile_fragments_do_nothing() -> None:
    """2,000 hostile fragments, cleaned and rendered: no script runs, nothing is loaded, only plain link schemes."""
    bodies = [shown(fragment) for fragment in fragments(seed=112)]
    with browser_page() as page:
        page.set_default_timeout(60_000)
        for start in range(0, len(bodies), 50):
            ran, asked, links = render(page, bodies[start : start + 50])
            assert (ran, asked) == (False, []), start
            assert set(links) <= SCHEMES, start


def test_the_harness_sees_an_attack() -> None:
    """Rendered as they came, the same attacks do run and do load, so the test above can fail."""
    with browser_page() as page:
        _, asked, _ = render(page, ["<img src='https://evil.invalid/pixel.gif'>", f"<img src=x onerror={RUN}>"])
        page.wait_for_function("'ran' in window")
        assert any("evil.invalid" in address for address in asked)
