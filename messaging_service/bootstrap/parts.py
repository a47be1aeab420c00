"""What runs in one process, connected, and the use cases made of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import aiohttp

from messaging_service.adapters.metrics import Metrics
from messaging_service.adapters.mllp import MllpPool
from messaging_service.adapters.notice_mail import NoticeMail
from messaging_service.adapters.on_call import OnCallChannels
from messaging_service.adapters.portal_webhook import StandardWebhook
from messaging_service.adapters.public_addresses import PublicAddresses
from messaging_service.adapters.team_mail import TeamMail
from messaging_service.adapters.traced_epd import TracedEpd
from messaging_service.application.accept_terms import AcceptTerms
from messaging_service.application.access_anchors import Anchors
from messaging_service.application.access_log import ChainedAccessLog
from messaging_service.application.accounts import Accounts
from messaging_service.application.acknowledge import ApplicationAcknowledgement
from messaging_service.application.administer import Administer
from messaging_service.application.alarms import Alarms
from messaging_service.application.alerts import Alerts
from messaging_service.application.allowances import Allowances, ForgetAllowances
from messaging_service.application.awaited import Awaited
from messaging_service.application.break_glass import BreakGlass
from messaging_service.application.care import CareFeed
from messaging_service.application.change_accounts import ChangeAccounts
from messaging_service.application.changes import Changes
from messaging_service.application.climb import Climb
from messaging_service.application.close_accounts import CloseAccounts
from messaging_service.application.converse import Converse
from messaging_service.application.correct import Correct
from messaging_service.application.destroy import Destroy
from messaging_service.application.email_notices import EmailNotices
from messaging_service.application.end_quiet_care import EndQuietCare
from messaging_service.application.escalate import Duty
from messaging_service.application.event_tickets import EventTickets
from messaging_service.application.export import Export
from messaging_service.application.feed import Feed
from messaging_service.application.file import EpdLine
from messaging_service.application.follow import Follow, Signs
from messaging_service.application.forget_accesses import ForgetAccesses
from messaging_service.application.forget_events import ForgetEvents
from messaging_service.application.journey import Journeys
from messaging_service.application.kept_key_sets import KeptKeySets
from messaging_service.application.ledger import Ledger
from messaging_service.application.logins import Logins
from messaging_service.application.mark_handled import MarkHandled
from messaging_service.application.mark_read import MarkRead
from messaging_service.application.mend import Mend
from messaging_service.application.notify import Notify
from messaging_service.application.openings import Openings
from messaging_service.application.overview import Overview
from messaging_service.application.patients import Patients
from messaging_service.application.personal_data import PersonalData
from messaging_service.application.ports import (
    Alarm,
    Broker,
    Clock,
    DocumentStore,
    PatientMail,
    PortalWebhook,
    Topology,
    Traces,
    WorkingDays,
)
from messaging_service.application.processes import Condition, Presence
from messaging_service.application.queue_ages import QueueAges
from messaging_service.application.read import Reader
from messaging_service.application.read_access_log import ReadAccessLog
from messaging_service.application.reads import Reads
from messaging_service.application.receive import Receive
from messaging_service.application.receive_replies import Replies
from messaging_service.application.receive_status import StatusInEpd
from messaging_service.application.recipients import Recipients
from messaging_service.application.reconcile import Reconcile
from messaging_service.application.rehearsals import Rehearsals, WatchRehearsals
from messaging_service.application.rehearse import Rehearse
from messaging_service.application.relations import Relations
from messaging_service.application.remind import Remind
from messaging_service.application.remove_message import RemoveMessage
from messaging_service.application.represent import Represent
from messaging_service.application.restored import Restored
from messaging_service.application.retain import Retain
from messaging_service.application.rewrap import Rewrap
from messaging_service.application.samples import Sampler, Samples
from messaging_service.application.send_email_notices import OwedEmailNotices
from messaging_service.application.send_webhooks import OwedWebhooks
from messaging_service.application.threads import Threads
from messaging_service.application.unmatched import UnmatchedDocuments
from messaging_service.application.verify_access_log import VerifyAccessLog
from messaging_service.application.watch_ledger import WatchLedger
from messaging_service.bootstrap.epd import epd_pool
from messaging_service.config import Settings
from messaging_service.crypto.alarm_links import AlarmLink
from messaging_service.crypto.keyring import Keyring
from messaging_service.epd.render import DocumentTemplate
from messaging_service.screening.screener import Screener
from messaging_service.tenants import Rung, Tenant


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs in one process, connected."""

    settings: Settings
    name: str
    tenants: Mapping[str, Tenant]
    topology: Topology
    clock: Clock
    keyring: Keyring
    broker: Broker
    store: DocumentStore
    http: aiohttp.ClientSession
    metrics: Metrics
    patients: Patients
    accounts: Accounts
    relations: Relations
    threads: Threads
    changes: Changes
    anchors: Anchors
    access_log: ChainedAccessLog
    alerts: Alerts
    calendars: Mapping[str, WorkingDays]
    pools: dict[str, MllpPool]
    closing: AsyncExitStack
    traces: Traces | None = None

    @property
    def queues(self) -> tuple[str, ...]:
        """The names of all queues."""
        return tuple(queue.name for queue in self.topology.queues)

    def ages(self) -> QueueAges:
        """What tells how old the oldest message of a queue is."""
        return QueueAges(tuple(self.tenants), self.store, self.clock)

    def ledger(self) -> Ledger:
        """The check by id that nothing is lost."""
        return Ledger(
            tenants=self.tenants,
            store=self.store,
            broker=self.broker,
            queues=self.queues,
            ladder_ms=self.settings.ladder_ms,
            clock=self.clock,
        )

    def mend(self) -> Mend:
        """What operations do with parked messages."""
        return Mend(
            store=self.store, threads=self.threads, broker=self.broker, access_log=self.access_log, clock=self.clock
        )

    def sampler(self) -> Sampler:
        """What adds this process's share to the samples of the queues."""
        return Sampler(
            tenants=tuple(self.tenants),
            store=self.store,
            broker=self.broker,
            ages=self.ages(),
            flows=self.metrics.flows,
            clock=self.clock,
        )

    def presence(self) -> Presence:
        """What writes down that this process runs."""
        return Presence(self.store, self.name, self.clock, self._condition)

    def _condition(self) -> Condition:
        connections = {tenant: pool.connections() for tenant, pool in self.pools.items()}
        return Condition(self.metrics.open_circuits(), connections)

    def watch_ledger(self) -> WatchLedger:
        """What checks the ledger by the clock."""
        return WatchLedger(store=self.store, ledger=self.ledger(), alerts=self.alerts, clock=self.clock)

    def samples(self) -> Samples:
        """The samples of the queues."""
        return Samples(self.store, self.clock)

    def overview(self) -> Overview:
        """What the operations page shows first."""
        return Overview(
            store=self.store, broker=self.broker, mend=self.mend(), samples=self.samples(), clock=self.clock
        )

    def journey(self) -> Journeys:
        """What operations see of one message."""
        return Journeys(store=self.store, threads=self.threads, changes=self.changes, access_log=self.access_log)

    def key_sets(self) -> KeptKeySets:
        """The issuers' key sets, as they were published last."""
        return KeptKeySets(self.store, self.keyring, self.clock)

    def logins(self) -> Logins:
        """The register of logins."""
        return Logins(self.store, self.keyring, self.tenants)

    def awaited(self) -> Awaited:
        """The clocks of awaited answers."""
        return Awaited(store=self.store, threads=self.threads, calendars=self.calendars, clock=self.clock)

    def reader(self) -> Reader:
        """What shows patients their own messages."""
        return Reader(
            store=self.store,
            patients=self.patients,
            accounts=self.accounts,
            threads=self.threads,
            reads=Reads(self.store, self.threads),
            awaited=self.awaited(),
            keyring=self.keyring,
            access_log=self.access_log,
        )

    def converse(self, reader: Reader) -> Converse:
        """What is done with a thread besides writing in it."""
        return Converse(
            reader=reader,
            accounts=self.accounts,
            threads=self.threads,
            reads=Reads(self.store, self.threads),
            mark_read=self.mark_read(),
            broker=self.broker,
            keyring=self.keyring,
            access_log=self.access_log,
            clock=self.clock,
        )

    def mark_read(self) -> MarkRead:
        """What writes down what care teams read."""
        return MarkRead(
            reads=Reads(self.store, self.threads), broker=self.broker, access_log=self.access_log, clock=self.clock
        )

    def recipients(self) -> Recipients:
        """What says to whom a patient may write."""
        return Recipients(accounts=self.accounts, patients=self.patients, relations=self.relations, clock=self.clock)

    def mark_handled(self) -> MarkHandled:
        """What stops a clock where there is no written answer."""
        return MarkHandled(awaited=self.awaited(), broker=self.broker, keyring=self.keyring, access_log=self.access_log)

    def export(self, reader: Reader) -> Export:
        """What exports all of one's own threads."""
        return Export(
            store=self.store,
            patients=self.patients,
            accounts=self.accounts,
            threads=self.threads,
            reader=reader,
            access_log=self.access_log,
            clock=self.clock,
        )

    def remind(self) -> Remind:
        """What reminds care teams of reply dates, and tells of those that have passed."""
        smtp, sender = self.settings.smtp, self.settings.mail_from
        return Remind(
            tenants=self.tenants,
            awaited=self.awaited(),
            threads=self.threads,
            teams={one.id: TeamMail(one, smtp, sender, self.clock) for one in self.tenants.values()},
            broker=self.broker,
            alerts=self.alerts,
            clock=self.clock,
        )

    def break_glass(self) -> BreakGlass:
        """What lets on-call open an urgent message."""
        return BreakGlass(
            store=self.store,
            patients=self.patients,
            threads=self.threads,
            openings=self.openings(),
            keyring=self.keyring,
            access_log=self.access_log,
            clock=self.clock,
        )

    def openings(self) -> Openings:
        """The openings on record."""
        return Openings(store=self.store, patients=self.patients, access_log=self.access_log)

    def verify_access_log(self) -> VerifyAccessLog:
        """What verifies the access log."""
        return VerifyAccessLog(self.store, self.anchors)

    def read_access_log(self) -> ReadAccessLog:
        """What tells who looked at a patient's data."""
        return ReadAccessLog(
            store=self.store,
            patients=self.patients,
            accounts=self.accounts,
            threads=self.threads,
            access_log=self.access_log,
        )

    async def missing_keys(self) -> list[str]:
        """What is wrong with the KEKs in use, a sentence each: found here before a patient finds it."""
        rewrap = Rewrap(self.store, self.keyring)
        return [fault for tenant in self.tenants for fault in await rewrap.missing(tenant)]

    def forget_accesses(self) -> ForgetAccesses:
        """What lets go of the access log what is over its term."""
        return ForgetAccesses(self.store, self.anchors, self.clock)

    def correct(self) -> Correct:
        """What corrects and withdraws filed messages."""
        return Correct(
            tenants=self.tenants,
            store=self.store,
            broker=self.broker,
            patients=self.patients,
            threads=self.threads,
            changes=self.changes,
            access_log=self.access_log,
            clock=self.clock,
        )

    def reconcile(self) -> Reconcile:
        """What proves filings by the EPD's own list."""
        return Reconcile(
            store=self.store,
            broker=self.broker,
            threads=self.threads,
            changes=self.changes,
            alerts=self.alerts,
            clock=self.clock,
        )

    def restored(self) -> Restored:
        """What follows on a restore of the store."""
        return Restored(store=self.store, broker=self.broker, threads=self.threads, clock=self.clock)

    def application_acknowledgement(self) -> ApplicationAcknowledgement:
        """What takes the EPD's second answers from the listener."""
        return ApplicationAcknowledgement(
            store=self.store,
            broker=self.broker,
            threads=self.threads,
            alerts=self.alerts,
            meter=self.metrics,
            clock=self.clock,
            ladder_ms=self.settings.ladder_ms,
        )

    def unmatched(self) -> UnmatchedDocuments:
        """The clinicians' documents that belong to no thread for certain."""
        return UnmatchedDocuments(store=self.store, keyring=self.keyring, alerts=self.alerts)

    def replies(self) -> Replies:
        """What puts clinicians' documents into threads."""
        return Replies(
            store=self.store,
            broker=self.broker,
            keyring=self.keyring,
            patients=self.patients,
            threads=self.threads,
            awaited=self.awaited(),
            unmatched=self.unmatched(),
            access_log=self.access_log,
            clock=self.clock,
        )

    def care(self) -> CareFeed:
        """What keeps treatment relations and identity true."""
        return CareFeed(
            store=self.store, patients=self.patients, access_log=self.access_log, closing=self.close_accounts()
        )

    def change_accounts(self) -> ChangeAccounts:
        """What writes down and makes changes of accounts."""
        return ChangeAccounts(self.accounts, self.access_log, self.clock)

    def close_accounts(self) -> CloseAccounts:
        """The closing clock of accounts."""
        return CloseAccounts(
            tenants=self.tenants,
            store=self.store,
            accounts=self.accounts,
            change=self.change_accounts(),
            clock=self.clock,
        )

    def end_quiet_care(self) -> EndQuietCare:
        """What ends care that nobody goes on with."""
        return EndQuietCare(
            tenants=self.tenants,
            store=self.store,
            relations=self.relations,
            closing=self.close_accounts(),
            clock=self.clock,
        )

    def remove_message(self) -> RemoveMessage:
        """What takes a message out of the store."""
        return RemoveMessage(store=self.store, threads=self.threads, access_log=self.access_log)

    def destroy(self) -> Destroy:
        """What destroys by a medical-records decision."""
        return Destroy(
            store=self.store,
            threads=self.threads,
            remove_message=self.remove_message(),
            access_log=self.access_log,
            clock=self.clock,
        )

    def retain(self) -> Retain:
        """What removes what is past its term."""
        return Retain(
            tenants=self.tenants,
            store=self.store,
            remove_message=self.remove_message(),
            forget_accesses=self.forget_accesses(),
            clock=self.clock,
        )

    def administer(self) -> Administer:
        """What opens, blocks and closes accounts."""
        return Administer(
            patients=self.patients,
            accounts=self.accounts,
            change=self.change_accounts(),
            alerts=self.alerts,
            clock=self.clock,
        )

    def personal_data(self) -> PersonalData:
        """What corrects and removes what is kept of who a patient is."""
        return PersonalData(
            patients=self.patients,
            accounts=self.accounts,
            email_notices=self.email_notices(),
            access_log=self.access_log,
            clock=self.clock,
        )

    def email_notices(self) -> EmailNotices:
        """What keeps where patients want to be told by e-mail."""
        return EmailNotices(
            store=self.store,
            accounts=self.accounts,
            patients=self.patients,
            access_log=self.access_log,
            clock=self.clock,
        )

    def owed_email_notices(self, mail: Mapping[str, PatientMail]) -> OwedEmailNotices:
        """What owes that e-mail, and sends it by `mail`."""
        return OwedEmailNotices(
            tenants=self.tenants,
            mail=mail,
            store=self.store,
            accounts=self.accounts,
            patients=self.patients,
            threads=self.threads,
            access_log=self.access_log,
            alerts=self.alerts,
            clock=self.clock,
        )

    def patient_mail(self) -> dict[str, PatientMail]:
        """The way of letters to patients, for the tenants that send them."""
        smtp, sender, count = self.settings.smtp, self.settings.mail_from, self.metrics.channel
        return {
            tenant.id: NoticeMail(tenant, smtp, sender, self.clock, count=count)
            for tenant in self.tenants.values()
            if tenant.email_notice is not None
        }

    def represent(self) -> Represent:
        """What registers representatives."""
        return Represent(accounts=self.accounts, change=self.change_accounts(), clock=self.clock)

    def accept_terms(self) -> AcceptTerms:
        """What keeps who accepted which terms."""
        return AcceptTerms(store=self.store, accounts=self.accounts, clock=self.clock)

    def receive(self) -> Receive:
        """What answers the messages of an EPD."""
        return Receive(
            store=self.store,
            keyring=self.keyring,
            replies=self.replies(),
            care=self.care(),
            status=StatusInEpd(
                awaited=self.awaited(),
                patients=self.patients,
                threads=self.threads,
                mark_handled=self.mark_handled(),
                mark_read=self.mark_read(),
            ),
            acknowledged=self.application_acknowledgement(),
            alerts=self.alerts,
            meter=self.metrics,
            clock=self.clock,
        )

    def epd_lines(self) -> dict[str, EpdLine]:
        """A connection pool and a compiled template for each tenant's EPD."""
        lines = {}
        for tenant in self.tenants.values():
            pool = epd_pool(tenant.epd)
            self.closing.push_async_callback(pool.close)
            self.pools[tenant.id] = pool
            epd = pool if self.traces is None else TracedEpd(pool, tenant.id, tenant.epd.address, self.traces)
            lines[tenant.id] = EpdLine(tenant, epd, DocumentTemplate.compile(tenant.epd.profile))
        return lines

    def duties(self) -> dict[str, Duty]:
        """The on-call channels of each tenant, and of each rung of its chain."""
        return {
            tenant.id: Duty(
                tenant, self._on_call(tenant, None), tuple(self._on_call(tenant, rung) for rung in tenant.on_call.chain)
            )
            for tenant in self.tenants.values()
        }

    def _on_call(self, tenant: Tenant, rung: Rung | None) -> OnCallChannels:
        settings = self.settings
        channels = OnCallChannels(
            tenant,
            self.http,
            self.clock,
            public_url=settings.public_url.rstrip("/"),
            smtp=settings.smtp,
            mail_from=settings.mail_from,
            count=self.metrics.channel,
            rung=rung,
            acknowledge=partial(self._acknowledge_link, tenant),
        )
        self.closing.push_async_callback(channels.close)
        return channels

    def _acknowledge_link(self, tenant: Tenant, alarm: Alarm) -> str:
        """Valid for as long as the alarm opens its message; none for a rehearsal, or where nobody knows our address."""
        if alarm.rehearsal or not self.settings.public_url:
            return ""
        expires = alarm.accepted_at // 1000 + tenant.on_call.opens_for_hours * 3600
        link = self.keyring.alarm_link(AlarmLink(tenant.id, alarm.thread, alarm.message, expires))
        return f"{self.settings.public_url.rstrip('/')}/alarms/{link}"

    def alarms(self) -> Alarms:
        """The alarms that nobody acknowledged."""
        return Alarms(
            store=self.store,
            threads=self.threads,
            keyring=self.keyring,
            access_log=self.access_log,
            clock=self.clock,
        )

    def rehearsals(self) -> Rehearsals:
        """When the way of alarms was tried last."""
        return Rehearsals(self.store, self.clock)

    def rehearse(self, screener: Screener) -> Rehearse:
        """What tries the way of alarms."""
        return Rehearse(
            tenants=self.tenants,
            rehearsals=self.rehearsals(),
            screener=screener,
            broker=self.broker,
            keyring=self.keyring,
            alerts=self.alerts,
            clock=self.clock,
        )

    def watch_rehearsals(self) -> WatchRehearsals:
        """What tells operations when that stays away."""
        return WatchRehearsals(tenants=self.tenants, rehearsals=self.rehearsals(), alerts=self.alerts, clock=self.clock)

    def climb(self) -> Climb:
        """What has alarms that nobody acknowledges climb the chain."""
        return Climb(duties=self.duties(), store=self.store, alerts=self.alerts, clock=self.clock)

    def feed(self) -> Feed:
        """What happened, patient by patient."""
        return Feed(self.store)

    def event_tickets(self) -> EventTickets:
        """The tickets that open event streams."""
        return EventTickets(self.store, self.keyring, self.tenants, self.clock)

    def follow(self) -> Follow:
        """Following a patient's feed."""
        return Follow(
            feed=self.feed(),
            accounts=self.accounts,
            patients=self.patients,
            threads=self.threads,
            access_log=self.access_log,
        )

    def allowances(self) -> Allowances:
        """What callers may still do at this gateway."""
        return Allowances(self.store, self.keyring, self.clock)

    def forget_events(self) -> ForgetEvents:
        """What drops events and tickets of the past."""
        return ForgetEvents(
            feed=self.feed(),
            tickets=self.event_tickets(),
            allowances=ForgetAllowances(self.store, self.tenants, self.clock),
            clock=self.clock,
        )

    def signs(self) -> Signs:
        """What wakes this gateway's event streams."""
        return Signs(self.feed(), self.clock)

    def notify(self) -> Notify:
        """The use case of the notify step."""
        return Notify(
            webhooks=self.webhooks(),
            threads=self.threads,
            patients=self.patients,
            feed=self.feed(),
            owed=self.owed_webhooks(),
            email_notices=self.owed_email_notices({}),
            clock=self.clock,
        )

    def owed_webhooks(self) -> OwedWebhooks:
        """What posts again what portals did not take."""
        return OwedWebhooks(
            webhooks=self.webhooks(),
            store=self.store,
            feed=self.feed(),
            threads=self.threads,
            alerts=self.alerts,
            clock=self.clock,
        )

    def webhooks(self) -> dict[str, PortalWebhook]:
        """The portals' webhooks, for the tenants that have one."""
        public = aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=PublicAddresses()))
        self.closing.push_async_callback(public.close)
        return {
            tenant.id: StandardWebhook(tenant.portal, self.http if tenant.portal.loopback else public, self.clock)
            for tenant in self.tenants.values()
            if tenant.portal is not None and tenant.portal.webhook is not None
        }
