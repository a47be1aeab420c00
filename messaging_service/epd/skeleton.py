"""An MDM^T02 built and checked by hl7apy: the skeleton that every document is then written into.

Building takes milliseconds, so it happens once a profile. The values go in already escaped and come out
untouched: hl7apy would escape `\\.br\\` and `\\Xhh\\` a second time, hence `RAW`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hl7apy import get_default_encoding_chars
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.exceptions import HL7apyException

from messaging_service.domain.errors import SettingInvalid
from messaging_service.epd.profile import EpdProfile
from messaging_service.epd.text import escape

RAW = {**get_default_encoding_chars("2.5"), "ESCAPE": "\x07"}
"""Encoding characters with which hl7apy writes values as they are; \\x07 never occurs in an escaped value."""

OBSERVATION_GROUP = {
    "2.5": "MDM_T02_OBSERVATION",
    "2.5.1": "MDM_T02_OBXNTE_SUPPGRP",
    "2.6": "MDM_T02_OBSERVATION",
}
"""The group that holds OBX in hl7apy's tables; 2.4 has none."""

Observation = tuple[str, str, Sequence[str]]
"""OBX-3.1 (code), OBX-3.2 (label) and OBX-5's repetitions."""


def build(
    profile: EpdProfile,
    values: Mapping[str, str],
    identifiers: Sequence[str],
    observations: Sequence[Observation],
    *,
    strict: bool = True,
) -> str:
    """An MDM^T02 (HL7 v2.5.1 §9.6.2) as hl7apy writes it, segments ended by CR.

    `values` are those of `render.Parts`, each escaped; `identifiers` are PID-3's repetitions. `strict`
    checks each value while building; hl7apy then takes OBX-5 for at most 199 characters of ST, so long
    texts are built without.

    Raises:
        SettingInvalid: names the field of the [epd] table that hl7apy refuses.
    """
    level = VALIDATION_LEVEL.STRICT if strict else VALIDATION_LEVEL.TOLERANT
    message = Message("MDM_T02", version=profile.version, validation_level=level)
    _head(message, profile, values)
    _patient(message, values, identifiers)
    _recipients(message, profile, values)
    _document(message.txa, profile, values)
    for number, observation in enumerate(observations, 1):
        _observe(message, profile, values["written_at"], number, observation)
    with _naming("version"):
        message.validate()
    er7: str = message.to_er7(RAW)
    return er7 + "\r"


@contextmanager
def _naming(setting: str) -> Iterator[None]:
    try:
        yield
    except HL7apyException as refused:
        raise SettingInvalid(f"[epd] {setting}: HL7 does not allow it ({type(refused).__name__})") from refused


def _head(message: Any, profile: EpdProfile, values: Mapping[str, str]) -> None:
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
        _put(message.msh, place, setting, escape(getattr(profile, setting)))
    message.msh.msh_7 = values["sent_at"]
    message.msh.msh_9 = "MDM^T02^MDM_T02"
    message.msh.msh_10 = values["control_id"]
    message.evn.evn_1 = "T02"
    message.evn.evn_2 = values["sent_at"]


def _put(segment: Any, place: str, setting: str, value: str) -> None:
    if value:
        with _naming(setting):
            setattr(segment, place, value)


def _patient(message: Any, values: Mapping[str, str], identifiers: Sequence[str]) -> None:
    for identifier in identifiers:
        message.pid.add_field("pid_3").value = identifier
    message.pid.pid_5 = f"{values['patient_name']}^^^^^^L"


def _recipients(message: Any, profile: EpdProfile, values: Mapping[str, str]) -> None:
    _put(message.pv1, "pv1_2", "patient_class", escape(profile.patient_class))
    team = f"{values['team_code']}^{values['team_name']}"
    for name in profile.recipient_fields:
        place = name.replace("-", "_").lower()
        segment = message.pv1 if name.startswith("PV1") else message.txa
        _put(segment, place, "recipient_fields", values["department"] if name == "PV1-3" else team)


def _document(txa: Any, profile: EpdProfile, values: Mapping[str, str]) -> None:
    txa.txa_1 = "1"
    _put(txa, "txa_2", "document_type", "^".join(map(escape, profile.document_type)))
    txa.txa_3 = profile.text_as
    txa.txa_4 = values["written_at"]
    txa.txa_6 = values["written_at"]
    txa.txa_9 = f"^{values['author_name']}"
    txa.txa_12 = values["message_id"]
    if values["parent"]:
        txa.txa_13 = values["parent"]
    _put(txa, "txa_17", "completion", escape(profile.completion))
    _put(txa, "txa_18", "confidentiality", escape(profile.confidentiality))
    txa.txa_19 = "AV"


def _observe(message: Any, profile: EpdProfile, written_at: str, number: int, observation: Observation) -> None:
    code, label, repetitions = observation
    group = OBSERVATION_GROUP.get(profile.version)
    obx = (message.add_group(group) if group else message).add_segment("OBX")
    obx.obx_1 = str(number)
    obx.obx_2 = profile.text_as
    obx.obx_3 = f"{code}^{label}^L"
    for repetition in repetitions:
        obx.add_field("obx_5").value = repetition
    obx.obx_11 = "F"
    obx.obx_14 = written_at
