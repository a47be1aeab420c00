"""The keyring's file: private from the first moment, replaced whole, refused when others can read it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from messaging_service.crypto import private_file
from messaging_service.crypto.private_file import Exposure
from messaging_service.domain.errors import Conflict, SettingInvalid

ROOT, SERVICE = 0, 10001


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_new_file_is_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """Mode 0600, also where the umask would give the file to everybody."""
    before = os.umask(umask)
    try:
        private_file.create(tmp_path / "k", b"content")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600
    assert private_file.read(tmp_path / "k") == b"content"


def test_a_new_file_is_private_before_it_has_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no moment between creation and chmod in which another user can open it."""
    modes: list[int] = []

    def fchmod(descriptor: int, mode: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))

    monkeypatch.setattr(os, "fchmod", fchmod)
    private_file.create(tmp_path / "k", b"content")
    assert modes == [0o600]


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    """Creating over a file, or over a dangling link that leads elsewhere, is refused."""
    (tmp_path / "k").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("k", "link"):
        with pytest.raises(SettingInvalid, match="exists"):
            private_file.create(tmp_path / name, b"content")
    assert (tmp_path / "k").read_bytes() == b"precious"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666])
def test_a_file_open_to_others_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    """Any right of group or others is refused, and the message says what to type."""
    path = tmp_path / "k"
    path.write_bytes(b"content")
    path.chmod(mode)
    with pytest.raises(SettingInvalid, match=f"chmod 600 {path}"):
        private_file.read(path)


@pytest.mark.parametrize(
    ("mode", "owner", "read_only", "on_root", "private"),
    [
        (0o600, SERVICE, False, True, True),
        (0o400, SERVICE, False, True, True),
        (0o644, ROOT, True, False, True),  # a Kubernetes secret
        (0o440, ROOT, True, False, True),  # the same with an fsGroup
        (0o444, ROOT, True, False, True),  # a Docker secret
        (0o664, ROOT, True, False, False),  # others could write it where it came from
        (0o646, ROOT, True, False, False),
        (0o644, SERVICE, True, False, False),  # its owner could change it
        (0o644, ROOT, False, False, False),  # an ordinary disk
        (0o644, ROOT, True, True, False),  # baked into a read-only image
    ],
)
def test_what_counts_as_private(mode: int, owner: int, read_only: bool, on_root: bool, private: bool) -> None:
    """Owner-only files and mounted secrets pass; everything else that others can touch does not."""
    exposure = Exposure(stat.S_IFREG | mode, owner, read_only, on_root)
    assert exposure.private is private


def test_exposure_asks_the_open_file(tmp_path: Path) -> None:
    """Mode, owner and mount are those of the file that was opened."""
    path = tmp_path / "k"
    private_file.create(path, b"")
    with path.open("rb") as file:
        exposure = Exposure.of(file.fileno())
    same_mount = tmp_path.stat().st_dev == Path("/").stat().st_dev
    assert exposure == Exposure(stat.S_IFREG | 0o600, os.geteuid(), False, same_mount)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder and a pipe without a writer each get an answer, at once."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(SettingInvalid, match="not a regular file"):
        private_file.read(tmp_path / "pipe")
    with pytest.raises(SettingInvalid):
        private_file.read(tmp_path)
    with pytest.raises(SettingInvalid, match="No such file"):
        private_file.read(tmp_path / "missing")


def test_replacing_keeps_mode_owner_and_link(tmp_path: Path) -> None:
    """The file behind a link gets the new content with the rights it had; nothing is left over."""
    real, link = tmp_path / "real", tmp_path / "link"
    private_file.create(real, b"old")
    real.chmod(0o400)
    link.symlink_to(real)
    before = real.stat()
    private_file.replace(link, lambda content: content + b" and new")
    after = real.stat()
    assert link.is_symlink()
    assert real.read_bytes() == b"old and new"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_root_replaces_for_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An administrator's change gives the new file to the user of the old one, who must read it."""
    path = tmp_path / "k"
    private_file.create(path, b"old")
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, uid, gid: given.append((uid, gid)))
    private_file.replace(path, lambda _: b"new")
    assert given == [(path.stat().st_uid, path.stat().st_gid)]


def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    """Where the revision is None the file is the very same one."""
    path = tmp_path / "k"
    private_file.create(path, b"old")
    before = path.stat()
    private_file.replace(path, lambda _: None)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_one_replaces_at_a_time(tmp_path: Path) -> None:
    """A second replacement during the first is told so and changes nothing."""
    path = tmp_path / "k"
    private_file.create(path, b"old")

    def meanwhile(_: bytes) -> bytes:
        with pytest.raises(Conflict):
            private_file.replace(path, lambda _: b"lost")
        return b"new"

    private_file.replace(path, meanwhile)
    assert path.read_bytes() == b"new"


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves the old file as it was, and no half of a new one."""
    path = tmp_path / "k"
    private_file.create(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SettingInvalid, match="No space left"):
        private_file.replace(path, lambda _: b"new")
    with pytest.raises(SettingInvalid, match="No space left"):
        private_file.create(tmp_path / "other", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("k", b"old")]
