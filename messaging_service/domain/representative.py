"""Who acts for a patient, and when that holds: parents by the child's age, others until it ends or is in doubt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from enum import StrEnum

from messaging_service.domain.refusals import NotRepresentative, RepresentativeUnfit, TooYoung

OWN_ACCESS_AGE = 12
"""From here a child writes for itself, and its parents with its consent (BW 7:447, 7:450 and 7:457)."""
PARENTS_END_AGE = 16
"""From here nobody is a patient's representative as a parent or guardian (BW 7:447)."""


class Kind(StrEnum):
    """On what ground somebody acts (BW 7:465)."""

    PARENT = "parent"
    GUARDIAN = "guardian"
    MENTOR = "mentor"
    CURATOR = "curator"
    AUTHORISED = "authorised"

    @property
    def by_age(self) -> bool:
        """Whether it goes by the patient's age."""
        return self in (Kind.PARENT, Kind.GUARDIAN)


class Standing(StrEnum):
    """Whether a representative may act now."""

    ACTIVE = "active"
    AWAITING_CONSENT = "awaiting_consent"
    SUSPENDED = "suspended"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Representative:
    """One registered representative. Times in milliseconds, 0: not so.

    `actor` is the keyed digest of the acting subject in the token; name and subject are sealed with the account.
    `consented_at` is when the child of 12 to 15 allowed its parent. `suspended_at`: the coordinator has to confirm.
    """

    id: str
    actor: str
    kind: Kind
    signs_care_plan: bool
    first_contact: bool
    registered_at: int
    consented_at: int = 0
    suspended_at: int = 0
    ended_at: int = 0

    def standing(self, at: int, birth: date | None, zone: tzinfo) -> Standing:
        """Whether the representative may act at `at`, where the patient was born on `birth` in the hospital's zone."""
        if self.ended_at:
            return Standing.ENDED
        if self.kind.by_age:
            if birth is None:
                return Standing.SUSPENDED
            age = age_at(birth, at, zone)
            if age >= PARENTS_END_AGE:
                return Standing.ENDED
            if age >= OWN_ACCESS_AGE and not self.consented_at:
                return Standing.SUSPENDED if self.suspended_at else Standing.AWAITING_CONSENT
        return Standing.SUSPENDED if self.suspended_at else Standing.ACTIVE

    def require_active(self, at: int, birth: date | None, zone: tzinfo) -> None:
        """Return when the representative may act.

        Raises:
            NotRepresentative: not now; the detail says which standing.
        """
        standing = self.standing(at, birth, zone)
        if standing is not Standing.ACTIVE:
            raise NotRepresentative(standing.value.replace("_", " "))

    def consent(self, given: bool, at: int, birth: date | None, zone: tzinfo) -> Representative:
        """With or without the child's consent.

        Raises:
            RepresentativeUnfit: the patient is not 12 to 15, or this is no parent.
        """
        if not self.kind.by_age or birth is None:
            raise RepresentativeUnfit("consent is given to parents and guardians")
        if not OWN_ACCESS_AGE <= age_at(birth, at, zone) < PARENTS_END_AGE:
            raise RepresentativeUnfit("consent is given from 12 until 16")
        return replace(self, consented_at=(self.consented_at or at) if given else 0)

    @property
    def is_signer_and_first_contact(self) -> bool:
        """What some hospitals ask of a representative (terms SEIN, article 2.2)."""
        return self.signs_care_plan and self.first_contact


def age_at(birth: date, at: int, zone: tzinfo) -> int:
    """Years of age at `at` (milliseconds) where people live by `zone`; born on 29 February, on 1 March otherwise."""
    today = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).date()
    return today.year - birth.year - ((today.month, today.day) < (birth.month, birth.day))


def require_own_age(birth: date | None, at: int, zone: tzinfo) -> None:
    """Return when the patient may write and read without a parent.

    Raises:
        TooYoung: under 12.
    """
    if birth is not None and age_at(birth, at, zone) < OWN_ACCESS_AGE:
        raise TooYoung
