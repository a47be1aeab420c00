"""The e-mail that tells a patient that there is a message: whether it is sent, and in which words."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Annotated, Literal

from msgspec import Meta

from messaging_service.tenants.tables import Mistakes, Table

Language = Literal["nl", "en"]
Line = Annotated[str, Meta(min_length=1, max_length=120, pattern=r"^[^\r\n]*$")]
Text = Annotated[str, Meta(min_length=1, max_length=2_000)]
_MAY_HOLD = {"name", "telephone"}


class Wording(Table, frozen=True, kw_only=True):
    """A hospital's own words in one language, in the place of ours; {name} and {telephone} are the hospital's.

    `code_text` is of the letter that proves an address, and holds {code}.
    """

    subject: Line | None = None
    text: Text | None = None
    code_subject: Line | None = None
    code_text: Text | None = None

    def __post_init__(self) -> None:
        """Each line holds what it may, and the code is where it must be."""
        found: list[tuple[tuple[str | int, ...], str]] = []
        for key in ("subject", "text", "code_subject", "code_text"):
            said = getattr(self, key)
            if said is not None and (wrong := _wrong(said, must={"code"} if key == "code_text" else set())):
                found.append(((key,), f"email_notice wording {key} {wrong}"))
        Mistakes.refuse(found)


class EmailNotice(Table, frozen=True, kw_only=True):
    """Where it is there, patients may ask for the notice (`/v1/account/notifications`)."""

    wording: Mapping[Language, Wording] = {}


def _wrong(said: str, *, must: set[str]) -> str:
    try:
        parts = list(Formatter().parse(said))
    except ValueError:
        return "has a brace that is not closed; write {{ and }} for braces"
    fields = {name for _, name, _, _ in parts if name is not None}
    plain = all(not form and not conversion for _, name, form, conversion in parts if name is not None)
    if not plain or not fields <= _MAY_HOLD | must:
        return f"may hold {', '.join(f'{{{one}}}' for one in sorted(_MAY_HOLD | must))} and nothing else in braces"
    return "" if must <= fields else "must hold {code}"
