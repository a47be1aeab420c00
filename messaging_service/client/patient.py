"""What a portal does for one person who is logged in: a patient, or whoever acts for one."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from messaging_service.client.events import Event, Listening
from messaging_service.client.models import Accepted, Message, Notice, Terms, Thread, ThreadPage

if TYPE_CHECKING:
    from messaging_service.client.service import Service, Token

T = TypeVar("T")
_CHUNK = 65_536


class Patient:
    """Whom a token speaks for. Every call raises one of `Problem`'s kinds, or `Unreachable`."""

    def __init__(self, service: Service, token: Token) -> None:
        self._service = service
        self._token = token

    async def send(
        self,
        subject: str,
        body: str,
        *,
        format: Literal["text", "html"] = "text",
        language: str = "nl",
        thread: str | None = None,
        department: str | None = None,
        private: bool = False,
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Send a message; into a `thread` of the patient's, else it begins one.

        Tries again under the same key while no answer comes, so that the message counts once. Give a key of your own,
        kept with the draft, and the message counts once even when the portal itself breaks down half-way.
        """
        message = {
            "subject": subject,
            "body": body,
            "format": format,
            "language": language,
            **({"thread": thread} if thread else {}),
            **({"department": department} if department else {}),
            **({"private": True} if private else {}),
        }
        headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16), "Accept-Language": language}
        answer = await self._service.ask("POST", "/v1/messages", self._token, body=message, headers=headers)
        return msgspec.json.decode(answer, type=Accepted)

    async def message(self, id: str) -> Message:
        """One message and how far it is."""
        return await self._get(f"/v1/messages/{quote(id, safe='')}", Message)

    async def thread(self, id: str) -> Thread:
        """One thread with its messages in order."""
        return await self._get(f"/v1/threads/{quote(id, safe='')}", Thread)

    async def threads(self) -> AsyncIterator[Thread]:
        """All threads, newest first, each with its last message; fetched page by page as you go."""
        after: str | None = None
        while True:
            query = f"?{urlencode({'after': after})}" if after else ""
            page = await self._get(f"/v1/threads{query}", ThreadPage)
            for thread in page.threads:
                yield thread
            if page.next is None:
                return
            after = page.next

    async def compose_notice(self, language: str = "nl") -> Notice:
        """What belongs on every screen where somebody writes: fetch it before, not after."""
        found = await self._get(f"/v1/compose-notice?{urlencode({'language': language})}", dict[str, Notice])
        return found["notice"]

    async def terms(self) -> Terms:
        """The terms of use in force, and whether this person has still to accept them."""
        return await self._get("/v1/terms", Terms)

    async def accept(self, version: str, language: str = "nl") -> Terms:
        """Accept that version, read in that language. A repeat changes nothing."""
        said = {"version": version, "language": language}
        return msgspec.json.decode(await self._service.ask("POST", "/v1/terms", self._token, body=said), type=Terms)

    async def set_private(self, thread: str, private: bool) -> None:
        """Hide a thread from whoever acts for the patient, or show it again."""
        path = f"/v1/threads/{quote(thread, safe='')}/privacy"
        await self._service.ask("PUT", path, self._token, body={"private": private})

    async def export_json(self) -> AsyncIterator[bytes]:
        """All threads as one JSON document, in pieces as they come. It breaks off by raising, never in silence."""
        async with self._service.stream("/v1/export?format=json", self._token) as answer:
            async for piece in answer.content.iter_chunked(_CHUNK):
                yield piece

    async def export_pdf(self, language: str = "nl") -> AsyncIterator[bytes]:
        """All threads as PDF: one whole document for each part, most often one part."""
        path: str | None = "/v1/export?format=pdf"
        while path is not None:
            async with self._service.stream(path, self._token, {"Accept-Language": language}) as answer:
                yield await answer.read()
                follows = answer.links.get("next")
                path = follows["url"].path_qs if follows else None  # type: ignore[union-attr]

    def events(self, after: str | None = None) -> AsyncIterator[Event]:
        """What happens to this person's messages, as long as you listen; `after` is the last event's id that you kept.

        A connection that breaks off is made anew, and nothing is missed; when that cannot be promised, a `reset` comes.
        """
        return Listening(self._service, self._token, after).events()

    async def _get(self, path: str, kind: type[T]) -> T:
        return msgspec.json.decode(await self._service.ask("GET", path, self._token), type=kind)
