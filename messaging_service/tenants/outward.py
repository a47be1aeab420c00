"""Whom the service tells: on-call and the portal."""

from __future__ import annotations

from messaging_service.tenants.tables import Table


class OnCall(Table, frozen=True, kw_only=True):
    """Who is told of an urgent message: a webhook, e-mail addresses, or both. `secret` signs the webhook."""

    webhook: str | None = None
    secret: str | None = None
    email: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Somebody can be told."""
        if not self.webhook and not self.email:
            raise ValueError("on_call needs a webhook, e-mail addresses, or both")


class Portal(Table, frozen=True, kw_only=True):
    """The portal's webhook (Standard Webhooks); `secret` is `whsec_…` or `file:PATH`."""

    webhook: str
    secret: str
