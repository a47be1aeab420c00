"""Every mistake in the tables of a tenant's file, not the first alone, each with the path of what is wrong."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from messaging_service.tenants.places import Path
from messaging_service.tenants.tables import Mistakes

_PLACE = re.compile(r" - at `[^`]*`$")


class Unset(NamedTuple):
    """Stands where environment variables are used that are not set."""

    variables: tuple[str, ...]


class Mistake(NamedTuple):
    """What is wrong, and where: in the file's own keys."""

    path: Path
    what: str


def mistakes_in(value: object, kind: Any, path: Path = ()) -> Iterator[Mistake]:
    """What keeps `value`, as tomllib reads it, from being a `kind`: a table's class or a field's type."""
    kind = _fitting(kind, value)
    if isinstance(value, Unset):
        yield from (Mistake(path, f"set the environment variable {name}") for name in value.variables)
    elif _is_table(kind) and isinstance(value, dict):
        found = list(_in_table(value, kind, path))
        yield from found or _as_a_whole(value, kind, path)
    elif isinstance(value, list) and (each := _element(kind)) is not None:
        for number, one in enumerate(value):
            yield from mistakes_in(one, each, (*path, number))
    elif isinstance(value, dict) and get_origin(kind) is Mapping:
        found = [each for key, one in value.items() for each in mistakes_in(one, get_args(kind)[1], (*path, key))]
        yield from found or _as_a_whole(value, kind, path)
    else:
        yield from _as_a_whole(value, kind, path)


def _in_table(given: Mapping[str, object], kind: Any, path: Path) -> Iterator[Mistake]:
    known = get_type_hints(kind, include_extras=True)
    for key in given.keys() - known.keys():
        near = difflib.get_close_matches(key, known, n=1)
        yield Mistake((*path, key), f"unknown key; did you mean {near[0]}?" if near else "unknown key")
    for key in _required(kind):
        if key not in given:
            yield Mistake((*path, key), "is missing")
    for key, value in given.items():
        if key in known:
            yield from mistakes_in(value, known[key], (*path, key))


def _as_a_whole(value: object, kind: Any, path: Path) -> Iterator[Mistake]:
    """What shows only when the parts are right, such as a team that is named and not listed."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as problem:
        cause, said = problem.__cause__, _PLACE.sub("", str(problem))
        if isinstance(cause, Mistakes):
            yield from (Mistake((*path, *within), what) for within, what in cause.found)
        elif isinstance(value, dict):
            yield Mistake((*path, *key_named_in(said, value)), said)
        else:
            yield Mistake(path, _with_choices(said, kind, value))


def key_named_in(said: str, table: Mapping[str, object]) -> tuple[str, ...]:
    """The key of `table` that a sentence is about: the first that it names."""
    return tuple(word for word in re.findall(r"\w+", said) if word in table)[:1]


def _with_choices(said: str, kind: Any, value: object) -> str:
    if get_origin(kind) is not Literal or not isinstance(value, str):
        return said
    choices = [str(choice) for choice in get_args(kind)]
    near = difflib.get_close_matches(value, choices, n=1)
    return f"{value!r} must be one of: {', '.join(choices)}" + (f"; did you mean {near[0]}?" if near else "")


def _is_table(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind) or (isinstance(kind, type) and issubclass(kind, msgspec.Struct))


def _required(kind: Any) -> Sequence[str]:
    if dataclasses.is_dataclass(kind):
        missing = dataclasses.MISSING
        return [f.name for f in dataclasses.fields(kind) if f.default is missing and f.default_factory is missing]
    return [field.name for field in msgspec.structs.fields(kind) if field.required]


def _fitting(kind: Any, value: object) -> Any:
    """The arm of a union that a value of this shape can be meant for; anything else as it is."""
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(plain) in (Union, types.UnionType):
        arms = [arm for arm in get_args(plain) if arm is not type(None)]
        return _fitting(arms[0], value) if len(arms) == 1 else kind
    return plain if isinstance(value, dict | list) and not _bounds_itself(kind, value) else kind


def _bounds_itself(kind: Any, value: object) -> bool:
    """Whether an array or table of this length is refused as such."""
    if get_origin(kind) is not Annotated:
        return False
    least = max((meta.min_length or 0 for meta in get_args(kind)[1:] if isinstance(meta, msgspec.Meta)), default=0)
    return isinstance(value, dict | list) and len(value) < least


def _element(kind: Any) -> Any:
    """The type of an array's elements where they all have one."""
    arguments = get_args(kind)
    return arguments[0] if get_origin(kind) is tuple and len(arguments) == 2 and arguments[1] is ... else None
