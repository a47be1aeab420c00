"""Accounts, who may write for whom, and logins."""

from __future__ import annotations

from messaging_service.application.accept_terms import AcceptTerms
from messaging_service.application.administer import Administer
from messaging_service.application.change_accounts import ChangeAccounts
from messaging_service.application.close_accounts import CloseAccounts
from messaging_service.application.end_quiet_care import EndQuietCare
from messaging_service.application.kept_key_sets import KeptKeySets
from messaging_service.application.logins import Logins
from messaging_service.application.personal_data import PersonalData
from messaging_service.application.represent import Represent
from messaging_service.bootstrap.parts import Parts
from messaging_service.bootstrap.telling import make_email_notices


def make_key_sets(parts: Parts) -> KeptKeySets:
    """The issuers' key sets, as they were published last."""
    return KeptKeySets(parts.store, parts.keyring, parts.clock)


def make_logins(parts: Parts) -> Logins:
    """The register of logins."""
    return Logins(parts.store, parts.keyring, parts.tenants)


def make_change_accounts(parts: Parts) -> ChangeAccounts:
    """What writes down and makes changes of accounts."""
    return ChangeAccounts(parts.accounts, parts.access_log, parts.clock)


def make_close_accounts(parts: Parts) -> CloseAccounts:
    """The closing clock of accounts."""
    return CloseAccounts(
        tenants=parts.tenants,
        store=parts.store,
        accounts=parts.accounts,
        change=make_change_accounts(parts),
        clock=parts.clock,
    )


def make_end_quiet_care(parts: Parts) -> EndQuietCare:
    """What ends care that nobody goes on with."""
    return EndQuietCare(
        tenants=parts.tenants,
        store=parts.store,
        relations=parts.relations,
        closing=make_close_accounts(parts),
        clock=parts.clock,
    )


def make_administer(parts: Parts) -> Administer:
    """What opens, blocks and closes accounts."""
    return Administer(
        patients=parts.patients,
        accounts=parts.accounts,
        change=make_change_accounts(parts),
        alerts=parts.alerts,
        clock=parts.clock,
    )


def make_personal_data(parts: Parts) -> PersonalData:
    """What corrects and removes what is kept of who a patient is."""
    return PersonalData(
        patients=parts.patients,
        accounts=parts.accounts,
        email_notices=make_email_notices(parts),
        access_log=parts.access_log,
        clock=parts.clock,
    )


def make_represent(parts: Parts) -> Represent:
    """What registers representatives."""
    return Represent(accounts=parts.accounts, change=make_change_accounts(parts), clock=parts.clock)


def make_accept_terms(parts: Parts) -> AcceptTerms:
    """What keeps who accepted which terms."""
    return AcceptTerms(store=parts.store, accounts=parts.accounts, clock=parts.clock)
