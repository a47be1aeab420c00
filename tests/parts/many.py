"""A tenant with many messages, put straight into the store as the persist step leaves them; content is random bytes."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from messaging_service.application.codec import to_document
from messaging_service.application.collections import FILINGS, MESSAGES, READS, THREADS
from messaging_service.application.ports import Collection, DocumentStore
from messaging_service.application.reads import ReadUpTo
from messaging_service.application.threads import REPLY, SUBMISSION, StoredMessage, StoredThread
from messaging_service.domain.filing import Filing, FilingState
from messaging_service.domain.message import Lane

IN_A_THREAD, OF_A_PATIENT = 4, 5
"""Messages in a thread, two of them a clinician's; threads of a patient."""

_TENANT, _SEALED, _BATCH = "spijkenisse", secrets.token_bytes(900), 500


async def fill(store: DocumentStore, messages: int, at: int, name: str = "x") -> None:
    """So many messages of one tenant, with threads, filings and read places; the newest at `at`, a minute apart.

    `name` sets them apart from others that are filled in.
    """
    for start in range(0, messages, _BATCH):
        numbers = range(start, min(start + _BATCH, messages))
        stored = [_message(number, at - (messages - number) * 60_000, name) for number in numbers]
        openers = [one for one in stored if one.place == 1]
        await _insert(store, MESSAGES, stored)
        await _insert(
            store,
            FILINGS,
            [Filing(one.id, _TENANT, Lane.NORMAL, one.accepted_at, FilingState.FILED) for one in stored if one.run],
        )
        await _insert(
            store, THREADS, [StoredThread.opened(one.id, _TENANT, one.patient, one.accepted_at) for one in openers]
        )
        await _insert(
            store,
            READS,
            [ReadUpTo(f"{one.id}.{one.patient}", _TENANT, one.id, one.patient, "patient", 2, at) for one in openers],
        )


async def _insert(store: DocumentStore, collection: Collection, values: Iterable[object]) -> None:
    assert all(await store.insert(collection, [to_document(value) for value in values]))


def _message(number: int, at: int, name: str) -> StoredMessage:
    thread = number - number % IN_A_THREAD
    reply = number % 2 == 1
    return StoredMessage(
        id=f"{name}{number:025}",
        tenant=_TENANT,
        patient=f"{name}{thread // IN_A_THREAD // OF_A_PATIENT:031}",
        thread=f"{name}{thread:025}",
        place=number - thread + 1,
        lane=Lane.NORMAL,
        care_team="cardiology",
        department="cardiology",
        routed_by="document" if reply else "relation",
        reply_by="" if reply else "2026-06-02",
        accepted_at=at,
        persisted_at=at,
        run="" if reply else "run",
        number=number,
        sealed=_SEALED,
        kind=REPLY if reply else SUBMISSION,
    )
