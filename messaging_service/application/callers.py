"""Who is asking, as a verified token says: somebody who writes for a patient, or staff with a role."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from messaging_service.domain.message import Author, Identifier
from messaging_service.domain.refusals import AuthenticationTooWeak, ScopeMissing
from messaging_service.domain.roles import Role, Scope
from messaging_service.tenants import Tenant

PATIENT, REPRESENTATIVE = "patient", "representative"


@dataclass(frozen=True, slots=True)
class Writer:
    """A patient, or a representative acting for one (RFC 8693 §4.1), at a portal.

    `identifiers` and `patient_name` are the patient's; `author` is who writes: the patient, or the acting subject.
    Whether a representative is a registered one is the accounts' to say, never the token's. `assured` is whether the
    login was as strong as the tenant asks. `client` is the portal that the token was issued to,
    "" where the token does not say.
    """

    tenant: Tenant
    identifiers: tuple[Identifier, ...]
    author: Author
    patient_name: str = field(repr=False)
    assured: bool
    client: str = ""

    @property
    def represents(self) -> bool:
        """Whether somebody acts for the patient."""
        return self.author.role == REPRESENTATIVE

    def require_assured(self) -> None:
        """Raises AuthenticationTooWeak, which names the levels that would do."""
        if not self.assured:
            raise AuthenticationTooWeak(self.tenant.identity.assurance.sufficient)


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of the hospital's staff, or one of its systems; `scopes` are those of the token that its role has.

    `used` is the one that lets it do what it is doing.
    """

    tenant: Tenant
    subject: str = field(repr=False)
    name: str = field(repr=False)
    role: Role
    scopes: frozenset[Scope]
    assured: bool
    used: Scope | None = None

    def using(self, scope: Scope) -> Staff:
        """The same, doing what this scope allows.

        Raises:
            AuthenticationTooWeak: the login was weaker than the tenant asks of its staff.
            ScopeMissing: the token does not hold the scope, or the role never has it.
        """
        if not self.assured:
            rules = self.tenant.identity.staff
            raise AuthenticationTooWeak(rules.assurance.sufficient if rules else ())
        if scope not in self.scopes:
            raise ScopeMissing(scope)
        return replace(self, used=scope)


Caller = Writer | Staff
