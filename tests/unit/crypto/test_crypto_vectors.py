"""The formats are lasting: contracts/vectors holds, and a second computation from the description agrees.

That computation knows HMAC, SHA-256 and AES-GCM and nothing of the product.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from messaging_service.crypto.key_file import Keys
from messaging_service.crypto.keyring import Keyring, fields_digest
from messaging_service.crypto.sealing import Place, key_id_of, seal, unseal
from messaging_service.domain.errors import UnsealFailed

VECTORS = Path(__file__).parents[3] / "contracts" / "vectors"


def vectors(name: str) -> dict[str, Any]:
    """One of the files in contracts/vectors."""
    loaded: dict[str, Any] = json.loads((VECTORS / name).read_bytes())
    return loaded


SEALING = vectors("sealing.json")
IDS = vectors("message_ids.json")
DIGESTS = vectors("digests.json")
KEYRING = Keyring(Keys({1: bytes(32)}, bytes.fromhex(DIGESTS["lookup_key"]), bytes.fromhex(IDS["ids_key"]), {}))


def what(vector: dict[str, Any]) -> str:
    """The name of a vector in the test report."""
    return str(vector.get("what", ""))


def tuple_of(*parts: str | bytes | None) -> bytes:
    """Lengths and bytes, as the README of the vectors describes them."""
    encoded = b""
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        encoded += b"\xff" * 8 if raw is None else bytes([0, 0, 0, 0, 0, 0, *divmod(len(raw), 256)]) + raw
    return encoded


def hmac_of(key: bytes, *parts: str | bytes | None) -> bytes:
    """HMAC-SHA256 over a framed tuple."""
    return hmac.new(key, tuple_of(*parts), hashlib.sha256).digest()


def base32_of(source: bytes, characters: int) -> str:
    """The standard library's base32, its alphabet replaced by Crockford's."""
    standard, crockford = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    return base64.b32encode(source).decode().translate(str.maketrans(standard, crockford))[:characters]


@pytest.mark.parametrize("vector", SEALING["valid"], ids=what)
def test_sealed_vectors(vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Stored bytes, product and second computation agree, sealing and opening."""
    key, salt, plaintext, sealed = (bytes.fromhex(vector[n]) for n in ("key", "salt", "plaintext", "sealed"))
    key_id, place = vector["key_id"], Place(**vector["place"])
    monkeypatch.setattr(secrets, "token_bytes", lambda _: salt)
    assert seal(key, key_id, plaintext, place) == sealed
    assert unseal(key, sealed, place) == plaintext
    assert key_id_of(sealed) == key_id

    info = tuple_of("messaging-service sealed v1: key and commitment", key_id)
    extracted = hmac.new(salt, key, hashlib.sha256).digest()
    derived = hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()
    commitment = hmac.new(extracted, derived + info + b"\x02", hashlib.sha256).digest()
    aad = tuple_of("messaging-service sealed v1", place.tenant, place.patient, place.message, place.field)
    header = b"MSS\x01" + bytes([len(key_id)]) + key_id.encode()
    assert header + salt + commitment + AESGCM(derived).encrypt(bytes(12), plaintext, aad) == sealed


@pytest.mark.parametrize("vector", SEALING["invalid"], ids=what)
def test_vectors_that_must_not_open(vector: dict[str, Any]) -> None:
    """Each stored forgery is refused."""
    with pytest.raises(UnsealFailed):
        unseal(bytes.fromhex(vector["key"]), bytes.fromhex(vector["sealed"]), Place(**vector["place"]))


@pytest.mark.parametrize("vector", IDS["issued"])
def test_message_id_vectors(vector: dict[str, Any]) -> None:
    """Under an idempotency key the id and the fields digest are these, for ever."""
    tenant, patient, retry = vector["tenant"], vector["patient"], vector["idempotency_key"]
    digest = fields_digest(*vector["fields"])
    assert digest.hex() == vector["fields_digest"]
    assert digest == hashlib.sha256(tuple_of("messaging-service fields v1", *vector["fields"])).digest()
    assert KEYRING.message_id(tenant, patient, retry, digest) == vector["message_id"]

    ids_key = bytes.fromhex(IDS["ids_key"])
    r = base32_of(hmac_of(ids_key, "messaging-service message id v1: R", tenant, patient, retry, digest), 12)
    tag = base32_of(hmac_of(ids_key, "messaging-service message id v1: T", tenant, patient, r), 14)
    assert r + tag == vector["message_id"]


@pytest.mark.parametrize("vector", IDS["issued"] + IDS["random"])
def test_ids_that_are_recognised(vector: dict[str, Any]) -> None:
    """Each stored id is its patient's."""
    assert KEYRING.is_message_id_of(vector["tenant"], vector["patient"], vector["message_id"])


@pytest.mark.parametrize("vector", IDS["not_issued"], ids=what)
def test_ids_that_are_not(vector: dict[str, Any]) -> None:
    """Each stored forgery is refused."""
    assert not KEYRING.is_message_id_of(vector["tenant"], vector["patient"], vector["message_id"])


def test_the_random_part_takes_the_leading_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an idempotency key R is the leading 60 bits of the random source."""
    monkeypatch.setattr(secrets, "token_bytes", lambda count: bytes(range(255, 255 - count, -1)))
    expected = base32_of(bytes(range(255, 223, -1)), 12)
    assert KEYRING.message_id("sein", "p1", None, b"")[:12] == expected


@pytest.mark.parametrize("vector", DIGESTS["digests"])
def test_digest_vectors(vector: dict[str, Any]) -> None:
    """Identifiers stored years ago are still found."""
    tenant, parts, digest = vector["tenant"], vector["parts"], vector["digest"]
    assert KEYRING.digest(tenant, *parts) == digest
    lookup = bytes.fromhex(DIGESTS["lookup_key"])
    assert hmac_of(lookup, "messaging-service lookup v1", tenant, *parts).hex() == digest
