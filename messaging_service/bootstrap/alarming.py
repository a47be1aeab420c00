"""On-call, its alarms, and the rehearsals of them."""

from __future__ import annotations

from functools import partial

from messaging_service.adapters.on_call import OnCallChannels
from messaging_service.application.alarms import Alarms
from messaging_service.application.climb import Climb
from messaging_service.application.escalate import Duty
from messaging_service.application.ports import Alarm
from messaging_service.application.rehearsals import Rehearsals, WatchRehearsals
from messaging_service.application.rehearse import Rehearse
from messaging_service.bootstrap.parts import Parts
from messaging_service.crypto.alarm_links import AlarmLink
from messaging_service.screening.screener import Screener
from messaging_service.tenants import Rung, Tenant


def make_duties(parts: Parts) -> dict[str, Duty]:
    """The on-call channels of each tenant, and of each rung of its chain."""
    return {
        tenant.id: Duty(
            tenant, _on_call(parts, tenant, None), tuple(_on_call(parts, tenant, rung) for rung in tenant.on_call.chain)
        )
        for tenant in parts.tenants.values()
    }


def _on_call(parts: Parts, tenant: Tenant, rung: Rung | None) -> OnCallChannels:
    settings = parts.settings
    channels = OnCallChannels(
        tenant,
        parts.http,
        parts.clock,
        public_url=settings.public_url.rstrip("/"),
        smtp=settings.smtp,
        mail_from=settings.mail_from,
        count=parts.metrics.channel,
        rung=rung,
        acknowledge=partial(_acknowledge_link, parts, tenant),
    )
    parts.closing.push_async_callback(channels.close)
    return channels


def _acknowledge_link(parts: Parts, tenant: Tenant, alarm: Alarm) -> str:
    """Valid for as long as the alarm opens its message; none for a rehearsal, or where nobody knows our address."""
    if alarm.rehearsal or not parts.settings.public_url:
        return ""
    expires = alarm.accepted_at // 1000 + tenant.on_call.opens_for_hours * 3600
    link = parts.keyring.alarm_link(AlarmLink(tenant.id, alarm.thread, alarm.message, expires))
    return f"{parts.settings.public_url.rstrip('/')}/alarms/{link}"


def make_alarms(parts: Parts) -> Alarms:
    """The alarms that nobody acknowledged."""
    return Alarms(
        store=parts.store,
        threads=parts.threads,
        keyring=parts.keyring,
        access_log=parts.access_log,
        clock=parts.clock,
    )


def make_rehearsals(parts: Parts) -> Rehearsals:
    """When the way of alarms was tried last."""
    return Rehearsals(parts.store, parts.clock)


def make_rehearse(parts: Parts, screener: Screener) -> Rehearse:
    """What tries the way of alarms."""
    return Rehearse(
        tenants=parts.tenants,
        rehearsals=make_rehearsals(parts),
        screener=screener,
        broker=parts.broker,
        keyring=parts.keyring,
        clock=parts.clock,
    )


def make_watch_rehearsals(parts: Parts) -> WatchRehearsals:
    """What tells operations when that stays away."""
    return WatchRehearsals(
        tenants=parts.tenants, rehearsals=make_rehearsals(parts), alerts=parts.alerts, clock=parts.clock
    )


def make_climb(parts: Parts) -> Climb:
    """What has alarms that nobody acknowledges climb the chain."""
    return Climb(duties=make_duties(parts), store=parts.store, alerts=parts.alerts, clock=parts.clock)
