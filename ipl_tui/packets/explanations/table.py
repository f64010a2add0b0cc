"""Every explanation there is, by layer and field; and of the payload."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ipl_tui.packets.explanations.explained import Explained
from ipl_tui.packets.explanations.ipv4 import IPV4
from ipl_tui.packets.explanations.layers import AROUND_IPV4
from ipl_tui.packets.messages import CLIENT_MESSAGE, SERVER_RESPONSE
from ipl_tui.packets.text import counted, printable

LAYERS: Mapping[str, tuple[Explained, ...]] = MappingProxyType({"IP": IPV4, **AROUND_IPV4})

_BY_NAME: Mapping[tuple[str, str], tuple[Explained, ...]] = MappingProxyType(
    {
        (layer, scapy): tuple(row for row in rows if (row.part_of or row.name) == scapy)
        for layer, rows in LAYERS.items()
        for scapy in {row.part_of or row.name for row in rows}
    }
    | {(layer, row.name): (row,) for layer, rows in LAYERS.items() for row in rows if row.part_of}
)


def explain_field(layer: str, field: str) -> tuple[Explained, ...]:
    """Explanations of a field by Scapy's names of it and its layer: several where Scapy has one field for what the RFC
    has several for (`tos`, `flags`), each of which has a name of its own too (`dscp`); empty for what is not explained.
    A layer that an ICMP error quotes is explained as any other."""
    return _BY_NAME.get((layer.removesuffix(" in ICMP"), field), ())


def words_for(layer: str, field: str) -> str:
    """The RFC's words for a field by Scapy's names of it and its layer: "Total Length" for `len`; empty where they are
    the same, and for what is not explained."""
    rows = explain_field(layer, field)
    words = " and ".join(row.label for row in rows) if len(rows) < 3 else field
    return "" if words.lower() == field else words


EXPLAINED: Mapping[str, Explained] = MappingProxyType({row.name: row for row in IPV4})
"""Explanations of the IPv4 header's fields, by the name of the Field."""


def describe_payload(payload: bytes) -> str:
    """What a payload is, in a sentence: its bytes, and its text where that is the exchange's."""
    size = counted(len(payload), "byte")
    if payload in (CLIENT_MESSAGE, SERVER_RESPONSE):
        role = "request" if payload == CLIENT_MESSAGE else "answer"
        return f"{size}: {payload.decode()}, the {role} of the exchange, a byte a character."
    text = payload[:40]
    if text and all(32 <= byte < 127 for byte in text):
        return f"{size} of text: {printable(text.decode())}{'…' if len(payload) > 40 else ''}"
    return f"{size}."
