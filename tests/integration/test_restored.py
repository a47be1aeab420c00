"""After a restore: what the EPD lists is filed, what it does not is queued again under the number it had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from messaging_service.application.changes import CorrectedText
from messaging_service.application.codec import to_document
from messaging_service.application.collections import FILINGS
from messaging_service.application.restored import Restoration, Restored
from messaging_service.application.topology import file_queue, notify_queue
from messaging_service.domain.events import MessageFiled
from messaging_service.domain.filing import RECONCILED, Filing, FilingState
from messaging_service.domain.message import Lane
from tests.integration.conftest import Command
from tests.parts.filing import Hospital, hospital
from tests.parts.service import Service, event_in

QUEUE = file_queue("spijkenisse", Lane.NORMAL)


async def restored(at: Hospital, *numbers: str) -> Restoration:
    service = at.service
    use_case = Restored(store=service.store, broker=service.broker, threads=service.threads, clock=service.clock)
    return await use_case(at.tenant, numbers)


async def as_at_the_backup(service: Service, filing: Filing, state: FilingState) -> None:
    """The filing as an old store has it: nothing was sent yet."""
    old = to_document(Filing.waiting(filing.id, filing.tenant, filing.lane, filing.accepted_at)) | {"state": state}
    known: Any = await service.store.get(FILINGS, filing.id)
    assert await service.store.replace(FILINGS, old | {"version": known["version"]})


async def test_what_the_epd_has_is_filed_and_not_sent(service: Service) -> None:
    """Waiting, under way or parked in the old store, filed since: the list proves it, nothing is sent."""
    async with hospital(service) as at:
        for state in (FilingState.WAITING, FilingState.SENDING, FilingState.UNKNOWN, FilingState.PARKED):
            message = await at.filed()
            await as_at_the_backup(service, await at.filing(message.id), state)
            sent = len(at.epd.frames)
            done = await restored(at, message.id, "A-DOCUMENT-OF-OTHERS")
            assert (done.filed, done.again, done.not_here, done.listed) == ([message.id], [], [], 2)
            filing = await at.filing(message.id)
            assert (filing.state, filing.attempts[-1].code) == (FilingState.FILED, RECONCILED)
            assert await at.carry_out() == []
            assert len(at.epd.frames) == sent
            told = await service.queued(notify_queue("spijkenisse"))
            assert event_in(told[-1], MessageFiled).message == message.id


async def test_what_the_epd_has_not_is_queued_again(service: Service) -> None:
    """Without a list it is sent once more, under the document id and the control id that it had: the same document."""
    async with hospital(service) as at:
        message = await at.filed()
        await as_at_the_backup(service, await at.filing(message.id), FilingState.WAITING)
        for _ in range(2):
            done = await restored(at)
            assert (done.filed, done.again) == ([], [message.id])
        assert await at.carry_out() == [message.id, message.id]
        assert list(at.epd.inbox) == [message.id]
        assert (at.epd.inbox[message.id].count, len(set(at.epd.inbox[message.id].control_ids))) == (2, 1)
        assert (await at.filing(message.id)).state is FilingState.FILED


async def test_a_change_is_queued_as_a_change(service: Service) -> None:
    """A correction that waited in the old store goes out as the correction that it is."""
    async with hospital(service) as at:
        message = await at.filed()
        change = await at.correct.correct(message.id, CorrectedText("Vraag", "Verbeterd."), "typing-error")
        await at.carry_out()
        await as_at_the_backup(service, await at.filing(change.id), FilingState.WAITING)
        assert (await restored(at)).again == [change.id]
        assert await at.carry_out() == [change.id]
        assert (await at.filing(change.id)).state is FilingState.FILED


async def test_what_the_store_has_not_is_named(service: Service) -> None:
    """A message and a change of one, listed by the EPD and unknown here, are named; what cannot be ours is not."""
    async with hospital(service) as at:
        message, lost = await at.filed(), service.message_id()
        done = await restored(at, message.id, lost, f"{message.id}.1", "A-DOCUMENT-OF-OTHERS")
        assert sorted(done.not_here) == sorted([lost, f"{message.id}.1"])


def test_nobody_forgets_the_list_of_the_destroyed(command: Command, tmp_path: Path) -> None:
    """Without the list, or the word that there is none, nothing is done; with that word it is."""
    refused = command("restored", "spijkenisse", "-")
    assert refused.exit_code == 2
    assert "--destroyed" in refused.stderr
    assert command("restored", "spijkenisse", "-", "--nothing-destroyed").exit_code == 0
