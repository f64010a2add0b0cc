"""The user's own keys: a TOML file that gives bindings other keys by their ids."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from string import punctuation

from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import Keys

from ipl_tui.packets.text import printable

MODIFIERS = {"ctrl", "shift", "alt", "super", "hyper", "meta"}


def long_names(keys: str) -> str:
    """Keys as Textual calls them: "question_mark" for "?"."""
    return ",".join(binding.key for binding in Binding.make_bindings([(keys, "", "")]))


NAMED = {key.value for key in Keys if key.value.isalnum()} | {
    "comma",
    *(long_names(each) for each in punctuation if each != ","),
}
"""Keys that have names: "f5", "home", "question_mark"."""

LARGEST = 1 << 16
"""Bytes of a keymap; a file with more in it is not one."""


@dataclass(frozen=True)
class Keymap:
    """Keys in force instead of those that the program gives."""

    keys: Mapping[str, str] = field(default_factory=dict)
    """By a binding's id, its keys with commas between: "f5,ctrl+s"; empty if the user gives none."""
    problems: tuple[str, ...] = ()
    """A sentence for each entry that is not followed; empty if all are."""


def read_keymap(path: Path) -> Keymap:
    """The keymap in a file; an empty one without it. Never raises: what can't be read or followed is told."""
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            return _wrong(path, f"it has more than {LARGEST:,} bytes")
        table = tomllib.loads(text.decode())
    except (FileNotFoundError, NotADirectoryError):
        return Keymap()
    except OSError as error:
        return _wrong(path, error.strerror or type(error).__name__)
    except UnicodeDecodeError:
        return _wrong(path, "it is not UTF-8")
    except (ValueError, RecursionError) as error:
        return _wrong(path, str(error) or type(error).__name__)
    return check_keymap(dict(_entries(table)), default_keys())


def check_keymap(entries: Mapping[str, object], defaults: Mapping[str, str]) -> Keymap:
    """The entries that can be followed, and a sentence for each other one; `defaults` has every id and its keys."""
    keys: dict[str, str] = {}
    problems: list[str] = []
    for name, given in entries.items():
        if problem := _problem(name, given, defaults):
            problems.append(f"Keymap, {printable(name)}: {problem}.")
        else:
            keys[name] = long_names(str(given))
    for name in list(keys):  # what is in force is known only now: two may have exchanged their keys
        for other in defaults:
            if other == name or _place(other) != _place(name):
                continue
            if shared := {*keys[name].split(",")} & {*keys.get(other, defaults[other]).split(",")}:
                problems.append(f"Keymap, {name}: {min(shared)} is already the key of {other}.")
                del keys[name]
                break
    return Keymap(keys, tuple(problems))


def default_keys() -> dict[str, str]:
    """Every binding's id in the program, and its keys."""
    from ipl_tui import screens

    for module in iter_modules(screens.__path__):
        import_module(f"{screens.__name__}.{module.name}")
    keys: dict[str, list[str]] = {}
    for kind in _kinds(DOMNode):
        for binding in Binding.make_bindings(vars(kind).get("BINDINGS", ())):
            if binding.id is not None and binding.key not in (known := keys.setdefault(binding.id, [])):
                known.append(binding.key)
    return {name: ",".join(several) for name, several in keys.items()}


def _kinds(kind: type[DOMNode]) -> Iterator[type[DOMNode]]:
    """Our own classes below one."""
    for each in kind.__subclasses__():
        if each.__module__.split(".")[0] == __name__.split(".")[0]:
            yield each
        yield from _kinds(each)


def _entries(table: Mapping[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    """Ids and keys; TOML takes an id that is not quoted for a table in a table."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _entries(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _problem(name: str, given: object, defaults: Mapping[str, str]) -> str:
    """Why an entry can't be followed; empty if it can."""
    if name not in defaults:
        place = [each for each in defaults if _place(each) == _place(name)]
        return f"there is no such command; there are {', '.join(sorted(place or {_place(each) for each in defaults}))}"
    if not isinstance(given, str):
        return 'its keys stand in quotes, such as "f5,ctrl+s"'
    for key in given.split(","):
        if not is_key(key.strip()):
            return f'"{printable(key.strip())}" is no key; keys are such as f5, ctrl+s, x, question_mark'
    return ""


def is_key(text: str) -> bool:
    """True if Textual has a key of that name."""
    if len(text) == 1:
        return text.isalnum() or (text in punctuation and text != ",")
    *modifiers, key = text.split("+")
    return set(modifiers) <= MODIFIERS and (key in NAMED or (len(key) == 1 and key.isalnum()))


def _place(name: str) -> str:
    """The part of the program where the command is."""
    return name.partition(".")[0]


def _wrong(path: Path, why: str) -> Keymap:
    return Keymap(problems=(f"The keymap {printable(str(path))} can't be read: {printable(why)}.",))
