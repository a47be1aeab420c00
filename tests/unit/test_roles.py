"""Roles and scopes, and what the guide says of them."""

from __future__ import annotations

import re
from pathlib import Path

from messaging_service.domain.roles import SCOPES_OF, Role

GUIDE = Path(__file__).parents[2] / "deploy" / "guides" / "identity.md"


def test_every_role_has_its_scopes() -> None:
    """Each role can do something, and nobody but on-call opens messages."""
    assert set(SCOPES_OF) == set(Role)
    assert all(SCOPES_OF.values())
    assert [role for role in Role if "alarms:open" in SCOPES_OF[role]] == [Role.ON_CALL]


def test_the_guide_lists_them() -> None:
    """The table in the guide is the one that holds."""
    said = {
        row[1]: set(re.findall(r"`([a-z:-]+)`", row[2]))
        for row in re.finditer(r"^\| `([a-z-]+)` \| (`.*`) \|$", GUIDE.read_text("utf-8"), re.MULTILINE)
    }
    assert {role: said.get(role) for role in Role} == SCOPES_OF
