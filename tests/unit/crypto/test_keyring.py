"""The keyring: which key seals, which opens, and that no key ever shows or gets lost."""

from __future__ import annotations

import base64
import json
import re
import stat
import traceback
from pathlib import Path
from typing import Any

import pytest

from messaging_service.crypto.keyring import Keyring, kek_version_of
from messaging_service.crypto.sealing import Place, key_id_of
from messaging_service.domain.errors import Conflict, KeyMissing, KeyringUnreadable, SettingInvalid, UnsealFailed

PLACE = Place("spijkenisse", "p1", "m1", "submission")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the keyring's file goes."""
    return tmp_path / "keyring.json"


@pytest.fixture
def keyring(path: Path) -> Keyring:
    """A new keyring with two tenants, saved at `path`."""
    return Keyring.create(path, ["spijkenisse", "sein"])


def edit(path: Path, **members: Any) -> dict[str, Any]:
    """Change members of the file as an administrator with an editor would."""
    file: dict[str, Any] = json.loads(path.read_bytes()) | members
    path.write_text(json.dumps(file))
    return file


def key(byte: int) -> str:
    """A key of 32 equal bytes, as the file writes it."""
    return base64.b64encode(bytes([byte]) * 32).decode()


def test_what_was_sealed_opens_after_loading(path: Path, keyring: Keyring) -> None:
    """The file holds all it takes: transit seals, wrapped DEKs, digests and message ids survive a restart."""
    dek, wrapped = keyring.new_dek("sein", "p1")
    sealed = keyring.seal_transit(b"text", PLACE)
    message_id = keyring.message_id("sein", "p1", "retry", b"digest")
    loaded = Keyring.load(path)
    assert loaded.open_transit(sealed, PLACE) == b"text"
    assert loaded.unwrap_dek("sein", "p1", wrapped) == dek
    assert loaded.digest("sein", "bsn", "999911120") == keyring.digest("sein", "bsn", "999911120")
    assert loaded.message_id("sein", "p1", "retry", b"digest") == message_id
    assert loaded.is_message_id_of("sein", "p1", message_id)


def test_create_makes_a_private_file_once(path: Path, keyring: Keyring) -> None:
    """Mode 0600; a second `create` is refused and the first one's keys are still there."""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    sealed = keyring.seal_transit(b"text", PLACE)
    with pytest.raises(SettingInvalid, match="exists"):
        Keyring.create(path, [])
    assert Keyring.load(path).open_transit(sealed, PLACE) == b"text"


def test_a_keyring_open_to_others_is_refused(path: Path, keyring: Keyring) -> None:
    """The check of the file is made on loading, and names the remedy."""
    path.chmod(0o644)
    with pytest.raises(SettingInvalid, match="chmod 600"):
        Keyring.load(path)


def test_the_newest_version_seals_and_every_version_opens(path: Path, keyring: Keyring) -> None:
    """Highest number, not last in the file nor last in the alphabet: 10 comes after 9."""
    old = keyring.seal_transit(b"old", PLACE)
    _, old_wrapped = keyring.new_dek("sein", "p1")
    file = json.loads(path.read_bytes())
    kek = {"10": key(10), "9": key(9)} | file["tenants"]["sein"]
    edit(path, transit={"10": key(20), "9": key(19)} | file["transit"], tenants={"sein": kek})
    rotated = Keyring.load(path)
    new, (dek, wrapped) = rotated.seal_transit(b"new", PLACE), rotated.new_dek("sein", "p1")
    assert (key_id_of(new), key_id_of(wrapped)) == ("transit/10", "kek/10")
    assert rotated.open_transit(new, PLACE) == b"new"
    assert rotated.open_transit(old, PLACE) == b"old"
    assert rotated.unwrap_dek("sein", "p1", wrapped) == dek
    assert len(rotated.unwrap_dek("sein", "p1", old_wrapped)) == 32
    path.unlink()  # so that the older one cannot look again
    with pytest.raises(KeyMissing, match="transit/10"):
        keyring.open_transit(new, PLACE)
    with pytest.raises(KeyMissing, match="kek/10"):
        keyring.unwrap_dek("sein", "p1", wrapped)


def test_a_dek_belongs_to_one_patient_of_one_tenant(keyring: Keyring) -> None:
    """A wrapped DEK put with another patient or tenant does not unwrap; two patients never share one."""
    dek, wrapped = keyring.new_dek("sein", "p1")
    for tenant, patient in [("sein", "p2"), ("spijkenisse", "p1")]:
        with pytest.raises(UnsealFailed):
            keyring.unwrap_dek(tenant, patient, wrapped)
    assert keyring.new_dek("sein", "p1")[0] != dek


def test_purposes_do_not_mix(keyring: Keyring) -> None:
    """A wrapped DEK is no transit message and a transit message no DEK, whatever the place says."""
    _, wrapped = keyring.new_dek("sein", "p1")
    with pytest.raises(KeyMissing):
        keyring.open_transit(wrapped, Place("sein", "p1", "", "dek"))
    with pytest.raises(KeyMissing):
        keyring.unwrap_dek("sein", "p1", keyring.seal_transit(bytes(32), Place("sein", "p1", "", "dek")))


def test_a_tenant_without_kek_is_named(keyring: Keyring) -> None:
    """Wrapping for a tenant that is not in the keyring says which."""
    with pytest.raises(KeyMissing, match="olvg"):
        keyring.new_dek("olvg", "p1")


def test_digest_depends_on_key_tenant_and_every_part(keyring: Keyring, tmp_path: Path) -> None:
    """Equal numbers of two systems, tenants or installations are not linked, and parts cannot shift."""
    digests = [
        keyring.digest("sein", "bsn", "12"),
        keyring.digest("sein", "local", "12"),
        keyring.digest("spijkenisse", "bsn", "12"),
        keyring.digest("sein", "bsn", "1", "2"),
        keyring.digest("sein", "bs", "n12"),
        Keyring.create(tmp_path / "other.json", []).digest("sein", "bsn", "12"),
    ]
    assert len(set(digests)) == 6
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)


def test_adding_a_tenant_keeps_every_key(path: Path, keyring: Keyring) -> None:
    """The new tenant has a KEK, all that was sealed before still opens, and what runs takes it up."""
    dek, wrapped = keyring.new_dek("sein", "p1")
    wider = keyring.with_tenant("olvg")
    wider.save(path)
    loaded = Keyring.load(path)
    assert loaded.unwrap_dek("sein", "p1", wrapped) == dek
    assert loaded.unwrap_dek("olvg", "p9", wider.new_dek("olvg", "p9")[1])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keyring.new_dek("olvg", "p1")


def test_a_tenant_that_has_a_kek_keeps_it(path: Path, keyring: Keyring) -> None:
    """Adding a known tenant is nothing new, and saving nothing new does not touch the file."""
    before = path.stat()
    assert keyring.with_tenant("sein") is keyring
    keyring.save(path)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_two_who_add_a_tenant_lose_no_kek(path: Path, keyring: Keyring) -> None:
    """The second save would drop the first one's KEK: it is refused, and succeeds from a fresh load."""
    first, second = keyring.with_tenant("olvg"), keyring.with_tenant("umcu")
    first.save(path)
    _, wrapped = first.new_dek("olvg", "p1")
    with pytest.raises(Conflict):
        second.save(path)
    Keyring.load(path).with_tenant("umcu").save(path)
    assert Keyring.load(path).unwrap_dek("olvg", "p1", wrapped)


def test_save_never_changes_a_key_that_is_there(path: Path, keyring: Keyring, tmp_path: Path) -> None:
    """Another installation's keyring cannot be put over this one."""
    before = path.read_bytes()
    other = Keyring.create(tmp_path / "other.json", ["spijkenisse", "sein", "olvg"])
    with pytest.raises(Conflict):
        other.save(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"format": "messaging-service keyring v2"}, "format"),
        ({"extra": 1}, "format"),
        ({"lookup": None}, "lookup"),
        ({"lookup": 5}, "lookup"),
        ({"ids": "c2hvcnQ="}, "ids"),
        ({"ids": "*" + key(1)}, "ids"),
        ({"ids": "é" * 44}, "ids"),
        ({"transit": {}}, "transit"),
        ({"transit": key(1)}, "transit"),
        ({"transit": {"0": key(1)}}, "transit"),
        ({"transit": {"01": key(1)}}, "transit"),
        ({"transit": {"١": key(1)}}, "transit"),
        ({"transit": {"1": ""}}, "transit.1"),
        ({"tenants": []}, "tenants"),
        ({"tenants": {"sein": {}}}, "tenants.sein"),
        ({"tenants": {"sein": {"2": "?"}}}, "tenants.sein.2"),
        ({"ids": key(1), "lookup": key(1)}, "two places"),
        ({"tenants": {"a": {"1": key(1)}, "b": {"1": key(1)}}}, "two places"),
    ],
)
def test_a_broken_keyring_is_refused_by_name(path: Path, keyring: Keyring, members: dict[str, Any], said: str) -> None:
    """Each mistake is found on loading, and the message names its place but not what stands there."""
    file = edit(path, **members)
    with pytest.raises(SettingInvalid, match=said) as refused:
        Keyring.load(path)
    shown = "".join(traceback.format_exception(refused.value))
    keys = [value for value in (file["lookup"], file["ids"]) if isinstance(value, str)]
    assert not any(key in shown for key in keys)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"format": 1, "format": 2}', b"null"])
def test_what_is_no_keyring_is_refused_without_its_content(path: Path, content: bytes) -> None:
    """A broken file may still hold keys: no exception in the chain carries it along."""
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SettingInvalid, match="format") as refused:
        Keyring.load(path)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


def test_a_name_that_stands_twice_is_refused(path: Path, keyring: Keyring) -> None:
    """JSON would keep the last of two versions "1" and lose a key in silence."""
    text = path.read_text()
    path.write_text(text.replace('"transit": {', f'"transit": {{"1": "{key(7)}",'))
    with pytest.raises(SettingInvalid):
        Keyring.load(path)


def test_no_key_shows(path: Path, keyring: Keyring) -> None:
    """Neither repr nor str of the keyring or of its parts holds a key, in any spelling."""
    file = json.loads(path.read_bytes())
    keks = [versions["1"] for versions in file["tenants"].values()]
    shown = repr(keyring) + str(keyring) + repr(keyring._keys) + repr(vars(type(keyring)))
    assert "sein" in shown
    for encoded in [file["lookup"], file["ids"], file["transit"]["1"], *keks]:
        raw = base64.b64decode(encoded)
        assert not any(spelling in shown for spelling in (encoded, raw.hex(), repr(raw)[2:-1]))


def test_a_new_kek_reaches_what_runs(path: Path, keyring: Keyring) -> None:
    """A process that loaded the keyring before wraps the next patient's key under the new version, and opens both."""
    running = Keyring.load(path)
    old, old_wrapped = running.new_dek("sein", "p1")
    keyring.with_new_kek("sein").save(path)
    new, new_wrapped = running.new_dek("sein", "p2")
    assert (kek_version_of(old_wrapped), kek_version_of(new_wrapped)) == (1, 2)
    assert (running.unwrap_dek("sein", "p1", old_wrapped), running.unwrap_dek("sein", "p2", new_wrapped)) == (old, new)


def test_a_dek_under_a_newer_kek_is_opened_by_what_runs(path: Path, keyring: Keyring) -> None:
    """A rewrap elsewhere does not stop the service: the missing key is looked for in the file."""
    running = Keyring.load(path)
    dek, wrapped = running.new_dek("sein", "p1")
    keyring.with_new_kek("sein").save(path)
    rewrapped = Keyring.load(path).rewrap_dek("sein", "p1", wrapped)
    assert kek_version_of(rewrapped) == 2
    assert running.unwrap_dek("sein", "p1", rewrapped) == dek


def test_the_kek_that_seals_is_never_dropped(path: Path, keyring: Keyring) -> None:
    """Only an older version goes; what stood under it is then said to lack its key."""
    _, wrapped = keyring.new_dek("sein", "p1")
    with pytest.raises(Conflict):
        Keyring.drop_kek(path, "sein", 1)
    keyring.with_new_kek("sein").save(path)
    Keyring.drop_kek(path, "sein", 1)
    loaded = Keyring.load(path)
    assert loaded.kek_versions("sein") == (2,)
    with pytest.raises(KeyMissing, match="kek/1"):
        loaded.unwrap_dek("sein", "p1", wrapped)


def test_a_file_that_became_unreadable_stops_new_keys(path: Path, keyring: Keyring, tmp_path: Path) -> None:
    """Broken, or another installation's: a server's fault, so that messages wait, and what was loaded still opens."""
    running = Keyring.load(path)
    dek, wrapped = running.new_dek("sein", "p1")
    Keyring.create(tmp_path / "other.json", ["sein"])
    for content in (b"{}", (tmp_path / "other.json").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(KeyringUnreadable):
            running.new_dek("sein", "p2")
        assert running.unwrap_dek("sein", "p1", wrapped) == dek


def test_a_kek_put_back_leaves_what_came_meanwhile(path: Path, keyring: Keyring) -> None:
    """A version dropped too early opens again, and a KEK made in between is still there."""
    dek, wrapped = keyring.new_dek("sein", "p1")
    keyring.with_new_kek("sein").save(path)
    held = Keyring.load(path)
    Keyring.drop_kek(path, "sein", 1)
    Keyring.load(path).with_new_kek("sein").save(path)
    held.put_back_kek(path, "sein", 1)
    loaded = Keyring.load(path)
    assert loaded.kek_versions("sein") == (1, 2, 3)
    assert loaded.unwrap_dek("sein", "p1", wrapped) == dek
