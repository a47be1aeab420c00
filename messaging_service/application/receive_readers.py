"""Who may have read a reply: the question after one that was withdrawn because it was for somebody else."""

from __future__ import annotations

from dataclasses import dataclass

from messaging_service.application.access_entry import order_at
from messaging_service.application.collections import ACCESS_LOG
from messaging_service.application.ports import DocumentStore
from messaging_service.application.threads import REPLY, Threads
from messaging_service.domain.errors import SettingInvalid

_PAGE = 500


@dataclass(frozen=True, slots=True)
class ReadAccess:
    """One reading out of the access log: when (milliseconds), by whom (pseudonym and role), and of what.

    `object_kind` is message, thread, or threads: the list, which shows the last message of each thread.
    """

    at: int
    actor: str
    role: str
    object_kind: str


class ReplyNotFound(SettingInvalid):
    """There is no reply of that id."""


async def readers(store: DocumentStore, threads: Threads, reply: str) -> list[ReadAccess]:
    """Every access that showed the reply while it could be seen, oldest first.

    Raises:
        ReplyNotFound: no message of that id, or not a clinician's.
    """
    message = await threads.message(reply)
    if message is None or message.kind != REPLY:
        raise ReplyNotFound(reply)
    found, above = [], order_at(message.persisted_at)
    below = order_at(message.withdrawn_at + 1) if message.withdrawn_at else None
    while True:
        page = await store.find(
            ACCESS_LOG, "of_patient", {"patient": message.patient}, above=above, below=below, limit=_PAGE
        )
        found += [
            each for each in page if each["action"] == "read" and _shows(each["object"], message.id, message.thread)
        ]
        if len(page) < _PAGE:
            return [ReadAccess(each["at"], each["actor"], each["role"], each["object_kind"]) for each in found]
        above = page[-1]["order"]


def _shows(object: str, message: str, thread: str) -> bool:
    return object in (message, thread, "")
