"""The notices: always 112, the right numbers for the topic, in the patient's language."""

from __future__ import annotations

import pytest

from messaging_service.screening.notices import general_notice, notice_for


@pytest.mark.parametrize("language", ["nl", "en", "de", "fr", "tr", "pl", "ar", "nl-BE", "", "zz", "topics"])
def test_every_notice_names_112(language: str) -> None:
    """Whatever the language string, the general and the fitting notice name 112."""
    assert "112" in general_notice(language).text
    assert notice_for(["cardiac"], language).numbers[0] == "112"


def test_suicidality_and_violence_have_their_own_numbers() -> None:
    """113 and Veilig Thuis stand beside 112 for the topics they are for, and for no other."""
    assert notice_for(["suicidality"], "nl").numbers == ("112", "0800-0113", "113")
    assert notice_for(["domestic_violence"], "nl").numbers == ("112", "0800-2000")
    assert notice_for(["cardiac"], "nl").numbers == ("112",)


def test_own_wording_cannot_drop_112() -> None:
    """A hospital's own words are shown, and where they lack 112 the built-in line follows."""
    notice = notice_for(["cardiac"], "nl", {"emergency": "Bel de afdeling."})
    assert notice.text.startswith("Bel de afdeling.")
    assert "112" in notice.text


@pytest.mark.parametrize(
    ("own", "begins"),
    [
        ("Bel de afdeling", "Bel de afdeling. Uw bericht kan"),
        ("Bel nu 112", "Bel nu 112. Bel anders nu de afdeling"),
        ("Nood? Bel nu 112!", "Nood? Bel nu 112! Bel anders nu de afdeling"),
    ],
)
def test_own_wording_without_a_full_stop_does_not_run_on(own: str, begins: str) -> None:
    """A hospital's own line ends before the next one begins, whatever sign it lacks."""
    assert notice_for(["eye"], "nl", {"emergency": own}).text.startswith(begins)
