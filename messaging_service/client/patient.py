"""What a portal does for one person who is logged in: a patient, or whoever acts for one."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from datetime import date
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from messaging_service.client.events import Event, Listening
from messaging_service.client.models import (
    Accepted,
    Message,
    Notice,
    Notifications,
    Recipient,
    Terms,
    Thread,
    ThreadPage,
    ThreadStatus,
)

if TYPE_CHECKING:
    from messaging_service.client.service import Service, Token

T = TypeVar("T")
_CHUNK = 65_536
_NOTIFICATIONS = "/v1/account/notifications"


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

    async def thread(self, id: str, *, after: str | None = None) -> Thread:
        """One thread with its messages in order, the first 200; `after` is the `next` of the page before."""
        query = f"?{urlencode({'after': after})}" if after else ""
        return await self._get(f"{_thread(id)}{query}", Thread)

    async def messages(self, thread: str) -> AsyncIterator[Message]:
        """All messages of a thread, in order; fetched page by page as you go."""
        page = await self.thread(thread)
        while True:
            for message in page.messages:
                yield message
            if page.next is None:
                return
            page = await self.thread(thread, after=page.next)

    async def threads(
        self,
        *,
        subject: str | None = None,
        status: Literal["open", "closed"] | None = None,
        opened_from: date | None = None,
        opened_until: date | None = None,
    ) -> AsyncIterator[Thread]:
        """All threads, or those that fit, newest first, each with its last message; fetched page by page as you go.

        `subject` is found in any of a thread's subjects; days are the hospital's, both included.
        """
        asked = {"subject": subject, "status": status, "opened_from": opened_from, "opened_until": opened_until}
        given = {name: str(value) for name, value in asked.items() if value is not None}
        while True:
            query = f"?{urlencode(given)}" if given else ""
            page = await self._get(f"/v1/threads{query}", ThreadPage)
            for thread in page.threads:
                yield thread
            if page.next is None:
                return
            given["after"] = page.next

    async def read(self, thread: str, message: str) -> int:
        """This person has read the thread up to that message; how many are unread now. Never backwards."""
        found = await self._put(f"{_thread(thread)}/read", {"message": message}, dict[str, int])
        return found["unread"]

    async def close(self, thread: str) -> ThreadStatus:
        """No more messages in it, from either side, until it is opened again. A repeat changes nothing."""
        return await self._put(f"{_thread(thread)}/status", {"status": "closed"}, ThreadStatus)

    async def reopen(self, thread: str) -> ThreadStatus:
        """Open it again. Raises ThreadClosed where the care team closed it."""
        return await self._put(f"{_thread(thread)}/status", {"status": "open"}, ThreadStatus)

    async def recipients(self) -> tuple[Recipient, ...]:
        """To whom this person may write now, and which team would read it."""
        return (await self._get("/v1/recipients", dict[str, tuple[Recipient, ...]]))["recipients"]

    async def notifications(self) -> Notifications:
        """Where this person is told by e-mail that there is a message."""
        return await self._get(_NOTIFICATIONS, Notifications)

    async def notify_at(self, address: str, language: Literal["nl", "en"] = "nl") -> Notifications:
        """Ask for that e-mail: a letter with a code goes there, which `confirm` proves. Not sent twice by itself."""
        said = {"address": address, "language": language}
        answer = await self._service.ask("PUT", _NOTIFICATIONS, self._token, body=said, repeatable=False)
        return msgspec.json.decode(answer, type=Notifications)

    async def confirm(self, code: str) -> Notifications:
        """The code that came to the address. Raises CodeWrong. Not sent twice by itself."""
        path = f"{_NOTIFICATIONS}/confirmation"
        answer = await self._service.ask("POST", path, self._token, body={"code": code}, repeatable=False)
        return msgspec.json.decode(answer, type=Notifications)

    async def notify_no_more(self) -> None:
        """No more e-mail; the address is forgotten."""
        await self._service.ask("DELETE", _NOTIFICATIONS, self._token)

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
        await self._service.ask("PUT", f"{_thread(thread)}/privacy", self._token, body={"private": private})

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

    async def _put(self, path: str, said: object, kind: type[T]) -> T:
        return msgspec.json.decode(await self._service.ask("PUT", path, self._token, body=said), type=kind)

    async def _get(self, path: str, kind: type[T]) -> T:
        return msgspec.json.decode(await self._service.ask("GET", path, self._token), type=kind)


def _thread(id: str) -> str:
    return f"/v1/threads/{quote(id, safe='')}"
