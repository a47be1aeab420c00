"""Who may log in, what vouches for it, and how strong a login must be."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Literal

from messaging_service.tenants.tables import Table

_KNOWLEDGE = frozenset(("pwd", "pin", "kba"))
_PASSWORD_CLASSES = frozenset(("Password", "PasswordProtectedTransport"))
"""RFC 8176 `amr`, and SAML 2.0 authentication contexts, that show a single factor."""


class Assurance(Table, frozen=True, kw_only=True):
    """How strong a login must be, as `acr` or as `amr` shows it (OpenID Connect Core §2); one of the two is enough.

    `levels` are the `acr` values that count, the weakest first, and `minimum` is the least of them that will do.
    `factors` asks of `amr` (RFC 8176) at least one of each list, as in [["pwd"], ["sms", "otp"]].
    """

    levels: tuple[str, ...] = ()
    minimum: str | None = None
    factors: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        """Something is asked, and what is asked can be met."""
        if not self.levels and not self.factors:
            raise ValueError("assurance needs levels with a minimum, factors, or both")
        if bool(self.levels) != (self.minimum is not None) or (self.levels and self.minimum not in self.levels):
            raise ValueError(f"assurance minimum {self.minimum!r} must be one of its levels")
        if not all(self.factors) or len(set(self.levels)) != len(self.levels):
            raise ValueError("assurance has an empty list of factors, or a level twice")
        if any(not level or not level.isascii() or set(level) & set(' "\\\\') for level in self.levels):
            raise ValueError("assurance levels are acr values: ASCII, without spaces or quotes")

    @property
    def sufficient(self) -> tuple[str, ...]:
        """The levels that will do, the least first."""
        return self.levels[self.levels.index(self.minimum) :] if self.minimum is not None else ()

    def is_met_by(self, acr: object, amr: object) -> bool:
        """Whether a token with these two claims shows a login that is strong enough."""
        if isinstance(acr, str) and acr in self.sufficient:
            return True
        shown: Collection[object] = amr if isinstance(amr, list) else ()
        return bool(self.factors) and all(any(one in shown for one in wanted) for wanted in self.factors)

    @property
    def is_met_by_knowledge_alone(self) -> bool:
        """Whether somebody gets in with no more than what they know, as a password is."""
        by_amr = bool(self.factors) and all(_KNOWLEDGE.intersection(wanted) for wanted in self.factors)
        return by_amr or any(level.rpartition(":")[2] in _PASSWORD_CLASSES for level in self.sufficient)


class Issuer(Table, frozen=True, kw_only=True):
    """An OpenID Connect issuer whose access tokens count. `jwks` is an https URL or `file:PATH`."""

    issuer: str
    audience: str
    jwks: str
    assurance: Assurance
    name_claim: str = "name"
    algorithms: tuple[Literal["RS256", "PS256", "ES256", "EdDSA"], ...] = ("RS256", "ES256")
    leeway_seconds: int = 30

    def __post_init__(self) -> None:
        """A signature can be checked."""
        if not self.algorithms:
            raise ValueError("algorithms needs at least one")


_HOST = r"[A-Za-z0-9.-]+(:[0-9]{1,5})?"
_ENDPOINT = re.compile(rf"(https://{_HOST}|http://(127\.0\.0\.1|localhost)(:[0-9]{{1,5}})?)/[^\s#]*")


class Login(Table, frozen=True, kw_only=True):
    """How the operations page logs staff in: authorization code with PKCE (RFC 7636), as the public client `client_id`.

    `authorization` and `token` are the issuer's endpoints; `scope` is what is asked there. The issuer must allow the
    page's own address, https://…/ops, to come back to, and its site to ask for the token (CORS).
    """

    client_id: str
    authorization: str
    token: str
    scope: str = "openid"

    def __post_init__(self) -> None:
        """A code and a token never travel in the clear, and the page's rules can name whom it asks."""
        for name, endpoint in (("authorization", self.authorization), ("token", self.token)):
            if not _ENDPOINT.fullmatch(endpoint):
                raise ValueError(f"login {name} {endpoint!r} must be like https://login.hospital.example/{name}")


class StaffIssuer(Issuer, frozen=True, kw_only=True):
    """Who says who works here: a role in one claim, and scopes in another, as a list or separated by spaces."""

    role_claim: str = "role"
    scopes_claim: str = "scope"
    login: Login | None = None

    def __post_init__(self) -> None:
        """Staff read what patients wrote, so a password alone is not enough."""
        super().__post_init__()
        if self.assurance.is_met_by_knowledge_alone:
            raise ValueError("staff assurance is met by a password alone; ask for a second factor as well")


class Identity(Issuer, frozen=True, kw_only=True):
    """Who says who a patient is, and who acts for one (terms articles 2.1–2.3).

    `identifiers` maps an identifier system to the claim that holds it, the first being the one patients are known by.
    `staff` is another issuer, so that no patient is taken for staff; without it no staff comes in.
    """

    identifiers: Mapping[str, str]
    staff: StaffIssuer | None = None

    def __post_init__(self) -> None:
        """Patients can be known."""
        super().__post_init__()
        if not self.identifiers:
            raise ValueError("identifiers needs at least one")
