"""deploy/guides/terms-of-use.md names the tests that there are, and all of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_names_every_article_test() -> None:
    """Every test of an article is in the guide, under the hospital whose article it is, and no other is."""
    guide = (ROOT / "deploy/guides/terms-of-use.md").read_text("utf-8")
    named = {
        (letter, f"test_{name}")
        for letters, name in re.findall(r"\b([SN](?:, [SN])?) `((?:article_|an_urgent|parents_)\w+)`", guide)
        for letter in letters.split(", ")
    }
    there = set()
    for letter, hospital in (("S", "spijkenisse"), ("N", "sein")):
        source = (ROOT / f"tests/acceptance/test_terms_{hospital}.py").read_text("utf-8")
        functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
        there |= {(letter, node.name) for node in functions if node.name.startswith("test_")}
    assert named == there
