"""A patient's account: who may use it now, and which changes are legal. Pure; the clock is always given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from messaging_service.domain.refusals import (
    AccountBlocked,
    AccountClosed,
    NotFound,
    NotRepresentative,
    RepresentativesFull,
    RepresentativeUnfit,
)
from messaging_service.domain.representative import Representative, Standing

LONGEST_CLOSING_DAYS = 28
"""At the latest four weeks after the end of care or death (terms article 4.1 of both hospitals)."""
_DAY_MS = 86_400_000


class AccountState(StrEnum):
    """What an account is at one moment."""

    INVITED = "invited"
    OPEN = "open"
    BLOCKED = "blocked"
    CLOSING = "closing"
    CLOSED = "closed"


class Because(StrEnum):
    """Why an account is closed."""

    END_OF_CARE = "end_of_care"
    REQUEST = "request"
    HOSPITAL = "hospital"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a hospital set: how long after the end of care an account closes, and who may represent."""

    closing_days: int
    zone: tzinfo
    most_representatives: int
    must_sign_care_plan: bool


@dataclass(frozen=True, slots=True)
class Account:
    """One patient's account; `id` is the patient's. Times in milliseconds, 0: not so.

    `care_over_at`: when care ended or the patient died, as long as that runs the closing clock. `accepted` holds, by
    who accepted (a keyed digest), the newest version of the terms. `joined` are records whose accounts were taken over
    when they proved to be the same person's. `sealed` holds birth date and names.
    """

    id: str
    tenant: str
    opened_at: int = 0
    blocked_at: int = 0
    care_over_at: int = 0
    closed_at: int = 0
    closed_because: str = ""
    accepted: Mapping[str, str] = field(default_factory=dict)
    representatives: tuple[Representative, ...] = ()
    joined: tuple[str, ...] = ()
    sealed: bytes = field(default=b"", repr=False)
    version: int = 1

    def closes_at(self, rules: Rules) -> int:
        """When the clock closes it: the start of that day at the hospital, and never later than the days say."""
        if not self.care_over_at:
            return 0
        day = datetime.combine(_closing_day(self.care_over_at, rules), time(), rules.zone)
        return min(int(day.timestamp() * 1000), self.care_over_at + rules.closing_days * _DAY_MS)

    def closing_on(self, rules: Rules) -> date | None:
        """The day on which it closes, while that is to come."""
        return _closing_day(self.care_over_at, rules) if self.care_over_at and not self.closed_at else None

    def state(self, rules: Rules, at: int) -> AccountState:
        """What it is at `at`; what the clock has closed is closed, whether anybody has written that down yet or not."""
        if self.closed_at or 0 < self.closes_at(rules) <= at:
            return AccountState.CLOSED
        if self.blocked_at:
            return AccountState.BLOCKED
        if not self.opened_at:
            return AccountState.INVITED
        return AccountState.CLOSING if self.care_over_at else AccountState.OPEN

    def require_usable(self, rules: Rules, at: int) -> None:
        """Return unless it is closed or blocked. Raises AccountClosed or AccountBlocked."""
        state = self.state(rules, at)
        if state is AccountState.CLOSED:
            raise AccountClosed
        if state is AccountState.BLOCKED:
            raise AccountBlocked

    def acting(self, actor: str) -> Representative:
        """The representative behind an acting subject, whatever the standing.

        Raises:
            NotRepresentative: nobody is registered under it.
        """
        found = [each for each in self.representatives if each.actor == actor]
        if not found:
            raise NotRepresentative
        return found[-1]

    def representative(self, id: str) -> Representative:
        """The representative of that id. Raises NotFound."""
        for each in self.representatives:
            if each.id == id:
                return each
        raise NotFound


def opened(account: Account, at: int) -> Account:
    """Used for the first time."""
    return account if account.opened_at else replace(account, opened_at=at)


def blocked(account: Account, at: int) -> Account:
    """Without a reason (terms article 4.3); a closed one is closed all the same."""
    return account if account.blocked_at else replace(account, blocked_at=at)


def unblocked(account: Account) -> Account:
    """What it would be without the block."""
    return replace(account, blocked_at=0)


def closed(account: Account, because: Because, at: int) -> Account:
    """Closed, and every representative's access with it (terms articles 4.1, 4.2)."""
    if account.closed_at:
        return account
    ended = tuple(each if each.ended_at else replace(each, ended_at=at) for each in account.representatives)
    return replace(
        account, closed_at=at, closed_because=because, care_over_at=0, representatives=ended, opened_at=0, accepted={}
    )


def lapsed(account: Account, rules: Rules, at: int) -> Account:
    """Closed by the clock where its time has come."""
    closes_at = account.closes_at(rules)
    if not account.closed_at and 0 < closes_at <= at:
        return closed(account, Because.END_OF_CARE, closes_at)
    return account


def care_told(account: Account, over_at: int, rules: Rules, at: int) -> Account:
    """The EPD says that care ended or the patient died at `over_at`, or (0) that care goes on.

    What the clock closed is invited anew when care goes on; what a person closed stays closed.
    """
    account = lapsed(account, rules, at)
    if not account.closed_at:
        return lapsed(replace(account, care_over_at=over_at), rules, at)
    if not over_at and account.closed_because == Because.END_OF_CARE:
        return invited_again(account)
    return account


def invited_again(account: Account) -> Account:
    """Opened anew: terms are to be accepted and representatives registered as for the first time."""
    return replace(account, closed_at=0, closed_because="") if account.closed_at else account


def registered(account: Account, new: Representative, rules: Rules, birth: date | None, at: int) -> Account:
    """With one more representative; a repeat of one who is registered changes nothing.

    Raises:
        AccountClosed: the account is.
        RepresentativesFull: the hospital allows no more (SEIN: at most one, terms article 2.1).
        RepresentativeUnfit: not who may be one (terms SEIN, article 2.2; BW 7:447, 7:465).
    """
    if account.state(rules, at) is AccountState.CLOSED:
        raise AccountClosed
    counted = [each for each in account.representatives if each.standing(at, birth, rules.zone) is not Standing.ENDED]
    if any(each.actor == new.actor for each in counted):
        return account
    if len(counted) >= rules.most_representatives:
        raise RepresentativesFull(f"at most {rules.most_representatives}")
    _require_fit(new, rules)
    if new.kind.by_age:
        if birth is None:
            raise RepresentativeUnfit("a parent is registered with the patient's date of birth")
        if new.standing(at, birth, rules.zone) is Standing.ENDED:
            raise RepresentativeUnfit("from 16 a patient has no parent as representative")
    return replace(account, representatives=(*account.representatives, new))


def changed(account: Account, representative: Representative) -> Account:
    """With this representative in the place of the one of its id."""
    now = tuple(representative if each.id == representative.id else each for each in account.representatives)
    return replace(account, representatives=now)


def ended(account: Account, id: str, at: int) -> Account:
    """Without that representative. Raises NotFound."""
    found = account.representative(id)
    return account if found.ended_at else changed(account, replace(found, ended_at=at))


def suspended(account: Account, id: str, at: int) -> Account:
    """That representative may not act until the coordinator confirms (terms SEIN, article 4.4). Raises NotFound."""
    found = account.representative(id)
    return account if found.suspended_at else changed(account, replace(found, suspended_at=at))


def confirmed(
    account: Account, id: str, rules: Rules, *, signs_care_plan: bool, first_contact: bool, birth: date | None, at: int
) -> Account:
    """The coordinator says what is so of a representative: active when that suffices, else suspended.

    Raises:
        NotFound: there is none of that id.
        RepresentativeUnfit: it has ended; register anew.
        RepresentativesFull: others are there in its place.
    """
    found = account.representative(id)
    if found.standing(at, birth, rules.zone) is Standing.ENDED:
        raise RepresentativeUnfit("it has ended; register anew")
    now = replace(found, signs_care_plan=signs_care_plan, first_contact=first_contact)
    if rules.must_sign_care_plan and not now.is_signer_and_first_contact:
        return changed(account, replace(now, suspended_at=found.suspended_at or at))
    others = [each for each in account.representatives if each.id != id]
    active = [each for each in others if each.standing(at, birth, rules.zone) is not Standing.ENDED]
    if len(active) >= rules.most_representatives:
        raise RepresentativesFull(f"at most {rules.most_representatives}")
    return changed(account, replace(now, suspended_at=0))


def _require_fit(new: Representative, rules: Rules) -> None:
    if rules.must_sign_care_plan and not new.is_signer_and_first_contact:
        raise RepresentativeUnfit("the representative signs the care plan and is first contact (terms article 2.2)")


def _closing_day(over_at: int, rules: Rules) -> date:
    ended_on = datetime.fromtimestamp(over_at / 1000, UTC).astimezone(rules.zone).date()
    return ended_on + timedelta(days=rules.closing_days)


def due_before(rules: Rules, at: int) -> int:
    """Accounts whose care was over before this moment (milliseconds) are due at `at`, and no others."""
    today = datetime.fromtimestamp(at / 1000, UTC).astimezone(rules.zone).date()
    day = datetime.combine(today - timedelta(days=rules.closing_days - 1), time(), rules.zone)
    return max(int(day.timestamp() * 1000), at - rules.closing_days * _DAY_MS + 1)
