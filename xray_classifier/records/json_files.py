"""Records to JSON files and back.

A record is a frozen dataclass of numbers, texts, other records, and tuples and dictionaries of
such. Its fields are the names in the file, and the file says of which version these names are.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Protocol, TypeVar, get_args, get_origin, get_type_hints

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.files import write_json

SCHEMA_VERSION = 2
"""Raised whenever a field of a record is renamed, moved or removed; see `migrations`."""

UNVERSIONED = 1
"""The version of files that do not name theirs."""

REQUIRED = {"required": True}
"""Metadata of a field that no file may leave out, although the program has a default for it."""


class Dataclass(Protocol):
    """What all dataclasses have."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


Record = TypeVar("Record", bound=Dataclass)
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
"""From what a file of version 1 holds to what one of this version does."""


def write_record(record: Dataclass, target: Path) -> None:
    """Write a record as JSON, in one step.

    Raises:
        OutputError: nothing can be written there.
        ValueError: a number in it is not finite, which JSON does not know.
    """
    write_json({"schema_version": SCHEMA_VERSION, **to_json(record)}, target)


def to_json(record: Dataclass) -> dict[str, Any]:
    """Give what the file holds of a record; what is None is left out."""
    return asdict(
        record,
        dict_factory=lambda items: {name: value for name, value in items if value is not None},
    )


def read_record(
    path: Path, kind: type[Record], upgrade: Upgrade | None = None, what: str = "The report"
) -> Record:
    """Read a record of that kind.

    Args:
        path: a JSON file.
        kind: its class.
        upgrade: for a file of an older version; such a one is refused without it.
        what: what messages call the file.

    Raises:
        ModelUnavailableError: the file cannot be read, is of a version that this program does not
            know, or a field is missing, unknown or wrong; the message names all that are.
    """
    what = f"{what} {path}"
    values = _load(path, what)
    version = values.pop("schema_version", UNVERSIONED)
    if type(version) is not int or version != SCHEMA_VERSION:  # True is 1, too
        values = _upgraded(values, version, what, upgrade)
    problems: list[str] = []
    record: Record = _parsed(values, kind, "", problems)
    if problems:
        raise ModelUnavailableError(
            f"{what} does not fit this program: {', '.join(problems)}. Take model and JSON from "
            "the same version."
        )
    return record


def _load(path: Path, what: str) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelUnavailableError(
            f"{what} cannot be read ({error.strerror}). Restore it from the repository."
        ) from error
    except ValueError as error:
        raise ModelUnavailableError(
            f"{what} is not valid JSON ({error}). Restore it from the repository."
        ) from error
    if not isinstance(values, dict):
        raise ModelUnavailableError(f"{what} holds no JSON object. Restore it from the repository.")
    return values


def _upgraded(
    values: dict[str, Any], version: Any, what: str, upgrade: Upgrade | None
) -> dict[str, Any]:
    if type(version) is not int or version != UNVERSIONED or upgrade is None:
        raise ModelUnavailableError(
            f"{what} is of schema version {version!r}; this program reads version "
            f"{SCHEMA_VERSION}{'' if upgrade is None else ' and what is older'}. Take the file "
            "from the same version as the program, or write it anew."
        )
    try:
        return upgrade(values)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelUnavailableError(
            f"{what} is of schema version {UNVERSIONED} and cannot be brought to version "
            f"{SCHEMA_VERSION} ({error!r}). Restore it from the repository, or write it anew."
        ) from error


def _parsed(value: Any, kind: Any, name: str, problems: list[str]) -> Any:
    """Turn parsed JSON into a value of that type; note under its name what does not fit."""
    if kind in _TYPES:  # first, since nearly all values are plain
        if type(value) not in _TYPES[kind]:
            problems.append(f"{name} is {value!r}")
        return value
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        (kind,) = set(arguments) - {type(None)}
        return None if value is None else _parsed(value, kind, name, problems)
    if is_dataclass(kind) and isinstance(value, dict):
        return _parsed_record(value, kind, name, problems)
    if origin is tuple and isinstance(value, list):
        return tuple(
            _parsed(item, arguments[0], f"{name}[{index}]", problems)
            for index, item in enumerate(value)
        )
    if origin is dict and isinstance(value, dict):
        return {
            key: _parsed(item, arguments[1], f"{name}.{key}", problems)
            for key, item in value.items()
        }
    if kind is Any:
        return value
    problems.append(f"{name} is {value!r}")
    return None


_TYPES: dict[Any, tuple[type, ...]] = {
    str: (str,),
    bool: (bool,),
    int: (int,),
    float: (float, int),  # JSON has one kind of number
}


def _parsed_record(value: dict[str, Any], kind: Any, name: str, problems: list[str]) -> Any:
    prefix = f"{name}." if name else ""
    known = _fields_of(kind)
    found = [f"{prefix}{key} is unknown" for key in sorted(value.keys() - known.keys())]
    found += [
        f"{prefix}{key} is missing"
        for key, (_, required) in known.items()
        if required and key not in value
    ]
    parsed = {
        key: _parsed(value[key], hint, f"{prefix}{key}", found)
        for key, (hint, _) in known.items()
        if key in value
    }
    problems += found
    if found:
        return None
    try:
        return kind(**parsed)
    except ValueError as error:
        problems.append(f"{name}: {error}")
        return None


@functools.cache  # the page reads a model's JSON whenever it is drawn
def _fields_of(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Give the type of each field of a record, and whether a file must hold it."""
    hints = get_type_hints(kind)
    return {entry.name: (hints[entry.name], _is_required(entry)) for entry in fields(kind)}


def _is_required(entry: Field[Any]) -> bool:
    no_default = entry.default is MISSING and entry.default_factory is MISSING
    return no_default or bool(entry.metadata.get("required"))
