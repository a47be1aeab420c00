"""What follows an answer of the EPD: a table per site, because receivers use the codes differently."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from messaging_service.epd.acknowledgement import AckCode, Acknowledgement, Unanswered


class Action(StrEnum):
    """What happens to the message."""

    FILED = "filed"
    RETRY = "retry"
    PARK = "park"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do now. `reason` is a short code for lists and metrics; `alert` asks for a person at once.

    `same_control_id`: send again under the same MSH-10, as a receiver may replay the answer it stored;
    otherwise the next attempt takes a new one. TXA-12 stays the same always.
    """

    action: Action
    reason: str
    alert: bool = False
    same_control_id: bool = False


@dataclass(frozen=True, slots=True)
class AckRule:
    """One line of the table: these codes, with these errors (none given: any), lead to `action`.

    A retry ends in parking once `cap` attempts were made.
    """

    codes: tuple[AckCode, ...]
    action: Action
    errors: tuple[str, ...] = ()
    cap: int = 0
    alert: bool = False

    def __post_init__(self) -> None:
        """A retry has an end, and something it is about."""
        if not self.codes:
            raise ValueError("a rule needs codes")
        if self.action is Action.RETRY and self.cap < 1:
            raise ValueError("a rule that retries needs a cap of at least 1")

    def applies(self, answer: Acknowledgement) -> bool:
        """Whether this line is about `answer`."""
        return answer.code in self.codes and (not self.errors or answer.error in self.errors)


RECORD_LOCKED, INTERNAL_ERROR = "206", "207"
"""HL7 table 0357: errors that say "not now" although the code says "not this message"."""

DEFAULT_RULES = (
    AckRule((AckCode.AA, AckCode.CA), Action.FILED),
    AckRule((AckCode.AE, AckCode.CE), Action.RETRY, errors=(RECORD_LOCKED, INTERNAL_ERROR), cap=4),
    AckRule((AckCode.AE, AckCode.CE), Action.PARK),
    AckRule((AckCode.AR, AckCode.CR), Action.RETRY, cap=4, alert=True),
)


@dataclass(frozen=True, slots=True)
class AckPolicy:
    """The site's table; the first line that applies counts, and what no line covers is parked.

    After *sent, ACK unknown* the site chose: send again (same ids) up to `unknown_cap` attempts, or park at
    once.
    """

    rules: tuple[AckRule, ...] = DEFAULT_RULES
    on_unknown: Literal["resend", "park"] = "resend"
    unknown_cap: int = 4

    def __post_init__(self) -> None:
        """What is unknown is counted from 1."""
        if self.unknown_cap < 1:
            raise ValueError("unknown_cap must be at least 1")

    def judge(self, answer: Acknowledgement, attempts: int) -> Verdict:
        """The verdict on an answer; `attempts` counts this one too (1 for the first)."""
        reason = f"{answer.code}-{answer.error}" if answer.error else str(answer.code)
        for rule in self.rules:
            if rule.applies(answer):
                return _capped(rule, reason, attempts)
        return Verdict(Action.PARK, reason, alert=True)

    def judge_unknown(self, why: Unanswered, attempts: int) -> Verdict:
        """The verdict on *sent, ACK unknown*; `attempts` counts this one too."""
        reason = f"ack-unknown-{why}"
        if self.on_unknown == "resend" and attempts < self.unknown_cap:
            return Verdict(Action.RETRY, reason, same_control_id=True)
        return Verdict(Action.PARK, reason, alert=True)


def _capped(rule: AckRule, reason: str, attempts: int) -> Verdict:
    if rule.action is Action.RETRY and attempts >= rule.cap:
        return Verdict(Action.PARK, reason, alert=rule.alert)
    return Verdict(rule.action, reason, alert=rule.alert and rule.action is not Action.RETRY)
