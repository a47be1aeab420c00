"""A sealed field opens with its key, at its place, unchanged; and in no other way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging_service.crypto import sealing
from messaging_service.crypto.sealing import Place, key_id_of, seal, unseal
from messaging_service.domain.errors import UnsealFailed

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
PLACE = Place("spijkenisse", "p1", "m1", "body")
TEXT = b"Wanneer mag ik weer sporten?"

names = st.text(max_size=20)
key_ids = st.from_regex(r"[A-Za-z0-9._:/-]{1,64}", fullmatch=True)


@given(st.binary(min_size=32, max_size=32), key_ids, st.binary(max_size=2000), st.builds(Place, *[names] * 4))
def test_round_trip(key: bytes, key_id: str, plaintext: bytes, place: Place) -> None:
    """Any bytes come back as they were, and the key id can be read without the key."""
    sealed = seal(key, key_id, plaintext, place)
    assert unseal(key, sealed, place) == plaintext
    assert key_id_of(sealed) == key_id
    assert len(sealed) == 85 + len(key_id) + len(plaintext)


def test_every_flipped_bit_is_found() -> None:
    """No bit of a sealed field can be changed: header, salt, commitment, ciphertext and tag alike."""
    sealed = seal(KEY, "k/1", TEXT, PLACE)
    for at in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[at] ^= 1 << bit
            with pytest.raises(UnsealFailed):
                unseal(KEY, bytes(changed), PLACE)


def test_every_truncation_is_found() -> None:
    """A sealed field cut off anywhere does not open, nor does one with a byte more."""
    sealed = seal(KEY, "k/1", TEXT, PLACE)
    for end in range(len(sealed)):
        with pytest.raises(UnsealFailed):
            unseal(KEY, sealed[:end], PLACE)
    empty = seal(KEY, "k/1", b"", PLACE)
    for end in range(len(empty)):
        with pytest.raises(UnsealFailed):
            key_id_of(empty[:end])
    with pytest.raises(UnsealFailed):
        unseal(KEY, sealed + b"\0", PLACE)


@pytest.mark.parametrize("part", ["tenant", "patient", "message", "field"])
def test_another_place_fails(part: str) -> None:
    """Each of the four parts of the place binds by itself."""
    sealed = seal(KEY, "k/1", TEXT, PLACE)
    with pytest.raises(UnsealFailed, match="tag"):
        unseal(KEY, sealed, replace(PLACE, **{part: "x"}))


def test_place_parts_cannot_shift() -> None:
    """Two places whose parts concatenate to the same text are two places."""
    sealed = seal(KEY, "k/1", TEXT, Place("a", "bc", "", ""))
    with pytest.raises(UnsealFailed, match="tag"):
        unseal(KEY, sealed, Place("ab", "c", "", ""))


def test_another_key_fails_before_anything_is_decrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under another key the commitment decides; the cipher is never reached."""
    sealed = seal(KEY, "k/1", TEXT, PLACE)
    monkeypatch.setattr(sealing, "AESGCM", None)
    with pytest.raises(UnsealFailed, match="commitment"):
        unseal(OTHER_KEY, sealed, PLACE)


def test_the_same_text_never_seals_alike() -> None:
    """Salt and ciphertext differ every time: nobody sees that two texts are equal."""
    one, other = (seal(KEY, "k/1", TEXT, PLACE) for _ in range(2))
    assert one[8:40] != other[8:40]
    assert one[72:] != other[72:]


@given(st.binary(max_size=300) | st.binary(max_size=300).map(b"MSS\x01".__add__))
def test_garbage_is_refused_in_one_way(garbage: bytes) -> None:
    """It never opens, and what is read of it as a key id has harmless characters."""
    with pytest.raises(UnsealFailed):
        unseal(KEY, garbage, PLACE)
    try:
        key_id = key_id_of(garbage)
    except UnsealFailed:
        return
    assert key_id.isascii()
    assert key_id.isprintable()


@pytest.mark.parametrize("key_id", [b"", b"k 1", b"k\n1", b"k\xe91", b"k" * 65, b"k" * 255])
def test_a_key_id_that_may_not_be_logged_is_not_returned(key_id: bytes) -> None:
    """Line ends, other scripts and over-long key ids stop at parsing."""
    with pytest.raises(UnsealFailed, match="format"):
        key_id_of(b"MSS\x01" + bytes([len(key_id)]) + key_id + bytes(100))


@pytest.mark.parametrize("key", [b"", b"k" * 31, b"k" * 33])
def test_a_key_of_another_length_is_a_mistake(key: bytes) -> None:
    """HKDF would take any length, the empty key included; sealing does not."""
    with pytest.raises(ValueError, match="32 bytes"):
        seal(key, "k/1", TEXT, PLACE)
    with pytest.raises(ValueError, match="32 bytes"):
        unseal(key, seal(KEY, "k/1", TEXT, PLACE), PLACE)


@pytest.mark.parametrize("key_id", ["", "k" * 65, "k 1", "k\n", "é"])
def test_a_key_id_that_could_not_be_read_back_is_refused(key_id: str) -> None:
    """What seals must open again: a key id that parsing would refuse never gets into a sealed field."""
    with pytest.raises(ValueError, match="key id"):
        seal(KEY, key_id, TEXT, PLACE)


def test_errors_say_nothing_about_the_content() -> None:
    """Neither the text nor the place stands in the exception."""
    sealed = seal(KEY, "k/1", TEXT, PLACE)
    with pytest.raises(UnsealFailed) as failed:
        unseal(KEY, sealed, replace(PLACE, patient="secret-patient"))
    assert "sporten" not in repr(failed.value)
    assert "secret-patient" not in repr(failed.value)
