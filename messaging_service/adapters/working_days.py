"""Which days a tenant works: the country's public holidays and the tenant's own closing days."""

from __future__ import annotations

import re
from datetime import date

import holidays

from messaging_service.application.ports import WorkingDays
from messaging_service.domain.errors import SettingInvalid
from messaging_service.tenants import ReplyTarget

SATURDAY = 5
ANY_LEAP_YEAR = "2024"

_ONCE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_YEARLY = re.compile(r"[0-9]{2}-[0-9]{2}")


class TenantWorkingDays(WorkingDays):
    """Weekends, the public holidays of `holidays` (an ISO 3166 country code) and `closed_on`.

    For NL King's Day moves off a Sunday and Liberation Day counts once in five years. Days on which a hospital
    works nevertheless are `working_holidays` (Good Friday, unless it says otherwise).
    """

    def __init__(self, target: ReplyTarget) -> None:
        """`closed_on` holds dates (`2026-12-24`) and days of every year (`12-24`).

        Raises:
            SettingInvalid: the country is unknown or a day in `closed_on` does not exist; names the setting.
        """
        try:
            self._holidays = holidays.country_holidays(target.holidays, language="en_US")
        except NotImplementedError as problem:
            raise SettingInvalid(f"[reply] holidays = {target.holidays!r}: no such country code") from problem
        self._working_holidays = set(target.working_holidays)
        self._once = {_day(day, day) for day in target.closed_on if not _YEARLY.fullmatch(day)}
        yearly = (_day(day, f"{ANY_LEAP_YEAR}-{day}") for day in target.closed_on if _YEARLY.fullmatch(day))
        self._yearly = {(day.month, day.day) for day in yearly}

    def is_working_day(self, day: date) -> bool:
        """Neither weekend, nor holiday, nor a closing day. A year is worked out when first asked for."""
        if day.weekday() >= SATURDAY or day in self._once or (day.month, day.day) in self._yearly:
            return False
        return not set(self._holidays.get_list(day)) - self._working_holidays


def _day(given: str, iso: str) -> date:
    try:
        if not _ONCE.fullmatch(iso):
            raise ValueError("neither YYYY-MM-DD nor MM-DD")
        return date.fromisoformat(iso)
    except ValueError as problem:
        raise SettingInvalid(f"[reply] closed_on {given!r}: {problem}") from problem
