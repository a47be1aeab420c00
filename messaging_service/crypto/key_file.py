"""What a keyring file holds, read strictly: a mistyped key must not be found out by a message lost.

    {"format": "messaging-service keyring v1",
     "transit": {"1": KEY}, "lookup": KEY, "ids": KEY,
     "tenants": {"spijkenisse": {"1": KEY, "2": KEY}}}

KEY is 32 bytes in base64. "1", "2" are versions; the highest seals, all of them open.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from messaging_service.crypto.sealing import KEY_BYTES
from messaging_service.domain.errors import SettingInvalid

FORMAT = "messaging-service keyring v1"
_MEMBERS = {"format", "transit", "lookup", "ids", "tenants"}
_VERSION = re.compile(r"[1-9][0-9]{0,5}")

Versions = Mapping[int, bytes]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Keys:
    """The keys themselves. Has no repr that shows them, and no `==` that would compare them byte by byte."""

    transit: Versions
    lookup: bytes
    ids: bytes
    tenants: Mapping[str, Versions]

    def by_name(self) -> dict[tuple[str, ...], bytes]:
        """Every key under a name of its own, e.g. ("tenants", "spijkenisse", "1")."""
        named: dict[tuple[str, ...], bytes] = {("lookup",): self.lookup, ("ids",): self.ids}
        named |= {("transit", str(version)): key for version, key in self.transit.items()}
        for tenant, versions in self.tenants.items():
            named |= {("tenants", tenant, str(version)): key for version, key in versions.items()}
        return named


def fresh_key() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(KEY_BYTES)


def parse(content: bytes) -> Keys:
    """The keys in a keyring file.

    Raises:
        SettingInvalid: not a keyring of this format, or a key is missing, misformed or there twice; names the
            place, never what stands there.
    """
    file = _members(content)
    tenants = file["tenants"]
    if not isinstance(tenants, dict):
        raise SettingInvalid('keyring: "tenants" is not an object')
    keys = Keys(
        transit=_versions(file["transit"], "transit"),
        lookup=_key(file["lookup"], "lookup"),
        ids=_key(file["ids"], "ids"),
        tenants={tenant: _versions(versions, f"tenants.{tenant}") for tenant, versions in tenants.items()},
    )
    named = keys.by_name()
    if len(set(named.values())) < len(named):
        raise SettingInvalid("keyring: the same key stands in two places; each needs one of its own")
    return keys


def render(keys: Keys) -> bytes:
    """The file that `parse` reads back."""
    file = {
        "format": FORMAT,
        "transit": _rendered(keys.transit),
        "lookup": base64.b64encode(keys.lookup).decode("ascii"),
        "ids": base64.b64encode(keys.ids).decode("ascii"),
        "tenants": {tenant: _rendered(versions) for tenant, versions in keys.tenants.items()},
    }
    return json.dumps(file, indent=2).encode() + b"\n"


def _members(content: bytes) -> dict[str, Any]:
    try:
        file = json.loads(content, object_pairs_hook=_without_repeats)
    except ValueError:
        file = None  # raised below: the decoder's exception would carry the whole file, keys included
    if not isinstance(file, dict) or file.get("format") != FORMAT or set(file) != _MEMBERS:
        raise SettingInvalid(f"keyring: not a file of format {FORMAT!r}")
    return file


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON lets the last of two equal names win in silence; here that would be a lost key."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _versions(value: object, where: str) -> Versions:
    if not isinstance(value, dict) or not value:
        raise SettingInvalid(f'keyring: "{where}" holds no version')
    if not all(_VERSION.fullmatch(version) for version in value):
        raise SettingInvalid(f'keyring: a version in "{where}" is not a whole number from 1')
    return {int(version): _key(key, f"{where}.{version}") for version, key in value.items()}


def _key(value: object, where: str) -> bytes:
    try:
        key = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingInvalid(f'keyring: "{where}" is not {KEY_BYTES} bytes in base64')
    return key


def _rendered(versions: Versions) -> dict[str, str]:
    return {str(version): base64.b64encode(key).decode("ascii") for version, key in sorted(versions.items())}
