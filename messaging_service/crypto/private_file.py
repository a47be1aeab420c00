"""A file that only its owner reads: made, read and replaced without a moment in which others can.

When is a file that others may read still private? When it was mounted as a secret: Kubernetes writes secrets
as 0644 or, with an fsGroup, 0440, Docker as 0444, all owned by root, and there `chmod` cannot work. What
protects these is not the mode but the mount, which exists in this container alone. So group and others may
read when all of this holds: the mount is read-only, it is not the one that holds `/` (a key baked into an
image is not a mounted secret), root owns the file, and nobody else may write it. On a shared host no file
should meet these by accident; an ordinary file there, also root's, needs mode 0600.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from messaging_service.domain.errors import Conflict, SettingInvalid


@dataclass(frozen=True, slots=True)
class Exposure:
    """What decides who may read and write an open file: mode bits, owner, and the mount it lies on."""

    mode: int
    owner: int
    read_only_mount: bool
    on_root_mount: bool

    @classmethod
    def of(cls, descriptor: int) -> Exposure:
        """Asks the open file, not its path, so nobody can swap the file between the check and the read."""
        status = os.fstat(descriptor)
        return cls(
            mode=status.st_mode,
            owner=status.st_uid,
            read_only_mount=bool(os.fstatvfs(descriptor).f_flag & os.ST_RDONLY),
            on_root_mount=status.st_dev == os.stat("/").st_dev,
        )

    @property
    def private(self) -> bool:
        """Only the owner may touch it, or it is a mounted secret."""
        mounted_secret = self.read_only_mount and not self.on_root_mount and self.owner == 0
        return not self.mode & (0o022 if mounted_secret else 0o077)


def read(path: Path) -> bytes:
    """The content of a private file; symbolic links are followed, as mounted secrets are made of them.

    Raises:
        SettingInvalid: missing, not a regular file, or open to others; names the remedy.
    """
    try:
        # O_NONBLOCK: a pipe at this path must be refused below, not waited for
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            exposure = Exposure.of(file.fileno())
            if not stat.S_ISREG(exposure.mode):
                raise SettingInvalid(f"{path} is not a regular file")
            if not exposure.private:
                raise SettingInvalid(f"{path} is open to other users: chmod 600 {path}")
            return file.read()
    except OSError as exc:
        raise SettingInvalid(f"{path} cannot be read: {exc.strerror}") from exc


def stamp(path: Path) -> tuple[int, int] | None:
    """What differs once the file was replaced; None when there is none to be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def create(path: Path, content: bytes) -> None:
    """Write a new file of mode 0600; on return it survives a crash of the machine.

    Raises:
        SettingInvalid: the path is taken (the file there is untouched) or cannot be written.
    """
    try:
        _write_new(path, content, 0o600)
        _sync_directory(path.parent)
    except OSError as exc:
        raise SettingInvalid(f"{path} cannot be created: {exc.strerror}") from exc


def replace(path: Path, revise: Callable[[bytes], bytes | None]) -> None:
    """Replace the content by `revise(present content)`, or leave it where that is None.

    Readers see the old or the new content, whole. Mode and owner stay, so that root may do this for the
    service. One process at a time: the directory is locked meanwhile.

    Raises:
        Conflict: another process is replacing a file in this directory.
        SettingInvalid: see `read`; or the file cannot be written.
    """
    target = path.resolve()  # a symbolic link stays one
    try:
        with _locked(target.parent):
            revised = revise(read(target))
            if revised is not None:
                _swap(target, revised)
    except BlockingIOError as exc:
        raise Conflict(f"{path} is being replaced") from exc
    except OSError as exc:
        raise SettingInvalid(f"{path} cannot be replaced: {exc.strerror}") from exc


def _swap(target: Path, content: bytes) -> None:
    present = target.stat()
    beside = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    _write_new(beside, content, stat.S_IMODE(present.st_mode), (present.st_uid, present.st_gid))
    try:
        os.replace(beside, target)
    except BaseException:
        beside.unlink()
        raise
    _sync_directory(target.parent)


def _write_new(path: Path, content: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if owner is not None:
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
    except BaseException:
        path.unlink()  # half a file would look like a broken keyring
        raise


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _sync_directory(directory: Path) -> None:
    """A new name is on disk only once its directory is."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
