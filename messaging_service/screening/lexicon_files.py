"""Reading the lexicon: TOML files, one folder per language, into numbered terms and rules."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import rtoml

from messaging_service.screening.errors import LexiconFault
from messaging_service.screening.rules import ContextWords, Lexicon, Rule
from messaging_service.screening.terms import NUMBER, Slot, TermTable

_RULE_KEYS = frozenset(
    "id topic parts ordered within scope unless unless_anywhere alarm verdict heed ignore match no_match".split()  # noqa: SIM905
)
_CONTEXTS = frozenset(
    "negated history family condition information chronic thanks resolved reported doubt".split()  # noqa: SIM905
)
_NEIGHBOUR = 6


def packaged_folder() -> Path:
    """The lexicon that is shipped with this package."""
    return Path(__file__).parent / "lexicon"


def read_lexicon(folder: Traversable, table: TermTable) -> Lexicon:
    """Read every language folder under `folder`, numbering its terms in `table`.

    Raises:
        LexiconFault: a file or rule is not as it should be; the message names it.
    """
    texts = {
        (language.name, file.name): file.read_bytes()
        for language in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if language.is_dir() and not language.name.startswith("_")
        for file in sorted(language.iterdir(), key=lambda entry: entry.name)
        if file.name.endswith(".toml")
    }
    digest = hashlib.sha256(b"\0".join(name[0].encode() + name[1].encode() + texts[name] for name in texts))
    return _Reader(table).read({name: _parse(name, texts[name]) for name in texts}, digest.hexdigest()[:12])


def _parse(name: tuple[str, str], content: bytes) -> dict[str, Any]:
    """Read by rtoml: these 900 kB take the standard library 300 ms, ten times as long."""
    try:
        return rtoml.loads(content.decode())
    except (rtoml.TomlParsingError, UnicodeDecodeError) as exc:
        raise LexiconFault(f"{'/'.join(name)}: {exc}") from exc


class _Reader:
    def __init__(self, table: TermTable) -> None:
        self.table = table
        self.groups: dict[str, dict[str, Slot]] = {}
        self.context: dict[str, ContextWords] = {}
        self.number_words: dict[str, float] = {}
        self.units: dict[str, tuple[str, float]] = {}
        self.not_typos: set[str] = set()
        self.maskable: set[str] = set()
        self.function_words: dict[str, Sequence[str]] = {}

    def read(self, files: Mapping[tuple[str, str], dict[str, Any]], version: str) -> Lexicon:
        words = {key: content for key, content in files.items() if key[1].endswith("words.toml")}
        for content in words.values():
            self.table.spelling |= content.get("spelling", {})
            self.table.verbs |= set(content.get("inversion", {}).get("verbs", ()))
            self.table.subjects += content.get("inversion", {}).get("subjects", ())
            self.function_words |= content.get("function_words", {})
        for (language, _), content in words.items():
            self._words(language, content)
        self.context = {language: ContextWords({}) for language, _ in files}
        for (language, name), content in files.items():
            if name == "context.toml":
                self._context(language, content)
        rules: list[Rule] = []
        for (language, name), content in files.items():
            if name != "context.toml" and not name.endswith("words.toml"):
                rules += self._rule_file(f"{language}/{name}", language, content)
        self.table.close()
        return Lexicon(
            version=version,
            rules=tuple(rules),
            context=self.context,
            number_words=self.number_words,
            units=self.units,
            not_typos=frozenset(self.not_typos),
            maskable=frozenset(self.maskable),
            spelling=self.table.spelling,
            function_words={language: frozenset(words) for language, words in self.function_words.items()},
        )

    def _words(self, language: str, content: Mapping[str, Any]) -> None:
        self.groups[language] = self._grouped(self.groups.get(language, {}), content.get("groups", {}))
        for word, number in content.get("numbers", {}).items():
            self.number_words[word] = float(number)
            self.table.number_words.append(word)
        for unit, words in content.get("units", {}).items():
            for word, factor in words.items():
                self.units[word] = (unit, float(factor))
        self.not_typos |= set(content.get("not_typos", ()))
        self.maskable |= set(content.get("maskable", ()))

    def _grouped(self, known: Mapping[str, Slot], written: Mapping[str, Any]) -> dict[str, Slot]:
        groups = dict(known)
        for name, terms in written.items():
            groups[name] = self.table.slot(terms, groups)
        return groups

    def _context(self, language: str, content: Mapping[str, Any]) -> None:
        groups = self._grouped(self.groups.get(language, {}), content.get("groups", {}))
        roles = {role: self.table.slot(terms, groups).terms for role, terms in content["roles"].items()}
        self.context[language] = ContextWords(roles)

    def _rule_file(self, name: str, language: str, content: Mapping[str, Any]) -> Iterable[Rule]:
        groups = self._grouped(self.groups.get(language, {}), content.get("groups", {}))
        for written in content["rule"]:
            try:
                yield self._rule(language, content, written, groups)
            except (LexiconFault, KeyError) as exc:
                raise LexiconFault(f"{name}, rule {written.get('id', '?')}: {exc}") from exc

    def _rule(
        self, language: str, file: Mapping[str, Any], written: Mapping[str, Any], groups: Mapping[str, Slot]
    ) -> Rule:
        if unknown := set(written) - _RULE_KEYS:
            raise LexiconFault(f"it has the unknown keys {sorted(unknown)}")
        parts = tuple(self.table.slot(part, groups) for part in written["parts"])
        heeds = _CONTEXTS - {"resolved", "reported", "doubt"}
        heeds = (heeds | set(file.get("heed", ())) | set(written.get("heed", ()))) - set(file.get("ignore", ()))
        urgency = file["kind"] == "urgency"
        topic: str = written.get("topic") or file["topic"]
        return Rule(
            id=f"{language}.{topic}.{written['id']}",
            kind=file["kind"],
            topic=topic,
            language=language,
            parts=parts,
            key=self._rarest(parts),
            ordered=written.get("ordered", False),
            within=written.get("within", _NEIGHBOUR),
            whole_message=written.get("scope", "sentence") == "message",
            unless=self.table.slot(written.get("unless", []), groups).terms,
            unless_anywhere=self.table.slot(written.get("unless_anywhere", []), groups).terms,
            alarm=urgency and written.get("alarm", True),
            refuses=not urgency and written.get("verdict", "refuse") == "refuse",
            heeds=frozenset(heeds - set(written.get("ignore", ()))),
            match=tuple(written.get("match", ())),
            no_match=tuple(written.get("no_match", ())),
        )

    def _rarest(self, parts: tuple[Slot, ...]) -> int:
        """The part whose terms are longest is met least often, and is looked for first."""
        return max(range(len(parts)), key=lambda index: self._rarity(parts[index]))

    def _rarity(self, slot: Slot) -> float:
        if NUMBER in slot.terms:
            return -1.0
        return 1.0 - len(slot.terms & self.table.short) / len(slot.terms) - len(slot.terms) / 1000
