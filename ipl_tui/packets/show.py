"""A dissected packet as lines of text, in the form of Scapy's `show()`."""

from collections.abc import Iterable, Iterator

from .dissect import Dissection, Node

_STEP = "   "
"""Indentation of a layer's fields against those of the layer that carries it."""


def show(dissection: Dissection) -> list[str]:
    """The decoded view, a line a layer and a field, as `Packet.show()` prints it, with notes after the values.

    All of it is printable. Unlike there, a value is one line, and layers inside a field stand at one depth.
    """
    return [line for depth, layer in enumerate(dissection.layers) for line in _layer(layer, "", depth * _STEP)]


def _layer(layer: Node, margin: str, indent: str) -> Iterator[str]:
    """The lines of a layer: the margin before its name too, the indentation before its fields."""
    yield f"{margin}###[ {layer.name} ]###" + (f"   {layer.note}" if layer.note else "")
    for field in layer.children:
        start = f"{margin}{indent}  "
        if field.holds_layers:
            yield f"{start}\\{field.name:<10}\\"
            yield from _nested(field.children, f"{margin}{indent}{_STEP}|")
        else:
            note = f"   {field.note}" if field.note else ""
            yield f"{start}{field.name:<10}= {field.value}{note}"


def _nested(layers: Iterable[Node], margin: str) -> Iterator[str]:
    for layer in layers:
        yield from _layer(layer, margin, "")
