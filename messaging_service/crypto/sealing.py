"""Sealing: one field, unreadable and unmovable without its key. Format v1, lasting.

    offset      bytes  what
    0           4      magic: "MSS" and the version, 0x01
    4           1      n, length of the key id, 1 to 64
    5           n      key id: ASCII letters, digits and . _ : / -
    5+n         32     salt, random
    37+n        32     commitment
    69+n        m      ciphertext, as long as the plaintext
    69+n+m      16     AES-GCM tag

    key ‖ commitment = HKDF-SHA256(ikm = sealing key, salt, info = framed(INFO, key id), 64 bytes)
    ciphertext ‖ tag = AES-256-GCM(key, nonce = 12 zero bytes, plaintext, aad = framed(FORMAT, *place))

`framed` is a sequence of 8-byte big-endian lengths and bytes (see framing). The model is algorithm suite 04
78 of the AWS Encryption SDK (HKDF with key commitment).

What holds, as long as the sealing key is secret:

- Nobody reads the field or changes a byte of it. Magic and length are checked, key id and salt go into the
  derivation, the commitment is compared, ciphertext and place are under the tag.
- Nobody moves a field to another tenant, patient, message or field: the place is authenticated, not stored.
- One sealed field opens under one key. GCM alone does not promise that: somebody who knows two keys can make
  a ciphertext that opens under both, to different texts. The commitment is a collision-resistant hash of the
  key and is compared before anything is decrypted.

The nonce is fixed because each derived key seals exactly once: the salt is 256 random bits. A random nonce
would come from the same source and repeat when the salt repeats; it would cost twelve bytes and protect
nothing more.

The length of the plaintext is not hidden.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from messaging_service.crypto.framing import framed
from messaging_service.domain.errors import UnsealFailed

KEY_BYTES = 32
FORMAT = "messaging-service sealed v1"
INFO = "messaging-service sealed v1: key and commitment"

_MAGIC = b"MSS\x01"
_KEY_ID = re.compile(r"[A-Za-z0-9._:/-]{1,64}")
_SALT_BYTES = 32
_COMMITMENT_BYTES = 32
_TAG_BYTES = 16
_NONCE = bytes(12)
_KEY_IDS_IN_USE = 64


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed field belongs; it opens nowhere else. Identifiers only, never a patient's number."""

    tenant: str
    patient: str
    message: str
    field: str


@dataclass(frozen=True, slots=True)
class _Parsed:
    key_id: str
    salt: bytes
    commitment: bytes
    ciphertext: bytes


def seal(key: bytes, key_id: str, plaintext: bytes, place: Place) -> bytes:
    """Seal `plaintext` for `place` under a 32-byte key; the key id is readable in the result.

    The result is 85 bytes longer than plaintext and key id together, and different at every call.

    Raises:
        ValueError: the key is not 32 bytes, or the key id is not 1 to 64 of the characters above.
    """
    if not _KEY_ID.fullmatch(key_id):
        raise ValueError("a key id is 1 to 64 ASCII letters, digits and . _ : / -")
    salt = secrets.token_bytes(_SALT_BYTES)
    derived, commitment = _derive(key, key_id, salt)
    header = _MAGIC + bytes([len(key_id)]) + key_id.encode("ascii")
    return header + salt + commitment + AESGCM(derived).encrypt(_NONCE, plaintext, _aad(place))


def unseal(key: bytes, sealed: bytes, place: Place) -> bytes:
    """The plaintext that was sealed under `key` for `place`.

    Raises:
        UnsealFailed: another key, another place, changed or truncated bytes. Nothing of the plaintext is
        released. ValueError: the key is not 32 bytes.
    """
    parsed = _parse(sealed)
    derived, commitment = _derive(key, parsed.key_id, parsed.salt)
    if not hmac.compare_digest(commitment, parsed.commitment):
        raise UnsealFailed("commitment: another key, or a changed header")
    try:
        return AESGCM(derived).decrypt(_NONCE, parsed.ciphertext, _aad(place))
    except InvalidTag as exc:
        raise UnsealFailed("tag: another place, or changed bytes") from exc


def key_id_of(sealed: bytes) -> str:
    """The id of the key that opens this, as written by whoever sealed it; not authenticated before `unseal`.

    Raises:
        UnsealFailed: this is no sealed field of format v1.
    """
    return _parse(sealed).key_id


def _parse(sealed: bytes) -> _Parsed:
    if sealed[:4] != _MAGIC:
        raise UnsealFailed("format: not a sealed field of this version")
    salt_at = 5 + int.from_bytes(sealed[4:5], "big")
    commitment_at = salt_at + _SALT_BYTES
    ciphertext_at = commitment_at + _COMMITMENT_BYTES
    key_id = sealed[5:salt_at].decode("latin-1")
    if len(sealed) < ciphertext_at + _TAG_BYTES or not _KEY_ID.fullmatch(key_id):
        raise UnsealFailed("format: truncated, or the key id is none")
    return _Parsed(key_id, sealed[salt_at:commitment_at], sealed[commitment_at:ciphertext_at], sealed[ciphertext_at:])


def _derive(key: bytes, key_id: str, salt: bytes) -> tuple[bytes, bytes]:
    if len(key) != KEY_BYTES:
        raise ValueError("a sealing key is 32 bytes")
    length = KEY_BYTES + _COMMITMENT_BYTES
    derived = HKDF(SHA256(), length, salt, _info(key_id)).derive(key)
    return derived[:KEY_BYTES], derived[KEY_BYTES:]


@lru_cache(_KEY_IDS_IN_USE)
def _info(key_id: str) -> bytes:
    return framed(INFO, key_id)


def _aad(place: Place) -> bytes:
    return framed(FORMAT, place.tenant, place.patient, place.message, place.field)
