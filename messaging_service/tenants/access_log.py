"""How the access log is shown to patients."""

from __future__ import annotations

from typing import Literal

from messaging_service.tenants.tables import Table


class AccessLogRules(Table, frozen=True, kw_only=True):
    """The access log. `staff_shown_by`: a patient who asks is told role and pseudonym of staff, or the name too."""

    staff_shown_by: Literal["role", "name"] = "role"
