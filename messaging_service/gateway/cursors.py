"""Places in lists, as the API hands them out: proved, so that none can be made up or used for another list."""

from __future__ import annotations

import hmac

from messaging_service.application.callers import Writer
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.refusals import Malformed

_PROOF = 32
_LONGEST = 128


class Cursors:
    """Makes and reads cursors; each is for one person and one list, and good for ever."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def make(self, writer: Writer, place: str, *about: str) -> str:
        """The cursor to go on after `place` in the list that `about` names with what it is asked for."""
        return f"{place}.{self._proof(writer, place, about)}"

    def read(self, writer: Writer, given: str, *about: str) -> str:
        """The place. Raises Malformed for what `make` did not make for this person and list."""
        place, _, proof = given[: _LONGEST + 1].rpartition(".")
        if len(given) > _LONGEST or not hmac.compare_digest(
            proof.encode(errors="replace"), self._proof(writer, place, about).encode()
        ):
            raise Malformed("after must be the `next` of an earlier answer to the same question")
        return place

    def _proof(self, writer: Writer, place: str, about: tuple[str, ...]) -> str:
        said = ("cursor", writer.author.role, writer.author.subject, place, *about)
        return self._keyring.digest(writer.tenant.id, *(part.encode(errors="replace").decode() for part in said))[
            :_PROOF
        ]
