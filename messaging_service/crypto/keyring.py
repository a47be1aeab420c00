"""The keyring: every lasting key of an installation, and what is done with each.

| key | does | when it is lost |
|---|---|---|
| transit, versioned | seals messages between gateway and persist | what waits in the queues is lost |
| tenant KEK, versioned | wraps each patient's data-encryption key (DEK) | the tenant's stored text is lost |
| lookup | digests identifiers so that they can be found; signs alarm links | no patient is found any more |
| ids | issues and recognises message ids | a retry becomes a second message, open threads are refused |

The highest version seals, every version opens. So a new transit key goes to the processes that open before it
goes to those that seal: persist before gateway. `lookup` and `ids` are never replaced. Keep a copy apart from
the store's backups: whoever holds both can read everything, whoever lost the keyring can read nothing.

A process looks at the file again before it makes a new DEK and when a key is not there, so that a new KEK version
reaches what runs.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from pathlib import Path

from messaging_service.crypto import alarm_links, key_file, message_ids, private_file
from messaging_service.crypto.alarm_links import AlarmLink
from messaging_service.crypto.framing import framed
from messaging_service.crypto.key_file import Keys, Versions, fresh_key
from messaging_service.crypto.sealing import Place, key_id_of, seal, unseal
from messaging_service.domain.errors import Conflict, KeyMissing, KeyringUnreadable, SettingInvalid, UnsealFailed

LABEL_LOOKUP = "messaging-service lookup v1"
LABEL_FIELDS = "messaging-service fields v1"
_KEK = "kek"


class Keyring:
    """The keys of a keyring file. Never shows a key."""

    __slots__ = ("_followed", "_keys", "_stamp")

    def __init__(self, keys: Keys, followed: Path | None = None) -> None:
        """Made by `create`, `load`, `with_tenant` and `with_new_kek`; `followed` is looked at again."""
        self._keys = keys
        self._followed = followed
        self._stamp = private_file.stamp(followed) if followed else None

    def __repr__(self) -> str:
        """Versions and tenants, no key."""
        tenants = {tenant: sorted(versions) for tenant, versions in self._keys.tenants.items()}
        return f"Keyring(transit={sorted(self._keys.transit)}, tenants={tenants})"

    @classmethod
    def create(cls, path: Path, tenants: Sequence[str]) -> Keyring:
        """A new keyring in a new file of mode 0600, on disk when this returns.

        Raises:
            SettingInvalid: the path is taken, and what stands there untouched; or it cannot be written.
        """
        keks = {tenant: {1: fresh_key()} for tenant in tenants}
        keys = Keys({1: fresh_key()}, fresh_key(), fresh_key(), keks)
        private_file.create(path, key_file.render(keys))
        return cls(keys, path)

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """The keyring in that file.

        Raises:
            SettingInvalid: missing, open to other users (see private_file), or not a keyring; names the
            remedy.
        """
        return cls(key_file.parse(private_file.read(path)), path)

    def with_tenant(self, tenant: str) -> Keyring:
        """This keyring with a KEK for `tenant`; itself where it has one. `save` makes it last."""
        if tenant in self._keys.tenants:
            return self
        keys, tenants = self._keys, {**self._keys.tenants, tenant: {1: fresh_key()}}
        return Keyring(Keys(keys.transit, keys.lookup, keys.ids, tenants))

    def with_new_kek(self, tenant: str) -> Keyring:
        """This keyring with one more KEK version for `tenant`, which seals from then on. `save` makes it last.

        Raises:
            KeyMissing: the tenant has no KEK yet.
        """
        keys, versions = self._keys, self._keks(tenant)
        tenants = {**keys.tenants, tenant: {**versions, max(versions) + 1: fresh_key()}}
        return Keyring(Keys(keys.transit, keys.lookup, keys.ids, tenants))

    def kek_versions(self, tenant: str) -> tuple[int, ...]:
        """The KEK versions of a tenant, the oldest first. Raises KeyMissing when it has none."""
        return tuple(sorted(self._keks(tenant)))

    @staticmethod
    def drop_kek(path: Path, tenant: str, version: int) -> None:
        """Take a KEK version out of the keyring file, for good. The caller knows that nothing is wrapped under it.

        Raises:
            Conflict: it is the one that seals, or is not there.
            SettingInvalid: there is no readable keyring, or the file cannot be replaced (a mounted secret).
        """

        def without(content: bytes) -> bytes:
            keys = key_file.parse(content)
            versions = dict(keys.tenants.get(tenant, {}))
            if version not in versions or version == max(versions):
                raise Conflict(f"version {version} seals, or is not there")
            del versions[version]
            return key_file.render(Keys(keys.transit, keys.lookup, keys.ids, {**keys.tenants, tenant: versions}))

        private_file.replace(path, without)

    def put_back_kek(self, path: Path, tenant: str, version: int) -> None:
        """Put a KEK version that this keyring holds back into the file that it was dropped from; all else there stays.

        Raises:
            SettingInvalid: there is no readable keyring, or the file cannot be replaced (a mounted secret).
        """
        kek = self._keks(tenant)[version]

        def with_it(content: bytes) -> bytes:
            keys = key_file.parse(content)
            versions = {**keys.tenants.get(tenant, {}), version: kek}
            return key_file.render(Keys(keys.transit, keys.lookup, keys.ids, {**keys.tenants, tenant: versions}))

        private_file.replace(path, with_it)

    def save(self, path: Path) -> None:
        """Put this keyring in the place of the one in that file, which it must contain; idempotent.

        A file can gain keys this way, never lose one: two processes that add a tenant at the same moment
        cannot overwrite each other's KEK.

        Raises:
            Conflict: the file holds a key that this keyring does not; load it and add to that.
            SettingInvalid: there is no readable keyring, or the file cannot be replaced (a mounted secret).
        """
        private_file.replace(path, self._in_place_of)

    def _in_place_of(self, content: bytes) -> bytes | None:
        there, here = key_file.parse(content).by_name(), self._keys.by_name()
        if not there.items() <= here.items():
            raise Conflict("the keyring file holds other keys")
        return key_file.render(self._keys) if len(there) < len(here) else None

    def seal_transit(self, plaintext: bytes, place: Place) -> bytes:
        """Seal for the way through the queues, under the newest transit key."""
        version, key = _newest(self._keys.transit)
        return seal(key, f"transit/{version}", plaintext, place)

    def open_transit(self, sealed: bytes, place: Place) -> bytes:
        """The plaintext that `seal_transit` sealed for `place`.

        Raises:
            KeyMissing: sealed under a version that this keyring does not hold.
            UnsealFailed: another place, or changed bytes.
        """
        return unseal(self._opener(lambda: self._keys.transit, "transit", key_id_of(sealed)), sealed, place)

    def new_dek(self, tenant: str, patient: str) -> tuple[bytes, bytes]:
        """A new 32-byte DEK, and the same wrapped under the tenant's newest KEK, to be stored.

        Raises:
            KeyMissing: the tenant has no KEK.
        """
        self._look_again()  # wrapped under a version that is given up meanwhile, it would never open again
        dek = fresh_key()
        return dek, self._wrap(tenant, patient, dek)

    def rewrap_dek(self, tenant: str, patient: str, wrapped: bytes) -> bytes:
        """The same DEK wrapped under the tenant's newest KEK. Raises as `unwrap_dek`."""
        return self._wrap(tenant, patient, self.unwrap_dek(tenant, patient, wrapped))

    def _wrap(self, tenant: str, patient: str, dek: bytes) -> bytes:
        version, kek = _newest(self._keks(tenant))
        return seal(kek, f"{_KEK}/{version}", dek, _dek_place(tenant, patient))

    def unwrap_dek(self, tenant: str, patient: str, wrapped: bytes) -> bytes:
        """The patient's DEK.

        Raises:
            KeyMissing: wrapped under a KEK that this keyring does not hold.
            UnsealFailed: another patient's or another tenant's, or changed bytes.
        """
        kek = self._opener(lambda: self._keks(tenant), _KEK, key_id_of(wrapped))
        return unseal(kek, wrapped, _dek_place(tenant, patient))

    def digest(self, tenant: str, *parts: str) -> str:
        """A keyed digest to find identifiers by, 64 hexadecimal digits, the same for ever.

        HMAC-SHA256: a bare hash of a nine-digit number would be undone by trying them all.
        """
        return hmac.digest(self._keys.lookup, framed(LABEL_LOOKUP, tenant, *parts), "sha256").hex()

    def pseudonym(self, tenant: str, subject: str) -> str:
        """What somebody is called in the access log and the registers: the same in all of them, and nobody's name."""
        return self.digest(tenant, "actor", subject)

    def alarm_link(self, link: AlarmLink) -> str:
        """The last part of a link that acknowledges one alarm."""
        return alarm_links.issue(self._keys.lookup, link)

    def read_alarm_link(self, given: str, now_ms: int) -> AlarmLink:
        """What such a link is for. Raises LinkInvalid."""
        return alarm_links.read(self._keys.lookup, given, now_ms // 1000)

    def message_id(self, tenant: str, patient: str, idempotency_key: str | None, fields_digest: bytes) -> str:
        """An id of 26 characters: always the same for the same four arguments, or random without a key.

        `patient` is a stable digest or id, not a number; `fields_digest` is that of `fields_digest()`.
        """
        return message_ids.issue(self._keys.ids, tenant, patient, idempotency_key, fields_digest)

    def is_message_id_of(self, tenant: str, patient: str, message_id: str) -> bool:
        """Was this id issued to this patient? Needs no look-up and takes any string."""
        return message_ids.is_issued_to(self._keys.ids, tenant, patient, message_id)

    def _opener(self, versions: Callable[[], Versions], purpose: str, key_id: str) -> bytes:
        """The key of that id; one that is not there may have come into the file since."""
        try:
            return _named(versions(), purpose, key_id)
        except KeyMissing:
            if not self._look_again():
                raise
            return _named(versions(), purpose, key_id)

    def _look_again(self) -> bool:
        """Take over what the file holds now; whether it was replaced.

        Raises:
            KeyringUnreadable: by one that cannot be read, or by another installation's.
        """
        if self._followed is None or (now := private_file.stamp(self._followed)) in (None, self._stamp):
            return False
        try:
            keys = key_file.parse(private_file.read(self._followed))
        except SettingInvalid as problem:
            raise KeyringUnreadable(problem.detail) from problem
        same = hmac.compare_digest(keys.lookup + keys.ids, self._keys.lookup + self._keys.ids)
        if not same:
            raise KeyringUnreadable(f"{self._followed} is another installation's")
        self._keys, self._stamp = keys, now
        return True

    def _keks(self, tenant: str) -> Versions:
        try:
            return self._keys.tenants[tenant]
        except KeyError:
            raise KeyMissing(f"tenant {tenant} has no KEK") from None


def kek_version_of(wrapped: bytes) -> int:
    """The KEK version that a wrapped DEK names.

    Raises:
        UnsealFailed: it is no wrapped DEK.
    """
    purpose, _, version = key_id_of(wrapped).partition("/")
    if purpose != _KEK or not version.isdecimal():
        raise UnsealFailed("format: not a wrapped DEK")
    return int(version)


def fields_digest(*fields: str | None) -> bytes:
    """SHA-256 over the decoded fields of a request, in their order; None differs from "".

    Not keyed, so a short text could be guessed from it: it goes into `Keyring.message_id` and nowhere else.
    """
    return hashlib.sha256(framed(LABEL_FIELDS, *fields)).digest()


def _newest(versions: Versions) -> tuple[int, bytes]:
    version = max(versions)
    return version, versions[version]


def _named(versions: Versions, purpose: str, key_id: str) -> bytes:
    for version, key in versions.items():
        if key_id == f"{purpose}/{version}":
            return key
    raise KeyMissing(f"key {key_id}")


def _dek_place(tenant: str, patient: str) -> Place:
    return Place(tenant, patient, message="", field="dek")
