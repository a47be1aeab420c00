"""What patients and care teams read, and do with a thread."""

from __future__ import annotations

from messaging_service.adapters.team_mail import TeamMail
from messaging_service.application.allowances import Allowances
from messaging_service.application.awaited import Awaited
from messaging_service.application.converse import Converse
from messaging_service.application.correct import Correct
from messaging_service.application.export import Export
from messaging_service.application.journal import Journal
from messaging_service.application.limit_messages import LimitMessages
from messaging_service.application.mark_handled import MarkHandled
from messaging_service.application.mark_read import MarkRead
from messaging_service.application.read import Reader
from messaging_service.application.reads import Reads
from messaging_service.application.recipients import Recipients
from messaging_service.application.remind import Remind
from messaging_service.application.submit import Submit
from messaging_service.bootstrap.parts import Parts
from messaging_service.screening.screener import Screener


def make_awaited(parts: Parts) -> Awaited:
    """The clocks of awaited answers."""
    return Awaited(store=parts.store, threads=parts.threads, calendars=parts.calendars, clock=parts.clock)


def make_reader(parts: Parts) -> Reader:
    """What shows patients their own messages."""
    return Reader(
        store=parts.store,
        patients=parts.patients,
        accounts=parts.accounts,
        threads=parts.threads,
        reads=Reads(parts.store, parts.threads),
        awaited=make_awaited(parts),
        keyring=parts.keyring,
        access_log=parts.access_log,
    )


def make_converse(parts: Parts, reader: Reader) -> Converse:
    """What is done with a thread besides writing in it."""
    return Converse(
        reader=reader,
        accounts=parts.accounts,
        threads=parts.threads,
        reads=Reads(parts.store, parts.threads),
        mark_read=make_mark_read(parts),
        broker=parts.broker,
        keyring=parts.keyring,
        access_log=parts.access_log,
        clock=parts.clock,
    )


def make_mark_read(parts: Parts) -> MarkRead:
    """What writes down what care teams read."""
    return MarkRead(
        reads=Reads(parts.store, parts.threads), broker=parts.broker, access_log=parts.access_log, clock=parts.clock
    )


def make_recipients(parts: Parts) -> Recipients:
    """What says to whom a patient may write."""
    return Recipients(accounts=parts.accounts, patients=parts.patients, relations=parts.relations, clock=parts.clock)


def make_mark_handled(parts: Parts) -> MarkHandled:
    """What stops a clock where there is no written answer."""
    return MarkHandled(
        awaited=make_awaited(parts), broker=parts.broker, keyring=parts.keyring, access_log=parts.access_log
    )


def make_export(parts: Parts, reader: Reader) -> Export:
    """What exports all of one's own threads."""
    return Export(
        store=parts.store,
        patients=parts.patients,
        accounts=parts.accounts,
        threads=parts.threads,
        reader=reader,
        access_log=parts.access_log,
        clock=parts.clock,
    )


def make_remind(parts: Parts) -> Remind:
    """What reminds care teams of reply dates, and tells of those that have passed."""
    smtp, sender = parts.settings.smtp, parts.settings.mail_from
    return Remind(
        tenants=parts.tenants,
        awaited=make_awaited(parts),
        threads=parts.threads,
        teams={one.id: TeamMail(one, smtp, sender, parts.clock) for one in parts.tenants.values()},
        broker=parts.broker,
        alerts=parts.alerts,
        clock=parts.clock,
    )


def make_correct(parts: Parts) -> Correct:
    """What corrects and withdraws filed messages."""
    return Correct(
        tenants=parts.tenants,
        store=parts.store,
        broker=parts.broker,
        patients=parts.patients,
        threads=parts.threads,
        changes=parts.changes,
        access_log=parts.access_log,
        clock=parts.clock,
    )


def make_submit(parts: Parts, screener: Screener, journal: Journal, allowances: Allowances) -> Submit:
    """What takes messages in."""
    return Submit(
        broker=parts.broker,
        patients=parts.patients,
        accounts=parts.accounts,
        relations=parts.relations,
        threads=parts.threads,
        screener=screener,
        keyring=parts.keyring,
        journal=journal,
        calendars=parts.calendars,
        limit=LimitMessages(allowances, parts.threads),
        clock=parts.clock,
    )
