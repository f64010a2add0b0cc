"""Changes in the header of a packet from one hop to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ipl_tui.packets.fields import FIELD, FIELDS, read_header


@dataclass(frozen=True, slots=True)
class Change:
    """A header field that is not the same any more; a value has the type that read_header() gives it."""

    field: str
    """A name of packets.fields.FIELDS."""
    before: int | str | bytes
    after: int | str | bytes


def changes(before: bytes, after: bytes) -> tuple[Change, ...]:
    """The header fields that differ between two packets (IPv4 header first), in the order of FIELDS.

    A field that either is too short to have is left out. Never raises.
    """
    old, new = read_header(before), read_header(after)
    return tuple(
        Change(field.name, old[field.name], new[field.name])
        for field in FIELDS
        if field.name in old and field.name in new and old[field.name] != new[field.name]
    )


def in_brief(made: Sequence[Change]) -> str:
    """Summary of what a hop changed, in a few words: "TTL 64→63, checksum"."""
    fields = {change.field: change for change in made}
    words = []
    if ttl := fields.get("ttl"):
        words.append(f"TTL {ttl.before!s}→{ttl.after!s}")
    if fields.keys() & {"mf", "frag"}:
        words.append("fragmented")
    elif "len" in fields:
        words.append("length")
    if fields.keys() & {"ihl", "options"}:
        words.append("options")
    if "chksum" in fields:
        words.append("checksum")
    told = {"ttl", "mf", "frag", "len", "ihl", "options", "chksum"}
    words += [FIELD[name].label for name in fields if name not in told]
    return ", ".join(words)
