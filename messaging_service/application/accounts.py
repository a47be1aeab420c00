"""Accounts: a patient's right to read and write here. Opened at first use, blocked or closed by staff."""

from __future__ import annotations

from messaging_service.application.collections import ACCOUNTS
from messaging_service.application.ports import DocumentStore
from messaging_service.domain.refusals import AccountBlocked


class Accounts:
    """Looks accounts up by the patient's look-up key."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def require_open(self, tenant: str, patient_key: str) -> None:
        """Return when the account may read and write; a patient without one opens it by writing.

        Raises:
            AccountBlocked: staff blocked it (terms article 4.3: no reason is given).
        """
        account = await self._store.get(ACCOUNTS, patient_key)
        if account is not None and (account["tenant"] != tenant or account["state"] != "open"):
            raise AccountBlocked

    async def set_state(self, tenant: str, patient_key: str, state: str) -> None:
        """Block or open an account, made when there is none yet."""
        document = {"id": patient_key, "tenant": tenant, "state": state}
        if (await self._store.insert(ACCOUNTS, [document]))[0]:
            return
        while (stored := await self._store.get(ACCOUNTS, patient_key)) is not None:
            if await self._store.replace(ACCOUNTS, {**stored, "state": state}):
                return
