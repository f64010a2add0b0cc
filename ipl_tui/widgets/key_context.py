"""Contexts of keys, for the help and the command palette: found by walking the screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from textual.binding import Binding
from textual.dom import DOMNode
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
