"""Spans of one layer as Scapy sees it: its header's bytes, each field's text, and the bytes of each field."""

from collections.abc import Iterator
from typing import Any

from scapy.fields import ConditionalField
from scapy.packet import Packet

from .text import in_columns


def header_of(layer: Packet) -> bytes | None:
    """The bytes that Scapy made the fields of `layer` of, where it still knows them."""
    if layer.raw_packet_cache is not None:
        return layer.raw_packet_cache
    # The dissector has changed a field afterwards, so Scapy has forgotten: they are those that it did not pass on.
    passed_on: bytes = getattr(layer.payload, "original", b"")
    return layer.original.removesuffix(passed_on) if layer.original.endswith(passed_on) else None


def shown_fields(layer: Packet) -> Iterator[tuple[str, str, list[Packet] | None]]:
    """Name, printable value, and packets inside (None where it can hold none), of each field that `Packet.show()` would
    print, in its order."""
    fields: list[Any] = list(layer.fields_desc)
    while fields:
        field = fields.pop(0)
        if isinstance(field, ConditionalField) and not field.cond(layer):
            continue
        if hasattr(field, "fields"):  # a group: its fields follow it
            fields[:0] = [member for member in field.fields if hasattr(layer, member.name)]
            yield field.name, "", None
            continue
        value = layer.getfieldval(field.name)
        if isinstance(value, Packet):
            yield field.name, "", [value]
        elif field.islist and field.holds_packets and isinstance(value, list):
            yield field.name, "", value
        else:
            yield field.name, in_columns(str(field.i2repr(layer, value))), None


def field_spans(layer: Packet, header: bytes) -> dict[str, tuple[int, int]]:
    """The bits of `header` that each field of `layer` is, found by reading the fields once more: the first, and the one
    after the last.

    The bits of a group in little endian lie apart where they cross a byte: such a field has all the bytes it touches.
    """
    spans = {}
    # As the dissector had them, with all that follows: some fields are aligned by how much that is. Within a byte, the
    # bytes from that one on, and the bits of it that are read.
    whole = layer.original if layer.original.startswith(header) else header
    rest: Any = whole
    mirrored = range(0)
    bit = 0
    try:
        for field in layer.fields_desc:
            if isinstance(field, ConditionalField) and not field.cond(layer):
                continue  # it is not there, and no group of bits begins with it
            begin, first = bit, bit // 8
            group = getattr(field, "tot_size", 0) if getattr(field, "rev", False) else 0
            if group > 1 and isinstance(rest, bytes):
                # A group of bit fields in little endian: Scapy reverses its bytes before it reads them.
                mirrored = range(first, first + group)
            rest, value = field.getfield(layer, rest)
            left, bits = rest if isinstance(rest, tuple) else (rest, 0)
            bit = 8 * (len(whole) - len(left)) + bits
            last = (bit + 7) // 8
            if last > len(header):  # read from nothing: some fields are content with too few bytes
                break
            # A value that differs was not read from here. One that is missing was deleted by the dissector (a DNS
            # record's length), and the fields after it need it.
            if first < last and layer.fields.setdefault(field.name, value) == value and value is not None:
                inside = first in mirrored and last <= mirrored.stop
                if not inside:
                    spans[field.name] = (begin, bit)
                elif last - first == 1:
                    moved = 8 * (mirrored.start + mirrored.stop - last - first)
                    spans[field.name] = (begin + moved, bit + moved)
                else:
                    both = mirrored.start + mirrored.stop
                    spans[field.name] = (8 * (both - last), 8 * (both - first))
    except MemoryError:
        raise
    except Exception:
        pass  # not every field can be read twice: those up to here can be shown in the bytes
    return spans
