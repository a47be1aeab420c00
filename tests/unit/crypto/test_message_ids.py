"""Message ids are the same for the same request, and recognised as one patient's without a look-up."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging_service.crypto.keyring import fields_digest
from messaging_service.crypto.message_ids import is_issued_to, issue

KEY = bytes(range(32))
DIGEST = fields_digest("Sporten", "Wanneer?")


@given(st.text(), st.text(), st.none() | st.text(), st.binary(min_size=32, max_size=32))
def test_an_issued_id_is_recognised(tenant: str, patient: str, retry: str | None, digest: bytes) -> None:
    """Every id has the 26 characters of its alphabet and belongs to its patient."""
    message_id = issue(KEY, tenant, patient, retry, digest)
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", message_id)
    assert is_issued_to(KEY, tenant, patient, message_id)


def test_a_retry_has_the_same_id() -> None:
    """The same request under the same idempotency key, be it empty, is the same message on any gateway."""
    for retry in ("retry", ""):
        assert issue(KEY, "t", "p", retry, DIGEST) == issue(KEY, "t", "p", retry, DIGEST)


def test_without_an_idempotency_key_every_message_is_new() -> None:
    """Two equal requests without a key are two messages."""
    assert issue(KEY, "t", "p", None, DIGEST) != issue(KEY, "t", "p", None, DIGEST)


@pytest.mark.parametrize(
    "other",
    [
        (KEY, "x", "p", "retry", DIGEST),
        (KEY, "t", "x", "retry", DIGEST),
        (KEY, "t", "p", "other", DIGEST),
        (KEY, "t", "p", "", DIGEST),
        (KEY, "t", "p", "retry", fields_digest("Sporten", "Wanneer dan?")),
        (bytes(32), "t", "p", "retry", DIGEST),
    ],
)
def test_whatever_differs_gives_another_r(other: tuple[bytes, str, str, str | None, bytes]) -> None:
    """Another tenant, patient, idempotency key, body or ids key gives another message."""
    assert issue(KEY, "t", "p", "retry", DIGEST)[:12] != issue(*other)[:12]


@pytest.mark.parametrize(("tenant", "patient"), [("x", "p"), ("t", "x"), ("tp", "")])
@pytest.mark.parametrize("retry", [None, "retry"])
def test_an_id_is_no_other_patients(tenant: str, patient: str, retry: str | None) -> None:
    """An id does not pass at another patient, at another tenant, or where the two names concatenate alike."""
    message_id = issue(KEY, "t", "p", retry, DIGEST)
    assert not is_issued_to(KEY, tenant, patient, message_id)


def test_an_id_of_another_keyring_is_not_recognised() -> None:
    """Without the ids key no id can be made up."""
    assert not is_issued_to(KEY, "t", "p", issue(bytes(32), "t", "p", None, DIGEST))


def test_every_changed_character_is_found() -> None:
    """No character of R or T can be replaced, not even by its lower case."""
    message_id = issue(KEY, "t", "p", None, DIGEST)
    for at, character in enumerate(message_id):
        for other in {"0", "1", "Z", "U", "é", character.lower()} - {character}:
            assert not is_issued_to(KEY, "t", "p", message_id[:at] + other + message_id[at + 1 :])
    assert not is_issued_to(KEY, "t", "p", message_id + "é")


@given(st.text(max_size=40))
def test_any_text_may_be_asked_about(text: str) -> None:
    """What a portal sends in the place of an id is answered with no, whatever it is."""
    assert not is_issued_to(KEY, "t", "p", text)


def test_random_ids_spread_over_the_alphabet() -> None:
    """All 32 characters occur at every position of R and T: no bits are lost on the way."""
    ids = [issue(KEY, "t", "p", None, DIGEST) for _ in range(1000)]
    assert all(len({message_id[at] for message_id in ids}) == 32 for at in range(26))


def test_fields_digest_tells_fields_apart() -> None:
    """Order, boundaries and the difference between nothing and an empty field all count."""
    digests = [fields_digest(*f) for f in (("a", "b"), ("b", "a"), ("ab", ""), ("ab", None), ("ab",), ())]
    assert len(set(digests)) == 6
    assert fields_digest("\ud800") != fields_digest("\ud801")
