"""The keyring under a passphrase: what comes back is what was locked, and nothing else opens it."""

from __future__ import annotations

import base64
import json

import pytest

from messaging_service.crypto import key_backup
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.errors import SettingInvalid, UnsealFailed

PASSPHRASE = "zeven losse woorden op papier"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The content of a keyring file."""
    path = tmp_path_factory.mktemp("keys") / "keyring.json"
    Keyring.create(path, ["sein"])
    return path.read_bytes()


@pytest.fixture(scope="module")
def backup(file: bytes) -> bytes:
    """The same under PASSPHRASE."""
    return key_backup.lock(file, PASSPHRASE)


def test_the_passphrase_brings_back_every_byte(file: bytes, backup: bytes) -> None:
    """Locked and unlocked it is the same file, and the backup shows none of its keys."""
    assert key_backup.unlock(backup, PASSPHRASE) == file
    assert json.loads(file)["lookup"].encode() not in backup


def test_another_passphrase_opens_nothing(backup: bytes) -> None:
    """One letter off is refused."""
    with pytest.raises(UnsealFailed, match="passphrase"):
        key_backup.unlock(backup, PASSPHRASE + "!")


def test_a_changed_backup_opens_nothing(backup: bytes) -> None:
    """One bit off is refused, not half restored."""
    changed = json.loads(backup)
    sealed = bytearray(base64.b64decode(changed["sealed"]))
    sealed[-1] ^= 1
    changed["sealed"] = base64.b64encode(sealed).decode()
    with pytest.raises(UnsealFailed):
        key_backup.unlock(json.dumps(changed).encode(), PASSPHRASE)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"[" * 100_000, b"{" + b" " * key_backup.LARGEST_BACKUP + b"}"])
def test_what_is_no_backup_is_refused(content: bytes) -> None:
    """Other files, deep ones and large ones are refused by name."""
    with pytest.raises(SettingInvalid, match="not a file of format"):
        key_backup.unlock(content, PASSPHRASE)


@pytest.mark.parametrize(("member", "value"), [("n", 1 << 40), ("r", 1 << 20), ("p", 0), ("n", None)])
def test_a_file_chooses_no_cost(backup: bytes, member: str, value: object) -> None:
    """A backup that asks for a terabyte of memory is refused before any is taken."""
    with pytest.raises(SettingInvalid, match="n, r, p"):
        key_backup.unlock(json.dumps(json.loads(backup) | {member: value}).encode(), PASSPHRASE)


@pytest.mark.parametrize("member", ["salt", "sealed"])
def test_a_backup_without_its_parts_is_refused(backup: bytes, member: str) -> None:
    """Salt and sealed keyring must be there, in base64."""
    for value in (None, "é", 7):
        with pytest.raises(SettingInvalid, match="salt or sealed"):
            key_backup.unlock(json.dumps(json.loads(backup) | {member: value}).encode(), PASSPHRASE)


def test_a_short_passphrase_is_refused(file: bytes) -> None:
    """What can be guessed protects nothing."""
    with pytest.raises(SettingInvalid, match="16 characters"):
        key_backup.lock(file, "welkom01")
