"""Message ids: 26 Crockford base32 characters, upper case, that any gateway can recognise without a look-up.

    R    12 characters, 60 bits: random, or with an idempotency key the leading bits of
         HMAC-SHA256(ids key, framed(LABEL_R, tenant, patient, idempotency key, fields digest))
    T    14 characters, 70 bits: the leading bits of HMAC-SHA256(ids key, framed(LABEL_T, tenant, patient, R))

The same request under the same idempotency key has the same id on every gateway and at any time, so a retry
is found to be one; another body under a reused key is another message and never dropped. T proves that an id
was issued to this patient: nobody without the key makes up an id, or takes one of another patient into a
thread (2^-70 per try). The labels keep the two uses of the key apart.

26 characters fit HL7's TXA-12 (30). The ids do not sort by time.
"""

from __future__ import annotations

import hmac
import re
import secrets

from messaging_service.crypto.framing import framed

LABEL_R = "messaging-service message id v1: R"
LABEL_T = "messaging-service message id v1: T"

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_R_CHARACTERS = 12
_T_CHARACTERS = 14
_SHAPE = re.compile(f"[{_ALPHABET}]{{{_R_CHARACTERS + _T_CHARACTERS}}}")


def issue(key: bytes, tenant: str, patient: str, idempotency_key: str | None, digest: bytes) -> str:
    """The id of a message; `digest` covers its decoded fields and counts only with an idempotency key."""
    if idempotency_key is None:
        source = secrets.token_bytes(32)
    else:
        source = hmac.digest(key, framed(LABEL_R, tenant, patient, idempotency_key, digest), "sha256")
    r = _leading(source, _R_CHARACTERS)
    return r + _tag(key, tenant, patient, r)


def is_issued_to(key: bytes, tenant: str, patient: str, message_id: str) -> bool:
    """Was this id issued to this patient? Any string may be asked about.

    Compares in constant time, so T cannot be found character by character.
    """
    if not _SHAPE.fullmatch(message_id):
        return False
    r, tag = message_id[:_R_CHARACTERS], message_id[_R_CHARACTERS:]
    return hmac.compare_digest(tag, _tag(key, tenant, patient, r))


def _tag(key: bytes, tenant: str, patient: str, r: str) -> str:
    return _leading(hmac.digest(key, framed(LABEL_T, tenant, patient, r), "sha256"), _T_CHARACTERS)


def _leading(source: bytes, characters: int) -> str:
    """The leading 5 × `characters` bits of 32 bytes, most significant first."""
    bits = int.from_bytes(source, "big") >> (8 * len(source) - 5 * characters)
    return "".join([_ALPHABET[bits >> shift & 31] for shift in range(5 * (characters - 1), -1, -5)])
