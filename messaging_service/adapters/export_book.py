"""The pages of an export: who wrote what, when, and since when it is in the record."""

from __future__ import annotations

from datetime import datetime

from babel.dates import format_datetime

from messaging_service.adapters.pdf_text import UNKNOWN, TextPages
from messaging_service.adapters.wording import sentences
from messaging_service.application.export import ExportedMessage
from messaging_service.application.read import MessageView
from messaging_service.domain.message import BodyFormat, Content
from messaging_service.screening.sanitise import html_to_text
from messaging_service.tenants import Tenant


class Book:
    """The document as it grows; `characters` of the texts in it."""

    def __init__(self, tenant: Tenant, taken_at: int, language: str) -> None:
        self._tenant = tenant
        self._spoken, self._says = sentences("export_wording", language)
        self._pages = TextPages(self._spoken, self._says["title"])
        self._thread = ""
        self.characters = 0
        self._pages.add(self._says["title"], 18)
        self._pages.add(f"{tenant.name} · {self._says['taken'].format(moment=self._moment(taken_at))}", grey=90)
        self._pages.space(2)
        self._pages.add(self._says["guard"])
        self._pages.space(4)

    def add(self, one: ExportedMessage) -> None:
        """One more message, under the subject of its thread."""
        content, view = _content(one.view), one.view
        if content is None:
            return
        if one.thread.id != self._thread:
            self._thread = one.thread.id
            self._pages.rule()
            self._pages.add(content.subject or self._says["no_subject"], 13)
            self._pages.space(1)
        for line in self._heading(view):
            self._pages.add(line, 8, grey=90)
        html = content.clean_format is BodyFormat.HTML
        body = html_to_text(content.clean) if html else content.clean
        self._pages.add(body)
        self._pages.space(4)
        self.characters += len(body)

    def _heading(self, view: MessageView) -> list[str]:
        written_at = view.reply.written_at if view.reply else view.accepted_at
        filed = self._says["filed"].format(moment=self._moment(view.filed_at)) if view.filed_at else ""
        when = f"{self._says['written'].format(moment=self._moment(written_at))}, {filed or self._says['unfiled']}"
        if view.submission is None:
            return [self._by("clinician", view.reply.name if view.reply else ""), when]
        team = self._tenant.routing.team(view.care_team)
        to = self._says["to"].format(team=team.name if team else view.care_team)
        return [f"{self._by(view.submission.author.role, view.submission.author.name)} · {to}", when]

    def _by(self, role: str, name: str) -> str:
        return self._says[f"by_{role}"].format(name=name or self._says["somebody"])

    def _moment(self, milliseconds: int) -> str:
        at = datetime.fromtimestamp(milliseconds / 1000, self._tenant.zone)
        return format_datetime(at, "d MMMM y HH:mm", locale=self._spoken, tzinfo=self._tenant.zone)

    def done(self, *, more: bool) -> bytes:
        """The document; `more`: another part follows."""
        if not self._thread:
            self._pages.add(self._says["nothing"])
        if more:
            self._pages.add(self._says["continued"])
        if self._pages.met_unknown:
            self._pages.add(self._says["unknown"].format(sign=UNKNOWN), 8, grey=90)
        return self._pages.output()


def _content(view: MessageView) -> Content | None:
    """Of a message that is stored."""
    written = view.submission or view.reply
    return written.content if written else None
