"""POST /v1/messages and GET /v1/messages/{id}."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import HttpVersion11, web

from messaging_service.adapters.reply_wording import reply_text
from messaging_service.application.callers import Writer
from messaging_service.application.read import MessageView, is_urgent
from messaging_service.application.submit import Accepted, SubmitMessage
from messaging_service.domain.awaited import AwaitedReply, Stage
from messaging_service.domain.clinician import Reply
from messaging_service.domain.message import Author, BodyFormat, State, Submission
from messaging_service.gateway.context import (
    CONTEXT,
    LANGUAGE,
    LEFT,
    POSTS,
    authenticate,
    id_in_path,
    identify,
    language_of,
    traceparent_of,
)
from messaging_service.gateway.new_message import idempotency_key_of, read_new_message
from messaging_service.gateway.problems import notice_json
from messaging_service.screening.notices import PRIVATE_TOPICS, Notice, notice_for

REPLY_STATUS = {Stage.OVERDUE: "passed", Stage.ANSWERED: "answered", Stage.HANDLED: "handled"}
_JSON = {"Cache-Control": "no-store"}


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    router.add_post("/v1/messages", post_message, expect_handler=_go_on)
    router.add_get("/v1/messages/{id}", get_message)


async def _go_on(request: web.Request) -> None:
    """Ask for the body where the client waits for that; any other expectation is ignored (RFC 9110 §10.1.1).

    The library would answer it with a bare 417, without the notice.
    """
    if request.version >= HttpVersion11 and request.headers["Expect"].lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer has not begun yet


async def post_message(request: web.Request) -> web.Response:
    """Accept a patient's message: 202 with its id once it is durably queued."""
    writer = await identify(request, POSTS)
    context = request.app[CONTEXT]
    message = await read_new_message(request, context.max_body)
    request[LANGUAGE] = message.language
    accepted = await context.submit(
        SubmitMessage(
            writer=writer,
            subject=message.subject,
            body=message.body,
            format=BodyFormat(message.format),
            language=message.language,
            thread=message.thread,
            department=message.department,
            private=message.private,
            idempotency_key=idempotency_key_of(request),
            traceparent=traceparent_of(request),
        )
    )
    request[LEFT] += accepted.allowances
    context.metrics.accepted(writer.tenant.id, accepted.triage.lane)
    return _accepted(accepted, writer, message.language, context.public_url)


def _accepted(accepted: Accepted, writer: Writer, language: str, public_url: str) -> web.Response:
    status_url = f"{public_url}/v1/messages/{accepted.message}"
    members: dict[str, Any] = {
        "id": accepted.message,
        "thread": accepted.thread,
        "status": State.ACCEPTED,
        "status_url": status_url,
        "reply_by": accepted.reply_by,
        "reply_by_text": reply_text(Stage.WAITING, accepted.reply_by, language, writer.tenant.telephone),
        "urgent": accepted.triage.urgent,
    }
    if accepted.triage.urgent:
        notice = notice_for(accepted.triage.topics, language, writer.tenant.notices)
        members["notice"] = notice_json(notice)
    headers = {**_JSON, "Location": status_url}
    return web.Response(body=msgspec.json.encode(members), status=202, headers=headers, content_type="application/json")


async def get_message(request: web.Request) -> web.Response:
    """One of the patient's own messages and how far it is."""
    writer = await authenticate(request)
    view = await request.app[CONTEXT].reader.message(writer, id_in_path(request))
    members = message_json(view, writer, language_of(request))
    return web.Response(body=msgspec.json.encode(members), headers=_JSON, content_type="application/json")


def message_json(view: MessageView, writer: Writer, language: str) -> dict[str, Any]:
    """A message as the API shows it; members are absent until they are known, its thread among them."""
    members: dict[str, Any] = {"id": view.id, "status": view.state}
    if view.state is State.PARKED:
        members["advice"] = _call(writer, language)
    if view.reply is not None:
        return members | _reply_json(view, view.reply)
    if view.submission is None:
        return members
    submission = view.submission
    members |= {
        "thread": view.thread,
        "subject": submission.content.subject,
        "body": submission.content.clean,
        "format": submission.content.clean_format,
        "language": submission.content.language,
        **_written_by(submission.author),
        "reply_by": submission.reply_by,
        **_reply_date(view.awaited, submission, writer),
        "urgent": submission.triage.urgent,
        "accepted_at": instant(view.accepted_at),
        "care_team": view.care_team,
    }
    if view.filed_at:
        members["filed_at"] = instant(view.filed_at)
    if view.read_by_team:
        members["read_by_care_team"] = True
    if is_urgent(view):
        members["notice"] = notice_json(_lasting_notice(submission, writer))
    return members


def _reply_date(awaited: AwaitedReply | None, submission: Submission, writer: Writer) -> dict[str, str]:
    """Where the answer is, and the sentence that says so without promise, in the language of the message."""
    stage = awaited.stage if awaited else Stage.WAITING
    text = reply_text(stage, submission.reply_by, submission.content.language, writer.tenant.telephone)
    members = {"reply_status": REPLY_STATUS.get(stage, "awaited")}
    return members | ({"reply_by_text": text} if text else {})


def _written_by(author: Author) -> dict[str, str]:
    """Everything shows who wrote: the patient or a representative, by name, and what that one is to the patient."""
    members = {"written_by": author.role, "name": author.name, "relation": author.relation}
    return {name: value for name, value in members.items() if value}


def _reply_json(view: MessageView, reply: Reply) -> dict[str, Any]:
    """What a clinician wrote; the name and the role where the EPD gave them."""
    return {
        "thread": view.thread,
        "subject": reply.content.subject,
        "body": reply.content.clean,
        "format": reply.content.clean_format,
        "language": reply.content.language,
        "written_by": "clinician",
        **({"name": reply.name} if reply.name else {}),
        **({"role": reply.role} if reply.role else {}),
        "urgent": False,
        "accepted_at": instant(view.accepted_at),
        "filed_at": instant(view.filed_at),
        "written_at": instant(reply.written_at),
        "care_team": view.care_team,
    }


def _lasting_notice(submission: Submission, writer: Writer) -> Notice:
    """The notice beside a stored message. Others with access to the account may read it there.

    What would tell them of violence at home or of suicidality was shown to the writer, once, in the 202.
    """
    topics = [topic for topic in submission.triage.topics if topic not in PRIVATE_TOPICS]
    return notice_for(topics, submission.content.language, writer.tenant.notices)


def instant(milliseconds: int) -> str:
    """A time as RFC 3339 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _call(writer: Writer, language: str) -> str:
    telephone = writer.tenant.telephone
    if language.lower().startswith("nl"):
        return f"Uw bericht is niet bij uw behandelteam aangekomen. Bel {telephone}."
    return f"Your message did not reach your care team. Call {telephone}."
