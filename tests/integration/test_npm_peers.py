"""Interoperation with MLLP peers from npm, over TCP and over TLS: they file what we send, we answer what they send."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import hl7
import pytest

from messaging_service.adapters.mllp import MllpClient
from messaging_service.domain.errors import EpdDown
from messaging_service.epd.acknowledgement import AckCode, AckUnknown, Unanswered, parse_ack
from messaging_service.epd.profile import EpdProfile
from messaging_service.epd.render import DocumentTemplate
from messaging_service.epd.text import unescape
from messaging_service.tenants import Listener
from tests.parts.epd_sender import admission, code, document
from tests.parts.npm_peer import npm_peer
from tests.parts.receiving import Receiving
from tests.parts.service import Service
from tests.unit.epd.documents import DOCUMENT
from workers.receive import server_tls

TEMPLATE = DocumentTemplate.compile(EpdProfile())
HOSTILE = "a|b^c~d\\e&f \\F\\ é € 😀\n\nMSH|^~\\&|einde\n" + "regel met tekst\n" * 300
OVER = pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])


def trusting(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificate))
    context.load_cert_chain(certificate)
    return context


def body_in(message: str) -> str:
    """The text of an MDM^T02, read without our own parser: the repetitions of OBX-5."""
    (line,) = [segment for segment in message.split("\r") if "|BODY^" in segment]
    return "\n".join(unescape(part) for part in line.split("|")[5].split("~"))


@OVER
async def test_medplums_server_files_what_we_send(certificate: Path, secure: bool) -> None:
    """@medplum/hl7 acknowledges a row of documents on one connection, hostile and long text unchanged."""
    pem = certificate if secure else None
    async with npm_peer("medplum-server", pem=pem) as peer:
        port = (await peer.says())["port"]
        client = MllpClient("127.0.0.1", port, tls=trusting(certificate) if secure else None)
        for number in range(5):
            filing = replace(DOCUMENT, message_id=f"{number:026d}", control_id=f"K{number}", body=f"{number} {HOSTILE}")
            answer = parse_ack(await client.exchange(TEMPLATE.render(filing), filing.control_id))
            assert (answer.code, answer.control_id) == (AckCode.AA, f"K{number}")
            assert body_in((await peer.says())["received"]) == f"{number} {HOSTILE}"
        await client.close()


@OVER
async def test_node_hl7_servers_mistake_is_never_believed(certificate: Path, secure: bool) -> None:
    """node-hl7-server files the first document of a connection, and to any later one answers for the first.

    It keeps what it received before it (2.5.0). MSA-2 tells; the connection is given up, and on a new one it files.
    """
    pem = certificate if secure else None
    async with npm_peer("node-hl7-server", pem=pem) as peer:
        port = (await peer.says())["port"]
        client = MllpClient("127.0.0.1", port, tls=trusting(certificate) if secure else None)
        first, second = (
            replace(DOCUMENT, message_id=f"{number:026d}", control_id=f"K{number}", body=f"{number} {HOSTILE}")
            for number in range(2)
        )
        answer = parse_ack(await client.exchange(TEMPLATE.render(first), "K0"))
        assert (answer.code, answer.control_id) == (AckCode.AA, "K0")
        assert body_in((await peer.says())["received"]) == f"0 {HOSTILE}"
        with pytest.raises(AckUnknown) as raised:
            await client.exchange(TEMPLATE.render(second), "K1")
        assert raised.value.why is Unanswered.MISMATCH
        assert await peer.says()
        answer = parse_ack(await client.exchange(TEMPLATE.render(second), "K1"))
        assert (answer.code, answer.control_id) == (AckCode.AA, "K1")
        assert body_in((await peer.says())["received"]) == f"1 {HOSTILE}"
        await client.close()


@pytest.mark.parametrize("side", ["medplum-server", "node-hl7-server"])
async def test_their_servers_over_tls_demand_our_certificate(certificate: Path, side: str) -> None:
    """Who does not trust theirs files nothing."""
    async with npm_peer(side, pem=certificate) as peer:
        client = MllpClient("127.0.0.1", (await peer.says())["port"], tls=ssl.create_default_context())
        with pytest.raises(EpdDown, match="SSLCertVerificationError"):
            await client.exchange(TEMPLATE.render(DOCUMENT), DOCUMENT.control_id)
        await client.close()


@OVER
@pytest.mark.parametrize("side", ["medplum-client", "node-hl7-client"])
async def test_their_clients_are_answered(service: Service, certificate: Path, side: str, secure: bool) -> None:
    """A reply, an admission and the reply again on one connection: AA each, with its own control id, and shown once."""
    receiving = Receiving(service)
    asked = await service.persisted()
    table = Listener(listen="127.0.0.1:2575", certificate=str(certificate), ca_file=str(certificate))
    reply = document("Kom maandag: é € 😀", control="C7", parent=asked.id)
    tls, pem = (server_tls(table), certificate) if secure else (None, None)
    async with receiving.listening(tls) as listener, npm_peer(side, listener.port, pem) as peer:
        for message, control in ((reply, "C7"), (admission("A01", control="C8"), "C8"), (reply, "C7")):
            answer = hl7.parse(await peer.send(message))
            assert (code(answer), str(answer.segment("MSA")(2))) == ("AA", control)
    assert await receiving.texts(asked.thread) == ["Kom maandag: é € 😀"]


@pytest.mark.parametrize("side", ["medplum-client", "node-hl7-client"])
async def test_their_clients_understand_a_refusal(service: Service, side: str) -> None:
    """AE with the place in ERR reaches them, and the connection goes on."""
    receiving = Receiving(service)
    async with receiving.listening() as listener, npm_peer(side, listener.port) as peer:
        refused = hl7.parse(await peer.send(admission("A99", control="C1")))
        assert (code(refused), str(refused.segment("ERR")(3)).partition("^")[0]) == ("AE", "201")
        assert code(hl7.parse(await peer.send(admission("A01", control="C2")))) == "AA"
