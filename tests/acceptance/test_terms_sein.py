"""The terms of use of SEIN's client portal, article by article, on its tenant file as shipped.

Over HTTP, MLLP to and from the EPD, and a clock that the tests move. deploy/guides/terms-of-use.md has the table.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pypdf
import pytest

from messaging_service.application.collections import ACCEPTANCES
from tests.contract.http_service import until
from tests.parts.hospital_terms import NOON, PROHIBITED, URGENT, Hospital, hospital, kind, ms

MENTOR = "mentor-subject"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """One running service for all articles."""
    with hospital(tmp_path_factory.mktemp("sein"), "sein") as running:
        yield running


@pytest.fixture
def sein(shared: Hospital) -> Hospital:
    """The organisation at noon on 1 March 2027."""
    shared.clock.now = NOON
    return shared


def test_article_1_1_and_2_1_clients_and_their_representative(sein: Hospital) -> None:
    """The organisation opens the account; a representative may be the only one who uses it."""
    number = sein.number()
    stranger = sein.patient(number)
    assert kind(stranger.write()) == kind(stranger.get("/v1/account")) == "account-not-opened"
    account = sein.invited(number)
    sein.register(account, MENTOR)
    representative = sein.acting(number, MENTOR)
    representative.accept()
    filed = representative.filed(representative.write())
    assert (filed["written_by"], filed["name"], filed["relation"]) == ("representative", "M. de Wit", "mentor")
    assert "Afzender: M. de Wit (vertegenwoordiger: mentor)" in sein.read_by_epd(filed["id"])


def test_article_1_3_no_use_without_acceptance(sein: Hospital) -> None:
    """Client and representative each accept for themselves; each acceptance is kept."""
    number = sein.number()
    client, account = sein.member(number), sein.invited(number)
    sein.register(account, MENTOR)
    representative = sein.acting(number, MENTOR)
    assert kind(representative.write()) == "terms-not-accepted"
    representative.accept()
    assert client.write().status == representative.write().status == 202
    kept = sein.service.run(sein.service.parts.store.find(ACCEPTANCES, "of_patient", {"patient": account}))
    assert sorted((each["role"], each["accepted"]) for each in kept) == [
        ("patient", "2019-01"),
        ("representative", "2019-01"),
    ]


def test_article_2_1_at_most_one_representative(sein: Hospital) -> None:
    """Four registrations at the same moment: one is registered; when it ends there is place for another."""
    account = sein.invited(sein.number())
    with ThreadPoolExecutor(4) as at_once:
        ends = list(at_once.map(lambda subject: sein.register(account, subject), ("a", "b", "c", "d")))
    assert sorted(map(kind, ends)) == ["200"] + ["representatives-full"] * 3
    (one,) = next(end for end in ends if end.status == 200).json["representatives"]
    template = "/v1/accounts/{account}/representatives/{representative}"
    coordinator = sein.staff("coordinator", "representatives:register")
    assert coordinator.ask("DELETE", template, account=account, representative=one["id"]).status == 200
    assert sein.register(account, "e").status == 200


@pytest.mark.parametrize("lacking", ["signs_care_plan", "first_contact"])
def test_article_2_2_signer_of_the_care_plan_and_first_contact(sein: Hospital, lacking: str) -> None:
    """Not one of both: not registered. No longer one of both: no access, until the coordinator confirms that it is."""
    number = sein.number()
    account = sein.invited(number)
    assert kind(sein.register(account, MENTOR, **{lacking: False})) == "representative-unfit"
    (one,) = sein.register(account, MENTOR).json["representatives"]
    representative = sein.acting(number, MENTOR)
    representative.accept()
    (now,) = sein.confirm(account, one["id"], **{lacking: False}).json["representatives"]
    assert now["standing"] == "suspended"
    assert kind(representative.write()) == kind(representative.get("/v1/threads")) == "not-representative"
    assert sein.confirm(account, one["id"]).json["representatives"][0]["standing"] == "active"
    assert representative.write().status == 202


def test_article_2_3_user_name_password_and_sms_code(sein: Hospital) -> None:
    """The organisation's own identity provider, both factors shown; one of them is not enough."""
    number = sein.number()
    client = sein.member(number)
    assert client.write().status == 202
    assert kind(sein.patient(number, amr=["pwd"], acr=None).get("/v1/threads")) == "insufficient-user-authentication"


def test_article_2_4_and_2_5_personal_and_not_transferable(sein: Hospital) -> None:
    """A representative of one client reaches nothing of another's."""
    number, another = sein.number(), sein.number()
    sein.register(sein.invited(number), MENTOR)
    other = sein.member(another)
    id = other.filed(other.write())["id"]
    mine = sein.acting(number, MENTOR)
    mine.accept()
    assert kind(mine.get("/v1/messages/{id}", id=id)) == "not-found"
    assert kind(sein.acting(another, MENTOR).get("/v1/threads")) == "not-representative"


def test_article_2_6_misuse_is_reported(sein: Hospital) -> None:
    """The client's report blocks the account; a representative's stops that one's access, until confirmed."""
    number = sein.number()
    client, account = sein.member(number), sein.invited(number)
    (one,) = sein.register(account, MENTOR).json["representatives"]
    representative = sein.acting(number, MENTOR)
    representative.accept()
    assert "advice" not in representative.ask("POST", "/v1/account/misuse-reports").json
    assert kind(representative.write()) == "not-representative"
    assert client.write().status == 202
    sein.confirm(account, one["id"])
    client.ask("POST", "/v1/account/misuse-reports")
    assert kind(client.write()) == kind(representative.write()) == "account-blocked"


def test_article_3_2_no_prohibited_material(sein: Hospital) -> None:
    """A text that the terms forbid is refused, with the category and the place."""
    refused = sein.member(sein.number()).write(f"Ik zeg {PROHIBITED}!")
    assert (kind(refused), refused.json["category"]) == ("prohibited", "threatening")


def test_article_3_4_the_guideline_on_online_contact(sein: Hospital) -> None:
    """The organisation knows whom it treats: the account is its own to open. Filed for who treats."""
    client = sein.member(sein.number())
    assert client.filed(client.write())["care_team"] == "neurology"


def test_article_3_5_answers_within_days_without_promise(sein: Hospital) -> None:
    """Three calendar days from a Monday: Thursday."""
    assert sein.member(sein.number()).write().json["reply_by"] == "2027-03-04"


def test_an_urgent_message_of_whom_the_terms_refuse(sein: Hospital) -> None:
    """Not opened, not accepted, suspended, not registered: refused, with the notice that fits, and on-call is told."""
    before = sein.alarms()
    assert kind(sein.patient(sein.number()).write(URGENT)) == "account-not-opened"
    number = sein.number()
    account = sein.invited(number)
    assert kind(sein.patient(number).write(URGENT)) == "terms-not-accepted"
    assert kind(sein.acting(number, MENTOR).write(URGENT)) == "not-representative"
    sein.register(account, MENTOR)
    representative = sein.acting(number, MENTOR)
    representative.accept()
    representative.ask("POST", "/v1/account/representation-changes")
    refused = representative.write(URGENT)
    assert kind(refused) == "not-representative"
    assert "Wacht niet op antwoord" in refused.json["notice"]["text"]
    until(lambda: sein.alarms() >= before + 3)  # what one writer is refused again is counted with the first alarm


def test_article_4_1_closed_at_most_four_weeks_after_the_end_of_care(sein: Hospital) -> None:
    """Client and representative, from the day that was shown; the message under way reaches the EPD."""
    number = sein.number()
    client, account = sein.member(number), sein.invited(number)
    sein.register(account, MENTOR)
    representative = sein.acting(number, MENTOR)
    representative.accept()
    sein.epd_tells("A01", number, "20270225100000+0100")
    sein.epd_tells("A03", number, "20270301100000+0100", discharged_to="EC")
    assert client.get("/v1/account").json["closing_on"] == "2027-03-29"
    sein.clock.now = ms("2027-03-28T23:59")  # the night in which summer time began
    under_way = client.write()
    sein.clock.now = ms("2027-03-29T00:00")
    assert kind(client.write()) == kind(representative.write()) == "account-closed"
    assert sein.read_by_epd(under_way.json["id"])


def test_article_4_2_closed_on_the_clients_request(sein: Hospital) -> None:
    """The client's ends both, a representative's only their own."""
    number = sein.number()
    client, account = sein.member(number), sein.invited(number)
    sein.register(account, MENTOR)
    representative = sein.acting(number, MENTOR)
    representative.accept()
    assert representative.ask("DELETE", "/v1/account").json["state"] == "open"
    assert kind(representative.write()) == "not-representative"
    assert client.write().status == 202
    assert client.ask("DELETE", "/v1/account").json["state"] == "closed"
    assert kind(client.get("/v1/threads")) == "account-closed"


def test_article_4_3_blocked_or_ended_without_reasons(sein: Hospital) -> None:
    """Blocked and unblocked by the moderator; nothing says why."""
    number = sein.number()
    client, account = sein.member(number), sein.invited(number)
    moderator, block = sein.staff("moderator", "accounts:block"), "/v1/accounts/{account}/block"
    moderator.ask("PUT", block, account=account)
    assert client.write().json["detail"] == "This account is blocked. Call the hospital."
    moderator.ask("DELETE", block, account=account)
    assert client.write().status == 202


def test_article_4_4_changes_are_reported_to_the_coordinator(sein: Hospital) -> None:
    """The mentor reports one, or the coordinator hears of one: no access until the coordinator confirms."""
    number = sein.number()
    account = sein.invited(number)
    (one,) = sein.register(account, MENTOR).json["representatives"]
    representative = sein.acting(number, MENTOR)
    representative.accept()
    reported = representative.ask("POST", "/v1/account/representation-changes")
    assert reported.json["representatives"][0]["standing"] == "suspended"
    assert kind(representative.write()) == "not-representative"
    sein.confirm(account, one["id"])
    assert representative.write().status == 202
    template = "/v1/accounts/{account}/representatives/{representative}/confirmation"
    coordinator = sein.staff("coordinator", "representatives:confirm")
    assert coordinator.ask("DELETE", template, account=account, representative=one["id"]).status == 200
    assert kind(representative.get("/v1/threads")) == "not-representative"


def test_parents_until_sixteen(sein: Hospital) -> None:
    """Under 12 the parent, from 12 the child and with its consent the parent, from 16 no parent (BW 7:447, 7:450)."""
    number = sein.number()
    account = sein.invited(number)
    listed = sein.register(account, "parent", relation="parent", patient_born_on="2015-03-02")
    (one,) = listed.json["representatives"]
    child, parent = sein.patient(number), sein.acting(number, "parent")
    parent.accept()
    sein.clock.now = ms("2027-03-01T23:59")
    written = parent.write()
    assert kind(child.get("/v1/terms")) == "too-young"
    sein.clock.now = ms("2027-03-02T00:00")
    assert kind(parent.write()) == "not-representative"
    child.accept()
    assert child.filed(written)["relation"] == "parent"
    consent = "/v1/account/representatives/{representative}/consent"
    assert child.ask("PUT", consent, {"given": True}, representative=one["id"]).status == 200
    assert parent.write().status == 202
    sein.clock.now = ms("2031-03-02T00:00")
    assert kind(parent.write()) == "not-representative"
    assert kind(child.write()) == "terms-not-accepted"


def test_article_5_1_least_scope_and_every_look_written_down(sein: Hospital) -> None:
    """The coordinator registers and does not close; the office opens and does not register; looks are logged."""
    number = sein.number()
    account = sein.invited(number)
    coordinator = sein.staff("coordinator", "accounts:close", "accounts:read")
    assert kind(coordinator.ask("DELETE", "/v1/accounts/{account}", account=account)) == "insufficient-scope"
    found = coordinator.ask("POST", "/v1/account-searches", {"identifiers": {"local": number}})
    assert found.json["id"] == account
    assert ("coordinator", "read") in [(each["role"], each["action"]) for each in sein.access_log(account)]


def test_article_5_3_what_is_downloaded_is_the_clients_to_guard(sein: Hospital) -> None:
    """The sentence stands beside the export and in it; both forms hold what was written, by whom, since when filed."""
    client = sein.member(sein.number())
    asked = client.filed(client.write(URGENT))
    said = client.get("/v1/export/notice").json["text"]
    exported = client.get("/v1/export").json
    assert exported["notice"] == said
    ((message,),) = (thread["messages"] for thread in exported["threads"])
    assert (message["body"], message["filed_at"]) == (asked["body"], asked["filed_at"])
    assert {"notice", "urgent"}.isdisjoint(message)
    printed = client.get("/v1/export", query="?format=pdf").body
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(printed)).pages)
    assert all(
        words in " ".join(text.split()) for words in (said, asked["body"], asked["name"], "in het dossier sinds")
    )


def test_article_7_every_login_is_registered(sein: Hospital) -> None:
    """Counted by the day, clients and representatives apart."""
    number, auditor = sein.number(), sein.staff("auditor", "logins:count")
    sein.register(sein.invited(number), MENTOR)
    sein.clock.now = ms("2027-03-20T12:00")
    at = ms("2027-03-20T11:59") // 1000
    sein.acting(number, MENTOR, sid="one", auth_time=at, iat=at).get("/v1/terms")
    until(lambda: auditor.get("/v1/logins").json["days"][0]["representatives"] == 1)


def test_article_7_filed_in_the_record(sein: Hospital) -> None:
    """What the client enters is filed, and the filing is proved by the EPD's acknowledgement."""
    client = sein.member(sein.number())
    assert client.filed(client.write())["status"] == "filed"


def test_article_10_a_new_version_asks_again(sein: Hospital) -> None:
    """From the day on which it holds nothing is posted before it is accepted."""
    client = sein.member(sein.number())
    sein.clock.now = ms("2030-01-01T00:00")
    assert kind(client.write()) == "terms-not-accepted"
    client.accept()
    assert client.write().status == 202
