"""Times, identifiers and names in the fields of a message that came in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone, tzinfo

from messaging_service.domain.message import Identifier
from messaging_service.epd.inbound_errors import Error, NotUnderstood
from messaging_service.epd.inbound_events import Person
from messaging_service.epd.inbound_segments import Segment, Value
from messaging_service.epd.profile import Authority

_TIME = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.(\d{1,4}))?([+-]\d{4})?")
_BSN_WEIGHTS = (9, 8, 7, 6, 5, 4, 3, 2, -1)
_LONGEST_NUMBER = 64


def moment(segment: Segment, number: int, zone: tzinfo, component: int = 1) -> int | None:
    """A time stamp in milliseconds since 1970; None when the field is empty (HL7 v2.5.1 §2A.22).

    Raises:
        NotUnderstood: it is no time stamp.
    """
    written = segment.text(number, component)
    if not written:
        return None
    found = _TIME.fullmatch(written)
    try:
        if found is None:
            raise ValueError
        return _milliseconds(found, zone)
    except ValueError:
        raise NotUnderstood(Error.DATA_TYPE, segment.at(number)) from None


def _milliseconds(found: re.Match[str], zone: tzinfo) -> int:
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    if offset:
        minutes = int(offset[1:3]) * 60 + int(offset[3:])
        zone = timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
    date = (int(year), int(month or 1), int(day or 1))
    time = (int(hour or 0), int(minute or 0), int(second or 0), int((fraction or "0").ljust(6, "0")))
    return int(datetime(*date, *time, tzinfo=zone).timestamp() * 1000)


def person(pid: Segment, authorities: Mapping[str, Authority], number: int = 3) -> Person:
    """The patient of a PID, or the one in MRG-1.

    Raises:
        NotUnderstood: no identifier that is known here, or a BSN that fails its check.
    """
    found: dict[str, Identifier] = {}
    for value in pid.all(number):
        system = _system(value, authorities)
        if system is not None and system not in found and (digits := value.text(1, 1).strip()):
            found[system] = _identifier(system, digits, pid, number)
    if not found:
        pid.missing(number)
    ordered = tuple(found[system] for system in authorities if system in found)
    return Person(ordered, name(pid.first(5), family=1, given=2, prefix=5) if number == 3 else "")


def _system(value: Value, authorities: Mapping[str, Authority]) -> str | None:
    """By assigning authority and type; one of the two may be left out by the sender."""
    given_by = {value.text(4, 1), value.text(4, 2)} - {""}
    id_type = value.text(5)
    for system, authority in authorities.items():
        same_giver = bool(given_by & set(authority.assigning)) if given_by else bool(id_type)
        if same_giver and (not id_type or id_type == authority.id_type):
            return system
    return None


def _identifier(system: str, digits: str, pid: Segment, number: int) -> Identifier:
    if len(digits) > _LONGEST_NUMBER or (system == "bsn" and not is_bsn(digits)):
        raise NotUnderstood(Error.DATA_TYPE, pid.at(number))
    return Identifier(system, digits)


def is_bsn(digits: str) -> bool:
    """Nine digits that pass the 11-check (Regeling burgerservicenummer, artikel 2)."""
    if not re.fullmatch(r"[0-9]{9}", digits) or int(digits) == 0:
        return False
    return sum(weight * int(digit) for weight, digit in zip(_BSN_WEIGHTS, digits, strict=True)) % 11 == 0


def name(value: Value, *, family: int, given: int, prefix: int) -> str:
    """A person's name as people write it: prefix, given name, surname with its own prefix (XPN, XCN)."""
    surname, own_prefix = value.text(family, 1).strip(), value.text(family, 2).strip()
    if own_prefix and not surname.casefold().startswith(own_prefix.casefold()):
        surname = f"{own_prefix} {surname}"
    parts = (value.text(prefix, 1).strip(), value.text(given, 1).strip(), surname)
    return " ".join(part for part in parts if part)
