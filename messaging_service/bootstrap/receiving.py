"""What goes to an EPD and comes from it."""

from __future__ import annotations

from messaging_service.adapters.traced_epd import TracedEpd
from messaging_service.application.acknowledge import ApplicationAcknowledgement
from messaging_service.application.care import CareFeed
from messaging_service.application.file import EpdLine
from messaging_service.application.receive import Receive
from messaging_service.application.receive_replies import Replies
from messaging_service.application.receive_status import StatusInEpd
from messaging_service.application.unmatched import UnmatchedDocuments
from messaging_service.bootstrap.administering import make_close_accounts
from messaging_service.bootstrap.conversing import make_awaited, make_mark_handled, make_mark_read
from messaging_service.bootstrap.epd import epd_pool
from messaging_service.bootstrap.parts import Parts
from messaging_service.epd.render import DocumentTemplate


def make_epd_lines(parts: Parts) -> dict[str, EpdLine]:
    """A connection pool and a compiled template for each tenant's EPD."""
    lines = {}
    for tenant in parts.tenants.values():
        pool = epd_pool(tenant.epd)
        parts.closing.push_async_callback(pool.close)
        parts.pools[tenant.id] = pool
        epd = pool if parts.traces is None else TracedEpd(pool, tenant.id, tenant.epd.address, parts.traces)
        lines[tenant.id] = EpdLine(tenant, epd, DocumentTemplate.compile(tenant.epd.profile))
    return lines


def make_application_acknowledgement(parts: Parts) -> ApplicationAcknowledgement:
    """What takes the EPD's second answers from the listener."""
    return ApplicationAcknowledgement(
        store=parts.store,
        broker=parts.broker,
        threads=parts.threads,
        alerts=parts.alerts,
        meter=parts.metrics,
        clock=parts.clock,
        ladder_ms=parts.settings.ladder_ms,
    )


def make_unmatched(parts: Parts) -> UnmatchedDocuments:
    """The clinicians' documents that belong to no thread for certain."""
    return UnmatchedDocuments(store=parts.store, keyring=parts.keyring, alerts=parts.alerts)


def make_replies(parts: Parts) -> Replies:
    """What puts clinicians' documents into threads."""
    return Replies(
        store=parts.store,
        broker=parts.broker,
        keyring=parts.keyring,
        patients=parts.patients,
        threads=parts.threads,
        awaited=make_awaited(parts),
        unmatched=make_unmatched(parts),
        access_log=parts.access_log,
        clock=parts.clock,
    )


def make_care(parts: Parts) -> CareFeed:
    """What keeps treatment relations and identity true."""
    return CareFeed(
        store=parts.store, patients=parts.patients, access_log=parts.access_log, closing=make_close_accounts(parts)
    )


def make_receive(parts: Parts) -> Receive:
    """What answers the messages of an EPD."""
    return Receive(
        store=parts.store,
        keyring=parts.keyring,
        replies=make_replies(parts),
        care=make_care(parts),
        status=StatusInEpd(
            awaited=make_awaited(parts),
            patients=parts.patients,
            threads=parts.threads,
            mark_handled=make_mark_handled(parts),
            mark_read=make_mark_read(parts),
        ),
        acknowledged=make_application_acknowledgement(parts),
        alerts=parts.alerts,
        meter=parts.metrics,
        clock=parts.clock,
    )
