"""Links that acknowledge one alarm and do nothing else: whoever holds one was told of that alarm.

    tenant "." thread "." message "." expires "." proof
    proof = HMAC-SHA256(lookup key, framed(LABEL, tenant, thread, message, expires))

`message` is the one that rang, so that a link of an earlier alarm of the same thread does not acknowledge a later one;
`expires` is in seconds since 1970. The label keeps this use of the key apart.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass

from messaging_service.crypto.framing import framed
from messaging_service.domain.errors import MessagingError

LABEL = "messaging-service alarm link v1"
_SHAPE = re.compile(r"([a-z0-9-]{1,64})\.([0-9A-Z]{26})\.([0-9A-Z]{26})\.([0-9]{10})\.([0-9a-f]{64})")


class LinkInvalid(MessagingError):
    """This link acknowledges no alarm: it was not made here, or its time is over."""


@dataclass(frozen=True, slots=True)
class AlarmLink:
    """What a link is for."""

    tenant: str
    thread: str
    message: str
    expires: int


def issue(key: bytes, link: AlarmLink) -> str:
    """The link's last part."""
    return f"{link.tenant}.{link.thread}.{link.message}.{link.expires:010}.{_proof(key, link)}"


def read(key: bytes, given: str, now: int) -> AlarmLink:
    """What the link is for; `now` in seconds.

    Raises:
        LinkInvalid: it was not made with this key, or its time is over.
    """
    if (found := _SHAPE.fullmatch(given)) is None:
        raise LinkInvalid
    link = AlarmLink(found[1], found[2], found[3], int(found[4]))
    if not hmac.compare_digest(found[5], _proof(key, link)) or now >= link.expires:
        raise LinkInvalid
    return link


def _proof(key: bytes, link: AlarmLink) -> str:
    return hmac.digest(key, framed(LABEL, link.tenant, link.thread, link.message, str(link.expires)), "sha256").hex()
