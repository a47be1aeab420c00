"""The terms of use of Spijkenisse Medisch Centrum, article by article, on its tenant file as shipped.

Over HTTP, MLLP to and from the EPD, and a clock that the tests move. deploy/guides/terms-of-use.md has the table.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import pypdf
import pytest

from messaging_service.application.collections import ACCEPTANCES
from tests.contract.http_service import until
from tests.parts.hospital_terms import NOON, PROHIBITED, URGENT, Hospital, hospital, kind, ms

MENTOR = "mentor-subject"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """One running service for all articles."""
    with hospital(tmp_path_factory.mktemp("spijkenisse"), "spijkenisse") as running:
        yield running


@pytest.fixture
def smc(shared: Hospital) -> Hospital:
    """The hospital at noon on 1 March 2027."""
    shared.clock.now = NOON
    return shared


def test_article_1_1_open_to_patients_and_representatives(smc: Hospital) -> None:
    """Both write under their own login, and who wrote is shown to the patient and filed in the EPD."""
    number = smc.number()
    patient, account = smc.member(number), smc.invited(number)
    representative = smc.acting(number, MENTOR)
    assert kind(representative.write()) == "not-representative"
    assert smc.register(account, MENTOR).status == 200
    assert representative.accept().status == 200
    own, acted = patient.filed(patient.write()), representative.filed(representative.write())
    assert (own["written_by"], own["name"]) == ("patient", "Jansen")
    assert (acted["written_by"], acted["name"], acted["relation"]) == ("representative", "M. de Wit", "mentor")
    assert "Afzender: Jansen (patiënt)" in smc.read_by_epd(own["id"])
    assert "Afzender: M. de Wit (vertegenwoordiger: mentor)" in smc.read_by_epd(acted["id"])


def test_article_1_3_no_use_without_acceptance(smc: Hospital) -> None:
    """Refused with where to accept; accepted, kept as evidence; a version that does not exist is no acceptance."""
    number = smc.number()
    patient = smc.patient(number)
    refused = patient.write()
    assert kind(refused) == "terms-not-accepted"
    assert refused.json["terms"] == {"version": "2018-05", "accept_at": "/v1/terms"}
    assert kind(patient.get("/v1/threads")) == "terms-not-accepted"
    assert "nl" in patient.get("/v1/terms").json["texts"]
    for version, language in (("2017-01", "nl"), ("2018-05", "fy")):
        acceptance = {"version": version, "language": language}
        assert kind(patient.ask("POST", "/v1/terms", acceptance)) == "terms-unknown"
    assert patient.accept().json == {**patient.get("/v1/terms").json, "to_accept": False}
    smc.epd_tells("A01", number, "20270301110000+0100")
    assert patient.write().status == 202
    find = smc.service.parts.store.find(ACCEPTANCES, "of_patient", {"patient": smc.invited(number)})
    (evidence,) = smc.service.run(find)
    assert (evidence["accepted"], evidence["language"], evidence["at"]) == ("2018-05", "nl", NOON)


def test_article_2_1_and_2_2_access_by_digid(smc: Hospital) -> None:
    """User name, password and SMS code (DigiD Midden) get in; the password alone does not, and is told what would."""
    number = smc.number()
    weak = smc.patient(number, acr="urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport")
    refused = weak.get("/v1/terms")
    assert kind(refused) == "insufficient-user-authentication"
    assert refused.json["acr_values"][0].endswith("MobileTwoFactorContract")
    assert smc.member(number).write().status == 202


def test_article_2_3_to_2_5_personal_and_not_transferable(smc: Hospital) -> None:
    """One patient's token reaches nothing of another's, and is worth nothing at the other hospital."""
    mine, other = smc.member(smc.number()), smc.member(smc.number())
    id = mine.filed(mine.write())["id"]
    assert kind(other.get("/v1/messages/{id}", id=id)) == "not-found"
    assert kind(other.write(thread=id)) == "not-found"


def test_article_2_6_misuse_is_reported(smc: Hospital) -> None:
    """Blocked at once, every request; the answer points to DigiD as well; the moderator unblocks."""
    number = smc.number()
    patient, account = smc.member(number), smc.invited(number)
    told = patient.ask("POST", "/v1/account/misuse-reports")
    assert told.json["blocked"]
    assert "DigiD" in told.json["advice"]
    assert kind(patient.write()) == kind(patient.get("/v1/threads")) == "account-blocked"
    assert patient.get("/v1/account").json["state"] == "blocked"
    moderator = smc.staff("moderator", "accounts:block")
    assert moderator.ask("DELETE", "/v1/accounts/{account}/block", account=account).status == 200
    assert patient.write().status == 202


def test_article_3_1_and_3_3_said_where_one_writes(smc: Hospital) -> None:
    """The compose notice is there for everybody who is logged in, before any acceptance."""
    notice = smc.patient(smc.number()).get("/v1/compose-notice").json["notice"]
    assert "huisarts" in notice["text"]


def test_article_3_2_no_prohibited_material(smc: Hospital) -> None:
    """A text that the terms forbid is refused, with the category and the place."""
    refused = smc.member(smc.number()).write(f"Ik zeg {PROHIBITED}!")
    assert (kind(refused), refused.json["category"]) == ("prohibited", "threatening")


def test_article_3_4_within_a_treatment_relation(smc: Hospital) -> None:
    """Who was never treated here is refused, an urgent one with alarm; once the EPD tells of a visit it is filed."""
    number, before = smc.number(), smc.alarms()
    patient = smc.patient(number)
    patient.accept()
    refused, urgent = patient.write(), patient.write(URGENT)
    assert (kind(refused), refused.status) == (kind(urgent), urgent.status) == ("no-treatment-relation", 403)
    until(lambda: smc.alarms() == before + 1)
    smc.epd_tells("A01", number, "20270301110000+0100")
    assert patient.filed(patient.write())["care_team"] == "cardiology"


def test_article_3_5_answers_within_days_without_promise(smc: Hospital) -> None:
    """Three working days from a Monday: Thursday."""
    assert smc.member(smc.number()).write().json["reply_by"] == "2027-03-04"


def test_article_3_6_filed_as_written(smc: Hospital) -> None:
    """What the patient wrote is what the clinician reads."""
    patient = smc.member(smc.number())
    text = "Sinds de pleister | jeukt het ^ erg & ik slaap slecht."
    assert text in smc.read_by_epd(patient.filed(patient.write(text))["id"])


def test_article_3_7_urgent_is_not_for_the_portal(smc: Hospital) -> None:
    """The notice at once and the alarm, also from one whom account and terms refuse."""
    patient = smc.member(smc.number())
    before = smc.alarms()
    assert "112" in patient.write(URGENT).json["notice"]["text"]
    refused = smc.patient(smc.number()).write(URGENT)
    assert kind(refused) == "terms-not-accepted"
    assert "Wacht niet op antwoord" in refused.json["notice"]["text"]
    patient.ask("DELETE", "/v1/account")
    assert kind(patient.write(URGENT)) == "account-closed"
    until(lambda: smc.alarms() >= before + 3)


def test_article_4_1_closed_at_most_four_weeks_after_death(smc: Hospital) -> None:
    """The EPD tells of the death: `closing_on` is shown, on that day it is closed, for the representative as well."""
    number = smc.number()
    patient, account = smc.member(number), smc.invited(number)
    smc.register(account, MENTOR)
    representative = smc.acting(number, MENTOR)
    representative.accept()
    smc.epd_tells("A08", number, "20270301100000+0100", died="20270228", dead="Y", visit="", ward="")
    shown = patient.get("/v1/account").json
    assert (shown["state"], shown["closing_on"]) == ("closing", "2027-03-28")
    smc.clock.now = ms("2027-03-27T23:59")
    under_way = representative.write()
    assert under_way.status == 202
    smc.clock.now = ms("2027-03-28T00:00")
    for who in (patient, representative):
        assert kind(who.write()) == kind(who.get("/v1/threads")) == "account-closed"
    assert "vertegenwoordiger" in smc.read_by_epd(under_way.json["id"])


def test_article_4_1_closed_after_the_end_of_care_unless_it_goes_on(smc: Hospital) -> None:
    """Discharged for good: closing. A new visit before the day: open. After the day: opened by writing again."""
    number = smc.number()
    patient = smc.member(number)
    smc.epd_tells("A01", number, "20270225100000+0100")
    smc.epd_tells("A03", number, "20270226100000+0100", discharged_to="EC")
    assert patient.get("/v1/account").json["closing_on"] == "2027-03-26"
    smc.epd_tells("A01", number, "20270227100000+0100", visit="W1")
    assert patient.get("/v1/account").json["state"] == "open"
    smc.epd_tells("A03", number, "20270228100000+0100", visit="W1", discharged_to="EC")
    smc.clock.now = ms("2027-03-28T00:00")
    assert kind(patient.write()) == "account-closed"
    smc.epd_tells("A01", number, "20270401100000+0200", visit="W2")
    assert patient.get("/v1/account").json["state"] == "invited"
    assert kind(patient.write()) == "terms-not-accepted"
    patient.accept()
    assert patient.write().status == 202


def test_article_4_2_closed_on_the_patients_request(smc: Hospital) -> None:
    """The patient's ends both; a representative's ends only their own; what was accepted reaches the EPD."""
    number = smc.number()
    patient, account = smc.member(number), smc.invited(number)
    for subject in (MENTOR, "other-subject"):
        smc.register(account, subject)
        smc.acting(number, subject).accept()
    one, other = smc.acting(number, MENTOR), smc.acting(number, "other-subject")
    assert one.ask("DELETE", "/v1/account").status == 200
    assert kind(one.write()) == "not-representative"
    assert other.write().status == patient.write().status == 202
    accepted = patient.write()
    assert patient.ask("DELETE", "/v1/account").json["state"] == "closed"
    assert kind(patient.write()) == kind(other.write()) == "account-closed"
    assert smc.read_by_epd(accepted.json["id"])
    smc.invited(number)
    assert kind(patient.write()) == "terms-not-accepted"


def test_article_4_2_a_representative_ends_nobody_elses_access(smc: Hospital) -> None:
    """Neither the patient's account nor another representative; the patient ends any of them."""
    number = smc.number()
    patient, account = smc.member(number), smc.invited(number)
    smc.register(account, MENTOR)
    listed = smc.register(account, "other-subject").json["representatives"]
    one = smc.acting(number, MENTOR)
    one.accept()
    template = "/v1/account/representatives/{representative}"
    others = listed[1]["id"]
    assert kind(one.ask("DELETE", template, representative=others)) == "forbidden"
    assert len(patient.ask("DELETE", template, representative=others).json["representatives"]) == 1


def test_article_4_3_blocked_or_ended_without_reasons(smc: Hospital) -> None:
    """The moderator blocks, the appointments office ends; the patient is told neither why nor by whom."""
    number = smc.number()
    patient, account = smc.member(number), smc.invited(number)
    moderator = smc.staff("moderator", "accounts:block")
    assert moderator.ask("PUT", "/v1/accounts/{account}/block", account=account).json["state"] == "blocked"
    refused = patient.write()
    assert refused.json["detail"] == "This account is blocked. Call the hospital."
    office = smc.staff("appointments-office", "accounts:close")
    assert office.ask("DELETE", "/v1/accounts/{account}", account=account).json["state"] == "closed"
    assert kind(patient.write()) == "account-closed"


def test_article_5_1_staff_sees_what_its_work_needs(smc: Hospital) -> None:
    """An account shows no content; each role does its own part alone; every look is written down."""
    account = smc.invited(smc.number())
    one = "/v1/accounts/{account}"
    assert kind(smc.staff("moderator", "accounts:close").ask("DELETE", one, account=account)) == "insufficient-scope"
    assert kind(smc.staff("auditor", "accounts:read").get(one, account=account)) == "insufficient-scope"
    shown = smc.staff("coordinator", "accounts:read").get(one, account=account).json
    assert set(shown) == {"id", "state", "representatives"}
    logged = [(each["role"], each["action"], each["object_kind"]) for each in smc.access_log(account)]
    assert ("coordinator", "read", "account") in logged


def test_article_5_2_in_the_record_for_those_who_treat(smc: Hospital) -> None:
    """Filed in the EPD; routed to the team that treats the patient, as the EPD told."""
    number = smc.number()
    patient = smc.member(number)
    filed = patient.filed(patient.write())
    assert (filed["status"], filed["care_team"]) == ("filed", "cardiology")


def test_article_5_2_private_to_the_patient(smc: Hospital) -> None:
    """A thread that the patient keeps private is not there for a representative, however asked for; the EPD has it."""
    number = smc.number()
    patient, account = smc.member(number), smc.invited(number)
    smc.register(account, MENTOR)
    representative = smc.acting(number, MENTOR)
    representative.accept()
    shared, private = [patient.filed(patient.write(private=each))["id"] for each in (False, True)]
    listed = representative.get("/v1/threads")
    assert private.encode() not in listed.body
    assert [thread["id"] for thread in listed.json["threads"]] == [shared]
    for template in ("/v1/threads/{id}", "/v1/messages/{id}"):
        assert kind(representative.get(template, id=private)) == "not-found"
        assert representative.get(template, id=shared).status == 200
    assert kind(representative.write(thread=private)) == "not-found"
    assert kind(representative.ask("PUT", "/v1/threads/{id}/privacy", {"private": False}, id=private)) == "forbidden"
    assert patient.ask("PUT", "/v1/threads/{id}/privacy", {"private": False}, id=private).status == 200
    assert representative.get("/v1/threads/{id}", id=private).status == 200
    assert smc.read_by_epd(private)
    until(lambda: {shared, private} <= set(smc.portal_told()))
    assert smc.portal_told()[private].get("private")
    assert "private" not in smc.portal_told()[shared]


def test_article_5_4_what_is_downloaded_is_the_patients_to_guard(smc: Hospital) -> None:
    """The sentence stands beside the export and in it; both forms hold what was written, by whom, since when filed."""
    patient = smc.member(smc.number())
    asked = patient.filed(patient.write(URGENT))
    said = patient.get("/v1/export/notice").json["text"]
    exported = patient.get("/v1/export").json
    assert exported["notice"] == said
    ((message,),) = (thread["messages"] for thread in exported["threads"])
    assert (message["body"], message["filed_at"]) == (asked["body"], asked["filed_at"])
    assert {"notice", "urgent"}.isdisjoint(message)
    printed = patient.get("/v1/export", query="?format=pdf").body
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(printed)).pages)
    assert all(
        words in " ".join(text.split()) for words in (said, asked["body"], asked["name"], "in het dossier sinds")
    )


def test_article_7_what_is_entered_becomes_part_of_the_record(smc: Hospital) -> None:
    """Every change of an account and every reading is in the access log, under a pseudonym; the patient can ask."""
    number = smc.number()
    patient, account = smc.member(number), smc.invited(number)
    patient.get("/v1/messages/{id}", id=patient.filed(patient.write())["id"])
    entries = smc.access_log(account)
    assert {("create", "message"), ("read", "message"), ("update", "account")} <= {
        (each["action"], each["object_kind"]) for each in entries
    }
    assert "spijkenisse-" not in repr(entries)
    told = patient.get("/v1/access-log").json["entries"]
    assert ("patient", "read", "message") in [(each["role"], each["action"], each["kind"]) for each in told]
    auditor, who = smc.staff("auditor", "access-log:read"), {"identifiers": {"local": number}}
    newest = auditor.ask("POST", "/v1/access-log-searches", who).json["entries"][0]
    assert (newest["kind"], newest["role"], newest["event"]) == ("access_log", "patient", "DCM:110101")


def test_article_7_every_login_is_registered(smc: Hospital) -> None:
    """Counted by the day at the hospital: one login once, however many requests come of it."""
    auditor = smc.staff("auditor", "logins:count")

    def logins() -> int:
        return int(auditor.get("/v1/logins").json["days"][0]["patients"])

    smc.clock.now = ms("2027-03-20T12:00")
    at = ms("2027-03-20T11:59") // 1000
    patient = smc.patient(smc.number(), sid="one", auth_time=at, iat=at)
    for _ in range(3):
        patient.get("/v1/terms")
    until(lambda: logins() == 1)


def test_article_8_personal_data_is_corrected_and_removed(smc: Hospital) -> None:
    """By the appointments office alone, and written down; what the patient wrote stays, and writing goes on."""
    number = smc.number()
    patient, account = smc.member(number), smc.invited(number)
    id = patient.filed(patient.write())["id"]
    office, path = smc.staff("appointments-office", "personal-data:change"), "/v1/accounts/{account}/personal-data"
    assert kind(smc.staff("coordinator", "personal-data:change").get(path, account=account)) == "insufficient-scope"
    corrected = office.ask("PUT", path, {"name": "A. Jansen-de Vries"}, account=account)
    assert corrected.json == office.get(path, account=account).json == {"name": "A. Jansen-de Vries"}
    assert office.ask("DELETE", path, account=account).json == office.get(path, account=account).json == {"name": ""}
    logged = [each["action"] for each in smc.access_log(account) if each["object_kind"] == "personal_data"]
    assert logged == ["update", "read", "delete", "read"]
    assert patient.get("/v1/messages/{id}", id=id).status == 200
    patient.filed(patient.write())


def test_article_11_a_new_version_asks_again(smc: Hospital) -> None:
    """From the day on which it holds nothing is posted before it is accepted; what is there can be read meanwhile."""
    patient = smc.member(smc.number())
    id = patient.filed(patient.write())["id"]
    smc.clock.now = ms("2029-12-31T23:59")
    assert patient.write().status == 202
    smc.clock.now = ms("2030-01-01T00:00")
    refused = patient.write()
    assert (kind(refused), refused.json["terms"]["version"]) == ("terms-not-accepted", "next")
    assert patient.get("/v1/messages/{id}", id=id).status == 200
    assert patient.get("/v1/terms").json["accepted"] == "2018-05"
    old = {"version": "2018-05", "language": "nl"}
    assert kind(patient.ask("POST", "/v1/terms", old)) == "terms-unknown"
    patient.accept()
    assert patient.write().status == 202
