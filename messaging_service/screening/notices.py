"""The notices that patients see: the general one, and the one that fits what was detected."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

_NUMBERS = ("112", "0800-0113", "113", "0800-2000")
_OWN_LINE = {"suicidality": "suicidality", "domestic_violence": "violence"}
PRIVATE_TOPICS = frozenset(_OWN_LINE)
_ENDS = (".", "!", "?", "…", "؟", ":")
_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice to show; `numbers` are the telephone numbers in it, 112 always first."""

    text: str
    language: str
    numbers: tuple[str, ...]


def general_notice(language: str, overrides: Mapping[str, str] = _NOTHING) -> Notice:
    """The notice for each compose screen and every error answer (terms article 3.7).

    Any `language` string works: `nl-BE` is nl, none at all is nl, a language we do not have is en.
    `overrides` holds a hospital's own wording by line name (`general`); 112 stays in whatever it says.
    """
    spoken = _spoken(language)
    return _notice([_line("general", spoken, overrides)], spoken)


def notice_for(topics: Sequence[str], language: str, overrides: Mapping[str, str] = _NOTHING) -> Notice:
    """The notice for an urgent message on `topics`: 112 always, with the numbers that fit the topics.

    `overrides` may reword `emergency`, `department`, `suicidality` and `violence`, never drop 112.
    A notice with 113 or Veilig Thuis in it is for the writer's eyes alone.
    """
    spoken = _spoken(language)
    names = ["emergency"]
    if any(topic in _texts()["topics"]["department"] for topic in topics):
        names.append("department")
    names += [line for topic, line in _OWN_LINE.items() if topic in topics]
    return _notice([_line(name, spoken, overrides) for name in names], spoken)


@cache
def _texts() -> dict[str, dict[str, Any]]:
    file = resources.files("messaging_service.screening") / "lexicon" / "notices.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _spoken(language: str) -> str:
    tag = language.strip().replace("_", "-").split("-")[0].lower()
    if not tag or tag == "und":
        return "nl"
    return tag if tag in _texts() and tag != "topics" else "en"


def _line(name: str, language: str, overrides: Mapping[str, str]) -> str:
    own = overrides.get(name, "").strip()
    built_in: str = _texts()[language][name]
    must = [number for number in ("112", "0800-0113", "0800-2000") if number in built_in]
    if not own:
        return built_in
    own = own if own.endswith(_ENDS) else f"{own}."
    return own if all(number in own for number in must) else f"{own} {built_in}"


def _notice(lines: list[str], language: str) -> Notice:
    text = " ".join(lines)
    apart = text.replace("0800-0113", "")
    shown = {
        "112": "112" in text,
        "0800-0113": "0800-0113" in text,
        "113": "113" in apart,
        "0800-2000": "0800-2000" in text,
    }
    return Notice(text, language, tuple(number for number in _NUMBERS if shown[number]))
