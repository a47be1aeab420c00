"""Sentences for patients in their own languages, out of a TOML file with a block per language."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources


def sentences(name: str, language: str) -> tuple[str, Mapping[str, str]]:
    """The language that is spoken and its lines, by name, of `adapters/{name}.toml`.

    Any `language` string works: `nl-BE` is nl, none at all is nl, one that we do not have is en.
    """
    blocks = _blocks(name)
    tag = language.strip().replace("_", "-").split("-")[0].lower()
    spoken = "nl" if tag in ("", "und") else tag if tag in blocks else "en"
    return spoken, blocks[spoken]


@cache
def _blocks(name: str) -> Mapping[str, Mapping[str, str]]:
    file = resources.files("messaging_service.adapters") / f"{name}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))
