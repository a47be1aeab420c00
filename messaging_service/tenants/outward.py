"""Whom the service tells: on-call and the portal."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

from messaging_service.tenants.tables import Table


class Rung(Table, frozen=True, kw_only=True):
    """Who is told next of an alarm that nobody acknowledged `after_minutes` after it was raised."""

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    after_minutes: Annotated[int, Meta(ge=1, le=720)]
    webhook: str | None = None
    secret: str | None = None
    email: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Somebody can be told."""
        if not self.webhook and not self.email:
            raise ValueError(f"on_call chain {self.name!r} needs a webhook, e-mail addresses, or both")


class OnCall(Table, frozen=True, kw_only=True):
    """Who is told of an urgent message: a webhook, e-mail addresses, or both. `secret` signs the webhook.

    `link` is where they open it, with {message} for its id, as the alarm says; without it the API's own address.
    `opens_for_hours` is how long after a message was accepted its alarm opens it, and its link acknowledges it. `chain`
    is climbed while nobody acknowledges. Every `rehearse_minutes` the way to everybody in it is tried; 0: never.
    """

    webhook: str | None = None
    secret: str | None = None
    email: tuple[str, ...] = ()
    link: str | None = None
    opens_for_hours: Annotated[int, Meta(ge=1, le=720)] = 72
    chain: tuple[Rung, ...] = ()
    rehearse_minutes: Annotated[int, Meta(ge=0, le=1440)] = 15

    def __post_init__(self) -> None:
        """Somebody can be told, the link leads to the message, and each rung comes after the one before."""
        if self.link is not None and "{message}" not in self.link:
            raise ValueError(f"on_call link {self.link!r} must hold {{message}}")
        if not self.webhook and not self.email:
            raise ValueError("on_call needs a webhook, e-mail addresses, or both")
        minutes = [rung.after_minutes for rung in self.chain]
        if sorted(set(minutes)) != minutes:
            raise ValueError("on_call chain: each after_minutes must be above the one before")


_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")


class Portal(Table, frozen=True, kw_only=True):
    """The portal's webhook (Standard Webhooks); `secret` is `whsec_…` or `file:PATH`.

    `previous_secret` signs as well while the portal changes to a new one. The webhook goes to public addresses alone;
    with `loopback`, for development, to this machine alone. `origins` are the sites, such as
    https://portal.hospital.example, whose pages may call the API (CORS).
    """

    webhook: str | None = None
    secret: str | None = None
    previous_secret: str | None = None
    loopback: bool = False
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """A webhook has its secret, and an origin is one: a scheme and a host, nothing after it."""
        if (self.webhook is None) != (self.secret is None):
            raise ValueError("portal needs webhook and secret, or neither")
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"portal origin {origin!r} must be like https://portal.hospital.example")
