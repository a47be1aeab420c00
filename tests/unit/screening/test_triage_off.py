"""Detection turned off by a hospital: nothing is urgent, and abuse is refused as before."""

from __future__ import annotations

import asyncio

from messaging_service.application.triage import Judged, judge
from messaging_service.domain.message import BodyFormat
from messaging_service.screening.screener import Screener


def _judged(body: str, *, detect: bool) -> Judged:
    return asyncio.run(
        judge(Screener.load(), subject="Vraag", body=body, format=BodyFormat.TEXT, language="nl", detect_urgency=detect)
    )


def test_detection_off() -> None:
    """An emergency is marked only where detection is on; no topic is kept where it is off."""
    on, off = (_judged("pijn op de borst sinds vanochtend", detect=detect).triage for detect in (True, False))
    assert (on.urgent, on.alarm, on.topics) == (True, True, ("cardiac",))
    assert (off.urgent, off.alarm, off.topics) == (False, False, ())


def test_detection_off_still_refuses_no_emergency() -> None:
    """Abuse in an emergency goes on with a caution, and abuse alone is refused, detection or not."""
    assert _judged("pijn op de borst sinds vanochtend, kankerlijers", detect=False).refused is None
    assert _judged("jullie zijn kankerlijers", detect=False).refused is not None
