"""Staff and system roles, and the scopes of each: what its work needs and no more (terms articles 3.4, 5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What somebody who is no patient is here for."""

    APPOINTMENTS_OFFICE = "appointments-office"
    COORDINATOR = "coordinator"
    MODERATOR = "moderator"
    CARE_TEAM_LEAD = "care-team-lead"
    ON_CALL = "on-call"
    OPS = "ops"
    AUDITOR = "auditor"


class Scope(StrEnum):
    """One thing that may be done; each staff endpoint of contracts/openapi.yaml names the one that it needs."""

    READ_ACCOUNTS = "accounts:read"
    OPEN_ACCOUNTS = "accounts:open"
    CLOSE_ACCOUNTS = "accounts:close"
    BLOCK_ACCOUNTS = "accounts:block"
    REGISTER_REPRESENTATIVES = "representatives:register"
    CONFIRM_REPRESENTATIVES = "representatives:confirm"
    CHANGE_PERSONAL_DATA = "personal-data:change"
    MANAGE_CARE_TEAMS = "care-teams:manage"
    HANDLE_MESSAGES = "messages:handle"
    CLOSE_THREADS = "threads:close"
    ACKNOWLEDGE_ALARMS = "alarms:acknowledge"
    OPEN_ALARMS = "alarms:open"
    READ_OPERATIONS = "operations:read"
    MEND_OPERATIONS = "operations:mend"
    READ_ACCESS_LOG = "access-log:read"
    COUNT_LOGINS = "logins:count"


SCOPES_OF: Mapping[Role, frozenset[Scope]] = {
    Role.APPOINTMENTS_OFFICE: frozenset(
        (Scope.READ_ACCOUNTS, Scope.OPEN_ACCOUNTS, Scope.CLOSE_ACCOUNTS, Scope.CHANGE_PERSONAL_DATA)
    ),
    Role.COORDINATOR: frozenset((Scope.READ_ACCOUNTS, Scope.REGISTER_REPRESENTATIVES, Scope.CONFIRM_REPRESENTATIVES)),
    Role.MODERATOR: frozenset((Scope.READ_ACCOUNTS, Scope.BLOCK_ACCOUNTS)),
    Role.CARE_TEAM_LEAD: frozenset((Scope.MANAGE_CARE_TEAMS, Scope.HANDLE_MESSAGES, Scope.CLOSE_THREADS)),
    Role.ON_CALL: frozenset((Scope.OPEN_ALARMS, Scope.ACKNOWLEDGE_ALARMS)),
    Role.OPS: frozenset((Scope.READ_OPERATIONS, Scope.MEND_OPERATIONS)),
    Role.AUDITOR: frozenset((Scope.READ_ACCESS_LOG, Scope.COUNT_LOGINS)),
}
"""The most a role ever has: a scope beyond it counts for nothing, whatever the issuer put into the token."""
