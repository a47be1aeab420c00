"""One ciphertext that AES-GCM opens under two keys, made on purpose, and that sealing refuses.

The attack is that of Dodis, Grubbs, Ristenpart and Woodage, "Fast message franking: from invisible
salamanders to encryptment" (CRYPTO 2018): GCM's tag is linear in the ciphertext, so with both keys known one
block can be solved for at which the two tags agree.
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from messaging_service.crypto import sealing
from messaging_service.crypto.sealing import Place, unseal
from messaging_service.domain.errors import UnsealFailed

ONE, OTHER = bytes(range(32)), bytes(range(32, 64))
SALT = bytes(32)
NONCE = bytes(12)
PLACE = Place("spijkenisse", "p1", "m1", "body")


def test_a_field_that_opens_under_two_keys_cannot_be_made() -> None:
    """GCM itself opens this ciphertext under both derived keys; unseal only under the committed one."""
    derived_one, commitment = sealing._derive(ONE, "k/1", SALT)
    derived_other, _ = sealing._derive(OTHER, "k/1", SALT)
    aad = sealing._aad(PLACE)
    ciphertext = _opens_under_both(derived_one, derived_other, aad)
    text_one = AESGCM(derived_one).decrypt(NONCE, ciphertext, aad)
    text_other = AESGCM(derived_other).decrypt(NONCE, ciphertext, aad)
    assert text_one != text_other

    sealed = b"MSS\x01\x03k/1" + SALT + commitment + ciphertext
    assert unseal(ONE, sealed, PLACE) == text_one
    with pytest.raises(UnsealFailed, match="commitment"):
        unseal(OTHER, sealed, PLACE)


def _opens_under_both(one: bytes, other: bytes, aad: bytes) -> bytes:
    """One block C with the same tag under both keys: C·H² ⊕ R agrees, so C = (R ⊕ R') / (H² ⊕ H'²)."""
    h_one, h_other = _hash_key(one), _hash_key(other)
    remainder = _tag_of_zero_block(one, aad) ^ _tag_of_zero_block(other, aad)
    factor = _product(h_one, h_one) ^ _product(h_other, h_other)
    block = _product(remainder, _inverse(factor))
    tag = _tag_of_zero_block(one, aad) ^ _product(block, _product(h_one, h_one))
    return block.to_bytes(16, "big") + tag.to_bytes(16, "big")


def _tag_of_zero_block(key: bytes, aad: bytes) -> int:
    keystream = AESGCM(key).encrypt(NONCE, bytes(16), aad)[:16]
    return int.from_bytes(AESGCM(key).encrypt(NONCE, keystream, aad)[16:], "big")


def _hash_key(key: bytes) -> int:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return int.from_bytes(encryptor.update(bytes(16)), "big")


def _product(x: int, y: int) -> int:
    """Multiplication in GF(2^128) as GCM numbers its bits (NIST SP 800-38D §6.3)."""
    z = 0
    for shift in range(127, -1, -1):
        if x >> shift & 1:
            z ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return z


def _inverse(x: int) -> int:
    """x to the power 2^128 − 2."""
    result, power = 1 << 127, x
    for _ in range(127):
        power = _product(power, power)
        result = _product(result, power)
    return result
