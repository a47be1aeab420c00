"""Two records that were one person's, joined and parted again; no content is touched.

Each record keeps its own key and threads. Joining links one record to the other and rewires its identifiers, so that
who logs in under any of them is the surviving patient, who reads the threads of all.
"""

from __future__ import annotations

from messaging_service.application.collections import IDENTIFIERS, PATIENTS
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Document, DocumentStore
from messaging_service.domain.errors import Conflict, MessageFault, MessagingError


class MergeInCircle(MessagingError):
    """The records would be merged into themselves. Look up in the EPD which of them survives."""


class Merges:
    """Links records by their own ids. The newest word on a record counts, in whatever order it comes."""

    def __init__(self, store: DocumentStore, patients: Patients) -> None:
        self._store = store
        self._patients = patients

    async def join(self, loser: str, survivor: str, at: int) -> None:
        """`loser` is `survivor` since `at` (milliseconds); a repeat changes nothing, nor does an older word.

        Raises:
            MergeInCircle: the survivor was merged into the loser, and not parted since.
            Conflict: somebody else changed the record at the same moment.
        """
        record = await self._record(loser)
        if at < record["linked_at"] or await self._is_overtaken(loser, survivor, at):
            return
        await self._link(record, survivor, at)

    async def part(self, one: str, other: str, at: int) -> None:
        """Neither is the other, since `at`. Raises Conflict."""
        for loser, survivor in ((one, other), (other, one)):
            record = await self._record(loser)
            if record["merged_into"] in ("", survivor) and at >= record["linked_at"]:
                await self._link(record, "", at)

    async def survivor(self, record: str) -> str:
        """The record that this one goes on as; itself when it was not merged. Raises Conflict for a circle."""
        seen: list[str] = []
        while record not in seen:
            seen.append(record)
            merged_into = (await self._record(record))["merged_into"]
            if not merged_into:
                return record
            record = merged_into
        raise Conflict("records merged in a circle")

    async def _link(self, record: Document, survivor: str, at: int) -> None:
        if (record["merged_into"], record["linked_at"]) != (survivor, at):
            changed = {**record, "merged_into": survivor, "linked_at": at}
            if not await self._store.replace(PATIENTS, changed):
                raise Conflict("patient")
            await self._take_back_circle(record)
        await self._rewire(record["id"])

    async def _take_back_circle(self, before: Document) -> None:
        """Two that were joined to each other at the same moment: each takes its own link back, and is told again."""
        try:
            await self.survivor(before["id"])
        except Conflict:
            await self._store.replace(PATIENTS, {**before, "version": before["version"] + 1})
            raise

    async def _rewire(self, record: str) -> None:
        """Also at a repeat: the one before may have ended half-way."""
        survivor = await self.survivor(record)
        for own in await self._patients.members(record):
            for identifier in await self._store.find(IDENTIFIERS, "of_own", {"own": own}):
                if identifier["patient"] != survivor and not await self._store.replace(
                    IDENTIFIERS, {**identifier, "patient": survivor}
                ):
                    raise Conflict("identifier")

    async def _is_overtaken(self, loser: str, survivor: str, at: int) -> bool:
        """Whether the survivor goes on as the loser by a newer word. Raises MergeInCircle when not by a newer one."""
        newest, record = 0, survivor
        if loser != survivor:
            await self.survivor(survivor)
        while record != loser:
            link = await self._record(record)
            if not link["merged_into"]:
                return False
            newest, record = max(newest, link["linked_at"]), link["merged_into"]
        if loser == survivor or newest <= at:
            raise MergeInCircle
        return True

    async def _record(self, id: str) -> Document:
        document = await self._store.get(PATIENTS, id)
        if document is None:
            raise MessageFault("patient_unknown", final=True)
        return document
