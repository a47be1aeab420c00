"""On-call channels against a real SMTP server and a real webhook, in all the ways that these fail."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from messaging_service.adapters import mail as mail_server
from messaging_service.adapters import portal_webhook
from messaging_service.adapters.mail import MailServer
from messaging_service.adapters.on_call import OnCallChannels
from messaging_service.adapters.portal_webhook import WebhookSecret
from messaging_service.application.ports import Alarm
from messaging_service.domain.errors import OnCallUnreachable, SettingInvalid
from messaging_service.tenants import Tenant

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT = 1_780_310_700_000  # Monday 1 June 2026, 10:45 UTC
ALARM = Alarm("spijkenisse", "01JZ8Q4Y5VTHX3S3M2T7C9N0KD", "01JZ8Q9Z5VTHX3S3M2T7C9N0KE", AT, 1)
ARTS, ASSISTENT = "arts@hospital.example", "assistent@hospital.example"


DESK = {"code": "desk", "name": "Desk", "department": "general"}
GENERAL = {"code": "general", "name": "General", "care_team": "desk"}


def tenant(webhook: str | None = None, email: tuple[str, ...] = (), secret: str | None = SECRET) -> Tenant:
    return msgspec.convert(
        {
            "id": "spijkenisse",
            "name": "Spijkenisse\nMedisch Centrum",
            "telephone": "0181",
            "identity": {
                "issuer": "https://i",
                "audience": "a",
                "jwks": "https://i/k",
                "identifiers": {"bsn": "bsn"},
                "assurance": {"factors": [["pwd"]]},
            },
            "reply": {"days": 3, "count": "working"},
            "routing": {"triage_desk": "desk", "care_teams": [DESK], "departments": [GENERAL]},
            "epd": {"address": "mllp://localhost:1", "profile": {}},
            "on_call": {"webhook": webhook, "secret": secret, "email": email},
        },
        Tenant,
    )


class MailPeer:
    """What an SMTP server does with what comes; `letters` are what it took."""

    def __init__(self) -> None:
        self.letters: list[tuple[list[str], EmailMessage]] = []
        self.over_tls: list[bool] = []
        self.greetings: list[str | None] = []
        self.logins: list[LoginPassword] = []
        self.refused: set[str] = set()
        self.answer = "250 OK"
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.may_part = asyncio.Event()
        self.may_part.set()
        self.port = 0

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:
        if address in self.refused:
            return f"550 no such user {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:
        await self.may_answer.wait()
        if self.answer.startswith("2"):
            assert isinstance(envelope.content, bytes)
            letter = message_from_bytes(envelope.content, policy=policy.default)
            self.letters.append((envelope.rcpt_tos, letter))
            self.over_tls.append(session.ssl is not None)
            self.greetings.append(session.host_name)
        return self.answer

    async def handle_QUIT(self, _: SMTP, __: Session, ___: Envelope) -> str:
        await self.may_part.wait()
        return "221 bye"

    def check(self, _: object, __: object, ___: object, ____: object, login: LoginPassword) -> AuthResult:
        self.logins.append(login)
        return AuthResult(success=login == LoginPassword(b"on call", b"p@ss:word/"), handled=False)


class HookPeer:
    """A webhook that keeps what it is sent and answers as told."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.hangs = False
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.posts.append((headers, await request.read()))
        if self.hangs:
            await asyncio.Event().wait()
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})


@asynccontextmanager
async def serve(mail: MailPeer, tls: ssl.SSLContext | None = None, **more: Any) -> AsyncIterator[MailPeer]:
    """An SMTP server on a free port of this machine; `tls` from the first byte."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mail, loop=loop, **more), "127.0.0.1", 0, ssl=tls)
    async with server:
        mail.port = server.sockets[0].getsockname()[1]
        yield mail


@pytest.fixture
async def mail() -> AsyncIterator[MailPeer]:
    async with serve(MailPeer()) as peer:
        yield peer


@pytest.fixture
async def hook() -> AsyncIterator[HookPeer]:
    peer = HookPeer()
    app = web.Application()
    app.router.add_post("/{tail:.*}", peer.handle)
    async with TestServer(app, host="127.0.0.1") as server:
        peer.url = str(server.make_url("/alarm"))
        yield peer


Build = Callable[..., OnCallChannels]


@pytest.fixture
async def counted() -> list[tuple[str, str]]:
    return []


@pytest.fixture
async def channels(counted: list[tuple[str, str]]) -> AsyncIterator[Build]:
    async with aiohttp.ClientSession() as http:
        built: list[OnCallChannels] = []

        def build(settings: Tenant, smtp: str | None = None, tls: ssl.SSLContext | None = None) -> OnCallChannels:
            built.append(
                OnCallChannels(
                    settings,
                    http,
                    lambda: AT + 5_000,
                    public_url="https://messages.hospital.example",
                    smtp=smtp,
                    mail_from="Messaging <alarm@hospital.example>",
                    count=lambda channel, outcome: counted.append((channel, outcome)),
                    tls=tls,
                )
            )
            return built[-1]

        yield build
        for one in built:
            await one.close()


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate of its own for 127.0.0.1, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    (folder / "cert").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert", folder / "key")
    return server, ssl.create_default_context(cafile=str(folder / "cert"))


async def test_the_letter(mail: MailPeer, channels: Build, counted: list[tuple[str, str]]) -> None:
    """Both readers get one letter in two languages: that, since when, which message, what to do; no more."""
    await channels(tenant(email=(ARTS, ASSISTENT)), f"smtp://127.0.0.1:{mail.port}").page(ALARM)
    ((receivers, letter),) = mail.letters
    text = letter.get_content()
    assert receivers == [ARTS, ASSISTENT]
    assert letter["Subject"] == "Spoedbericht / urgent message: Spijkenisse Medisch Centrum"
    assert letter["From"] == "Messaging <alarm@hospital.example>"
    assert letter["Message-ID"] == f"<alarm.{ALARM.message}@hospital.example>"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Date"].datetime == datetime.fromtimestamp(AT / 1000 + 5, UTC)
    assert text.count(f"{ALARM.message}\r\n") == 2
    assert text.count(f"https://messages.hospital.example/v1/alarms/{ALARM.message}/opening\r\n") == 2
    assert text.count("2026-06-01 12:45 CEST") == 2
    assert "spoedbericht van een patiënt" in text
    assert "urgent message from a patient" in text
    assert ALARM.thread not in text
    assert mail.greetings == ["hospital.example"]
    assert counted == [("email", "taken")]


async def test_the_webhook(hook: HookPeer, channels: Build, counted: list[tuple[str, str]]) -> None:
    """One signed post with identifiers only, under an id by which a receiver can drop repeats."""
    await channels(tenant(hook.url)).page(ALARM)
    ((headers, body),) = hook.posts
    event_id = f"alarm.{ALARM.thread}.{ALARM.message}"
    assert WebhookSecret(SECRET, "").headers(event_id, AT + 5_000, body).items() <= headers.items()
    assert msgspec.json.decode(body) == {
        "type": "alarm.raised",
        "timestamp": AT,
        "data": {
            "tenant": "spijkenisse",
            "thread": ALARM.thread,
            "message": ALARM.message,
            "count": 1,
            "link": f"https://messages.hospital.example/v1/alarms/{ALARM.message}/opening",
        },
    }
    assert counted == [("webhook", "taken")]


async def test_a_rehearsal(hook: HookPeer, mail: MailPeer, channels: Build, counted: list[tuple[str, str]]) -> None:
    """The webhook's type says so; the mail server is asked whether it takes the receivers, and no letter is sent;
    a receiver that it refuses is only partly taken, a channel that fails is named."""
    duty = channels(tenant(hook.url, (ARTS, ASSISTENT)), f"smtp://127.0.0.1:{mail.port}")
    rehearsal = replace(ALARM, rehearsal=True)
    assert await duty.rehearse(rehearsal) == ()
    assert msgspec.json.decode(hook.posts[0][1])["type"] == "alarm.rehearsed"
    assert sorted(counted) == [("email", "taken"), ("webhook", "taken")]
    mail.refused.add(ASSISTENT)
    hook.status = 500
    counted.clear()
    assert await duty.rehearse(rehearsal) == ("webhook",)
    assert sorted(counted) == [("email", "partly"), ("webhook", "failed")]
    assert mail.letters == []


async def test_the_hospitals_own_link(hook: HookPeer, mail: MailPeer, channels: Build) -> None:
    """Where the tenant's file says where on-call opens messages, webhook and letter lead there."""
    own = tenant(hook.url, (ARTS,))
    on_call = msgspec.structs.replace(own.on_call, link="https://dienst.example/open?bericht={message}")
    own = msgspec.structs.replace(own, on_call=on_call)
    duty = channels(own, f"smtp://127.0.0.1:{mail.port}")
    await duty.page(ALARM)
    await duty.close()
    link = f"https://dienst.example/open?bericht={ALARM.message}"
    assert msgspec.json.decode(hook.posts[0][1])["data"]["link"] == link
    assert mail.letters[0][1].get_content().count(link) == 2


async def test_both_at_once(hook: HookPeer, mail: MailPeer, channels: Build, counted: list[tuple[str, str]]) -> None:
    """With both configured both are told."""
    duty = channels(tenant(hook.url, (ARTS,)), f"smtp://127.0.0.1:{mail.port}")
    await duty.page(ALARM)
    await duty.close()
    assert (len(hook.posts), len(mail.letters)) == (1, 1)
    assert sorted(counted) == [("email", "taken"), ("webhook", "taken")]


async def test_back_with_the_first_while_the_second_goes_on(
    hook: HookPeer, mail: MailPeer, channels: Build, counted: list[tuple[str, str]]
) -> None:
    """A mail server that takes its time holds nobody up, and its letter still leaves."""
    mail.may_answer.clear()
    duty = channels(tenant(hook.url, (ARTS,)), f"smtp://127.0.0.1:{mail.port}")
    await duty.page(ALARM)
    assert (counted, mail.letters) == ([("webhook", "taken")], [])
    mail.may_answer.set()
    await duty.close()
    assert counted == [("webhook", "taken"), ("email", "taken")]
    assert len(mail.letters) == 1


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_mail_takes_it_when_the_webhook_refuses(
    hook: HookPeer, mail: MailPeer, channels: Build, counted: list[tuple[str, str]], status: int
) -> None:
    """One channel is enough; the failing one is logged with its status and counted, its redirect not followed."""
    hook.status = status
    with capture_logs() as logged:
        await channels(tenant(hook.url, (ARTS,)), f"smtp://127.0.0.1:{mail.port}").page(ALARM)
    assert sorted(counted) == [("email", "taken"), ("webhook", "failed")]
    assert logged == [
        {
            "event": "on_call_failed",
            "log_level": "error",
            "channel": "webhook",
            "tenant": "spijkenisse",
            "message": ALARM.message,
            "reason": f"WebhookDown it answered {status}",
        }
    ]
    assert len(hook.posts) == 1


async def test_a_channel_that_breaks_does_not_stop_the_other(
    hook: HookPeer, mail: MailPeer, channels: Build, counted: list[tuple[str, str]]
) -> None:
    """A thread id that no header may carry breaks the webhook, an error nobody foresaw; the mail still goes."""
    odd = Alarm("spijkenisse", "x\r\ny", ALARM.message, AT, 1)
    await channels(tenant(hook.url, (ARTS,)), f"smtp://127.0.0.1:{mail.port}").page(odd)
    assert sorted(counted) == [("email", "taken"), ("webhook", "failed")]
    assert hook.posts == []


@pytest.mark.parametrize("answer", ["451 try later", "554 refused for arts@hospital.example"])
async def test_a_mail_server_that_refuses(
    mail: MailPeer, channels: Build, counted: list[tuple[str, str]], answer: str
) -> None:
    """4xx and 5xx alike: nobody took it. The log has the code, not the answer, which may quote addresses."""
    mail.answer = answer
    with capture_logs() as logged, pytest.raises(OnCallUnreachable):
        await channels(tenant(email=(ARTS,)), f"smtp://127.0.0.1:{mail.port}").page(ALARM)
    assert counted == [("email", "failed")]
    assert logged[0]["reason"] == f"SMTPDataError {answer[:3]}"
    assert ARTS not in repr(logged)


async def test_one_receiver_refused(mail: MailPeer, channels: Build, counted: list[tuple[str, str]]) -> None:
    """One address is wrong: the other is told, which is enough, but it is logged and counted as partly."""
    mail.refused = {ARTS}
    with capture_logs() as logged:
        await channels(tenant(email=(ARTS, ASSISTENT)), f"smtp://127.0.0.1:{mail.port}").page(ALARM)
    assert [receivers for receivers, _ in mail.letters] == [[ASSISTENT]]
    assert counted == [("email", "partly")]
    assert [line["event"] for line in logged] == ["on_call_partly"]
    assert ARTS not in repr(logged)


async def test_every_receiver_refused(mail: MailPeer, channels: Build, counted: list[tuple[str, str]]) -> None:
    """No address is right: nobody was told."""
    mail.refused = {ARTS, ASSISTENT}
    with capture_logs() as logged, pytest.raises(OnCallUnreachable):
        await channels(tenant(email=(ARTS, ASSISTENT)), f"smtp://127.0.0.1:{mail.port}").page(ALARM)
    assert counted == [("email", "failed")]
    assert ARTS not in repr(logged)


async def test_both_hang(
    hook: HookPeer,
    mail: MailPeer,
    channels: Build,
    counted: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither answers: both time out, side by side, and the caller learns that nobody was told."""
    assert mail_server.SMTP_SECONDS == 10
    monkeypatch.setattr(portal_webhook, "TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(mail_server, "SMTP_SECONDS", 0.2)
    hook.hangs = True
    mail.may_answer.clear()
    with pytest.raises(OnCallUnreachable):
        await channels(tenant(hook.url, (ARTS,)), f"smtp://127.0.0.1:{mail.port}").page(ALARM)
    assert sorted(counted) == [("email", "failed"), ("webhook", "failed")]
    mail.may_answer.set()


async def test_a_mail_server_that_does_not_part(
    mail: MailPeer, channels: Build, counted: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took the letter and never answers QUIT: taken, or on-call would get the same letter without end."""
    monkeypatch.setattr(mail_server, "QUIT_SECONDS", 0.1)
    mail.may_part.clear()
    await channels(tenant(email=(ARTS,)), f"smtp://127.0.0.1:{mail.port}").page(ALARM)
    assert (len(mail.letters), counted) == (1, [("email", "taken")])
    mail.may_part.set()


async def test_both_down(channels: Build, counted: list[tuple[str, str]]) -> None:
    """Nobody listens: the error names the tenant, neither log nor error the addresses."""
    duty = channels(tenant(f"http://127.0.0.1:{unused_port()}/T0SECRET", (ARTS,)), f"smtp://127.0.0.1:{unused_port()}")
    with capture_logs() as logged, pytest.raises(OnCallUnreachable, match="spijkenisse") as unreachable:
        await duty.page(ALARM)
    assert sorted(counted) == [("email", "failed"), ("webhook", "failed")]
    assert "T0SECRET" not in repr(logged) + str(unreachable.value)


def test_none_configured() -> None:
    """A tenant without channels cannot be told: its file is refused."""
    with pytest.raises(msgspec.ValidationError, match="on_call needs a webhook"):
        tenant()


async def test_starttls(channels: Build, counted: list[tuple[str, str]], tmp_path: Path) -> None:
    """`smtp+starttls` encrypts before anything of the letter is said, and logs in with decoded words."""
    server, client = certificate(tmp_path)
    peer = MailPeer()
    async with serve(peer, tls_context=server, authenticator=peer.check, auth_required=True):
        url = f"smtp+starttls://on%20call:p%40ss%3Aword%2F@127.0.0.1:{peer.port}"
        await channels(tenant(email=(ARTS,)), url, client).page(ALARM)
    assert (len(peer.letters), peer.over_tls, len(peer.logins)) == (1, [True], 1)
    assert counted == [("email", "taken")]


async def test_smtps(channels: Build, tmp_path: Path) -> None:
    """`smtps` is TLS from the first byte."""
    server, client = certificate(tmp_path)
    async with serve(MailPeer(), server) as peer:
        await channels(tenant(email=(ARTS,)), f"smtps://127.0.0.1:{peer.port}", client).page(ALARM)
    assert len(peer.letters) == 1


@pytest.mark.parametrize("login", ["", "user:word@"])
async def test_no_starttls_no_letter(
    mail: MailPeer, channels: Build, counted: list[tuple[str, str]], login: str
) -> None:
    """A server, or somebody in between, that hides STARTTLS gets neither letter nor password."""
    duty = channels(tenant(email=(ARTS,)), f"smtp+starttls://{login}127.0.0.1:{mail.port}")
    with pytest.raises(OnCallUnreachable):
        await duty.page(ALARM)
    assert (mail.letters, mail.logins) == ([], [])
    assert counted == [("email", "failed")]


async def test_a_certificate_nobody_vouches_for(channels: Build, tmp_path: Path) -> None:
    """Without a context of ours the system's certificates count, and a self-made one does not."""
    server, _ = certificate(tmp_path)
    async with serve(MailPeer(), tls_context=server) as peer:
        with pytest.raises(OnCallUnreachable):
            await channels(tenant(email=(ARTS,)), f"smtp+starttls://127.0.0.1:{peer.port}").page(ALARM)
    assert peer.letters == []


async def test_a_wrong_password(channels: Build, tmp_path: Path) -> None:
    """A refused log-in is a failing channel; the password is not logged."""
    server, client = certificate(tmp_path)
    peer = MailPeer()
    async with serve(peer, tls_context=server, authenticator=peer.check, auth_required=True):
        duty = channels(tenant(email=(ARTS,)), f"smtp+starttls://on%20call:hunter2@127.0.0.1:{peer.port}", client)
        with capture_logs() as logged, pytest.raises(OnCallUnreachable):
            await duty.page(ALARM)
    assert peer.logins
    assert logged[0]["reason"] == "SMTPAuthenticationError 535"
    assert "hunter2" not in repr(logged)


@pytest.mark.parametrize(
    ("setting", "server"),
    [
        ("smtp://127.0.0.1", ("smtp", "127.0.0.1", 25, None, None)),
        ("smtp+starttls://mail.example", ("smtp+starttls", "mail.example", 587, None, None)),
        ("smtps://u:p%3A@mail.example", ("smtps", "mail.example", 465, "u", "p:")),
        ("smtp://u:p@localhost:1025", ("smtp", "localhost", 1025, "u", "p")),
    ],
)
def test_mail_server_settings(setting: str, server: tuple[str, str, int, str | None, str | None]) -> None:
    """Each scheme has its usual port; user and password are percent-decoded; the password is in no repr."""
    read = MailServer.of(setting)
    assert (read.scheme, read.host, read.port, read.user, read.password) == server
    assert "p:" not in repr(read)


def test_mail_server_from_a_file(tmp_path: Path) -> None:
    """The line with the password may stand in a file."""
    (tmp_path / "smtp").write_text("smtps://u:p@mail.example\n")
    assert MailServer.of(f"file:{tmp_path / 'smtp'}").password == "p"


@pytest.mark.parametrize(
    "setting",
    ["", "mail.example", "http://mail.example", "smtp://", "smtp://mail.example:x", "smtp://mail.example"],
)
def test_mail_server_settings_refused(setting: str) -> None:
    """No scheme, no host, no number, or a password in the clear: refused by name, password unseen."""
    with pytest.raises(SettingInvalid, match="MESSAGING_SMTP") as refused:
        MailServer.of(setting)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (tenant("https://hook.example/", secret=None), "webhook needs a secret"),
        (tenant("http://hook.example/"), r"\[on_call\] webhook"),
        (tenant("https://hook.example/", secret="short"), r"\[on_call\] secret"),
        (tenant(email=(ARTS,)), "email needs MESSAGING_SMTP"),
    ],
)
async def test_settings_refused(channels: Build, settings: Tenant, named: str) -> None:
    """What could not ring at night is refused by day, when the service starts."""
    with pytest.raises(SettingInvalid, match=named) as refused:
        channels(settings)
    assert "spijkenisse" in str(refused.value)


async def test_a_sender_without_a_domain() -> None:
    """The sender's domain is how we greet the mail server, so it is checked at the start."""
    async with aiohttp.ClientSession() as http:
        with pytest.raises(SettingInvalid, match="MESSAGING_MAIL_FROM"):
            OnCallChannels(
                tenant(email=(ARTS,)),
                http,
                lambda: AT,
                public_url="",
                smtp="smtp://localhost",
                mail_from="alarm",
                count=print,
            )
