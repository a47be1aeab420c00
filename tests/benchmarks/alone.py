"""(c) Rendering beside hl7apy, and (d) screening: pure computation, timed in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from statistics import median
from zoneinfo import ZoneInfo

from messaging_service.application.triage import judge
from messaging_service.domain.message import BodyFormat, Identifier
from messaging_service.epd.document import FilingDocument
from messaging_service.epd.profile import EpdProfile
from messaging_service.epd.render import DocumentTemplate
from messaging_service.epd.skeleton import build
from messaging_service.screening.lexicon_files import packaged_folder
from messaging_service.screening.screener import Screener
from tests.benchmarks.children import Failed
from tests.benchmarks.figures import Figure
from tests.benchmarks.system import TEXT

_ZONE = ZoneInfo("Europe/Amsterdam")
DOCUMENT = FilingDocument(
    message_id="01JFVX4D8M5Q2W9Z7K3N6R1TBC",
    control_id="K7Q2M4ZX1",
    thread=None,
    written_at=datetime(2026, 1, 5, 9, 30, tzinfo=_ZONE),
    sent_at=datetime(2026, 1, 5, 9, 30, 2, tzinfo=_ZONE),
    identifiers=(Identifier("local", "1234"),),
    patient_name="P. de Vries",
    author_name="P. de Vries",
    author_role="patient",
    care_team_code="cardiology",
    care_team_name="Cardiologie poli",
    department_code="cardiology",
    subject="Vraag over mijn medicijnen",
    body=TEXT,
)
_PLAIN = [TEXT[start : start + 500] for start in range(0, 400, 80)]
_URGENT = "Sinds een half uur heb ik drukkende pijn op de borst die uitstraalt naar mijn linkerarm. " + TEXT[:412]
_ITEM = (
    "<li><b>Vrijdag</b> nam ik <a href='https://voorbeeld.nl/pil?a=1&b=2'>de pil</a> met <i>thee &amp; melk</i></li>"
)
_HTML = f"<p>{TEXT[:900]}</p><ul>{_ITEM * 8}</ul>".ljust(2_000, "!")[:2_000]


def rendering(repeats: int) -> Iterator[Figure]:
    """One MDM^T02 with 1 kB of text, by the compiled template and by hl7apy from the same values."""
    template = DocumentTemplate.compile(EpdProfile())
    parts = template.parts(DOCUMENT)
    if template.render(DOCUMENT) != build(template.profile, *parts, strict=False).encode():
        raise Failed("the template and hl7apy do not write the same bytes")
    rendered = _microseconds(lambda: template.render(DOCUMENT), 200 * repeats)
    built = _microseconds(lambda: build(template.profile, *parts, strict=False), repeats)
    yield Figure("c", "render an MDM^T02", rendered, "µs")
    yield Figure("c", "hl7apy builds the same bytes", built, "µs")
    yield Figure("c", "hl7apy / render", built / rendered, "×", aim=100)


def screening(repeats: int) -> Iterator[Figure]:
    """Loading the lexicon; sanitise, screen and triage as the gateway does it.

    Of each the quietest part of the run counts: what else the machine does only ever adds.
    """
    read = [_microseconds(lambda: Screener.load_from(packaged_folder()), 1) / 1000 for _ in range(5)]
    loads = [_microseconds(Screener.load, 1) / 1000 for _ in range(5)]
    yield Figure("d", "read the lexicon, once after a change", min(read), "ms")
    yield Figure("d", "load the lexicon as compiled", min(loads), "ms", aim=300, at_most=True)
    plain, whole, urgent, html = asyncio.run(_judged(Screener.load(), repeats))
    yield Figure("d", "500 characters of plain Dutch", plain, "µs", aim=150, at_most=True)
    yield Figure("d", "the 1 kB text that (a) and (b) post", whole, "µs")
    yield Figure("d", "500 characters, urgent", urgent, "µs")
    yield Figure("d", "2 kB of HTML", html / 1000, "ms", aim=8, at_most=True)


async def _judged(screener: Screener, repeats: int) -> tuple[float, float, float, float]:
    async def one(text: str, format: BodyFormat) -> float:
        begun = time.perf_counter()
        await judge(screener, subject="Vraag", body=text, format=format, language="nl", detect_urgency=True)
        return 1e6 * (time.perf_counter() - begun)

    plain = [await one(_PLAIN[n % len(_PLAIN)], BodyFormat.TEXT) for n in range(200 * repeats)]
    whole = [await one(TEXT, BodyFormat.TEXT) for _ in range(100 * repeats)]
    urgent = [await one(_URGENT, BodyFormat.TEXT) for _ in range(200 * repeats)]
    html = [await one(_HTML, BodyFormat.HTML) for _ in range(5 * repeats)]
    return _quietest(plain), _quietest(whole), _quietest(urgent), _quietest(html)


def _quietest(taken: list[float]) -> float:
    """The smallest median of the eighths of a run."""
    eighth = max(len(taken) // 8, 1)
    return min(median(taken[start : start + eighth]) for start in range(0, len(taken), eighth))


def _microseconds(run: Callable[[], object], repeats: int) -> float:
    """The median of `repeats` runs."""
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        run()
        taken.append(1e6 * (time.perf_counter() - begun))
    return median(taken)
