"""What the words around a finding do to it: denied, history, family, a question … or nothing.

A context takes a finding away only where that is certain. Where it is merely likely the finding still
counts, but pages nobody (`maybe …`). Published rules for negation are wrong in a third of
general-practice text, so every rule here asks for more than one sign.
"""

from __future__ import annotations

from collections.abc import Sequence

from messaging_service.screening.findings import Findings, Hit
from messaging_service.screening.frame import CERTAIN, LIKELY, NOTHING, Effect, Frame
from messaging_service.screening.reading import COMMA
from messaging_service.screening.rules import ContextWords, Rule

_DENIAL_REACH = 12
_SENTENCE_REACH = 22
_MARKS = ("thanks", "asks", "information", "opens_question", "past", "chronic", "resolved")


class Judge:
    """Judges findings of one language in one reading."""

    def __init__(self, findings: Findings, words: ContextWords) -> None:
        self.findings = findings
        self.words = words
        self._frame = Frame(findings, words)

    def effect(self, rule: Rule, hits: Sequence[Hit]) -> Effect:
        """The strongest effect of context on the parts of `rule` found at `hits`."""
        strongest = self._message(rule, hits[0]) if rule.kind == "urgency" else NOTHING
        taken = {word for first, last in hits for word in range(first, last + 1)}
        for hit in hits if rule.whole_message else [(min(h[0] for h in hits), max(h[1] for h in hits))]:
            strongest = max(strongest, self._around(rule, hit), key=lambda effect: effect.weight)
        if "negated" in rule.heeds and strongest.weight < CERTAIN:
            for hit in hits:
                strongest = max(strongest, self._denied(hit, taken), key=lambda effect: effect.weight)
        return strongest

    def _message(self, rule: Rule, hit: Hit) -> Effect:
        """What the message as a whole does; certain only where the sentence of the finding bears a mark of it too.

        One alarming sentence in a friendly message counts, whatever thanks or questions stand around it.
        """
        effect = self._frame.effect(rule.heeds)
        if effect.weight < CERTAIN or effect.name == "doubt":
            return effect
        first, end = self.findings.reading.sentence(hit[0])
        if self.findings.reading.words[end - 1] == "?" or any(self._any(role, first, end) for role in _MARKS):
            return effect
        return NOTHING if effect.name == "thanks" else Effect(f"maybe {effect.name}", LIKELY)

    def passes_over(self, rule: Rule) -> bool:
        """Whether `rule` is of the safety net and the message everyday post, so that it need not be looked for."""
        return "doubt" in rule.heeds and self._frame.effect(rule.heeds).weight == CERTAIN

    def idiom(self, hit: Hit) -> bool:
        """Whether `hit` is part of a saying: `ik lach me dood`."""
        idioms = self.words["idiom"]
        return any(
            last >= hit[0] and word <= hit[1]
            for word, last in self.findings.within(max(0, hit[0] - 6), hit[1] + 1, idioms)
        )

    def _around(self, rule: Rule, hit: Hit) -> Effect:
        first, end = self.findings.reading.sentence(hit[0])
        first, end = max(first, hit[0] - _SENTENCE_REACH), min(end, hit[1] + _SENTENCE_REACH)
        effects = [NOTHING]
        if "condition" in rule.heeds:
            effects.append(self._condition(hit, first, end))
        if "information" in rule.heeds:
            effects.append(self._information(hit, first, end))
        if "history" in rule.heeds:
            effects.append(self._history(hit, first, end))
        if "chronic" in rule.heeds:
            effects.append(self._chronic(first, end))
        if "family" in rule.heeds:
            effects.append(self._family(hit, first, end))
        if "resolved" in rule.heeds:
            effects.append(self._resolved(hit, first))
        if "reported" in rule.heeds:
            effects.append(self._reported(hit, first, end))
        return max(effects, key=lambda effect: effect.weight)

    def _any(self, role: str, first: int, end: int) -> bool:
        return self.findings.holds(first, end, self.words[role])

    def _denied(self, hit: Hit, taken: set[int]) -> Effect:
        """Denied by a word before it, through fillers and list items only, or by a phrase right after it."""
        words, at, reading = self.findings.reading.words, self.findings.at, self.findings.reading
        first, end = reading.sentence(hit[0])
        for _, last in self.findings.within(hit[1] + 1, min(end, hit[1] + 3), self.words["denied_after"]):
            if last not in taken and not self._any("denial_goes_on", last + 1, min(end, last + 2)):
                return Effect("negated", CERTAIN)
        if self._plainly_not(hit[1], end, taken):
            return Effect("negated", CERTAIN)
        listed = self._any("or", hit[1] + 1, min(end, hit[1] + 5))
        sure, free = True, 0
        for word in range(hit[0] - 1, max(first, hit[0] - _DENIAL_REACH) - 1, -1):
            terms = {term for term, _ in at.get(word, ())}
            if word in taken or terms & self.words["stops_denial"] or terms & self.words["no_denial"]:
                return NOTHING
            if terms & self.words["denial"]:
                if self._any("no_denial", max(first, word - 3), word + 1) and self._covered(word, first):
                    return NOTHING
                return Effect("negated", CERTAIN) if sure else Effect("maybe negated", LIKELY)
            if terms & self.words["or"]:
                listed, free = True, 3
            elif words[word] == COMMA or terms & self.words["and"]:
                sure, free = sure and listed, 3
            elif not terms & self.words["filler"]:
                if free == 0:
                    return NOTHING
                free -= 1
        return NOTHING

    def _plainly_not(self, last: int, end: int, taken: set[int]) -> bool:
        """Whether `niet` and then the end of the clause follows: `de wond bloedt niet, ...`."""
        words = self.findings.reading.words
        if last + 1 >= end or last + 1 in taken or not self._any("plain_not", last + 1, last + 2):
            return False
        return last + 2 >= end or words[last + 2] in (".", "?", COMMA) or self._any("and", last + 2, last + 3)

    def _covered(self, word: int, first: int) -> bool:
        """Whether `word` belongs to a phrase in which a negation denies nothing: `nog nooit zo'n`."""
        phrases = self.findings.within(max(first, word - 3), word + 1, self.words["no_denial"])
        return any(last >= word for _, last in phrases)

    def _now(self, first: int, end: int) -> bool:
        return self._any("now", first, end) and not self._any("not_now", first, end)

    def _history(self, hit: Hit, first: int, end: int) -> Effect:
        certain, likely = self._any("past", first, end), self._any("recent_past", first, end)
        if not (certain or likely) or self._now(first, end):
            return NOTHING
        if self._any("again", end, self._next_sentence(end)):
            return NOTHING
        return Effect("history", CERTAIN) if certain else Effect("maybe history", LIKELY)

    def _chronic(self, first: int, end: int) -> Effect:
        """Long-standing and unchanged by the patient's own word, in the sentence or right after it."""
        after = self._next_sentence(end)
        if self._any("chronic", first, after) and not self._any("changed", first, after):
            return Effect("chronic", CERTAIN)
        return NOTHING

    def _next_sentence(self, end: int) -> int:
        words = self.findings.reading.words
        return self.findings.reading.sentence(end)[1] if end < len(words) else end

    def _family(self, hit: Hit, first: int, end: int) -> Effect:
        relative = self._any("relative", first, hit[0] + 1)
        if not relative or self._now(first, end):
            return NOTHING
        return Effect("family", CERTAIN) if self._any("family_past", first, end) else NOTHING

    def _condition(self, hit: Hit, first: int, end: int) -> Effect:
        """Certain when the finding stands in an if-clause and the sentence asks or says what then follows."""
        opener = self._opener(hit, first)
        if opener is None:
            return NOTHING
        if self._any("main_clause", opener + 1, hit[0]):
            return NOTHING
        if self._any("then_asked", hit[0], end):
            return Effect("condition", CERTAIN)
        if self._present(first, end):
            return NOTHING
        if self._any("what_then", first, end) or self.findings.reading.words[end - 1] == "?":
            return Effect("condition", CERTAIN)
        return Effect("maybe condition", LIKELY)

    def _opener(self, hit: Hit, first: int) -> int | None:
        """The last word of the nearest `if` before the finding that is not a comparison (`als een plank`)."""
        compared = {word for word, last in self.findings.within(first, hit[0] + 1, self.words["not_if"])}
        compared |= {last for _, last in self.findings.within(first, hit[0] + 1, self.words["not_if"])}
        openers = [
            last for word, last in self.findings.within(first, hit[0] + 1, self.words["if"]) if word not in compared
        ]
        return openers[-1] if openers else None

    def _present(self, first: int, end: int) -> bool:
        return self._any("present", first, end)

    def _information(self, hit: Hit, first: int, end: int) -> Effect:
        if self._present(first, end):
            return NOTHING
        if self._any("information", first, end):
            return Effect("information", CERTAIN)
        return Effect("maybe information", LIKELY) if self._any("maybe_information", first, end) else NOTHING

    def _resolved(self, hit: Hit, first: int) -> Effect:
        """Over by itself, said in this sentence or in the next two."""
        words = len(self.findings.reading.words)
        end = hit[1] + 1
        for _ in range(3):
            if end < words:
                end = self.findings.reading.sentence(end)[1]
        if self._any("resolved", first, end) and not self._any("unresolved", first, end):
            return Effect("resolved", CERTAIN)
        return NOTHING

    def _reported(self, hit: Hit, first: int, end: int) -> Effect:
        """What somebody else said or did to the writer: a victim's account."""
        return Effect("reported", CERTAIN) if self._any("reported", first, end) else NOTHING
