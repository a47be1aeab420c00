"""The samples in contracts/hl7 are what this version reads and answers, and valid HL7 by another parser's word."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import hl7apy.parser
import pytest

from messaging_service.domain.care import CareChange
from messaging_service.epd.acknowledgement import AckCode
from messaging_service.epd.inbound import read
from messaging_service.epd.inbound_answer import answer
from messaging_service.epd.inbound_errors import NotUnderstood
from messaging_service.epd.inbound_events import (
    Agreement,
    ClinicianWrote,
    DocumentRead,
    Inbound,
    PatientChanged,
    RecordsJoined,
    RecordsParted,
)
from messaging_service.epd.inbound_header import Header
from messaging_service.epd.profile import EpdProfile

SAMPLES = Path(__file__).resolve().parents[3] / "contracts" / "hl7" / "samples"
ZONE = ZoneInfo("Europe/Amsterdam")
AGREED = Agreement(EpdProfile().authorities, "UNICODE UTF-8", "P", ZONE, read=frozenset(("AU",)))
MESSAGE = "BVV45HWQVGW899WV3GZ8CNP2Y9"


def sample(name: str) -> bytes:
    """A sample with the line ends it has on the wire."""
    return (SAMPLES / f"{name}.hl7").read_bytes().replace(b"\n", b"\r")


def taken(name: str) -> Inbound:
    """What is read of a sample."""
    raw = sample(name)
    return read(raw, Header.of(raw), AGREED, 0)


def test_the_replies() -> None:
    """The samples tell one document's life, that of an addition, and a result."""
    first, second, third, result = (taken(f"in_{name}") for name in ("mdm_t02", "mdm_t10", "mdm_t11", "oru_r01"))
    assert isinstance(first, ClinicianWrote)
    assert (first.document, first.parent, first.name) == ("DOC-88123^EPD", MESSAGE, "dr. Anna de Vries")
    assert first.text.endswith("bij pijn op de borst stopt u & belt u ons.")
    assert isinstance(second, ClinicianWrote)
    assert (second.document, second.replaces, second.told) == ("DOC-88124^EPD", "DOC-88123^EPD", "changed")
    assert isinstance(third, ClinicianWrote)
    assert (third.document, third.told) == ("DOC-88124^EPD", "withdrawn")
    more, reworded = taken("in_mdm_t06"), taken("in_mdm_t08")
    assert isinstance(more, ClinicianWrote)
    assert isinstance(reworded, ClinicianWrote)
    assert (more.document, more.parent, more.told) == ("DOC-88125^EPD", "DOC-88123^EPD", "written")
    assert (reworded.document, reworded.told) == ("DOC-88125^EPD", "changed")
    assert reworded.text == "Neem uw medicijnkaart mee\nen uw verzekeringspas."
    assert isinstance(result, ClinicianWrote)
    assert (result.placer, result.text.count("\n")) == (MESSAGE, 1)


def test_a_receipt() -> None:
    """A status change with a code that was agreed says that our message was read."""
    read_there = taken("in_mdm_t04")
    assert isinstance(read_there, DocumentRead)
    assert (read_there.document, read_there.person.identifiers[0].value) == (MESSAGE, "1234")


def test_comings_and_goings() -> None:
    """An admission by ward and practitioner, a merge, an appointment."""
    admitted, merged, planned = (taken(f"in_{name}") for name in ("adt_a01", "adt_a40", "siu_s12"))
    assert isinstance(admitted, PatientChanged)
    assert (admitted.visit, admitted.treating) == ("V-2026-7788", ("CARD", "77"))
    assert isinstance(merged, RecordsJoined)
    assert (merged.survivor.identifiers[0].value, merged.loser.identifiers[0].value) == ("1234", "5678")
    assert isinstance(planned, PatientChanged)
    assert planned.appointment == "AFS-3301"


def test_changes_of_care() -> None:
    """A discharge and its code, another ward, a death, a visit that was another's, an appointment moved, cancelled."""
    names = ("adt_a03", "adt_a08", "adt_a31", "adt_a45", "siu_s13", "siu_s15")
    found = [event for name in names if isinstance(event := taken(f"in_{name}"), PatientChanged)]
    left, moved, died, regained, later, cancelled = found
    assert (left.told, left.visit, left.discharged_to) == (CareChange.ENDED, "V-2026-7788", "GP")
    assert (moved.told, moved.treating) == (CareChange.UPDATED, ("CHIR", "81"))
    assert (died.visit, died.deceased_at) == ("", 1_781_040_600_000)
    assert regained.visit_was_of is not None
    assert (regained.visit, regained.visit_was_of.identifiers[0].value) == ("V-2026-8001", "5678")
    assert (later.appointment, later.starts_at) == ("AFS-3301", 1_783_497_600_000)
    assert (cancelled.appointment, cancelled.told) == ("AFS-3301", CareChange.CANCELLED)


def test_records() -> None:
    """A merge undone, and a number that changed."""
    parted, renumbered = taken("in_adt_a37"), taken("in_adt_a47")
    assert isinstance(parted, RecordsParted)
    assert [each.identifiers[0].value for each in (parted.one, parted.other)] == ["1234", "5678"]
    assert isinstance(renumbered, RecordsJoined)
    assert [each.identifiers[0].value for each in (renumbered.survivor, renumbered.loser)] == ["4321", "1234"]


def test_a_refusal() -> None:
    """The admission with a BSN that fails its check gets the sample answer, but for our own control id."""
    raw = sample("in_adt_a01").replace(b"999911120", b"999911121")
    header = Header.of(raw)
    with pytest.raises(NotUnderstood) as raised:
        read(raw, header, AGREED, 0)
    said = answer(header, AckCode.AE, datetime(2026, 5, 28, 8, tzinfo=ZONE), raised.value)
    assert re.sub(rb"\|[A-Z2-7]{20}\|", b"|CONTROLID|", said) == sample("out_ack_ae_bsn")


_TWO_PIDS = SAMPLES / "in_adt_a37.hl7"
"""hl7apy 1.3.5 counts the second PID of an A37, which HL7 has there, as one too many."""


@pytest.mark.parametrize("path", sorted({*SAMPLES.glob("in_*.hl7")} - {_TWO_PIDS}), ids=lambda path: path.stem)
def test_hl7apy_finds_the_samples_valid(path: Path) -> None:
    """Another parser takes each sample and finds it valid for its version."""
    message = hl7apy.parser.parse_message(sample(path.stem).decode("latin-1"))
    assert message.validate()
