"""Who may have an account, until when, on which terms, and who may act for a patient."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from msgspec import Meta

from messaging_service.domain.account import LONGEST_CLOSING_DAYS
from messaging_service.tenants.tables import Table


class AccountRules(Table, frozen=True, kw_only=True):
    """Accounts. `opening`: by the hospital beforehand, or by the patient's first login.

    `closing_days` after the end of care or death an account closes (terms article 4.1). `misuse_advice`, by language,
    is what somebody who reports misuse is told besides (terms article 2.6). After `quiet_days` without an open
    treatment relation or an appointment, as far as the EPD ever told of any, care is over; 0: only when it says so.
    """

    opening: Literal["hospital", "first_login"] = "first_login"
    closing_days: Annotated[int, Meta(ge=0, le=LONGEST_CLOSING_DAYS)] = LONGEST_CLOSING_DAYS
    quiet_days: Annotated[int, Meta(ge=0, le=3_650)] = 0
    misuse_advice: Mapping[str, str] = {}


class RepresentativeRules(Table, frozen=True, kw_only=True):
    """Representatives: how many a patient may have at most.

    `must_sign_care_plan`: only who signs the care plan and is first contact (terms SEIN, article 2.2).
    """

    most: Annotated[int, Meta(ge=0, le=20)] = 2
    must_sign_care_plan: bool = False


class TermsVersion(Table, frozen=True, kw_only=True):
    """A version of the terms of use, in force from the day `since` until a newer one is (terms article 1.3).

    `texts` has the address of the text, by language.
    """

    version: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
    since: date
    texts: Annotated[Mapping[str, str], Meta(min_length=1)]
