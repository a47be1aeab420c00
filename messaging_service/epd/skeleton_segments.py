"""The segments of a filed message, field by field, on hl7apy's objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hl7apy.exceptions import HL7apyException

from messaging_service.domain.errors import SettingInvalid
from messaging_service.domain.filing import Change
from messaging_service.epd.profile import EpdProfile
from messaging_service.epd.text import escape

Observation = tuple[str, str, Sequence[str]]
"""OBX-3.1 (code), OBX-3.2 (label) and OBX-5's repetitions."""

_RESULT_STATUS = {Change.NEW: "F", Change.CORRECTED: "C", Change.WITHDRAWN: "X"}
"""OBR-25 (HL7 table 0123)."""

_TEXT_STATUS = {Change.NEW: "F", Change.CORRECTED: "C", Change.WITHDRAWN: "W"}
"""OBX-11 (HL7 table 0085)."""


@contextmanager
def naming(setting: str) -> Iterator[None]:
    """What hl7apy refuses becomes SettingInvalid, with the setting that it came from."""
    try:
        yield
    except HL7apyException as refused:
        raise SettingInvalid(f"[epd] {setting}: HL7 does not allow it ({type(refused).__name__})") from refused


def head(msh: Any, profile: EpdProfile, values: Mapping[str, str], kind: str) -> None:
    """MSH; `kind` is MSH-9."""
    agreed = {
        "msh_3": "sending_application",
        "msh_4": "sending_facility",
        "msh_5": "receiving_application",
        "msh_6": "receiving_facility",
        "msh_11": "processing_id",
        "msh_15": "accept_ack",
        "msh_16": "application_ack",
        "msh_17": "country",
        "msh_18": "charset",
    }
    for place, setting in agreed.items():
        _put(msh, place, setting, escape(getattr(profile, setting)))
    msh.msh_7 = values["sent_at"]
    msh.msh_9 = kind
    msh.msh_10 = values["control_id"]


def patient(pid: Any, values: Mapping[str, str], identifiers: Sequence[str]) -> None:
    """PID."""
    for identifier in identifiers:
        pid.add_field("pid_3").value = identifier
    pid.pid_5 = f"{values['patient_name']}^^^^^^L"


def visit(pv1: Any, profile: EpdProfile, values: Mapping[str, str]) -> None:
    """PV1 with the recipients that it carries."""
    _put(pv1, "pv1_2", "patient_class", escape(profile.patient_class))
    _recipients(pv1, "PV1", profile, values)


def document(txa: Any, profile: EpdProfile, values: Mapping[str, str], change: Change) -> None:
    """TXA (HL7 v2.5.1 §9.6.1)."""
    txa.txa_1 = "1"
    _put(txa, "txa_2", "document_type", "^".join(map(escape, profile.document_type)))
    txa.txa_3 = profile.text_as
    txa.txa_4 = values["written_at"]
    txa.txa_6 = values["written_at"]
    txa.txa_9 = f"^{values['author_name']}"
    txa.txa_12 = values["document"]
    if values["parent"]:
        txa.txa_13 = values["parent"]
    _put(txa, "txa_17", "completion", escape(profile.completion))
    _put(txa, "txa_18", "confidentiality", escape(profile.confidentiality))
    txa.txa_19 = "CA" if change is Change.WITHDRAWN else "AV"
    if change is not Change.NEW:
        txa.txa_21 = values["reason"]
    _recipients(txa, "TXA", profile, values)


def result(obr: Any, profile: EpdProfile, values: Mapping[str, str], change: Change) -> None:
    """OBR: the message id as placer and as filler number, which a result keeps through all its changes."""
    obr.obr_1 = "1"
    obr.obr_2 = values["message_id"]
    obr.obr_3 = values["message_id"]
    _put(obr, "obr_4", "document_type", "^".join(map(escape, profile.document_type)))
    obr.obr_7 = values["written_at"]
    obr.obr_22 = values["sent_at"]
    obr.obr_25 = _RESULT_STATUS[change]
    if values["parent"]:
        obr.obr_29 = values["parent"]


def observe(
    obx: Any,
    profile: EpdProfile,
    values: Mapping[str, str],
    number: int,
    observation: Observation,
    change: Change,
) -> None:
    """One OBX. In a result OBX-4 keeps two of the same code apart (HL7 v2.5.1 §7.4.2.4)."""
    code, label, repetitions = observation
    obx.obx_1 = str(number)
    obx.obx_2 = profile.text_as
    obx.obx_3 = f"{code}^{label}^L"
    if profile.is_result:
        obx.obx_4 = values.get("sub_id", str(number))
    for repetition in repetitions:
        obx.add_field("obx_5").value = repetition
    obx.obx_11 = _TEXT_STATUS[change] if profile.is_result else "F"
    obx.obx_14 = values["written_at"]


def _recipients(segment: Any, name: str, profile: EpdProfile, values: Mapping[str, str]) -> None:
    team = f"{values['team_code']}^{values['team_name']}"
    for place in profile.recipients:
        if place.startswith(f"{name}-"):
            value = values["department"] if place == "PV1-3" else team
            _put(segment, place.replace("-", "_").lower(), "recipient_fields", value)


def _put(segment: Any, place: str, setting: str, value: str) -> None:
    if value:
        with naming(setting):
            setattr(segment, place, value)
