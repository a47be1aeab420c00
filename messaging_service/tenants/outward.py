"""Whom the service tells: on-call and the portal."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from messaging_service.tenants.tables import Table


class OnCall(Table, frozen=True, kw_only=True):
    """Who is told of an urgent message: a webhook, e-mail addresses, or both. `secret` signs the webhook.

    `link` is where they open it, with {message} for its id, as the alarm says; without it the API's own address.
    `opens_for_hours` is how long after a message was accepted its alarm opens it.
    """

    webhook: str | None = None
    secret: str | None = None
    email: tuple[str, ...] = ()
    link: str | None = None
    opens_for_hours: Annotated[int, Meta(ge=1, le=720)] = 72

    def __post_init__(self) -> None:
        """Somebody can be told, and the link leads to the message."""
        if self.link is not None and "{message}" not in self.link:
            raise ValueError(f"on_call link {self.link!r} must hold {{message}}")
        if not self.webhook and not self.email:
            raise ValueError("on_call needs a webhook, e-mail addresses, or both")


class Portal(Table, frozen=True, kw_only=True):
    """The portal's webhook (Standard Webhooks); `secret` is `whsec_…` or `file:PATH`."""

    webhook: str
    secret: str
