"""What verified claims say of who is asking: a patient, somebody who acts for one, or staff."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from messaging_service.adapters.key_set import Rejected
from messaging_service.application.callers import PATIENT, REPRESENTATIVE, Caller, Staff, Writer
from messaging_service.application.logins import STAFF, Login
from messaging_service.domain.message import Author, Identifier
from messaging_service.domain.refusals import Forbidden
from messaging_service.domain.roles import SCOPES_OF, Role
from messaging_service.tenants import StaffIssuer, Tenant

LONGEST_SUBJECT = 255
_DAY = 86_400
LONGEST_IDENTIFIER = 64

Claims = Mapping[str, Any]


def writer_of(tenant: Tenant, claims: Claims) -> Writer:
    """The patient whom the token is about, and the author: the patient, or the acting subject (RFC 8693 §4.1).

    Raises:
        Rejected: a subject is malformed.
        Forbidden: the patient's number is missing or malformed.
    """
    rules = tenant.identity
    subject, name = _subject(claims), _text(claims.get(rules.name_claim))
    author = Author(subject, PATIENT, name)
    if "act" in claims:
        author = _acting(claims["act"], subject, rules.name_claim)
    return Writer(
        tenant=tenant,
        identifiers=_identifiers(rules.identifiers, claims),
        author=author,
        patient_name=name,
        assured=rules.assurance.is_met_by(claims.get("acr"), claims.get("amr")),
        client=_client(claims),
    )


def _client(claims: Claims) -> str:
    """Whom the token was issued to: `azp` (OpenID Connect) or `client_id` (RFC 9068 section 2.2)."""
    client = claims.get("azp", claims.get("client_id"))
    return client if isinstance(client, str) and len(client) <= LONGEST_SUBJECT else ""


def _acting(act: object, patient: str, name_claim: str) -> Author:
    """Who acts now: the outermost `act`; those within it acted before and count for nothing (RFC 8693 §4.1)."""
    if not isinstance(act, dict):
        raise Rejected("claims")
    subject = _subject(act)
    if subject == patient:
        raise Rejected("claims")
    return Author(subject, REPRESENTATIVE, _text(act.get(name_claim)))


def staff_of(tenant: Tenant, rules: StaffIssuer, claims: Claims) -> Staff:
    """Somebody of the hospital's staff, or one of its systems.

    Raises:
        Rejected: the subject is malformed, or somebody acts for it: nobody does a colleague's work under their name.
        Forbidden: the role is none of ours.
    """
    if "act" in claims:
        raise Rejected("claims")
    try:
        role = Role(str(claims.get(rules.role_claim)))
    except ValueError:
        raise Forbidden("the token holds no role") from None
    given = claims.get(rules.scopes_claim)
    scopes = given.split(" ") if isinstance(given, str) else given if isinstance(given, list) else []
    return Staff(
        tenant=tenant,
        subject=_subject(claims),
        name=_text(claims.get(rules.name_claim)),
        role=role,
        scopes=frozenset(scope for scope in SCOPES_OF[role] if scope in scopes),
        assured=rules.assurance.is_met_by(claims.get("acr"), claims.get("amr")),
    )


def login_of(caller: Caller, claims: Claims) -> Login:
    """The login that a verified token comes of.

    `sid` is the issuer's session and `auth_time` when the user proved who they are (OpenID Connect): the same in every
    token until they log in anew. Of an issuer that tells neither each token is a login of its own (`jti`, else `iat`).
    """
    session, at = claims.get("sid"), claims.get("auth_time")
    if type(at) is not int or not 0 < at <= claims["iat"] + _DAY:
        at = None
    proof = f"sid={session} auth_time={at}" if session or at else f"jti={claims.get('jti') or claims['iat']}"
    when = int(1000 * max(0, at or claims["iat"]))
    if isinstance(caller, Staff):
        return Login(caller.tenant.id, STAFF, caller.subject, proof, when, caller.assured)
    return Login(caller.tenant.id, caller.author.role, caller.author.subject, proof, when, caller.assured)


def _subject(claims: Claims) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise Rejected("claims")
    return subject


def _text(name: object) -> str:
    return name if isinstance(name, str) and name.isprintable() else ""


def _identifiers(systems: Mapping[str, str], claims: Claims) -> tuple[Identifier, ...]:
    values = {system: claims.get(claim) for system, claim in systems.items()}
    if values[next(iter(systems))] is None:
        raise Forbidden("the token holds no patient number")
    for system, value in values.items():
        if value is not None and not _is_sound(system, value):
            raise Forbidden(f"the token's {system} is no valid number")
    return tuple(Identifier(system, value) for system, value in values.items() if value is not None)


def _is_sound(system: str, value: object) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_IDENTIFIER:
        return False
    if not (value.isascii() and value.isprintable()) or value != value.strip():
        return False
    return system != "bsn" or _is_bsn(value)


def _is_bsn(value: str) -> bool:
    """Nine digits, 9a+8b+…+2h−i ≡ 0 mod 11 (the Dutch "elfproef")."""
    if len(value) != 9 or not (value.isascii() and value.isdigit()) or value == "000000000":
        return False
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return sum(weight * int(digit) for weight, digit in zip(weights, value, strict=True)) % 11 == 0
