"""The sieve: whatever the rules find when each is tried everywhere, they find when only candidates are tried."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from messaging_service.screening.reading import Reading, plain_reading
from messaging_service.screening.screener import Screener

SCREENER = Screener.load()
_RULES = SCREENER.lexicon.rules
_WRITTEN = [term for search in SCREENER._finder.searches for term in map(str.strip, search.patterns) if len(term) > 1]
_BETWEEN = (" ", " ", " ", " ", ", ", ". ", "? ", "\n", "... ", " 39,5 graden ", " 3 weken ", " nie ", " ik ", " niet ")


def _sentence(chance: random.Random) -> str:
    """Examples of rules cut up, and loose terms, some misspelt, some of them numbers."""
    parts: list[str] = []
    for _ in range(chance.randint(2, 30)):
        rule = chance.choice(_RULES)
        source = chance.choice((*rule.match, *rule.no_match, chance.choice(_WRITTEN)))
        part = source if chance.random() < 0.4 else " ".join(source.split()[: chance.randint(1, 5)])
        if chance.random() < 0.15:
            at = chance.randrange(len(part))
            part = part[:at] + part[at + 1 :]
        parts += [part, chance.choice(_BETWEEN) if chance.random() < 0.8 else f" {chance.randint(1, 250)} "]
    return "".join(parts)


def _readings(seed: int) -> Iterator[Reading]:
    chance = random.Random(seed)
    for _ in range(4):
        yield plain_reading(SCREENER._copy(_sentence(chance), markup=False), SCREENER.lexicon.spelling)


@pytest.mark.parametrize("seed", range(60))
def test_the_sieve_drops_nothing_that_matches(seed: int) -> None:
    """On sentences made of the lexicon's own words, every match of the full pass passes the sieve."""
    for reading in _readings(seed):
        sieved = SCREENER._matches(reading, SCREENER._sieve.candidates(reading))
        assert set(sieved) == set(SCREENER._matches(reading, _RULES)), reading.copy


def test_everyday_post_stops_at_the_sieve() -> None:
    """An ordinary question leaves no candidate: one look settles it."""
    text = "Goedendag, kan ik mijn afspraak van donderdag om 10 uur verzetten naar volgende week? Groeten, P. de Vries"
    assert SCREENER.look(text, markup=False).settled
