#!/usr/bin/env python3
"""Fit the points of the screening anew from the development sets, and write them into the lexicon.

    .venv/bin/python -m pip install -e '.[points]'
    .venv/bin/python deploy/points/fit.py            leave-one-author-out figures, then both files of points
    .venv/bin/python deploy/points/fit.py --check    the figures only

A penalised logistic regression on words, beginnings and endings of words, and pairs; only one sentence of an urgent or
abusive message need speak for it (multiple-instance learning with a soft maximum). Every figure that chooses something
comes from texts by an author left out of the fit, with what the rules said at first sight (`first_sight.json`).
Deterministic: same sets, same files.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sparse
from scipy.optimize import minimize

from messaging_service.screening.evaluate import Row, read_rows
from messaging_service.screening.points import (
    KINDS,
    LEAST_BY_OTHERS,
    MOST,
    MOST_BY_OTHERS,
    ORDINARY,
    SCALE,
    pieces,
    share_of_message,
    terms_of,
    windows_of,
)
from messaging_service.screening.screener import Screener
from messaging_service.screening.second_opinion import SHORT

ROOT = Path(__file__).resolve().parents[2]
SETS = ROOT / "tests/evaluation/development"
LEXICON = ROOT / "messaging_service/screening/lexicon"
POSITIVE = {"urgency": "urgent", "prohibited": "refuse"}
# permitted texts whose category holds one of these are not lent to urgency as routine texts
PERHAPS_URGENT = (
    *("abuse", "accident", "assault", "bleed", "dark", "delus", "fall", "grief", "halluc", "intrus", "overd", "pain"),
    *("poison", "psych", "self", "suic", "survivor", "threat", "trauma", "victim", "violen"),
)
STRENGTH = {"urgency": 0.5, "prohibited": 1.0}
MESSAGE_SHARE = {"urgency": 2.0, "prohibited": 1.0}
LEAST_TEXTS = 3
LEAST_POINTS = 3
# how readily a term is given weight, beside how rare it is: a piece of a word, a pair of neighbours, a word
READINESS = {"urgency": (0.7, 1.0, 1.0), "prohibited": (0.5, 0.7, 1.0)}
# Whom one speaks to says nothing of what one says; and who is rude says *jij* more often in these sets than in life.
_ADDRESSED = """
    u uw uwe je jou jouw jij jullie ge gij dokter dokters dr doktor arts artsen zuster zusters broeder broeders
    verpleegkundige verpleegster verpleger assistente assistent doktersassistente mevrouw meneer mevr mw dhr heer
    professor chirurg specialist huisarts mens mensen meid jongen dames heren team you your doctor nurse sir madam , .
"""
ADDRESS = {"urgency": frozenset[str](), "prohibited": frozenset(p for w in _ADDRESSED.split() for p in (w, *pieces(w)))}
# chosen by the figures of left-out authors: from `alone` the words do without a rule, below `kept` they outweigh one
LIMITS = {
    "urgency": {
        "notice_alone": -14,
        "notice_short": 2,
        "notice_against": 14,
        "notice_abuse": -2,
        "notice_threat": 12,
        "notice_kept": -25,
        "paged_kept": -30,
        "short_kept": -40,
        "alarm_alone": 14,
        "alarm_beside": 6,
        "alarm_kept": -8,
        "alarm_short": -30,
    },
    "prohibited": {
        "caution_alone": 5,
        "refuse_alone": 36,
        "refuse_beside": 8,
        "refuse_lead": 30,
        "refuse_kept": -15,
        "refuse_short": -40,
    },
}
STEPS = {"urgency": {"notice": 1, "alarm": 2}, "prohibited": {"refuse": 2}}


@dataclass(frozen=True)
class Text:
    """One labelled text; `sight` is what the rules said of it at first sight: 0 nothing, 1 some, 2 all, -1 unknown."""

    author: str
    positive: bool
    topic: str
    language: str
    windows: list
    sight: int
    lent: bool = False


def texts(kind: str, screener: Screener) -> list[Text]:
    sights = json.loads((SETS / "first_sight.json").read_text())
    found = []
    for file in sorted(SETS.glob("*.tsv")):
        own = file.stem.startswith(kind)
        digits = sights.get(file.stem) if own else None
        for index, row in enumerate(read_rows(file.read_text("utf-8").splitlines())):
            if own or kind == "prohibited" or _plainly_routine(row, screener):
                positive = own and row.label == POSITIVE[kind]
                windows = [words for _, words in windows_of(screener.reading(row.text))]
                sight = int(digits[index]) if digits else -1
                found.append(Text(author(file.stem), positive, row.topic, row.language, windows, sight, not own))
    return found


def _plainly_routine(row: Row, screener: Screener) -> bool:
    """Whether a permitted text is certainly no emergency: no rule even looks at it, and it is not about one."""
    dark = any(sign in row.topic for sign in PERHAPS_URGENT)
    return row.label == "allow" and not dark and screener.look(row.text, markup=False).settled


def author(stem: str) -> str:
    """`held_aside` holds rows by the first author."""
    ending = stem.rpartition("_")[2]
    return ending if ending.isdigit() else "1"


def examples(kind: str, screener: Screener) -> list[Text]:
    """What the rules themselves must find, so that the points do not speak against it; never measured on."""
    rules = [rule for rule in screener.lexicon.rules if rule.kind == kind and (kind == "urgency" or rule.refuses)]
    found = [(rule, [words for _, words in windows_of(screener.reading(t))]) for rule in rules for t in rule.match]
    return [Text("rules", True, rule.topic, rule.language, windows, -1, True) for rule, windows in found]


def counted(words: list[str]) -> Counter[str]:
    """How often each term stands in a window; kept, since each text is in all fits but one."""
    key = tuple(words)
    if key not in _counted:
        _counted[key] = Counter(terms_of(words))
    return _counted[key]


_counted: dict[tuple[str, ...], Counter[str]] = {}


class Fit:
    """Weights of the terms that at least `LEAST_TEXTS` of the texts hold."""

    def __init__(self, kind: str, chosen: list[Text]) -> None:
        held = Counter(t for text in chosen for t in {t for words in text.windows for t in counted(words)})
        told = (t for t, count in held.items() if count >= LEAST_TEXTS and not ADDRESS[kind].issuperset(t.split(" ")))
        self.at = {t: i for i, t in enumerate(sorted(told))}
        piece, pair, word = READINESS[kind]
        size = np.array([piece if "*" in t else pair if " " in t else word for t in self.at])
        size *= np.array([_rarity(held[t], len(chosen)) for t in self.at]) ** 2
        labels = np.array([1.0 if text.positive else -1.0 for text in chosen])
        counts = np.array([0.5 if text.lent else 1.0 for text in chosen]) * STRENGTH[kind]
        shares = MESSAGE_SHARE[kind] * _shares(chosen)
        self.sentence, self.message, self.start = _fitted(*self.table(chosen), labels, counts, size, shares)
        self.message *= MESSAGE_SHARE[kind]

    def table(self, chosen: list[Text]) -> tuple[sparse.csr_matrix, np.ndarray]:
        rows, columns, values, bag, count = [], [], [], [], 0
        for index, text in enumerate(chosen):
            for words in text.windows:
                for term, times in counted(words).items():
                    if term in self.at:
                        rows.append(count), columns.append(self.at[term]), values.append(float(times))
                bag.append(index)
                count += 1
        return sparse.csr_matrix((values, (rows, columns)), shape=(count, len(self.at))), np.array(bag)

    def totals(self, chosen: list[Text]) -> np.ndarray:
        table, bag = self.table(chosen)
        scores = table @ self.sentence
        lead, _ = _soft_maximum(scores, bag)
        highest = np.full(bag[-1] + 1, -np.inf)
        np.maximum.at(highest, bag, scores)
        most = np.clip(highest, LEAST_BY_OTHERS / SCALE, MOST_BY_OTHERS / SCALE)
        lead = np.minimum(lead, highest + most)
        rest = np.clip(np.bincount(bag, table @ self.message) * _shares(chosen), -MOST / SCALE, MOST / SCALE)
        return lead + rest + self.start


def _rarity(held: int, texts: int) -> float:
    """About 1 for a term that one text in 20 holds: what everybody writes must not be bent to fit the few."""
    return (np.log((1 + texts) / (1 + held)) + 1) / 4


def _soft_maximum(scores: np.ndarray, bag: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    starts = np.r_[0, np.flatnonzero(np.diff(bag)) + 1]
    highest = np.maximum.reduceat(scores, starts)
    raised = np.exp(scores - highest[bag])
    total = np.add.reduceat(raised, starts)
    return highest + np.log(total), raised / total[bag]


def _shares(chosen: list[Text]) -> np.ndarray:
    return np.array([share_of_message(text.windows) for text in chosen])


def _fitted(table, bag, labels, counts, size, shares):
    scaled = table @ sparse.diags(size)
    sums = sparse.csr_matrix((np.ones(len(bag)), (bag, np.arange(len(bag)))), shape=(len(labels), len(bag)))
    message, terms = (sparse.diags(shares) @ sums @ scaled).tocsr(), table.shape[1]

    def loss(weights):
        one, other, start = weights[:terms], weights[terms:-1], weights[-1]
        lead, leading = _soft_maximum(scaled @ one, bag)
        margin = labels * (lead + message @ other + start)
        slope = -counts * labels / (1 + np.exp(margin))
        value = counts @ np.logaddexp(0, -margin) + (one @ one + other @ other) / 2
        gradient = [scaled.T @ (leading * slope[bag]) + one, message.T @ slope + other, [slope.sum()]]
        return value, np.concatenate(gradient)

    best = minimize(loss, np.zeros(2 * terms + 1), jac=True, method="L-BFGS-B", options={"maxiter": 120}).x
    return best[:terms] * size, best[terms:-1] * size, best[-1]


def left_out(kind: str, chosen: list[Text]) -> np.ndarray:
    """The total of every text by a fit that never saw its author."""
    totals = np.zeros(len(chosen))
    for name in sorted({text.author for text in chosen}):
        fit = Fit(kind, [text for text in chosen if text.author != name])
        own = [index for index, text in enumerate(chosen) if text.author == name]
        totals[own] = fit.totals([chosen[index] for index in own])
    return totals


def show(kind: str, chosen: list[Text]) -> None:
    """Print what the limits give on the texts of authors left out, with what the rules said at first sight."""
    words = left_out(kind, chosen) * SCALE
    limits, sight = LIMITS[kind], np.array([text.sight for text in chosen])
    positive = np.array([text.positive for text in chosen])
    size = np.array([sum(map(len, text.windows)) for text in chosen])
    for name in [*sorted({text.author for text in chosen if text.sight >= 0}), "all"]:
        mine = (sight >= 0) & np.array([name in (text.author, "all") for text in chosen])
        for step, found in STEPS[kind].items():
            fires = _fires(step, found, limits, words, sight, size)
            hits, clear = fires[mine & positive], ~fires[mine & ~positive]
            rules = (sight >= found)[mine & positive], ~(sight >= found)[mine & ~positive]
            print(
                f"{kind} author {name} {step}: recall {hits.mean():.3f} {hits.sum()}/{len(hits)}"
                f" specificity {clear.mean():.3f} {clear.sum()}/{len(clear)}"
                f" (rules alone {rules[0].mean():.3f}, {rules[1].mean():.3f})"
            )


def _fires(step: str, found: int, limits: dict[str, int], words, sight, size) -> np.ndarray:
    """Whether the points, beside what the rules said at first sight, take this step (as `SecondOpinion` does)."""

    def limit(name: str, otherwise: str = "alone", *, short: str = "") -> np.ndarray:
        value = limits.get(name, limits[f"{step}_{otherwise}"])
        return np.where(size < SHORT, limits.get(short, value), value)

    kept = limit(f"{step}_kept", short="short_kept" if step == "notice" else f"{step}_short")
    alone = limit(f"{step}_alone", short="notice_short" if step == "notice" else "")
    fires = np.where(sight >= found, words >= kept, words >= np.where(sight > 0, limit(f"{step}_beside"), alone))
    if step == "notice":
        fires = np.where(sight > found, words >= limit("paged_kept", short="short_kept"), fires)
    return fires


def write(kind: str, chosen: list[Text], lent: list[Text]) -> None:
    fit = Fit(kind, chosen + lent)
    topic_of = _topics(chosen)
    groups: dict[str, list[str]] = {}
    for term, index in fit.at.items():
        points = round(fit.sentence[index] * SCALE), round(fit.message[index] * SCALE)
        if abs(points[0]) + abs(points[1]) > LEAST_POINTS:
            name = topic_of.get(term, ORDINARY) if sum(points) > 0 else ORDINARY
            groups.setdefault(name, []).append(f"{json.dumps(term, ensure_ascii=False)} = [{points[0]}, {points[1]}]")
    heading = (Path(__file__).parent / f"heading_{kind}.txt").read_text("utf-8")
    lines = [heading.rstrip(), "", f"start = {round(fit.start * SCALE)}", "", "[thresholds]"]
    lines += [f"{name} = {value}" for name, value in LIMITS[kind].items()]
    for name in sorted(groups):
        lines += ["", f"[words.{name}]", *sorted(groups[name])]
    (LEXICON / f"points_{kind}.toml").write_text("\n".join(lines) + "\n", "utf-8")
    print(f"{kind}: {sum(map(len, groups.values()))} terms written")


def _topics(chosen: list[Text]) -> dict[str, str]:
    """The topic in which each term is met most, for the reader and for the verdict."""
    met: dict[str, Counter[str]] = {}
    sizes = Counter(text.topic for text in chosen if text.positive)
    for text in chosen:
        if text.positive:
            for term in {t for words in text.windows for t in counted(words)}:
                met.setdefault(term, Counter())[text.topic] += 1
    return {t: max(sorted(found), key=lambda name: found[name] / (sizes[name] + 5)) for t, found in met.items()}


def main() -> None:
    screener = Screener.load()
    for kind in KINDS:
        chosen = texts(kind, screener)
        show(kind, chosen)
        if "--check" not in sys.argv:
            write(kind, chosen, examples(kind, screener))


if __name__ == "__main__":
    main()
