"""Everything that the service stands on, tried one by one: what is amiss, and what to do about it."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from urllib.parse import urlsplit

import aiohttp

from messaging_service.adapters.mail import MailServer, domain_of, greet
from messaging_service.application.collections import ALL
from messaging_service.application.ports import Broker, Depth, DocumentStore
from messaging_service.application.processes import running
from messaging_service.application.rehearsals import Rehearsals, overdue_after
from messaging_service.application.rewrap import Rewrap
from messaging_service.application.topology import PARK_DEAD, topology
from messaging_service.application.watch_ledger import last_report
from messaging_service.bootstrap.epd import epd_pool
from messaging_service.bootstrap.opening import system_clock
from messaging_service.bootstrap.servers import broker_of, store_of
from messaging_service.config import Settings, load_settings, load_tenants
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.errors import MessagingError
from messaging_service.tenants import Tenant

_SECONDS = 5.0
_SKEW_MS = 5_000
_GATEWAYS = ("gateway", "serve")


class Health(StrEnum):
    """GOOD; ADVICE: it runs, and something better is to be had; FAULT: something does not work."""

    GOOD = "good"
    ADVICE = "advice"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried. `remedy` says what to do."""

    what: str
    health: Health
    says: str
    remedy: str = ""


def good(what: str, says: str) -> Finding:
    """It is in order."""
    return Finding(what, Health.GOOD, says)


def fault(what: str, problem: BaseException | str, remedy: str = "") -> Finding:
    """It is not; our own errors say their remedy themselves."""
    says = problem if isinstance(problem, str) else " ".join(str(problem).split()) or type(problem).__name__
    return Finding(what, Health.FAULT, says, remedy)


async def examine(environment: Mapping[str, str] = os.environ) -> AsyncIterator[Finding]:
    """Try all of it; what cannot be tried because of an earlier fault is left out."""
    try:
        settings = load_settings(environment)
        tenants = load_tenants(settings.tenants, environment)
    except MessagingError as problem:
        yield fault("settings", problem)
        return
    yield good("settings", f"{len(tenants)} tenants: {', '.join(tenants)}")
    for finding in [*_advice(settings, tenants), *_keys(settings, tenants)]:
        yield finding
    store, broker = store_of(settings), broker_of(settings, "doctor")
    try:
        async for finding in _servers(settings, tenants, store, broker):
            yield finding
    finally:
        await broker.close()
        await store.close()
    if url := settings.ops_webhook or "":
        remedy = "check MESSAGING_OPS_WEBHOOK, the firewall and its certificate: nobody is told of faults meanwhile"
        yield await _tried("operations webhook", lambda: _connect(url), "takes a connection", remedy)
    for tenant in tenants.values():
        async for finding in _outside(tenant):
            yield finding
    yield await _mail(settings, tenants)
    yield await _clock(tenants)


def _advice(settings: Settings, tenants: Mapping[str, Tenant]) -> list[Finding]:
    found = []
    if not settings.public_url:
        remedy = "set MESSAGING_PUBLIC_URL to the gateway's address as on-call reaches it"
        found.append(Finding("settings", Health.ADVICE, "alarms cannot be acknowledged by one tap", remedy))
    if not settings.ops_webhook:
        remedy = "set MESSAGING_OPS_WEBHOOK"
        found.append(Finding("settings", Health.ADVICE, "faults are told in the log alone", remedy))
    for tenant in tenants.values():
        if not tenant.on_call.chain:
            says = "an alarm that nobody acknowledges climbs no chain; operations are told after 15 minutes"
            found.append(Finding(f"{tenant.id} on-call", Health.ADVICE, says, "add [[on_call.chain]] to its file"))
    return found


def _keys(settings: Settings, tenants: Mapping[str, Tenant]) -> list[Finding]:
    try:
        keyring = Keyring.load(settings.keyring)
        for tenant in tenants:
            keyring.kek_versions(tenant)
    except MessagingError as problem:
        return [fault("keys", problem, "`messaging-service keys init` makes what is missing; `keys restore` puts back")]
    return [good("keys", "every tenant has a KEK")]


async def _servers(
    settings: Settings, tenants: Mapping[str, Tenant], store: DocumentStore, broker: Broker
) -> AsyncIterator[Finding]:
    held: set[str] = set()
    try:
        await store.open(ALL)
        await store.ping()
    except MessagingError as problem:
        yield fault("store", problem)
    else:
        yield good("store", "answers, and takes writes")
        for finding in await _keys_in_use(settings, tenants, store):
            yield finding
        async for finding in _from_store(tenants, store):
            yield finding
        held = {queue for process in await running(store, system_clock()) for queue in process.circuits}
    try:
        await broker.open()
        await broker.ping()
        names = [queue.name for queue in topology(tenants, settings.ladder_ms).queues]
        depths = await broker.depths(names)
    except MessagingError as problem:
        yield fault("broker", problem)
        return
    yield good("broker", f"answers; all {len(names)} queues are there")
    for finding in workers(depths, held):
        yield finding
    if depths[PARK_DEAD].ready:
        yield fault("park", f"{depths[PARK_DEAD].ready} messages in {PARK_DEAD}", "see the log of the park worker")


def workers(depths: Mapping[str, Depth], held: Collection[str]) -> list[Finding]:
    """Who works on the queues; `held` are those that a process left alone because the server behind does not answer."""
    idle = [name for name, depth in depths.items() if not depth.consumers and name != PARK_DEAD]
    waiting, left = [name for name in idle if name in held], [name for name in idle if name not in held]
    found = []
    if waiting:
        says = f"{', '.join(waiting)}: the server behind does not answer; it is tried again by itself, nothing is lost"
        remedy = "do not restart anything of ours: get the EPD, on-call or the portal going"
        found.append(fault("outside", says, remedy))
    if left:
        says = f"nobody works on {', '.join(left)}"
        found.append(fault("workers", says, "start `messaging-service worker STEP`, or `serve`"))
    return found or [good("workers", "every queue has its worker")]


async def _keys_in_use(settings: Settings, tenants: Mapping[str, Tenant], store: DocumentStore) -> list[Finding]:
    """A KEK that patients' keys need and the keyring has no more, found before a patient finds it."""
    try:
        rewrap = Rewrap(store, Keyring.load(settings.keyring))
        missing = [problem for tenant in tenants for problem in await rewrap.missing(tenant)]
    except MessagingError:
        return []  # told already: the keyring cannot be read, or the store has just gone
    remedy = "put the keyring's backup back: `messaging-service keys restore`"
    return [fault("keys in use", problem, remedy) for problem in missing] or [
        good("keys in use", "a patient's key under each KEK opens")
    ]


async def _from_store(tenants: Mapping[str, Tenant], store: DocumentStore) -> AsyncIterator[Finding]:
    now = system_clock()
    seen = await running(store, now)
    gateways = [process for process in seen if process.name in _GATEWAYS]
    if gateways:
        yield good("gateway", f"{len(gateways)} run")
    else:
        yield fault("gateway", "none gave a sign of life in 45 s", "start `messaging-service gateway`, or `serve`")
    ahead = max((process.seen_at - now for process in seen), default=0)
    if ahead > _SKEW_MS:
        yield fault(
            "clock", f"a process's clock is {ahead // 1000} s ahead of this machine's", "run NTP on all machines"
        )
    report = await last_report(store)
    if report is not None and not report.ok:
        yield fault("ledger", "something is lost or late", "`messaging-service ledger` says which messages")
    for tenant in tenants.values():
        finding = await _rehearsed(tenant, store, now)
        if finding is not None:
            yield finding


async def _rehearsed(tenant: Tenant, store: DocumentStore, now: int) -> Finding | None:
    last, what = await Rehearsals(store, system_clock).last(tenant.id), f"{tenant.id} alarms"
    minutes = tenant.on_call.rehearse_minutes
    if not minutes or last is None:
        return None
    ago = (now - (last.taken_at or last.began_at)) // 60_000
    overdue, remedy = ago > overdue_after(minutes), f"`messaging-service alarms rehearse {tenant.id}` tries it now"
    if not last.taken_at:
        says = f"no rehearsal came through since they began {ago} minutes ago"
        return fault(what, says, remedy) if overdue else Finding(what, Health.ADVICE, says, remedy)
    if last.failed:
        return fault(what, f"the last rehearsal, {ago} minutes ago, was not taken by: {', '.join(last.failed)}", remedy)
    says = f"the last rehearsal came through {ago} minutes ago"
    return fault(what, says, remedy) if overdue else good(what, says)


async def _outside(tenant: Tenant) -> AsyncIterator[Finding]:
    yield await _tried(f"{tenant.id} EPD", lambda: _probe_epd(tenant), "takes a connection", "check [epd] address")
    on_call = tenant.on_call
    places = {"on-call webhook": on_call.webhook, **{f"on-call {rung.name}": rung.webhook for rung in on_call.chain}}
    if tenant.portal is not None:
        places["portal webhook"] = tenant.portal.webhook
    for name, url in places.items():
        if url:
            remedy = "check its address in the tenant's file, the firewall and its certificate"
            yield await _tried(f"{tenant.id} {name}", lambda url=url: _connect(url), "takes a connection", remedy)  # type: ignore[misc]


async def _tried(what: str, trial: Callable[[], Awaitable[None]], says: str, remedy: str) -> Finding:
    try:
        async with asyncio.timeout(_SECONDS):
            await trial()
    except (MessagingError, OSError, ssl.SSLError, TimeoutError) as problem:
        return fault(what, problem if isinstance(problem, MessagingError) else type(problem).__name__, remedy)
    return good(what, says)


async def _probe_epd(tenant: Tenant) -> None:
    pool = epd_pool(tenant.epd)
    try:
        await pool.probe()
    finally:
        await pool.close()


async def _connect(url: str) -> None:
    """Connected, with TLS where that is asked, and closed again: nothing is sent."""
    parts = urlsplit(url)
    encrypted = parts.scheme == "https"
    port = parts.port or (443 if encrypted else 80)
    _, writer = await asyncio.open_connection(parts.hostname, port, ssl=encrypted or None)
    writer.close()


async def _mail(settings: Settings, tenants: Mapping[str, Tenant]) -> Finding:
    if not settings.smtp:
        wanted = [t.id for t in tenants.values() if t.on_call.email or any(rung.email for rung in t.on_call.chain)]
        if wanted:
            return fault("mail", f"{', '.join(wanted)}: [on_call] email needs MESSAGING_SMTP", "set MESSAGING_SMTP")
        told = [t.id for t in tenants.values() if t.email_notice is not None]
        if told:
            return fault("mail", f"{', '.join(told)}: [email_notice] needs MESSAGING_SMTP", "set MESSAGING_SMTP")
        return good("mail", "not used")
    try:
        await greet(MailServer.of(settings.smtp), domain_of(settings.mail_from))
    except Exception as problem:  # whatever is wrong with a mail server is a finding; its words may quote addresses
        return fault(
            "mail", problem if isinstance(problem, MessagingError) else type(problem).__name__, "check MESSAGING_SMTP"
        )
    return good("mail", "the server greets")


async def _clock(tenants: Mapping[str, Tenant]) -> Finding:
    """Against the Date of an issuer that has a key set to fetch (RFC 9110 §6.6.1): tokens hold for minutes only."""
    url = next((t.identity.jwks for t in tenants.values() if t.identity.jwks.startswith("http")), None)
    if url is None:
        return Finding("clock", Health.ADVICE, "nothing to compare it with", "run NTP")
    try:
        async with aiohttp.ClientSession() as http, http.head(url, timeout=aiohttp.ClientTimeout(_SECONDS)) as answer:
            there = parsedate_to_datetime(answer.headers["Date"]).timestamp() * 1000
    except (aiohttp.ClientError, TimeoutError, KeyError, ValueError) as problem:
        return fault("issuer", f"its key set cannot be fetched ({type(problem).__name__})", "check [identity] jwks")
    skew = abs(system_clock() - there)
    if skew > _SKEW_MS:
        return fault("clock", f"{skew / 1000:.0f} s off the issuer's", "run NTP")
    return good("clock", "agrees with the issuer's")
