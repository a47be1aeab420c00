"""Try out an EPD with test documents, and say in plain words what it did: the integrator's acceptance test."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from messaging_service.application.ports import Epd
from messaging_service.domain.errors import EpdDown, MessageFault
from messaging_service.domain.filing import Change, change_id
from messaging_service.domain.message import Identifier
from messaging_service.epd.acknowledgement import Acknowledgement, AckUnknown, AckUnreadable, parse_ack
from messaging_service.epd.document import FilingDocument
from messaging_service.epd.policy import Action
from messaging_service.epd.render import DocumentTemplate
from messaging_service.tenants import Tenant

HARDEST = "é ë ï ß Ø Š € ½ ‘enkel’ “dubbel” – … | ^ ~ \\ & \\.br\\ \\F\\ <b> %s 10⁶ ő Ж 漢 😀 e\u0301"
"""Accents, signs that 8859 sets differ in, HL7's own delimiters and escapes, and what no 8859 set holds."""

_KNOWN_ALREADY = "205"
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried: `did` with the document `number`, what the EPD `answered`, and what that means.

    `look` says what to see in the EPD afterwards; `seen` whether a person saw that, None when nobody was asked.
    """

    name: str
    did: str
    number: str
    ok: bool
    answered: str
    look: str = ""
    seen: bool | None = None

    def looked_at(self, seen: bool) -> Step:
        """The step with what a person saw of it; what is not to be seen has failed."""
        return replace(self, ok=self.ok and seen, seen=seen)


@dataclass(frozen=True, slots=True)
class _Trial:
    name: str
    did: str
    document: FilingDocument
    look: str = ""


class CheckEpd:
    """Files test documents for a test patient, and takes them out again."""

    def __init__(self, tenant: Tenant, epd: Epd, template: DocumentTemplate, identifiers: Sequence[Identifier]) -> None:
        """`identifiers` are of a patient that the EPD keeps for tests."""
        self._tenant = tenant
        self._epd = epd
        self._template = template
        self._identifiers = tuple(identifiers)

    async def __call__(self) -> AsyncIterator[Step]:
        """Every step in order, none before it is asked for: between two somebody may look into the EPD.

        With the EPD unreachable, the one that found that out is the last.
        """
        for trial in self._trials():
            step = await self._try(trial)
            yield step
            if step.answered.startswith("unreachable"):
                break

    def _trials(self) -> Iterator[_Trial]:
        first = self._document("Test 1: gewoon bericht", "Eerste regel.\n\nDerde regel, na een lege.")
        yield _Trial("file", "filed a test message", first, "one document with three lines, the second empty")
        yield _Trial(
            "repeat", "filed the same message under the same number again", first, "still one document, not two"
        )
        corrected = self._corrected(first, "Deze tekst komt in de plaats van de eerste.")
        yield _Trial("correct", "replaced its text", corrected, "the new text stands in the place of the first")
        withdrawn = replace(corrected, change=Change.WITHDRAWN, replaces="")
        yield _Trial("withdraw", "withdrew it", withdrawn, "the document is gone, or marked as withdrawn")
        for trial in self._others():
            yield trial
            gone = replace(trial.document, change=Change.WITHDRAWN, reason="test")
            yield _Trial(f"clear {trial.name}", "withdrew that again", gone)

    def _others(self) -> Iterator[_Trial]:
        hard = self._document("Test 2: tekens", HARDEST)
        charset = self._template.profile.charset
        yield _Trial("characters", f"filed the hardest characters in {charset}", hard, f"this line: {HARDEST}")
        length = self._template.profile.max_line
        long = self._document("Test 3: lange regel", ("lange regel " * length)[: length - 5] + " EIND")
        yield _Trial("longest line", f"filed a line of {length} characters", long, "the line ends in EIND")
        urgent = replace(self._document("Test 4: spoed", "Dit is een test."), urgent=True, topics=("cardiac",))
        yield _Trial("urgent", "filed an urgent message", urgent, "the urgency is seen before the text")

    async def _try(self, trial: _Trial) -> Step:
        document = replace(trial.document, control_id=_random(20), sent_at=datetime.now(self._tenant.zone))
        try:
            frame = self._template.render(document)
            partition = self._identifiers[0].value
            raw = await self._epd.exchange(frame, document.control_id, partition=partition, urgent=document.urgent)
            ok, answered = self._meant(parse_ack(raw), repeat=trial.name == "repeat")
        except AckUnknown as problem:
            ok, answered = False, f"no answer of its own came ({problem.why}): it may or may not have the document"
        except AckUnreadable as problem:
            ok, answered = False, f"what came back is no acknowledgement ({problem.detail})"
        except MessageFault as problem:
            ok, answered = False, f"nothing was sent: {problem.reason}"
        except EpdDown as problem:
            ok, answered = False, f"unreachable: {problem.detail}"
        return Step(trial.name, trial.did, document.number, ok, answered, trial.look)

    def _meant(self, ack: Acknowledgement, *, repeat: bool) -> tuple[bool, str]:
        code = f"{ack.code} {ack.error}".strip()
        verdict = self._tenant.epd.policy.judge(ack, 1)
        if verdict.action is Action.FILED:
            return True, f"accepted ({code}); {self._proof(ack)}"
        if repeat and ack.error == _KNOWN_ALREADY:
            return False, (
                f"refused a number that it has ({code}): add a rule to [epd.policy] with codes {ack.code}, "
                f"errors {_KNOWN_ALREADY} and action filed, or what is sent again after a time-out is parked"
            )
        if verdict.action is Action.RETRY:
            return False, f"refused for now ({code}); it would be sent again"
        return False, f"refused ({code}); it would be parked"

    def _proof(self, ack: Acknowledgement) -> str:
        if self._tenant.epd.acknowledged_by == "engine":
            return "by an interface engine, so this proves the delivery alone; check that it is in the EPD"
        if ack.code == "CA" and self._tenant.epd.profile.answers_twice:
            return "committed to, and no application acknowledgement came on this connection"
        return "by the EPD, so this proves the filing"

    def _document(self, subject: str, body: str) -> FilingDocument:
        routing, now = self._tenant.routing, datetime.now(UTC).astimezone(self._tenant.zone)
        desk = routing.team(routing.triage_desk)
        return FilingDocument(
            message_id=_random(26),
            control_id="",
            thread=None,
            written_at=now,
            sent_at=now,
            identifiers=self._identifiers,
            patient_name="Test",
            author_name="Test",
            author_role="patient",
            care_team_code=routing.triage_desk,
            care_team_name=desk.name if desk else routing.triage_desk,
            department_code=desk.department if desk else "",
            subject=subject,
            body=body,
        )

    def _corrected(self, first: FilingDocument, body: str) -> FilingDocument:
        new = self._template.profile.renumbers
        return replace(
            first,
            body=body,
            change=Change.CORRECTED,
            reason="test",
            document=change_id(first.message_id, 1) if new else "",
            replaces=first.message_id if new else "",
        )


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
