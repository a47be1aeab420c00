"""A keyring under a passphrase, to be kept where the store's backups are not.

    {"format": "messaging-service keyring backup v1", "n": 131072, "r": 8, "p": 1, "salt": …, "sealed": …}

The keyring file is sealed (see sealing) under scrypt(passphrase, salt, n, r, p) (RFC 7914). A guess costs an attacker
128 MiB and about half a second; a passphrase that can be guessed is still no protection, hence the least length.
"""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from messaging_service.crypto import key_file
from messaging_service.crypto.sealing import KEY_BYTES, Place, seal, unseal
from messaging_service.domain.errors import SettingInvalid, UnsealFailed

FORMAT = "messaging-service keyring backup v1"
LEAST_PASSPHRASE = 16
LARGEST_BACKUP = 1 << 20
_COST, _BLOCK, _LANES = 1 << 17, 8, 1
_SALT_BYTES = 16
_KEY_ID = "passphrase"
_PLACE = Place("", "", "", "keyring backup")


def lock(keyring_file: bytes, passphrase: str) -> bytes:
    """The content of a keyring file as a backup.

    Raises:
        SettingInvalid: it is no keyring, or the passphrase is shorter than LEAST_PASSPHRASE characters.
    """
    key_file.parse(keyring_file)
    if len(passphrase) < LEAST_PASSPHRASE:
        raise SettingInvalid(f"the passphrase needs {LEAST_PASSPHRASE} characters; six random words are good")
    salt = secrets.token_bytes(_SALT_BYTES)
    sealed = seal(_derive(passphrase, salt), _KEY_ID, keyring_file, _PLACE)
    file = {
        "format": FORMAT,
        "n": _COST,
        "r": _BLOCK,
        "p": _LANES,
        "salt": base64.b64encode(salt).decode("ascii"),
        "sealed": base64.b64encode(sealed).decode("ascii"),
    }
    return json.dumps(file, indent=2).encode() + b"\n"


def unlock(backup: bytes, passphrase: str) -> bytes:
    """The content of the keyring file.

    Raises:
        SettingInvalid: this is no such backup.
        UnsealFailed: another passphrase, or changed bytes.
    """
    file = _read(backup)
    try:
        salt, sealed = (base64.b64decode(file[name], validate=True) for name in ("salt", "sealed"))
    except (KeyError, TypeError, ValueError):
        raise SettingInvalid("keyring backup: salt or sealed is missing or not base64") from None
    try:
        return unseal(_derive(passphrase, salt), sealed, _PLACE)
    except UnsealFailed:
        raise UnsealFailed("the passphrase is another, or the backup was changed") from None


def _read(backup: bytes) -> dict[str, Any]:
    try:
        file = json.loads(backup) if len(backup) <= LARGEST_BACKUP else None
    except (ValueError, RecursionError):
        file = None
    if not isinstance(file, dict) or file.get("format") != FORMAT:
        raise SettingInvalid(f"not a file of format {FORMAT!r}")
    # fixed, not read: a file must not choose how much memory its reading takes
    if (file.get("n"), file.get("r"), file.get("p")) != (_COST, _BLOCK, _LANES):
        raise SettingInvalid(f"keyring backup: n, r, p are not {_COST}, {_BLOCK}, {_LANES}")
    return file


def _derive(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=KEY_BYTES, n=_COST, r=_BLOCK, p=_LANES).derive(passphrase.encode("utf-8"))
