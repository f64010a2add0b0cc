"""Contexts of keys, for the help and the command palette."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from textual.binding import Binding
from textual.dom import DOMNode


@dataclass(frozen=True)
class KeyContext:
    """A part of the screen and the keys that work in it."""

    name: str
    node: DOMNode
    """Node that carries out the bindings' actions."""
    bindings: list[Binding]

    @classmethod
    def of(cls, name: str, node: DOMNode, kind: type[DOMNode] | None = None) -> KeyContext:
        """The place of a node, with the bindings that its class adds, or another class of ours below it."""
        return cls(name, node, list(Binding.make_bindings((kind or type(node)).BINDINGS)))

    def with_keys(self, keys: Mapping[str, str]) -> KeyContext:
        """The same with other keys, by the ids of the bindings, as App.set_keymap() puts them in force."""
        bindings: dict[tuple[str, str], Binding] = {}
        for binding in self.bindings:
            own = keys.get(binding.id or "")
            for each in Binding.make_bindings([replace(binding, key=own)]) if own else [binding]:
                bindings.setdefault((each.action, each.key), each)
        return replace(self, bindings=list(bindings.values()))
