"""An MDM or ORU built and checked by hl7apy: the skeleton that every document is then written into.

Building takes milliseconds, so it happens once a profile. The values go in already escaped and come out
untouched: hl7apy would escape `\\.br\\` and `\\Xhh\\` a second time, hence `RAW`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hl7apy import get_default_encoding_chars
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message, Segment

from messaging_service.domain.filing import Change
from messaging_service.epd.profile import EpdProfile
from messaging_service.epd.skeleton_segments import Observation, document, head, naming, observe, patient, result, visit

RAW = {**get_default_encoding_chars("2.5"), "ESCAPE": "\x07"}
"""Encoding characters with which hl7apy writes values as they are; \\x07 never occurs in an escaped value."""

_OBSERVATION_GROUP = {
    "2.5": "MDM_T02_OBSERVATION",
    "2.5.1": "MDM_T02_OBXNTE_SUPPGRP",
    "2.6": "MDM_T02_OBSERVATION",
}
"""The group that holds an MDM's OBX in hl7apy's tables; 2.4 has none."""


def build(
    profile: EpdProfile,
    values: Mapping[str, str],
    identifiers: Sequence[str],
    observations: Sequence[Observation],
    change: Change = Change.NEW,
    *,
    strict: bool = True,
) -> str:
    """The site's message as hl7apy writes it, segments ended by CR: MDM (HL7 v2.5.1 §9.5) or ORU^R01 (§7.3.1).

    `values` are those of `render.Parts`, each escaped; `identifiers` are PID-3's repetitions. `strict`
    checks each value while building; hl7apy then takes OBX-5 for at most 199 characters of ST, so long
    texts are built without.

    Raises:
        SettingInvalid: names the field of the [epd] table that hl7apy refuses.
    """
    level = VALIDATION_LEVEL.STRICT if strict else VALIDATION_LEVEL.TOLERANT
    structure = structure_of(profile, change)
    message = Message(structure, version=profile.version, validation_level=level)
    head(message.msh, profile, values, f"{structure[:3]}^{profile.trigger(change)}^{structure}")
    if profile.is_result:
        _fill_result(message, profile, values, identifiers, observations, change)
    else:
        _fill_document(message, profile, values, identifiers, observations, change)
    with naming("version"):
        message.validate()
    er7: str = message.to_er7(RAW) + "\r"
    return _with_role(er7, profile, values, level) if "ROL" in profile.recipients else er7


def structure_of(profile: EpdProfile, change: Change) -> str:
    """MSH-9.3: the events without a text share the structure of T01 (HL7 v2.5.1 table 0354)."""
    if profile.is_result:
        return "ORU_R01"
    return "MDM_T01" if change is Change.WITHDRAWN else "MDM_T02"


def _fill_document(
    message: Any,
    profile: EpdProfile,
    values: Mapping[str, str],
    identifiers: Sequence[str],
    observations: Sequence[Observation],
    change: Change,
) -> None:
    message.evn.evn_1 = profile.trigger(change)
    message.evn.evn_2 = values["sent_at"]
    patient(message.pid, values, identifiers)
    visit(message.pv1, profile, values)
    document(message.txa, profile, values, change)
    group = _OBSERVATION_GROUP.get(profile.version)
    for number, observation in enumerate(observations, 1):
        obx = (message.add_group(group) if group else message).add_segment("OBX")
        observe(obx, profile, values, number, observation, change)


def _fill_result(
    message: Any,
    profile: EpdProfile,
    values: Mapping[str, str],
    identifiers: Sequence[str],
    observations: Sequence[Observation],
    change: Change,
) -> None:
    of_patient = message.oru_r01_patient_result
    patient(of_patient.oru_r01_patient.pid, values, identifiers)
    visit(of_patient.oru_r01_patient.oru_r01_visit.pv1, profile, values)
    order = of_patient.oru_r01_order_observation
    result(order.obr, profile, values, change)
    for number, observation in enumerate(observations, 1):
        obx = order.add_group("ORU_R01_OBSERVATION").add_segment("OBX")
        observe(obx, profile, values, number, observation, change)


def _with_role(er7: str, profile: EpdProfile, values: Mapping[str, str], level: int) -> str:
    """ROL after PV1, as in ADT: no version's MDM or ORU has it there, so hl7apy checks it by itself."""
    role = Segment("ROL", version=profile.version, validation_level=level)
    role.rol_1 = values["document"]
    role.rol_2 = "AD"
    role.rol_3 = "RT^Referred to provider^HL70443"
    role.rol_4 = f"{values['team_code']}^{values['team_name']}"
    with naming("recipient_fields"):
        role.validate()
    before, _, rest = er7.partition("\rPV1|")
    visit_rest, _, after = rest.partition("\r")
    return f"{before}\rPV1|{visit_rest}\r{role.to_er7(RAW)}\r{after}"
