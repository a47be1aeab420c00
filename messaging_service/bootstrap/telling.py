"""What tells patients and portals what happened, and what they may still do."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from messaging_service.adapters.notice_mail import NoticeMail
from messaging_service.adapters.portal_webhook import StandardWebhook
from messaging_service.adapters.public_addresses import PublicAddresses
from messaging_service.application.allowances import Allowances, ForgetAllowances
from messaging_service.application.email_notices import EmailNotices
from messaging_service.application.event_tickets import EventTickets
from messaging_service.application.feed import Feed
from messaging_service.application.follow import Follow, Signs
from messaging_service.application.forget_events import ForgetEvents
from messaging_service.application.notify import Notify
from messaging_service.application.ports import PatientMail, PortalWebhook
from messaging_service.application.send_email_notices import OwedEmailNotices
from messaging_service.application.send_webhooks import OwedWebhooks
from messaging_service.bootstrap.parts import Parts


def make_feed(parts: Parts) -> Feed:
    """What happened, patient by patient."""
    return Feed(parts.store)


def make_event_tickets(parts: Parts) -> EventTickets:
    """The tickets that open event streams."""
    return EventTickets(parts.store, parts.keyring, parts.tenants, parts.clock)


def make_follow(parts: Parts) -> Follow:
    """Following a patient's feed."""
    return Follow(
        feed=make_feed(parts),
        accounts=parts.accounts,
        patients=parts.patients,
        threads=parts.threads,
        access_log=parts.access_log,
    )


def make_allowances(parts: Parts) -> Allowances:
    """What callers may still do at this gateway."""
    return Allowances(parts.store, parts.keyring, parts.clock)


def make_forget_events(parts: Parts) -> ForgetEvents:
    """What drops events and tickets of the past."""
    return ForgetEvents(
        feed=make_feed(parts),
        tickets=make_event_tickets(parts),
        allowances=ForgetAllowances(parts.store, parts.tenants, parts.clock),
        clock=parts.clock,
    )


def make_signs(parts: Parts) -> Signs:
    """What wakes this gateway's event streams."""
    return Signs(make_feed(parts), parts.clock)


def make_notify(parts: Parts) -> Notify:
    """The use case of the notify step."""
    webhooks = make_webhooks(parts)
    return Notify(
        webhooks=webhooks,
        threads=parts.threads,
        patients=parts.patients,
        feed=make_feed(parts),
        owed=make_owed_webhooks(parts, webhooks),
        email_notices=make_owed_email_notices(parts, {}),
        clock=parts.clock,
    )


def make_owed_webhooks(parts: Parts, webhooks: Mapping[str, PortalWebhook]) -> OwedWebhooks:
    """What posts again what portals did not take."""
    return OwedWebhooks(
        webhooks=webhooks,
        store=parts.store,
        feed=make_feed(parts),
        threads=parts.threads,
        alerts=parts.alerts,
        clock=parts.clock,
    )


def make_webhooks(parts: Parts) -> dict[str, PortalWebhook]:
    """The portals' webhooks, for the tenants that have one."""
    public = aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=PublicAddresses()))
    parts.closing.push_async_callback(public.close)
    return {
        tenant.id: StandardWebhook(tenant.portal, parts.http if tenant.portal.loopback else public, parts.clock)
        for tenant in parts.tenants.values()
        if tenant.portal is not None and tenant.portal.webhook is not None
    }


def make_email_notices(parts: Parts) -> EmailNotices:
    """What keeps where patients want to be told by e-mail."""
    return EmailNotices(
        store=parts.store,
        accounts=parts.accounts,
        patients=parts.patients,
        access_log=parts.access_log,
        clock=parts.clock,
    )


def make_owed_email_notices(parts: Parts, mail: Mapping[str, PatientMail]) -> OwedEmailNotices:
    """What owes that e-mail, and sends it by `mail`."""
    return OwedEmailNotices(
        tenants=parts.tenants,
        mail=mail,
        store=parts.store,
        accounts=parts.accounts,
        patients=parts.patients,
        threads=parts.threads,
        access_log=parts.access_log,
        alerts=parts.alerts,
        clock=parts.clock,
    )


def make_patient_mail(parts: Parts) -> dict[str, PatientMail]:
    """The way of letters to patients, for the tenants that send them."""
    smtp, sender, count = parts.settings.smtp, parts.settings.mail_from, parts.metrics.channel
    return {
        tenant.id: NoticeMail(tenant, smtp, sender, parts.clock, count=count)
        for tenant in parts.tenants.values()
        if tenant.email_notice is not None
    }
