"""Who may know what was read."""

from __future__ import annotations

from messaging_service.tenants.tables import Table


class Receipts(Table, frozen=True, kw_only=True):
    """Read receipts, each way only where the hospital says so.

    `of_patients`: staff may know how far the patient read. `of_care_team`: the patient may know how far the team did.
    """

    of_patients: bool = False
    of_care_team: bool = False
