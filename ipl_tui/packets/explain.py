"""Explanations of header fields: what each is for, what its value says, the usual mistake, and the RFC.

One table for every layer that the lab explains. A field's place in its header (RFC 791 counts bits from 0, the most
significant first) is in its row, so that values are read from bytes alone, without Scapy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from types import MappingProxyType

from .checksum import internet_checksum
from .fields import FIELDS, PROTOCOLS
from .icmp import ERRORS
from .ipv4 import SHORTEST_HEADER, UNIT, flags_and_offset, header_length
from .messages import CLIENT_MESSAGE, PORT, SERVER_RESPONSE
from .options import END, NAMES, NO_OPERATION
from .text import counted, printable

Says = Callable[[int, bytes], str]
"""What a value says: told the number, and its header as far as it is there; a sentence, or empty. Never raises for any
header that has the field."""


def _nothing(value: int, header: bytes) -> str:
    return ""


@dataclass(frozen=True)
class Explained:
    """The explanation of one field, whatever its value; and of a value, by says()."""

    name: str
    """Scapy's name of the field; RFC 791's word in lower case for a part of one, such as `dscp` of `tos`."""
    label: str
    """The RFC's words."""
    bit: int
    """Offset of its first bit in its header."""
    bits: int
    """Width in bits; 0 where that varies."""
    rfc: str
    """RFC and section that define it."""
    meaning: str
    """Purpose of the field, in a sentence or two."""
    mistake: str = ""
    """Usual misconception, set right; empty if there is none worth a word."""
    part_of: str = ""
    """Scapy's field that it is a part of, if Scapy has one for several; else empty."""
    value_says: Says = _nothing

    @property
    def title(self) -> str:
        """The RFC's words and Scapy's name beside them: "Total Length · len"."""
        scapy = self.part_of or self.name
        return f"{self.label} · {scapy}"

    def read(self, header: bytes) -> int | None:
        """The number in a header; None if it varies in width, or not all of its bits are there."""
        stop = self.bit + self.bits
        if not self.bits or len(header) * 8 < stop:
            return None
        return int.from_bytes(header) >> (len(header) * 8 - stop) & ((1 << self.bits) - 1)

    def says(self, header: bytes) -> str:
        """What the value in a header says, in a sentence; empty if there is nothing to say, or it is not all there."""
        if not self.bits:
            return self.value_says(0, header)
        value = self.read(header)
        return self.value_says(value, header) if value is not None else ""


# What values say: IPv4

_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def _count(number: int, thing: str) -> str:
    """A number of things: "one router", "12 routers"."""
    return f"{_NUMBERS[number] if number < len(_NUMBERS) else number} {thing}{'s' * (number != 1)}"


def _version(value: int, header: bytes) -> str:
    return "4: IPv4." if value == 4 else f"{value}: not IPv4; who takes it for that drops it in silence."


def _ihl(value: int, header: bytes) -> str:
    size = 4 * value
    if size < SHORTEST_HEADER:
        return f"{value} words are {size} bytes: less than any header has, so receivers drop it in silence."
    options = f"{size - SHORTEST_HEADER} bytes of options" if size > SHORTEST_HEADER else "no options"
    return f"{value} words of 4 bytes are {size} bytes: {options}."


_DSCP = {0: "best effort, as everybody", 1: "LE, lower effort (RFC 8622)", 44: "VOICE-ADMIT (RFC 5865)",
         46: "EF, expedited forwarding: low delay (RFC 3246)"}  # fmt: skip


def _dscp(value: int, header: bytes) -> str:
    if value in _DSCP:
        return f"{value}: {_DSCP[value]}."
    if value % 8 == 0:
        return f"{value}: CS{value // 8}, a class selector: the IP precedence of old (RFC 2474)."
    kind, drop = value // 8, value % 8 // 2
    if value % 2 == 0 and kind <= 4 and drop:
        return f"{value}: AF{kind}{drop}, assured forwarding: class {kind}, drop precedence {drop} (RFC 2597)."
    return f"{value}: no meaning that everybody shares."


_ECN = (
    "0: Not-ECT, the sender does not use it.",
    "1: ECT(1), the sender understands congestion marks.",
    "2: ECT(0), the sender understands congestion marks.",
    "3: CE, a router on the way was congested and marked it instead of dropping it.",
)


def _total_length(value: int, header: bytes) -> str:
    size = header_length(header)
    if value == 0:
        return "0: the network card fills it in, or it is wrong."
    if value < size:
        return f"{value} bytes: less than the header's {size}, so receivers drop it."
    return f"{value} bytes: {size} of header and {value - size} of payload."


def _identification(value: int, header: bytes) -> str:
    word = flags_and_offset(header)
    if word & 0x3FFF:
        return f"{value}: fragments with this number, protocol and addresses belong to one datagram."
    return f"{value}: this is no fragment, so nobody needs it (RFC 6864)."


def _reserved(value: int, header: bytes) -> str:
    return "0, as it must be." if value == 0 else "1: it must be 0; most hosts take no notice."


def _dont_fragment(value: int, header: bytes) -> str:
    return "1: no router may cut it into fragments." if value else "0: a router may cut it into fragments."


def _more_fragments(value: int, header: bytes) -> str:
    if value:
        return "1: a fragment, and more of the datagram follows."
    begins = flags_and_offset(header) & 0x1FFF
    return "0: the last fragment of its datagram." if begins else "0: not cut, it is the whole datagram."


def _fragment_offset(value: int, header: bytes) -> str:
    if value:
        return f"{value} = byte {value * UNIT:,} of the datagram's payload."
    more = flags_and_offset(header) & 0x2000
    return "0: the first fragment." if more else "0: it begins where its datagram does."


_STARTS = {64: "Linux and macOS", 128: "Windows", 255: "many routers"}


def _time_to_live(value: int, header: bytes) -> str:
    if value == 0:
        return "0: used up; no router passes it on."
    if value == 1:
        return "1: the next router would take it to 0 and drop it; the host it is for takes it."
    start = next(each for each in _STARTS if value <= each)
    if value == start:
        return f"{value}: as {_STARTS[start]} begin: no router has taken 1 yet."
    if start - value > 30:
        return f"{value}: no usual beginning is near, so it tells of no number of routers."
    taken = start - value
    return f"{value}: {_count(taken, 'router')} {'has' if taken == 1 else 'have'} taken 1 from {start}."


_KEYWORDS = {number: keyword for keyword, number in PROTOCOLS.items()}


def _protocol(value: int, header: bytes) -> str:
    if value in (253, 254):
        return f"{value}: for experiments (RFC 3692)" + (", the course's ClientMessage." if value == 253 else ".")
    if value == 255:
        return "255: reserved; Linux uses it for sockets that only send."
    return f"{value}: {_KEYWORDS.get(value, 'no protocol that the lab knows by name')}."


def _header_checksum(value: int, header: bytes) -> str:
    size = header_length(header)
    if len(header) < size or size < SHORTEST_HEADER:
        return ""
    right = internet_checksum(header[:10] + b"\0\0" + header[12:size])
    if value == right:
        return f"{value:#06x}: right for this header."
    if value == 0:
        return f"0: left to the network card, or wrong; {right:#06x} would be right."
    return f"{value:#06x}: wrong, {right:#06x} would be right; receivers drop it in silence."


_ADDRESSES: tuple[tuple[str, str], ...] = (
    ("255.255.255.255/32", "the limited broadcast: all on this link (RFC 919)"),
    ("0.0.0.0/32", "this host, which has no address yet (RFC 1122)"),
    ("0.0.0.0/8", "this network; no host's (RFC 1122)"),
    ("10.0.0.0/8", "private (RFC 1918)"),
    ("100.64.0.0/10", "a provider's, shared by its customers (RFC 6598)"),
    ("127.0.0.0/8", "loopback: this host itself (RFC 1122)"),
    ("169.254.0.0/16", "link-local: chosen without a server (RFC 3927)"),
    ("172.16.0.0/12", "private (RFC 1918)"),
    ("192.0.2.0/24", "for documentation (RFC 5737)"),
    ("192.168.0.0/16", "private (RFC 1918)"),
    ("198.18.0.0/15", "for measuring equipment (RFC 2544)"),
    ("198.51.100.0/24", "for documentation (RFC 5737)"),
    ("203.0.113.0/24", "for documentation (RFC 5737)"),
    ("224.0.0.0/24", "multicast on this link only (RFC 5771)"),
    ("224.0.0.0/4", "multicast: a group of hosts (RFC 5771)"),
    ("240.0.0.0/4", "reserved (RFC 1112)"),
)
_KINDS = tuple((IPv4Network(network), kind) for network, kind in _ADDRESSES)


def describe_address(address: str | int) -> str:
    """Kind of an IPv4 address (dotted quad or 32 bits): "private (RFC 1918)"; "public" for all others (RFC 6890)."""
    wanted = IPv4Address(address)
    return next((kind for network, kind in _KINDS if wanted in network), "public: a host's in the Internet")


def _address(value: int, header: bytes) -> str:
    return f"{IPv4Address(value)}: {describe_address(value)}."


def _source(value: int, header: bytes) -> str:
    if value >> 28 == 14:
        return f"{IPv4Address(value)}: multicast, which may be no source; receivers drop it."
    return _address(value, header)


def option_names(options: bytes) -> list[str]:
    """Names of the options of a header, in their order; the last says so where one is cut off or counts wrong."""
    names = []
    at = 0
    while at < len(options):
        kind = options[at]
        if kind == END:
            names.append("end of options")
            break
        if kind == NO_OPERATION:
            names.append("no operation")
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        name = NAMES.get(kind, f"option {kind}")
        if length < 2 or at + length > len(options):
            names.append(f"{name}, which is cut off")
            break
        names.append(f"{name}, {counted(length, 'byte')}")
        at += length
    return names


def _options(value: int, header: bytes) -> str:
    options = header[SHORTEST_HEADER : max(SHORTEST_HEADER, header_length(header))] if header else b""
    return f"{len(options)} bytes: {'; '.join(option_names(options))}." if options else "none."


_IPV4_SAYS: Mapping[str, tuple[Says, str]] = {
    "version": (_version, ""),
    "ihl": (_ihl, "It counts words of 4 bytes, not bytes."),
    "dscp": (_dscp, "It asks; no router has to listen."),
    "ecn": (lambda value, header: _ECN[value], ""),
    "len": (_total_length, "It is not the payload's length: the header counts too."),
    "id": (_identification, "It is no sequence number: nothing is put in order by it."),
    "reserved": (_reserved, ""),
    "df": (_dont_fragment, ""),
    "mf": (_more_fragments, "0 is also in the last fragment, not only in what was never cut."),
    "frag": (_fragment_offset, "It counts units of 8 bytes, not bytes."),
    "ttl": (_time_to_live, "It is judged when a router passes the packet on: the host it is for takes it with 1."),
    "proto": (_protocol, "A protocol is no port: IP has none."),
    "chksum": (_header_checksum, "It guards the header only, and nobody is told when it is wrong."),
    "src": (_source, "Nobody verifies it: answers go where it says."),
    "dst": (_address, ""),
    "options": (_options, "They are padded to words of 4 bytes, and IHL counts the padding."),
}

IPV4: tuple[Explained, ...] = tuple(
    Explained(
        field.name,
        field.label,
        field.bit,
        field.bits,
        field.rfc,
        field.meaning,
        mistake=_IPV4_SAYS[field.name][1],
        part_of=field.scapy if field.scapy != field.name else "",
        value_says=_IPV4_SAYS[field.name][0],
    )
    for field in FIELDS
)
"""The fields of the IPv4 header, in header order."""

# What values say: the layers around it

_ETHERTYPES = {0x0800: "IPv4", 0x0806: "ARP", 0x8100: "a VLAN tag", 0x86DD: "IPv6", 0x88A8: "a provider's VLAN tag",
               0x8847: "MPLS", 0x88CC: "LLDP"}  # fmt: skip


def _mac(value: int, header: bytes) -> str:
    if value == (1 << 48) - 1:
        return "the broadcast: every host on the link."
    if value >> 40 & 1:
        return "a group of hosts: the lowest bit of the first byte is 1."
    kind = "given by software: locally administered" if value >> 41 & 1 else "given by the card's maker"
    return f"one card's, {kind}."


def _ethertype(value: int, header: bytes) -> str:
    if value < 0x600:
        return f"{value}: a length, as IEEE 802.3 has it; LLC follows."
    return f"{value:#06x}: {_ETHERTYPES.get(value, 'no type that the lab knows by name')}."


_OPERATIONS = {1: "1: a request, who has this address?", 2: "2: a reply, this address is at that card."}

_ICMP_TYPES = {0: "echo reply: the answer to a ping", 3: "destination unreachable", 4: "source quench, out of use",
               5: "redirect: a better first router", 8: "echo request: a ping", 9: "router advertisement",
               10: "router solicitation", 11: "time exceeded", 12: "parameter problem", 13: "timestamp request",
               14: "timestamp reply", 17: "address mask request", 18: "address mask reply"}  # fmt: skip


def _icmp_type(value: int, header: bytes) -> str:
    return f"{value}: {_ICMP_TYPES.get(value, 'no type that the lab knows by name')}."


def _icmp_code(value: int, header: bytes) -> str:
    if (said := ERRORS.get((header[0], value))) is not None:
        return f"{header[0]}/{value}: {said}."
    return f"{value}: the only one of its type." if header[0] in (0, 8, 13, 14) and not value else f"{value}."


def _port(value: int, header: bytes) -> str:
    if value == PORT:
        return f"{value}: the asyncio engine's."
    if value < 1024:
        return f"{value}: a well-known port, given by IANA (RFC 6335)."
    return f"{value}: a registered port (RFC 6335)." if value < 49152 else f"{value}: a dynamic port (RFC 6335)."


def _udp_length(value: int, header: bytes) -> str:
    if value < 8:
        return f"{value} bytes: less than the header has."
    return f"{value} bytes: 8 of header and {value - 8} of data."


def _udp_checksum(value: int, header: bytes) -> str:
    return "0: the sender made none." if value == 0 else f"{value:#06x}."


def _data_offset(value: int, header: bytes) -> str:
    if value < 5:
        return f"{value} words are {4 * value} bytes: less than any TCP header has."
    return f"{value} words of 4 bytes are {4 * value} bytes: {4 * value - 20} of options."


_TCP_FLAGS = ("FIN: no more data", "SYN: opens a connection", "RST: breaks off", "PSH: pass it on at once",
              "ACK: the acknowledgment counts", "URG: the urgent pointer counts", "ECE: congestion was met",
              "CWR: sends less now", "AE")  # fmt: skip


def _tcp_flags(value: int, header: bytes) -> str:
    return "; ".join(text for bit, text in enumerate(_TCP_FLAGS) if value >> bit & 1) or "none is set"


def _bytes_of(value: int, header: bytes) -> str:
    return f"{value:,} bytes."


_LAYERS: Mapping[str, tuple[Explained, ...]] = {
    "Ethernet": (
        Explained("dst", "Destination Address", 0, 48, "IEEE 802.3 §3.2.4", "The card on this link that is to take the "
                  "frame. A router makes a new frame for each link.", value_says=_mac),
        Explained("src", "Source Address", 48, 48, "IEEE 802.3 §3.2.5", "The card on this link that sent the frame.",
                  "It is the last hop's, not the sender's of the packet.", value_says=_mac),
        Explained("type", "EtherType", 96, 16, "IEEE 802.3 §3.2.6", "What the frame carries.", value_says=_ethertype),
    ),
    "ARP": (
        Explained("hwtype", "Hardware Type", 0, 16, "RFC 826", "The kind of link: 1 is Ethernet."),
        Explained("ptype", "Protocol Type", 16, 16, "RFC 826", "The kind of address asked for, as an EtherType.",
                  value_says=_ethertype),
        Explained("hwlen", "Hardware Length", 32, 8, "RFC 826", "Bytes of a link address: 6 on Ethernet."),
        Explained("plen", "Protocol Length", 40, 8, "RFC 826", "Bytes of a protocol address: 4 with IPv4."),
        Explained("op", "Operation", 48, 16, "RFC 826", "Whether somebody asks or answers.",
                  value_says=lambda value, header: _OPERATIONS.get(value, f"{value}: rarely seen.")),
        Explained("hwsrc", "Sender Hardware Address", 64, 48, "RFC 826", "The card of the one who sends this."),
        Explained("psrc", "Sender Protocol Address", 112, 32, "RFC 826", "The IPv4 address of the one who sends this.",
                  "Nobody verifies it: that is ARP spoofing.", value_says=_address),
        Explained("hwdst", "Target Hardware Address", 144, 48, "RFC 826", "The card asked for; zeros in a request."),
        Explained("pdst", "Target Protocol Address", 192, 32, "RFC 826", "The IPv4 address asked for.",
                  value_says=_address),
    ),
    "IP": IPV4,
    "ICMP": (
        Explained("type", "Type", 0, 8, "RFC 792", "The kind of message.", value_says=_icmp_type),
        Explained("code", "Code", 8, 8, "RFC 792", "What exactly, within the type.", value_says=_icmp_code),
        Explained("chksum", "Checksum", 16, 16, "RFC 792", "Guards the whole ICMP message, its data too."),
        Explained("id", "Identifier", 32, 16, "RFC 792", "Tells the pings of several programs apart.",
                  "It is another than the IPv4 header's Identification."),
        Explained("seq", "Sequence Number", 48, 16, "RFC 792", "Tells the pings of one program apart."),
        Explained("nexthopmtu", "Next-Hop MTU", 48, 16, "RFC 1191 §4", "Most bytes that the next link takes.",
                  value_says=_bytes_of),
        Explained("ptr", "Pointer", 32, 8, "RFC 792", "The byte of the header where the problem is.",
                  value_says=lambda value, header: f"byte {value} of the quoted header."),
        Explained("gw", "Gateway Internet Address", 32, 32, "RFC 792", "The better first router.", value_says=_address),
    ),
    "UDP": (
        Explained("sport", "Source Port", 0, 16, "RFC 768", "The program that sent it, and where answers go.",
                  value_says=_port),
        Explained("dport", "Destination Port", 16, 16, "RFC 768", "The program that it is for.", value_says=_port),
        Explained("len", "Length", 32, 16, "RFC 768", "Bytes of UDP header and data.", value_says=_udp_length),
        Explained("chksum", "Checksum", 48, 16, "RFC 768", "Guards header, data and the IPv4 addresses.",
                  value_says=_udp_checksum),
    ),
    "TCP": (
        Explained("sport", "Source Port", 0, 16, "RFC 9293 §3.1", "The program that sent it.", value_says=_port),
        Explained("dport", "Destination Port", 16, 16, "RFC 9293 §3.1", "The program that it is for.",
                  value_says=_port),
        Explained("seq", "Sequence Number", 32, 32, "RFC 9293 §3.1", "The number of its first byte of data.",
                  "It counts bytes, not segments."),
        Explained("ack", "Acknowledgment Number", 64, 32, "RFC 9293 §3.1", "The next byte that its sender waits for."),
        Explained("dataofs", "Data Offset", 96, 4, "RFC 9293 §3.1", "Where the data begins, in words of 4 bytes.",
                  value_says=_data_offset),
        Explained("reserved", "Reserved", 100, 3, "RFC 9293 §3.1", "Must be zero."),
        Explained("flags", "Control Bits", 103, 9, "RFC 9293 §3.1", "What the segment is there for.",
                  value_says=_tcp_flags),
        Explained("window", "Window", 112, 16, "RFC 9293 §3.1", "Bytes that its sender is ready to receive, unscaled.",
                  value_says=_bytes_of),
        Explained("chksum", "Checksum", 128, 16, "RFC 9293 §3.1", "Guards header, data and the IPv4 addresses."),
        Explained("urgptr", "Urgent Pointer", 144, 16, "RFC 9293 §3.1", "Where urgent data ends, if URG is set."),
        Explained("options", "Options", 160, 0, "RFC 9293 §3.2", "What both ends agree on, most of it when they open."),
    ),
}  # fmt: skip
"""Fields by Scapy's name of their layer, in header order."""

LAYERS: Mapping[str, tuple[Explained, ...]] = MappingProxyType(_LAYERS)

_BY_NAME: Mapping[tuple[str, str], tuple[Explained, ...]] = MappingProxyType(
    {
        (layer, scapy): tuple(row for row in rows if (row.part_of or row.name) == scapy)
        for layer, rows in _LAYERS.items()
        for scapy in {row.part_of or row.name for row in rows}
    }
)


def explain_field(layer: str, field: str) -> tuple[Explained, ...]:
    """Explanations of a field by Scapy's names of it and its layer: several where Scapy has one field for what the RFC
    has several for (`tos`, `flags`); empty for what is not explained. A layer that an ICMP error quotes is explained as
    any other."""
    return _BY_NAME.get((layer.removesuffix(" in ICMP"), field), ())


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


# The checksum, worked


@dataclass(frozen=True)
class WorkedChecksum:
    """The Internet checksum of a header, step by step (RFC 1071 §1)."""

    words: tuple[int, ...]
    """The header's 16-bit words, the checksum's own taken as 0."""
    sums: tuple[int, ...]
    """Running sum after each word, before carries are folded back."""
    folds: tuple[int, ...]
    """Sum after each folding of the carries; empty if there were none."""
    right: int
    """The complement: what the checksum has to be."""
    found: int
    """What stands in the header."""


def work_checksum(header: bytes, at: int = 10) -> WorkedChecksum:
    """Work out the checksum that stands `at` that byte of a header; an odd last byte gets a zero after it."""
    data = header[:at] + b"\0\0" + header[at + 2 :]
    data += bytes(len(data) % 2)
    words = tuple(int.from_bytes(data[start : start + 2]) for start in range(0, len(data), 2))
    sums = []
    total = 0
    for word in words:
        total += word
        sums.append(total)
    folds = []
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
        folds.append(total)
    return WorkedChecksum(words, tuple(sums), tuple(folds), 0xFFFF - total, int.from_bytes(header[at : at + 2]))


_WORDS = ("Version, IHL, DSCP, ECN", "Total Length", "Identification", "Flags, Fragment Offset",
          "Time to Live, Protocol", "Header Checksum, taken as 0", "Source Address", "Source Address",
          "Destination Address", "Destination Address")  # fmt: skip


def show_checksum(worked: WorkedChecksum) -> Iterator[str]:
    """Lines of a worked IPv4 header checksum: words, running sum, carries folded back, complement, verdict."""
    yield "word   value     sum"
    for number, (word, total) in enumerate(zip(worked.words, worked.sums, strict=True), 1):
        name = _WORDS[number - 1] if number <= len(_WORDS) else "Options"
        yield f"{number:>4}  0x{word:04x}  {total:>#8x}   {name}"
    before = worked.sums[-1] if worked.sums else 0
    for fold in worked.folds:
        yield f"carries folded back: 0x{before & 0xFFFF:04x} + {before >> 16:#x} = {fold:#x}"
        before = fold
    yield f"complement: 0xffff - 0x{before:04x} = 0x{worked.right:04x}"
    agrees = "the header agrees" if worked.right == worked.found else f"the header says 0x{worked.found:04x}: wrong"
    yield f"checksum 0x{worked.right:04x}; {agrees}"


def show_change(before: bytes, after: bytes) -> Iterator[str]:
    """Lines on why the checksum of a header changed by what it changed on a hop (RFC 1624 §3); empty if nothing else
    of it did, or the headers are of different lengths."""
    if len(before) != len(after) or len(before) < SHORTEST_HEADER:
        return
    old, new = work_checksum(before), work_checksum(after)
    total = old.found ^ 0xFFFF
    changed = [at for at, pair in enumerate(zip(old.words, new.words, strict=True)) if pair[0] != pair[1]]
    for at in changed:
        name = _WORDS[at] if at < len(_WORDS) else "Options"
        yield f"word {at + 1}, {name}: 0x{old.words[at]:04x} became 0x{new.words[at]:04x}"
        total += (old.words[at] ^ 0xFFFF) + new.words[at]
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    if changed:
        right = total ^ 0xFFFF
        verdict = "as it is" if right == new.found else f"but the header says 0x{new.found:04x}"
        yield f"HC' = ~(~HC + ~m + m'): from 0x{old.found:04x} to 0x{right:04x}, {verdict}"
