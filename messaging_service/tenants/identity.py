"""Who may log in, and what vouches for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from messaging_service.tenants.tables import Table


class Identity(Table, frozen=True, kw_only=True):
    """Who says who a patient is: an OpenID Connect issuer (terms articles 2.1–2.3).

    `jwks` is an https URL or `file:PATH`. `identifiers` maps an identifier system to the claim that holds it, the
    first being the one patients are known by.
    """

    issuer: str
    audience: str
    jwks: str
    identifiers: Mapping[str, str]
    name_claim: str = "name"
    algorithms: tuple[Literal["RS256", "PS256", "ES256", "EdDSA"], ...] = ("RS256", "ES256")
    leeway_seconds: int = 30
