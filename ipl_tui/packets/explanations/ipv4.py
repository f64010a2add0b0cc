"""The fields of the IPv4 header explained (RFC 791)."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network

from ipl_tui.packets.checksum import internet_checksum
from ipl_tui.packets.explanations.explained import Explained, Says
from ipl_tui.packets.fields import FIELDS, PROTOCOLS
from ipl_tui.packets.ipv4 import SHORTEST_HEADER, UNIT, flags_and_offset, header_length
from ipl_tui.packets.options import END, NAMES, NO_OPERATION
from ipl_tui.packets.text import counted

_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def _count(number: int, thing: str) -> str:
    """A number of things: "one router", "12 routers"."""
    return f"{_NUMBERS[number] if number < len(_NUMBERS) else number} {thing}{'s' * (number != 1)}"


def _version(value: int, header: bytes) -> str:
    return "4: IPv4." if value == 4 else f"{value}: not IPv4; who takes it for that drops it in silence."


def _ihl(value: int, header: bytes) -> str:
    size = 4 * value
    if size < SHORTEST_HEADER:
        are = "is" if value == 1 else "are"
        return (
            f"{counted(value, 'word')} {are} {size} bytes: less than any header has, so receivers drop it in silence."
        )
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
        return f"{counted(value, 'byte')}: less than the header's {size}, so receivers drop it."
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


def explain_address(value: int, header: bytes) -> str:
    return f"{IPv4Address(value)}: {describe_address(value)}."


def _source(value: int, header: bytes) -> str:
    if value >> 28 == 14:
        return f"{IPv4Address(value)}: multicast, which may be no source; receivers drop it."
    return explain_address(value, header)


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
    "dst": (explain_address, ""),
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
