"""In which line of a TOML file each key and each value stands; tomllib does not say."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache

import tree_sitter
import tree_sitter_toml
from tree_sitter import Node

Path = tuple[str | int, ...]
"""Keys and positions in arrays, from the outside in, as ("terms", 0, "version")."""


def places_in(text: str) -> Mapping[Path, int]:
    """The line, from 1, of every key and value; of a key that is given more than once, its first."""
    places: dict[Path, int] = {}
    arrays: dict[Path, int] = {}
    for node in _parser().parse(text.encode()).root_node.named_children:
        if node.type == "pair":
            _add_pair(places, (), node)
        elif node.type in ("table", "table_array_element"):
            path = _header(places, arrays, node)
            for pair in node.named_children[1:]:
                if pair.type == "pair":
                    _add_pair(places, path, pair)
    return places


def line_of(places: Mapping[Path, int], path: Path) -> int:
    """The line of what is at `path`; of what is missing there, the line of the table that lacks it."""
    while path and path not in places:
        path = path[:-1]
    return places.get(path, 1)


@cache
def _parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))


def _header(places: dict[Path, int], arrays: dict[Path, int], node: Node) -> Path:
    """The path of a table; `arrays` counts the tables of each [[array]], of which the last is meant."""
    *outer, last = _keys(node.named_children[0])
    path: Path = ()
    for key in outer:
        path = (*path, key)
        places.setdefault(path, _line(node))
        path = (*path, arrays[path]) if path in arrays else path
    path = (*path, last)
    if node.type == "table_array_element":
        arrays[path] = arrays.get(path, -1) + 1
        places.setdefault(path, _line(node))
        path = (*path, arrays[path])
    places[path] = _line(node)
    return path


def _add_pair(places: dict[Path, int], path: Path, pair: Node) -> None:
    key, value = (each for each in pair.named_children if each.type != "comment")
    for part in _keys(key):
        path = (*path, part)
        places.setdefault(path, _line(pair))
    _add_value(places, path, value)


def _add_value(places: dict[Path, int], path: Path, value: Node) -> None:
    within = [each for each in value.named_children if each.type != "comment"]
    if value.type == "inline_table":
        for pair in within:
            _add_pair(places, path, pair)
    elif value.type == "array":
        for number, each in enumerate(within):
            places[*path, number] = _line(each)
            _add_value(places, (*path, number), each)


def _keys(node: Node) -> list[str]:
    """The parts of a key, bare, quoted or dotted, unquoted."""
    found, table = [], tomllib.loads(f"{(node.text or b'').decode()} = {{}}")
    while table:
        [(key, table)] = table.items()
        found.append(key)
    return found


def _line(node: Node) -> int:
    return node.start_point.row + 1
