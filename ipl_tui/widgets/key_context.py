"""Contexts of keys, for the help and the command palette: found by walking the screen; and their names in sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.keys import key_to_character
from textual.screen import Screen


@dataclass(frozen=True)
class KeyContext:
    """A part of the screen and the keys that work in it."""

    name: str
    node: DOMNode
    """Node that carries out the bindings' actions."""
    bindings: list[Binding]
    is_one: bool = True
    """True if it is clear which node is meant: there is one, or the user is in it."""

    def with_keys(self, keys: Mapping[str, str]) -> KeyContext:
        """The same with other keys, by the ids of the bindings, as App.set_keymap() puts them in force."""
        bindings: dict[tuple[str, str], Binding] = {}
        for binding in self.bindings:
            own = keys.get(binding.id or "")
            for each in Binding.make_bindings([replace(binding, key=own)]) if own else [binding]:
                bindings.setdefault((each.action, each.key), each)
        return replace(self, bindings=list(bindings.values()))


def key_contexts(screen: Screen[None], keys: Mapping[str, str]) -> Iterator[KeyContext]:
    """Contexts of all keys of our own on a screen, with those in force, by the ids of bindings: what works everywhere
    first, then as the widgets come on the screen. Each class of ours is one, and its KEYS_TITLE says where it works."""
    nodes: list[DOMNode] = [screen, screen.app, *screen.walk_children()]
    having: dict[type[DOMNode], list[DOMNode]] = {}
    for node in nodes:
        for kind in type(node).__mro__:
            if kind.__module__.split(".")[0] == __name__.split(".")[0] and vars(kind).get("BINDINGS"):
                having.setdefault(kind, []).append(node)
    # What only inherits them, as the composer's grid those of the grid one reads, has them where there is no other.
    places = {kind: [each for each in some if type(each) is kind] or some for kind, some in having.items()}
    for kind, some in sorted(places.items(), key=lambda place: nodes.index(place[1][0])):
        node = screen.focused if screen.focused in some else some[0]
        is_one = len(some) == 1 or node is screen.focused
        bindings = list(Binding.make_bindings(kind.BINDINGS))
        yield KeyContext(vars(kind)["KEYS_TITLE"], node, bindings, is_one).with_keys(keys)


class KeyNames:
    """Names of keys in sentences. Those below the widgets, and many in them, name the keys that the program gives."""

    def __init__(self, bindings: Iterable[BindingType] = (), keys: Mapping[str, str] = MappingProxyType({})) -> None:
        """`keys` has, by a binding's id, the keys in force instead."""
        own = {
            name_of(binding.key): name_of(first)
            for binding in Binding.make_bindings(bindings)
            if (first := keys.get(binding.id or "", "").split(",")[0])
        }
        # A figure is the name of a key only in brackets: "the composer (2)".
        self._own = {f"({name})" if name.isdigit() else name: (name, other) for name, other in own.items()}
        named = "|".join(re.escape(name) for name in self._own if name.startswith(("F", "Ctrl+", "(")))
        self._named = re.compile(rf"(?<![\w+])({named})(?![\w+])") if named else None

    def in_force(self, text: str) -> str:
        """A sentence of the program's own with the keys in force in it."""
        return self._named.sub(lambda found: found[0].replace(*self._own[found[0]]), text) if self._named else text


def name_of(key: str) -> str:
    """Name of a key in sentences: "F5", "Ctrl+O", "x"."""
    *modifiers, last = key.split("+")
    character = key_to_character(last) or ""
    short = character if character.isprintable() and character.strip() else last.capitalize()
    return "+".join([*map(str.capitalize, modifiers), short.upper() if modifiers else short])
