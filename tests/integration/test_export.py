"""Export: everything that somebody may read, as it was at one moment, in a PDF that can be searched and in JSON."""

from __future__ import annotations

import asyncio
import io
import json
import unicodedata
from collections.abc import AsyncIterator
from datetime import date

import aiohttp
import pypdf
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging_service.adapters.export_pdf import PdfExport, Printed
from messaging_service.adapters.pdf_text import UNKNOWN, TextPages
from messaging_service.application import export as export_module
from messaging_service.application.callers import Writer
from messaging_service.application.collections import ACCESS_LOG
from messaging_service.application.export import Export, Exported, ExportedMessage, Mark
from messaging_service.application.represent import NewRepresentative
from messaging_service.domain.errors import StoreDown
from messaging_service.domain.message import Author
from messaging_service.domain.refusals import AccountBlocked
from messaging_service.domain.representative import Kind
from messaging_service.gateway.export import as_json
from tests.parts.epd_sender import admission, document
from tests.parts.receiving import Receiving
from tests.parts.service import STAFF, Service, numbers


@pytest.fixture
def export(service: Service) -> Export:
    return Export(
        store=service.store,
        patients=service.patients,
        accounts=service.accounts,
        threads=service.threads,
        reader=service.reader,
        access_log=service.access_log,
        clock=service.clock,
    )


def who(service: Service, patient: str = "1234") -> Writer:
    author = Author(f"sub-{patient}", "patient", "A. Jansen")
    return Writer(service.tenants["spijkenisse"], numbers(patient), author, "A. Jansen", assured=True)


async def ids(exported: Exported) -> list[str]:
    return [one.view.id async for one in exported.messages]


def text_of(printed: Printed) -> str:
    """What a reader of the PDF finds when they search it."""
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(printed.document)).pages)


async def test_all_of_ones_own_in_order(service: Service, export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest thread first, each in its order, replies too, over more than one page; nothing of anybody else's."""
    monkeypatch.setattr(export_module, "_THREADS_AT_ONCE", 3)
    monkeypatch.setattr(export_module, "_MESSAGES_AT_ONCE", 4)
    expected = []
    for _ in range(8):
        first = await service.persisted()
        expected.append([first.id])
        service.clock.minutes(1)
    for _ in range(9):
        expected[3].append((await service.persisted(thread=expected[3][0])).id)
    await service.persisted(patient="9999")
    await Receiving(service).taken(document(parent=expected[5][0]))
    found = await ids(await export(who(service)))
    reply = found.pop(found.index(expected[5][0]) + 1)
    assert found == [id for thread in expected for id in thread]
    assert reply not in found


async def test_what_arrives_meanwhile_is_not_in_it(service: Service, export: Export) -> None:
    """What is stored while it is read is not in it, also in a thread not reached yet: it is as it was at the start."""
    threads = [(await service.persisted()).id for _ in range(3)]
    exported = await export(who(service))
    first = await anext(exported.messages)
    service.clock.minutes(1)
    late = [(await service.persisted(thread=threads[2])).id, (await service.persisted()).id]
    rest = await ids(exported)
    assert sorted([first.view.id, *rest]) == sorted(threads)
    assert set(late) <= set(await ids(await export(who(service))))


async def test_what_is_withdrawn_meanwhile_is_gone(service: Service, export: Export) -> None:
    """A reply for another patient that is taken back while the export runs is not read any more."""
    asked = [(await service.persisted()).id for _ in range(2)]
    receiving = Receiving(service)
    await receiving.taken(document("Geheim van een ander.", parent=asked[1]))
    exported = await export(who(service))
    await receiving.taken(document(trigger="T11", control="C2", at="20260528130000+0200"))
    assert sorted(await ids(exported)) == sorted(asked)


async def test_a_representative_gets_what_they_may_see(service: Service, export: Export) -> None:
    """A private thread is in the patient's own export and not in the parent's; both are in the access log."""
    open_, private = await service.persisted(), await service.persisted(private=True)
    account = await service.account()
    tenant = service.tenants["spijkenisse"]
    parent = NewRepresentative("sub-parent", "B. Jansen", Kind.CURATOR, True, True, date(1980, 1, 1))
    await service.represent.register(tenant, account, parent, STAFF)
    acting = Author("sub-parent", "representative", "B. Jansen")
    writer = Writer(tenant, numbers("1234"), acting, "A. Jansen", assured=True)
    assert await ids(await export(writer)) == [open_.id]
    assert sorted(await ids(await export(who(service)))) == sorted([open_.id, private.id])
    logged = await service.all(ACCESS_LOG, "of_patient", patient=open_.patient)
    assert [entry["object_kind"] for entry in logged].count("export") == 2


async def test_merged_records_are_one_export(service: Service, export: Export) -> None:
    """Threads of both records in one order of time."""
    receiving = Receiving(service)
    first = await service.persisted()
    service.clock.minutes(1)
    second = await service.persisted(patient="77")
    service.clock.minutes(1)
    third = await service.persisted()
    await receiving.taken(admission("A40", mrg="77^^^ZKH^PI"))
    assert await ids(await export(who(service))) == [first.id, second.id, third.id]


async def test_nobody_who_is_not_let_in(service: Service, export: Export) -> None:
    """A blocked account exports nothing; and what cannot be written into the access log does not go out."""
    await service.persisted()
    service.store.fail("insert", ACCESS_LOG)
    with pytest.raises(StoreDown):
        await export(who(service))
    await service.administer.block(service.tenants["spijkenisse"], await service.account(), STAFF)
    with pytest.raises(AccountBlocked):
        await export(who(service))


async def test_the_pdf(service: Service, export: Export) -> None:
    """Who wrote, to whom, when, since when in the record, and the text, as a reader's search finds them."""
    asked = await service.persisted(text="Zażółć gęślą jaźń; İğüşöç.\nTweede regel.")
    await Receiving(service).taken(document("Komt u maandag langs.", parent=asked.id))
    printed = await PdfExport()(service.tenants["spijkenisse"], await export(who(service)), "nl")
    text = text_of(printed)
    assert printed.next is None
    for words in (
        "Wat u downloadt, is daarna aan u om te bewaken",
        "Spijkenisse Medisch Centrum",
        "A. Jansen (patiënt) · Aan Triagebalie",
        "Geschreven op 28 mei 2026 22:26, nog niet in het dossier",
        "Zażółć gęślą jaźń; İğüşöç.",
        "Tweede regel.",
        "dr. Anna de Vries (zorgverlener)",
        "in het dossier sinds 28 mei 2026 22:26",
        "Komt u maandag langs.",
    ):
        assert words in text, words


async def test_a_long_export_comes_in_parts(service: Service, export: Export) -> None:
    """A part ends after so many characters and says so; the parts together hold everything once, as at the first."""
    asked = [(await service.persisted(text=f"Bericht nummer {number}.")).id for number in range(7)]
    first = (await service.persisted(thread=asked[0], text="Bericht nummer 7.")).id
    printer, after, texts = PdfExport(most=40), None, []
    while True:
        exported = await export(who(service), after)
        printed = await printer(service.tenants["spijkenisse"], exported, "nl")
        texts.append(text_of(printed))
        if len(texts) == 1:
            service.clock.minutes(1)
            await service.persisted(text="Te laat voor deze export.")
        if printed.next is None:
            break
        after = printed.next
        assert "er volgt nog een deel" in texts[-1]
    assert len(texts) == 3
    everything = "".join(texts)
    assert [everything.count(f"Bericht nummer {number}.") for number in range(8)] == [1] * 8
    assert "Te laat" not in everything
    assert first


async def test_a_mark_made_up_by_hand_shows_nobody_elses(service: Service, export: Export) -> None:
    """The order of another patient's thread, and a moment to come: one's own messages at most, as they are now."""
    own, other = await service.persisted(), await service.persisted(patient="9999")
    thread = await service.threads.thread(other.id)
    assert thread is not None
    mark = Mark(service.clock() + 10**9, thread.order, 0)
    exported = await export(who(service), mark)
    assert exported.taken_at == service.clock()
    assert set(await ids(exported)) <= {own.id}


async def test_who_asks_at_once_is_printed_one_by_one(service: Service, export: Export) -> None:
    """Who exports at the same moment waits; everybody gets all of it."""
    await service.persisted(text="Voor iedereen.")
    printer, tenant = PdfExport(), service.tenants["spijkenisse"]

    async def one() -> Printed:
        return await printer(tenant, await export(who(service)), "en")

    printed = await asyncio.gather(*(one() for _ in range(3)))
    assert all("Voor iedereen." in text_of(each) for each in printed)


async def test_what_breaks_off_is_seen_to(service: Service, export: Export) -> None:
    """The store goes down half-way: the connection is cut, and no reader takes the half for the whole."""
    asked = await service.persisted()
    whole = await export(who(service))

    async def half() -> AsyncIterator[ExportedMessage]:
        async for one in whole.messages:
            yield one
        raise StoreDown

    async def serve(request: web.Request) -> web.StreamResponse:
        return await as_json(request, who(service), Exported(whole.taken_at, half()))

    app = web.Application()
    app.router.add_get("/", serve)
    read = bytearray()

    async def read_all(answer: aiohttp.ClientResponse) -> None:
        async for chunk in answer.content.iter_any():
            read.extend(chunk)

    async with TestServer(app) as server, aiohttp.ClientSession() as http, http.get(server.make_url("/")) as answer:
        with pytest.raises(aiohttp.ClientError):
            await read_all(answer)
    assert asked.id.encode() in read
    with pytest.raises(json.JSONDecodeError):
        json.loads(read)


@pytest.mark.parametrize(
    "text",
    ["مرحبا، أشعر بألم في الصدر", "שלום", "नमस्ते", "สวัสดี", "😀 👍🏽", "½ × 2 °C", "e\u0301cole"],
)
def test_scripts_are_drawn(text: str) -> None:
    """Every sign has a font, so none stands as unknown, and its letters are found by a search."""
    pages = TextPages("nl", "Test")
    pages.add(text)
    assert not pages.met_unknown
    found = text_of(Printed(pages.output(), None))
    letters = {char for char in text if unicodedata.category(char) == "Lo"}
    assert len(letters & set(unicodedata.normalize("NFKC", found))) >= len(letters) * 0.6


def test_a_sign_without_a_font_is_marked() -> None:
    """Chinese has no font here: a mark stands for it, and the text around it is kept."""
    pages = TextPages("nl", "Test")
    pages.add("Mijn naam is 山田 en ik heb pijn")
    assert pages.met_unknown
    assert f"Mijn naam is {UNKNOWN}{UNKNOWN} en ik heb pijn" in text_of(Printed(pages.output(), None))


@settings(max_examples=10, deadline=None)
@given(st.text(max_size=300))
def test_any_text_can_be_printed(text: str) -> None:
    """Whatever a patient pastes, there is a PDF."""
    pages = TextPages("nl", "Test")
    pages.add(text)
    assert pages.output().startswith(b"%PDF")


PAGES = TextPages("nl", "Test")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x17F, exclude_categories=["Cc", "Cf"]), max_size=400))
@settings(max_examples=30, deadline=None)
def test_broken_lines_lose_nothing(text: str) -> None:
    """Lines are broken at spaces, or within a word that is too long; put together again it is the text."""
    parts = list(PAGES._broken(text, 10))
    assert "".join("".join(parts).split()) == "".join(text.split())
