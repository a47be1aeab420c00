"""A tenant's [epd] table: the policy and the forms of filing, as an integrator writes them in TOML."""

from __future__ import annotations

from pathlib import Path

import pytest

from messaging_service.domain.errors import SettingInvalid
from messaging_service.epd.acknowledgement import AckCode, Acknowledgement, Unanswered
from messaging_service.epd.policy import Action
from messaging_service.epd.render import DocumentTemplate
from messaging_service.tenants import Epd
from messaging_service.tenants.reading import load_tenant
from tests.unit.epd.documents import DOCUMENT

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "tenants" / "spijkenisse.toml"
NAMES = ("ISSUER", "JWKS", "STAFF_ISSUER", "STAFF_JWKS", "EPD", "ON_CALL", "ON_CALL_SECRET")
ENVIRONMENT = {f"SPIJKENISSE_{name}": "mllp://127.0.0.1:2575" for name in NAMES}


def epd_of(tmp_path: Path, epd: str = "", profile: str = "", policy: str = "") -> Epd:
    """The [epd] table of the shipped file with these lines added to it, to its profile and after it."""
    text = SHIPPED.read_text("utf-8").replace("[epd.profile]", f"{epd}\n[epd.profile]\n{profile}")
    text = text.replace("[on_call]", f"{policy}\n[on_call]")
    path = tmp_path / "spijkenisse.toml"
    path.write_text(text, "utf-8")
    return load_tenant(path, ENVIRONMENT).epd


def answer(code: str, error: str = "") -> Acknowledgement:
    return Acknowledgement(AckCode(code), "K1", error, "")


def test_a_policy_of_the_sites_own(tmp_path: Path) -> None:
    """Codes, errors, caps, alerts and what is unknown: each line of the file decides as it says."""
    policy = epd_of(
        tmp_path,
        policy="""
        [epd.policy]
        on_unknown = "park"
        unknown_cap = 2
        [[epd.policy.rules]]
        codes = ["AA", "CA"]
        action = "filed"
        [[epd.policy.rules]]
        codes = ["AE"]
        errors = ["205"]
        action = "filed"
        [[epd.policy.rules]]
        codes = ["AE", "AR"]
        action = "retry"
        cap = 2
        alert = true
        """,
    ).policy
    assert policy.judge(answer("AE", "205"), 1).action is Action.FILED
    again = policy.judge(answer("AE", "204"), 1)
    assert (again.action, again.alert) == (Action.RETRY, False)
    given_up = policy.judge(answer("AR"), 2)
    assert (given_up.action, given_up.alert) == (Action.PARK, True)
    assert policy.judge(answer("CE"), 1).action is Action.PARK
    assert policy.judge_unknown(Unanswered.TIMEOUT, 1).action is Action.PARK


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('[[epd.policy.rules]]\ncodes = ["AE"]\naction = "retry"', "needs a cap"),
        ('[[epd.policy.rules]]\ncodes = []\naction = "filed"', "needs codes"),
        ('[[epd.policy.rules]]\ncodes = ["XX"]\naction = "filed"', "rules[0].codes"),
        ('[[epd.policy.rules]]\ncodes = ["AE"]\naction = "drop"', "rules[0].action"),
        ("[epd.policy]\nunknown_cap = 0", "unknown_cap"),
        ('[epd.policy]\non_unknown = "forget"', "on_unknown"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(tmp_path: Path, lines: str, says: str) -> None:
    """A retry without an end, a rule about nothing, an unknown code or action: named when the file is read."""
    with pytest.raises(SettingInvalid) as raised:
        epd_of(tmp_path, policy=lines)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("profile", "sent"),
    [
        ('message = "ORU^R01"', b"ORU^R01^ORU_R01"),
        ('recipient_fields = ["PV1-3", "ROL"]', b"MDM^T02^MDM_T02"),
        ('correction = "T08"\nsend_bsn = false\ntext_as = "FT"\nmax_line = 72', b"MDM^T02^MDM_T02"),
    ],
)
def test_every_form_can_be_asked_for(tmp_path: Path, profile: str, sent: bytes) -> None:
    """The profile's settings load from TOML and compile, hl7apy agreeing."""
    compiled = DocumentTemplate.compile(epd_of(tmp_path, profile=profile).profile)
    assert sent in compiled.render(DOCUMENT)


def test_a_second_answer_needs_somewhere_to_come(tmp_path: Path) -> None:
    """`application_ack_on` the listener without a listener would leave every message unproved."""
    profile = 'enhanced = true\naccept_ack = "AL"'
    with pytest.raises(SettingInvalid, match=r"no \[epd.listener\]"):
        epd_of(tmp_path, epd='application_ack_on = "listener"', profile=profile)
    assert epd_of(tmp_path, profile=profile).answers_twice_here


def test_whose_answer_it_is(tmp_path: Path) -> None:
    """The EPD's own unless the file says that an engine answers; anything else is refused."""
    assert epd_of(tmp_path).acknowledged_by == "epd"
    assert epd_of(tmp_path, epd='acknowledged_by = "engine"').acknowledged_by == "engine"
    with pytest.raises(SettingInvalid, match="acknowledged_by"):
        epd_of(tmp_path, epd='acknowledged_by = "nobody"')
