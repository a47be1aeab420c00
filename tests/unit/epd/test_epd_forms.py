"""Every form a document takes: new, corrected and withdrawn, as MDM or as ORU, with hl7apy as the judge."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import hl7
import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_segment
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from messaging_service.domain.filing import Change, change_id
from messaging_service.epd.charset import fit
from messaging_service.epd.document import FilingDocument
from messaging_service.epd.profile import CODECS, VERSIONS, VISIT_FIELDS, EpdProfile
from messaging_service.epd.render import DocumentTemplate
from messaging_service.epd.skeleton import build
from messaging_service.epd.text import split_lines, unescape
from messaging_service.epd.wording import TOPICS
from tests.unit.epd.documents import DOCUMENT, HOSTILE, parsed, segments, shown

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "contracts" / "hl7" / "samples"
FORMS = ("T02", "T08", "T10", "T11", "R01", "R01-C", "R01-X")
TEXT = st.lists(st.sampled_from(HOSTILE) | st.characters(exclude_categories=["Cs"]), max_size=20).map("".join)


@cache
def template(form: str, **settings_: Any) -> DocumentTemplate:
    """The template of a profile that sends this form."""
    if form.startswith("R01"):
        return DocumentTemplate.compile(EpdProfile(message="ORU^R01", **settings_))
    return DocumentTemplate.compile(EpdProfile(correction="T08" if form == "T08" else "T10", **settings_))


def document(form: str, body: str = DOCUMENT.body, subject: str = DOCUMENT.subject) -> FilingDocument:
    """The document that takes this form."""
    kinds = {"T08": Change.CORRECTED, "T10": Change.CORRECTED, "R01-C": Change.CORRECTED}
    kinds |= {"T11": Change.WITHDRAWN, "R01-X": Change.WITHDRAWN}
    change = kinds.get(form, Change.NEW)
    new = replace(DOCUMENT, body=body, subject=subject, change=change, reason="" if change is Change.NEW else "typo")
    if form == "T10":
        return replace(new, document=change_id(new.message_id, 1), replaces=new.message_id)
    return new


def fields_of(raw: bytes, profile: EpdProfile) -> dict[str, Any]:
    return {segment.name: segment for segment in segments(parsed(raw, profile))}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_valid_and_is_what_hl7apy_builds(version: str, form: str) -> None:
    """hl7apy finds each form valid for its version, and the plain serialiser writes hl7apy's own bytes."""
    compiled = template(form, version=version, recipient_fields=VISIT_FIELDS)
    hostile = replace(document(form, "".join(HOSTILE), "a|b\\F\\"), urgent=True, topics=("cardiac",), caution=True)
    raw = compiled.render(hostile)
    parsed(raw, compiled.profile)
    built = build(compiled.profile, *compiled.parts(hostile), hostile.change, strict=False)
    assert raw == built.encode()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_role_is_a_valid_segment_after_the_visit(version: str) -> None:
    """ROL names the care team; hl7apy finds the segment itself valid."""
    raw = template("T02", version=version, recipient_fields=("ROL",)).render(DOCUMENT).decode()
    lines = raw.split("\r")
    assert [line[:3] for line in lines[3:5]] == ["PV1", "ROL"]
    role = parse_segment(lines[4], version=version, validation_level=VALIDATION_LEVEL.STRICT)
    role.validate()
    assert role.rol_4.to_er7() == "CARD-A^Hartfalen \\T\\ Ritme"


@pytest.mark.parametrize(
    ("form", "places"),
    [
        ("T02", {"msh_9": "MDM^T02^MDM_T02", "evn_1": "T02", "txa_12": "{id}", "txa_13": "{thread}", "txa_19": "AV"}),
        ("T08", {"msh_9": "MDM^T08^MDM_T02", "evn_1": "T08", "txa_12": "{id}", "txa_13": "{thread}", "txa_21": "typo"}),
        ("T10", {"msh_9": "MDM^T10^MDM_T02", "evn_1": "T10", "txa_12": "{id}.1", "txa_13": "{id}", "txa_21": "typo"}),
        ("T11", {"msh_9": "MDM^T11^MDM_T01", "evn_1": "T11", "txa_12": "{id}", "txa_19": "CA", "txa_21": "typo"}),
        ("R01", {"msh_9": "ORU^R01^ORU_R01", "obr_2": "{id}", "obr_3": "{id}", "obr_4": "PN", "obr_25": "F"}),
        ("R01-C", {"obr_2": "{id}", "obr_3": "{id}", "obr_25": "C", "obx_11": "C", "obr_29": "{thread}"}),
        ("R01-X", {"obr_2": "{id}", "obr_3": "{id}", "obr_25": "X", "obx_11": "W"}),
    ],
)
def test_each_form_has_its_numbers_and_marks(form: str, places: dict[str, str]) -> None:
    """Trigger, document number, parent and status stand where contracts/hl7 says."""
    compiled = template(form)
    found = fields_of(compiled.render(document(form)), compiled.profile)
    for place, value in places.items():
        expected = value.format(id=DOCUMENT.message_id, thread=DOCUMENT.thread)
        assert getattr(found[place[:3].upper()], place).to_er7() == expected, place


def test_a_correction_and_a_withdrawal_say_so_to_the_reader() -> None:
    """The first line of a correction, and the only one of a withdrawn result, names what happened and why."""
    compiled = template("T10")
    assert shown(compiled.render(document("T10")), compiled.profile, "NOTE").startswith("GECORRIGEERD")
    raw = template("R01").render(document("R01-X"))
    assert shown(raw, template("R01").profile, "NOTE").startswith("INGETROKKEN")
    assert b"plaspil" not in raw


def test_a_withdrawal_carries_no_text() -> None:
    """T11 has no OBX: what is withdrawn is not sent again."""
    raw = template("T11").render(document("T11"))
    assert b"OBX" not in raw
    assert b"plaspil" not in raw


def test_two_lines_of_one_code_are_apart_in_a_result() -> None:
    """OBX-4 differs within OBX-3, or an EPD would let the later note take the earlier one's place."""
    notes = replace(document("R01"), caution=True, original_note=True)
    raw = template("R01").render(notes).decode()
    rows = [line.split("|")[3:5] for line in raw.split("\r") if line.startswith("OBX")]
    assert len({(code, sub) for code, sub in rows}) == len(rows)


def test_a_corrections_number_fits_every_version() -> None:
    """The last change there can be has a number of 30 characters, HL7's shortest TXA-12."""
    assert len(change_id(DOCUMENT.message_id, 999)) == 30


@pytest.mark.parametrize("form", ["T08", "T10", "R01", "R01-C"])
@pytest.mark.parametrize("charset", CODECS)
@settings(max_examples=8, deadline=None)
@given(body=TEXT, subject=TEXT)
def test_any_text_comes_through_two_readers(form: str, charset: str, body: str, subject: str) -> None:
    """hl7apy with our unescape, and PyPI hl7 by itself, show the text unchanged, or visibly in other words."""
    assume(body.strip())
    compiled = template(form, charset=charset)
    raw = compiled.render(document(form, body, subject))
    expected = "\n".join(split_lines(fit(body, compiled.profile.codec)[0]))
    assert shown(raw, compiled.profile) == expected
    message = hl7.parse(raw.decode(compiled.profile.codec))
    (repetitions,) = [obx[5] for obx in message.segments("OBX") if str(obx(3)(1)(1)) == "BODY"]
    assert "\n".join(unescape(str(repetition), compiled.profile.codec) for repetition in repetitions) == expected
    if compiled.profile.codec == "utf-8":
        assert "\n".join(message.unescape(str(repetition)) for repetition in repetitions) == expected


def test_every_topic_of_the_lexicon_has_a_clinicians_word() -> None:
    """No urgency reaches a clinician as a code of ours."""
    files = (ROOT / "messaging_service" / "screening" / "lexicon").glob("*/urgency*.toml")
    written = [tomllib.loads(path.read_text("utf-8")) for path in files]
    topics = {table["topic"] for file in written for table in (file, *file.get("rule", [])) if "topic" in table}
    assert "cardiac" in topics
    assert topics <= set(TOPICS)


def test_the_topic_is_named_as_clinicians_do() -> None:
    """The code of the lexicon is not shown where there is a word for it."""
    raw = template("T02").render(replace(DOCUMENT, urgent=True, topics=("cardiac", "unheard-of")))
    assert "(hart of pijn op de borst, unheard-of)" in shown(raw, template("T02").profile, "PRIORITY")


@pytest.mark.parametrize("form", FORMS[1:])
def test_the_samples_of_every_form_are_what_is_sent(form: str) -> None:
    """contracts/hl7/samples holds the exact bytes, one segment a line."""
    name = {"R01": "oru_r01", "R01-C": "oru_r01_corrected", "R01-X": "oru_r01_withdrawn"}.get(
        form, f"mdm_{form.lower()}"
    )
    raw = template(form, version="2.5").render(document(form))
    assert (SAMPLES / f"{name}.hl7").read_bytes().replace(b"\n", b"\r") == raw
