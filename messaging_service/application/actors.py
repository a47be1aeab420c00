"""Who is asking, as the access log knows them: made here alone, so that no entry lacks a field of NEN 7513."""

from __future__ import annotations

from messaging_service.application.callers import Caller, Writer
from messaging_service.application.ports import AccessPoint, Actor
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.message import Author
from messaging_service.tenants import Tenant

OPERATIONS = Actor("operations", "operations", "oversight", "", AccessPoint.COMMAND, "host")
"""Whoever may run commands on the host."""


def step(name: str, basis: str, point: AccessPoint = AccessPoint.SERVICE) -> Actor:
    """A step of the service itself."""
    return Actor(name, "system", basis, "", point)


def caller(keyring: Keyring, who: Caller, basis: str | None = None) -> Actor:
    """Whom a token speaks for; `basis` where it is not the role as such."""
    if isinstance(who, Writer):
        return author(keyring, who.tenant, who.author, basis or who.author.role)
    authorisation = who.used.value if who.used else "none"
    pseudonym = staff_pseudonym(keyring, who.tenant.id, who.subject)
    return Actor(pseudonym, who.role, basis or "role", who.name, AccessPoint.STAFF, authorisation)


def author(keyring: Keyring, tenant: Tenant, who: Author, basis: str) -> Actor:
    """A patient, or whoever acts for one."""
    pseudonym = keyring.pseudonym(tenant.id, who.subject)
    return Actor(pseudonym, who.role, basis, who.name, AccessPoint.PORTAL, "own account")


def clinician(keyring: Keyring, tenant: str, code: str, name: str, role: str, basis: str) -> Actor:
    """Who wrote a document in the EPD; by name alone where the EPD gives no code."""
    return Actor(keyring.pseudonym(tenant, code or name), role or "clinician", basis, name, AccessPoint.EPD, "EPD")


def staff_pseudonym(keyring: Keyring, tenant: str, subject: str) -> str:
    """Another issuer's subjects are other people, also where they are spelled like a patient's."""
    return keyring.pseudonym(tenant, f"staff {subject}")
