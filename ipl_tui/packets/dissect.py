"""Bytes become layers, their fields, and the bytes that each field is. Scapy does the dissection."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from scapy.config import conf
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, IPerror
from scapy.layers.inet6 import IPv6  # also makes link types 12 and 101 mean IPv4 or IPv6
from scapy.layers.l2 import CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether, Loopback, LoopbackOpenBSD
from scapy.packet import NoPayload, Packet, Padding, Raw, bind_bottom_up

from .craft import payload_text
from .fields import FIELDS, PROTOCOLS, read_header
from .header_notes import header_note
from .icmp import ERROR_TYPES, describe_error
from .ipv4 import LONGEST_DATAGRAM, SHORTEST_HEADER, header_length
from .link_layer import ETHERNET, network_layer
from .spans import field_spans, header_of, shown_fields
from .text import counted, in_columns

# Scapy complains about odd packets on standard error, which is where the screen is drawn.
conf.logLevel = logging.CRITICAL

# What Scapy leaves out. Bottom up only: what it builds is not changed.
for _link in (Ether, Dot1Q, Dot1AD, CookedLinux, CookedLinuxV2):
    _field = "type" if hasattr(_link, "type") else "proto"
    bind_bottom_up(_link, Dot1Q, {_field: 0x9100})
    for _kind in (0x8847, 0x8848):
        bind_bottom_up(_link, MPLS, {_field: _kind})
for _loopback in (Loopback, LoopbackOpenBSD):
    bind_bottom_up(_loopback, IP, {"type": 2})
    for _family in (10, 24, 28, 30):  # AF_INET6 of Linux, of NetBSD and OpenBSD, of FreeBSD, of macOS
        bind_bottom_up(_loopback, IPv6, {"type": _family})

_NULL = 0
"""BSD's loopback, whose family is in the byte order of the machine that captured."""

_RAW_IP = {12: 101, 14: 101}
"""Raw IP has a number of its own on some systems; 101 is what files use."""

_KEYWORD = {number: keyword for keyword, number in PROTOCOLS.items()}

_INFO = 120
"""Characters, or bytes of payload, that are worth showing in a row."""

_LONGEST_CUT = 60
"""Bytes of a header that ends early; whatever has more is no header."""

_LONGEST_LINK = 64
"""Bytes of link headers and tags that a packet may stand behind for undecoded() to read them."""


@dataclass(frozen=True)
class Node:
    """A layer, a field, or an item of a field: one line of the tree."""

    name: str
    """A layer's name, or Scapy's name of a field."""
    value: str
    """A field's value as Scapy's `show()` writes it, made printable; empty where the children say it."""
    start: int
    """Offset in the frame of the first byte that it has a bit in; a layer's bytes are its header's."""
    stop: int
    """Offset after the last one; the same as `start` when it has no bytes, or nobody knows which."""
    children: tuple["Node", ...] = ()
    field: str = ""
    """The `scapy` of the `Field`s that it is, or is a part of, in the outermost IPv4 header; else empty."""
    note: str = ""
    """Remark on the value: "correct", "wrong, 0x64c1 would be right"; on a layer: what of it is missing, "captured 68
    of 421 bytes". Empty without one."""
    holds_layers: bool = False
    """True if it is a field of packets, such as the options of a header; there may be none of them."""
    others: tuple[int, int] = (0, 0)
    """Bits of others' in its bytes: before it in the first, and after it in the last; (0, 5) for the three flags."""
    parts: tuple["Node", ...] = ()
    """The RFC's fields that Scapy has this one for, by the names of the `Field`s: DSCP and ECN of `tos`; else empty."""

    @property
    def bits(self) -> tuple[int, int]:
        """Offset in the frame of its first bit, and of the one after its last; twice the same when it has none."""
        return 8 * self.start + self.others[0], 8 * self.stop - self.others[1]


@dataclass(frozen=True)
class Summary:
    """A row of the packet list. All of it is printable."""

    source: str
    destination: str
    protocol: str
    info: str


@dataclass(frozen=True)
class Dissection:
    """All that can be said about a frame."""

    layers: tuple[Node, ...]
    """Outermost first; at least one."""
    ipv4: tuple[int, int] | None
    """Start and end of the outermost IPv4 packet in the frame, in bytes, without the padding of the link; None without
    one."""
    summary: Summary


def load_layers() -> None:
    """Teach Scapy all its protocols, not only those that this module imports. Takes about a second."""
    import scapy.layers.all  # noqa: F401


class _Frame(NamedTuple):
    """The bytes that are looked at."""

    data: bytes
    """Those captured; zeros follow where a header ends early, so that its fields can be read."""
    captured: int
    length: int
    """On the wire."""


class _Parsed(NamedTuple):
    """Scapy's result for a frame."""

    layers: list[Packet]
    """Outermost first. A header that ends early has not all its fields."""
    frame: _Frame
    ends: str
    """Remark on a header that ends early; empty if there is none."""


def dissect(frame: bytes, linktype: int, length: int = 0) -> Dissection:
    """The layers of `frame`, whose first header is that of libpcap's link type `linktype`. Raises MemoryError alone.

    length is that on the wire, where the capture may have been cut: what was cut off is missing, not wrong. What Scapy
    cannot dissect, or does not know, is a layer "Raw". For some frames it needs seconds and hundreds of megabytes: see
    budget.py.
    """
    parsed = _parse(frame, linktype, length)
    summary = _summary(parsed, frame)  # before the tree, for which values are read again
    nodes, ipv4 = _nodes(parsed.layers, parsed.frame)
    if parsed.ends:
        nodes[-1] = _without_missing(nodes[-1], len(frame))
    nodes[-1] = _with_notes(nodes[-1], _cut(frame, length), parsed.ends)
    return Dissection(tuple(nodes), ipv4, summary)


def summarise(frame: bytes, linktype: int, length: int = 0) -> Summary:
    """The summary alone, for a row of the list: Scapy dissects, but no tree is made. Raises as dissect()."""
    return _summary(_parse(frame, linktype, length), frame)


def glance(frame: bytes, linktype: int, length: int = 0, note: str = "") -> Summary:
    """Summary of a frame's first headers at once, without Scapy: the addresses and the number of IPv4's protocol.

    The rest is empty, but for the note if there is one; of what is not IPv4, only Ethernet's addresses are there.
    """
    start = network_layer(frame, linktype)
    header = frame[start : start + SHORTEST_HEADER]
    source = destination = protocol = ""
    if len(header) == SHORTEST_HEADER and (linktype == ETHERNET or header[0] >> 4 == 4):
        source, destination = (".".join(map(str, header[at : at + 4])) for at in (12, 16))
        protocol = _KEYWORD.get(header[9], str(header[9]))
    elif linktype == ETHERNET and len(frame) >= 14:
        source, destination = frame[6:12].hex(":"), frame[:6].hex(":")
    return Summary(source, destination, protocol or ("Raw" if note else ""), f"Raw, {note}" if note else "")


def undecoded(frame: bytes, linktype: int, length: int = 0, note: str = "") -> Dissection:
    """As dissect(), but no further than IPv4's header, which takes a moment whatever follows; never raises.

    All that is behind it is a layer "Raw" with the note, which is the summary's information too.
    """
    start = network_layer(frame, linktype)
    end = start + header_length(frame, start) if start < min(len(frame), _LONGEST_LINK) else 0
    headers = [layer for layer in _parse(frame[:end], linktype, 0).layers if not isinstance(layer, Raw)]
    nodes, ipv4 = _nodes(headers, _Frame(frame, len(frame), max(len(frame), length)))
    rest = max((node.stop for node in nodes), default=0)
    raw = _with_notes(_raw_node(frame, rest), _cut(frame, length), note)
    return Dissection((*nodes, raw), ipv4, glance(frame, linktype, length, note))


def _cut(frame: bytes, length: int) -> str:
    """Remark on a frame that had more bytes on the wire; empty if it had not."""
    return f"captured {len(frame):,} of {counted(length, 'byte')}" if len(frame) < length else ""


def _with_notes(node: Node, *notes: str) -> Node:
    """A layer with those of the notes that say something."""
    return replace(node, note="; ".join(filter(None, notes)))


def _nodes(layers: Iterable[Packet], frame: _Frame) -> tuple[list[Node], tuple[int, int] | None]:
    """The nodes of the layers that a frame begins with, and where its outermost IPv4 packet starts and ends."""
    captured = frame.data[: frame.captured]
    layers = list(layers)
    outermost = next((layer for layer in layers if _is_ipv4(layer)), None)
    nodes: list[Node] = []
    ipv4 = None
    position: int | None = 0
    for layer in layers:
        try:
            node, end = _node(layer, frame, position, outermost, "")
        except MemoryError:
            raise
        except Exception:  # a value that cannot be shown, or more nesting than Python's stack has room for
            nodes.append(_raw_node(captured, position or 0))
            break
        nodes.append(node)
        position = end
        if layer is outermost and node.start < node.stop:
            ipv4 = node.start, _end_of_datagram(captured, node.start)
    return nodes, ipv4


def _parse(frame: bytes, linktype: int, length: int) -> _Parsed:
    first: Any = conf.l2types.get(_RAW_IP.get(linktype, linktype), Raw)
    if linktype == _NULL and frame[:2] == b"\0\0":  # the machine that captured was big endian
        first = LoopbackOpenBSD
    try:
        # Scapy takes no bytes at all for a packet that is to be built, and fills in its defaults.
        packet = first(frame) if frame else Raw()
    except MemoryError:
        raise
    except Exception:  # whatever a dissector raises, the bytes can be shown
        packet = Raw(frame)
    layers = list(_layers(packet))
    whole = _Parsed(layers, _Frame(frame, len(frame), max(len(frame), length)), "")
    try:
        return _with_beginning(whole, first)
    except MemoryError:
        raise
    except Exception:  # it is no header either
        return whole


def _with_beginning(parsed: _Parsed, first: Any) -> _Parsed:
    """The same with the header that ends early, as far as it goes: Scapy leaves it Raw.

    Only of a frame that was cut; and of IPv4, whose header this lab is about. May raise anything.
    """
    *before, last = parsed.layers
    frame = parsed.frame
    load = last.original
    if type(last) is not Raw or not 0 < len(load) < _LONGEST_CUT:
        return parsed
    kind = before[-1].guess_payload_class(load) if before else first
    was_cut = frame.captured < frame.length
    if kind is Raw or not (was_cut or issubclass(kind, IP)):
        return parsed
    header = kind(load + bytes(_LONGEST_CUT))
    there = header_of(header)
    is_ipv4 = _is_ipv4(header) and (before or load[0] >> 4 == 4)  # nothing names it at the start of raw IP
    was_cut = was_cut and type(header) is kind  # else the zeros may have chosen the kind
    if there is None or len(there) <= len(load) or not (is_ipv4 or was_cut):
        return parsed
    header.remove_payload()
    missing = [name for name, (_, stop) in field_spans(header, there).items() if stop > 8 * len(load)]
    for name in missing:
        header.fields.pop(name, None)
    ends = f"header ends after {counted(len(load), 'byte')}, without {', '.join(missing)}"
    # Where nobody says how long the frame was, nothing that the header says of lengths can be called wrong.
    length = frame.length if was_cut else frame.captured + LONGEST_DATAGRAM
    return _Parsed([*before, header], _Frame(frame.data + bytes(_LONGEST_CUT), frame.captured, length), ends)


def _without_missing(node: Node, end: int) -> Node:
    """A layer whose header ends early, with the fields whose bytes are all there."""
    return replace(node, stop=end, children=tuple(child for child in node.children if child.start < child.stop <= end))


def _layers(packet: Packet) -> Iterator[Packet]:
    while not isinstance(packet, NoPayload):
        yield packet
        packet = packet.payload


def _is_ipv4(layer: Packet) -> bool:
    """True if it is a header that travels, not one that an ICMP error quotes."""
    return isinstance(layer, IP) and not isinstance(layer, IPerror)


def _end_of_datagram(frame: bytes, start: int) -> int:
    """End of the datagram by Total Length; the frame's end if that says nonsense (0: the card will fill it in)."""
    length = int.from_bytes(frame[start + 2 : start + 4], "big")
    header = header_length(frame, start)
    return min(start + length, len(frame)) if length >= max(header, SHORTEST_HEADER) else len(frame)


def _raw_node(frame: bytes, start: int) -> Node:
    load = Node("load", in_columns(repr(frame[start:])), start, len(frame))
    return Node("Raw", "", start, len(frame), (load,))


def _node(
    layer: Packet, frame: _Frame, start: int | None, outermost: Packet | None, field: str
) -> tuple[Node, int | None]:
    """The node of one layer that starts at `start`, and where its header ends; None stands for "nobody knows"."""
    # The header is looked for where it should be, because some dissectors decompress or reorder what they read.
    header = header_of(layer)
    if start is None and layer.original and frame.data.endswith(layer.original):
        start = len(frame.data) - len(layer.original)
    stop = None
    if header is None or start is None or not frame.data.startswith(header, start):
        start, header = 0, b""
    else:
        stop = start + len(header)
    fields = _fields(layer, frame, start, header, outermost, field)
    return Node(in_columns(str(layer.name)), "", start, start + len(header), fields), stop


def _fields(
    layer: Packet, frame: _Frame, start: int, header: bytes, outermost: Packet | None, field: str
) -> tuple[Node, ...]:
    """A node for each field of `layer`, as `Packet.show()` has them; no bytes are known if `header` is empty."""
    shown = list(shown_fields(layer))  # before field_spans(), which may add values that show() does not have
    spans = field_spans(layer, header) if header else {}
    nodes = []
    for name, text, packets in shown:
        first, last = spans.get(name, (0, 0))
        begin, end = start + first // 8, start - -last // 8
        part = name if layer is outermost else field
        children: list[Node] = []
        position = begin if begin < end else None
        for packet in packets or ():
            for inner in _layers(packet):
                child, position = _node(inner, frame, position, outermost, part)
                children.append(child)
        judged = begin < end and _is_ipv4(layer)
        note = header_note(name, frame.data, start, frame.captured, frame.length) if judged else ""
        parts = _parts(name, frame.data, start, part) if begin < end and isinstance(layer, IP) else ()
        nodes.append(
            Node(
                in_columns(name), text, begin, end, tuple(children), part, note,
                holds_layers=packets is not None, others=(first % 8, -last % 8), parts=parts,
            )
        )  # fmt: skip
    return tuple(nodes)


def _parts(name: str, frame: bytes, start: int, field: str) -> tuple[Node, ...]:
    """The RFC's fields in one of Scapy's of the IPv4 header at `start`, if that is several."""
    several = [each for each in FIELDS if each.scapy == name]
    if len(several) < 2:
        return ()
    values = read_header(frame[start : start + SHORTEST_HEADER])
    return tuple(
        Node(
            each.name, str(values.get(each.name, "")), start + each.bit // 8, start + (each.bit + each.bits + 7) // 8,
            field=field, others=(each.bit % 8, -(each.bit + each.bits) % 8),
        )
        for each in several
    )  # fmt: skip


def _summary(parsed: _Parsed, frame: bytes) -> Summary:
    try:
        return _summarise(parsed)
    except MemoryError:
        raise
    except Exception:
        return Summary("", "", "Raw", payload_text(frame[:_INFO]))


def _summarise(parsed: _Parsed) -> Summary:
    chain = [layer for layer in parsed.layers if not isinstance(layer, Padding)]
    network = next((layer for layer in chain if isinstance(layer, IP | IPv6)), None)
    text = payload_text(chain[-1].load[:_INFO]) if isinstance(chain[-1], Raw) else ""
    named = [layer for layer in chain if not isinstance(layer, Raw)]
    # What ICMP carries belongs to ICMP: the headers that an error quotes, the options of neighbour discovery.
    icmp = next((layer for layer in named if isinstance(layer, ICMP) or type(layer).__name__[:6] == "ICMPv6"), None)
    top = icmp or (named or chain)[-1]

    source, destination = (_address(network or chain[0], name) for name in ("src", "dst"))
    protocol = type(top).__name__
    parts = []
    if isinstance(network, IP) and (network.frag or network.flags.MF):
        parts.append(f"fragment, offset {8 * network.frag}, {'more follow' if network.flags.MF else 'the last'}")
    if icmp:
        protocol = "ICMP" if isinstance(icmp, ICMP) else "ICMPv6"
        text = ""
    if isinstance(top, IP | IPv6):
        number = top.fields.get("proto" if isinstance(top, IP) else "nh")
        protocol = "IP" if number is None else _KEYWORD.get(number, str(number))
    if parsed.ends:
        parts.append(parsed.ends)
    elif isinstance(icmp, ICMP) and icmp.type in ERROR_TYPES:
        mtu = f", MTU {icmp.nexthopmtu}" if (icmp.type, icmp.code) == (3, 4) else ""
        parts.append(describe_error(icmp.type, icmp.code).partition(":")[0] + mtu)
    elif top is not network and (top is not chain[0] or not text):
        parts.append(_short(top.summary(), protocol, source, destination))
    info = ": ".join(filter(None, [*parts, text]))
    return Summary(*map(in_columns, (source, destination, protocol, info[:_INFO])))


def _address(layer: Packet, name: str) -> str:
    value = layer.fields.get(name, "")
    return value if isinstance(value, str) else ""


def _short(summary: str, protocol: str, source: str, destination: str) -> str:
    """Scapy's summary without what the other columns say."""
    for ending in (" / Padding", " / Raw"):
        summary = summary.removesuffix(ending)
    for known in (f"{source} > {destination} ", f"{source}:", f"{destination}:"):
        summary = summary.replace(known, "")
    return "" if summary == protocol else summary.removeprefix(f"{protocol} ")
