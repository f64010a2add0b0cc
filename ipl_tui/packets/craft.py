"""A draft becomes the bytes of a packet, with every problem found on the way."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import Any

from .checksum import internet_checksum
from .fields import ADDRESSES, FIELD, FIELDS, PROTOCOLS, Field
from .ipv4 import LONGEST_DATAGRAM, LONGEST_HEADER, SHORTEST_HEADER
from .options import contradiction
from .text import counted, is_plain, printable


@dataclass(frozen=True)
class Draft:
    """The composer's content: the value of each header field, None where it is automatic, and the payload.

    Any value may be forced, also a wrong one; `craft` refuses only what has no bits.
    """

    version: int | None = None
    ihl: int | None = None
    """Words of 4 bytes."""
    dscp: int = 0
    ecn: int = 0
    len: int | None = None
    """Bytes."""
    id: int = 1
    reserved: int = 0
    df: int = 0
    mf: int = 0
    frag: int = 0
    """Units of 8 bytes."""
    ttl: int = 64
    proto: int = 253
    chksum: int | None = None
    src: str | None = None
    """A dotted quad."""
    dst: str = "127.0.0.1"
    """A dotted quad."""
    options: bytes = b""
    """As they go out, less the zeros that pad them to words of 4 bytes."""
    payload: bytes = b""


@dataclass(frozen=True)
class Problem:
    """A fault of one field."""

    field: str
    """The name of a `Field`, or "payload"."""
    text: str
    """One sentence for the user."""
    blocks: bool
    """True: it has no bits and cannot be sent. False: it contradicts itself and may be sent."""


@dataclass(frozen=True)
class Crafted:
    """A packet, ready to be sent."""

    packet: bytes
    """Header and payload."""
    values: Mapping[str, int | str | bytes]
    """Every field's value as it goes out, the automatic ones made."""
    problems: tuple[Problem, ...]
    """Contradictions, in header order; empty without any. None of them blocks."""


def craft(draft: Draft, source: str = "0.0.0.0") -> Crafted:
    """The packet of `draft` (RFC 791 §3.1), exactly as given; `source` is what an automatic source address becomes.

    Automatic are: version 4, the IHL of the options padded with zeros (End of Option List) to words, the Total Length
    of all bytes, and the checksum over IHL x 4 bytes, or over as many of them as the packet has.
    Raises ValueError with a sentence if a value has no bits.
    """
    if impossible := _impossibilities(draft):
        raise ValueError(impossible[0].text)
    options = draft.options + bytes(-len(draft.options) % 4)
    size = SHORTEST_HEADER + len(options)
    made: dict[str, int | str | bytes] = {
        "version": 4,
        "ihl": size // 4,
        "len": size + len(draft.payload),
        "chksum": 0,
        "src": source,
    }
    given = {name: value for name, value in vars(draft).items() if value is not None}
    chosen: dict[str, int | str | bytes] = {**made, **given, "options": options}
    values = {field.name: chosen[field.name] for field in FIELDS}

    unsummed = _pack({**values, "chksum": 0}) + options + draft.payload
    right = internet_checksum(unsummed[: 4 * int(values["ihl"])])
    if draft.chksum is None:
        values["chksum"] = right
    packet = _pack(values) + options + draft.payload
    return Crafted(packet, MappingProxyType(values), _contradictions(values, draft.payload, packet, right))


def _pack(values: Mapping[str, int | str | bytes]) -> bytes:
    """The first 20 bytes of a header."""
    header = 0
    for field in FIELDS:
        if field.bits:
            value = values[field.name]
            header = header << field.bits | (int(IPv4Address(value)) if field.name in ADDRESSES else int(value))
    return header.to_bytes(SHORTEST_HEADER, "big")


def _impossibilities(draft: Draft) -> tuple[Problem, ...]:
    """Values that have no bits in a header, in header order, the payload last."""
    problems = {}
    for field in FIELDS:
        value = getattr(draft, field.name)
        if field.name in ADDRESSES:
            if value is not None and not _is_address(value):
                problems[field.name] = _address_needed(field, value)
        elif isinstance(value, int) and value >> field.bits:
            problems[field.name] = f"{field.label} is {counted(field.bits, 'bit')}: {_range(field)}."
    size = SHORTEST_HEADER + len(draft.options) + -len(draft.options) % 4
    if draft.ihl is None and size > LONGEST_HEADER:
        problems["options"] = (
            f"Options have {len(draft.options)} bytes; IHL can count {LONGEST_HEADER - SHORTEST_HEADER}."
        )
    if size + len(draft.payload) > LONGEST_DATAGRAM:
        problems["payload"] = (
            f"The packet has {size + len(draft.payload):,} bytes; Total Length can count {LONGEST_DATAGRAM:,}."
        )
    return tuple(Problem(name, text, True) for name, text in problems.items())


def _contradictions(
    values: Mapping[str, int | str | bytes], payload: bytes, packet: bytes, right: int
) -> tuple[Problem, ...]:
    """Values that may be sent but contradict each other, in header order; `right` is the checksum that the header
    should have."""
    number = {name: value for name, value in values.items() if isinstance(value, int)}
    source, destination = IPv4Address(values["src"]), IPv4Address(values["dst"])
    header = len(packet) - len(payload)
    claimed = 4 * number["ihl"]
    offset = 8 * number["frag"]
    whole = header + offset + len(payload)
    problems = []

    def check(contradicts: bool, field: str, text: str) -> None:
        if contradicts:
            problems.append(Problem(field, text, False))

    check(number["version"] != 4, "version", f"Version says {number['version']}; IPv4 is 4.")
    check(claimed < SHORTEST_HEADER, "ihl", f"IHL says {claimed} bytes; a header has at least {SHORTEST_HEADER}.")
    check(SHORTEST_HEADER <= claimed != header, "ihl", f"IHL says {claimed} bytes, the header has {header}.")
    check(
        number["len"] != len(packet), "len", f"Total Length says {number['len']}, the packet has {len(packet)} bytes."
    )
    check(bool(number["reserved"]), "reserved", "Reserved Flag is 1; RFC 791 says that it must be 0.")
    check(
        bool(number["df"] and (number["mf"] or offset)),
        "df",
        "Don't Fragment is 1, and yet More Fragments or Fragment Offset says that this is a fragment.",
    )
    check(
        bool(number["mf"] and len(payload) % 8),
        "mf",
        f"More Fragments is 1, and the payload has {counted(len(payload), 'byte')}: only the last fragment may have "
        "other than a multiple of 8.",
    )
    check(
        bool(offset and whole > LONGEST_DATAGRAM),
        "frag",
        f"Fragment Offset puts the payload at byte {offset:,}: the whole datagram would have {whole:,} bytes, "
        f"more than {LONGEST_DATAGRAM:,}.",
    )
    check(number["ttl"] == 0, "ttl", "Time to Live is 0: no router forwards it.")
    check(
        # 0x0000 and 0xffff are both zero in ones' complement: what the receiver's sum accepts is right.
        number["chksum"] != right and internet_checksum(packet[:claimed]) != 0,
        "chksum",
        f"Header Checksum is 0x{number['chksum']:04x}, 0x{right:04x} would be right.",
    )
    check(source.is_multicast, "src", f"Source {source} is a multicast address: nobody sends from a group.")
    check(int(source) == 0xFFFFFFFF, "src", f"Source {source} is the broadcast address: nobody sends from it.")
    check(int(destination) == 0, "dst", f"Destination {destination} is nobody's address.")
    wrong_options = contradiction(packet[SHORTEST_HEADER:header])
    check(bool(wrong_options), "options", wrong_options)
    return tuple(problems)


def read_entries(
    entries: Mapping[str, str], payload: str, hexadecimal: bool
) -> tuple[Draft | None, tuple[Problem, ...]]:
    r"""The draft that was typed: an entry for each field, and the payload as hex or as text with escapes.

    Numbers are decimal, 0x or 0b; Protocol may be one of IANA's keywords; addresses are dotted quads, never names; an
    empty entry makes a field automatic where that is allowed (an entry that is not there counts as empty). Options are
    hex. Hex may have blanks, colons, commas and 0x between bytes. Text becomes UTF-8; `\xNN`, `\n`, `\r`, `\t`, `\0`
    and `\\` are its escapes. The draft is None exactly when there are problems: all of them block. What contradicts
    itself is for `craft` to find.
    """
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}

    def read(name: str, entry: str, reader: Callable[[str], int | str | bytes]) -> None:
        try:
            values[name] = reader(entry)
        except ValueError as error:
            problems[name] = str(error)

    for field in FIELDS:
        entry = entries.get(field.name, "").strip()
        if not entry and field.automatic:
            values[field.name] = None
        else:
            read(field.name, entry, partial(_read_entry, field))
    read("payload", payload, partial(parse_hex, "Payload") if hexadecimal else _read_text)

    # Fields that could not be read have their defaults here, so that the others are checked all the same.
    draft = Draft(**values)
    for problem in _impossibilities(draft):
        problems.setdefault(problem.field, problem.text)
    order = [*FIELD, "payload"]
    return None if problems else draft, tuple(
        Problem(name, problems[name], True) for name in sorted(problems, key=order.index)
    )


def _read_entry(field: Field, entry: str) -> int | str | bytes:
    """The value of an entry; ValueError with a sentence if it cannot be read. Whether it has bits is not checked."""
    if field.name == "options":
        return parse_hex(field.label, entry)
    if field.name in ADDRESSES:
        if not _is_address(entry):
            raise ValueError(_address_needed(field, entry))
        return entry
    if field.name == "proto":
        keywords = {keyword.lower(): number for keyword, number in PROTOCOLS.items()}
        if entry.lower() in keywords:
            return keywords[entry.lower()]
    try:
        if not re.fullmatch(r"[-+]?(0x[0-9a-f]+|0b[01]+|[0-9]+)", entry, re.IGNORECASE):
            raise ValueError
        return int(entry, 0 if "x" in entry.lower() or "b" in entry.lower() else 10)
    except ValueError:  # also from int(), for thousands of digits
        keyword = ", or a keyword such as ICMP" if field.name == "proto" else ""
        is_hex = re.fullmatch(r"[0-9a-f]{1,8}", entry, re.IGNORECASE) and not int(entry, 16) >> field.bits
        advice = f"; in hex it begins with 0x: 0x{entry}" if is_hex else ""
        raise ValueError(f"{field.label} needs a number, {_range(field)}{keyword}{advice}.") from None


def _range(field: Field) -> str:
    """The numbers that a field can hold, in words."""
    units = {"ihl": ", in words of 4 bytes", "frag": ", in units of 8 bytes"}.get(field.name, "")
    return "0 or 1" if field.bits == 1 else f"0 to {(1 << field.bits) - 1:,}{units}"


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _address_needed(field: Field, entry: str) -> str:
    sentence = f"{field.label.removesuffix(' Address')} needs an address such as 10.0.1.10"
    if not entry:
        return f"{sentence}."
    kind = "a name" if re.search(r"[a-z]", entry, re.IGNORECASE) and ":" not in entry else "not one"
    return f'{sentence}; "{printable(entry[:60])}" is {kind}.'


def parse_hex(label: str, text: str) -> bytes:
    """Bytes of hex digits, with blanks, colons, commas and 0x between them or not. Raises ValueError with a sentence,
    which begins with the label."""
    digits = re.sub(r"0x|[\s:,]", "", text, flags=re.IGNORECASE)
    if wrong := re.search(r"[^0-9a-f]", digits, re.IGNORECASE):
        raise ValueError(f'{label} is hex: "{printable(wrong[0])}" is no hex digit.')
    if len(digits) % 2:
        raise ValueError(f"{label} has {counted(len(digits), 'hex digit')}; a byte is two.")
    return bytes.fromhex(digits)


_ESCAPED = {"n": b"\n", "r": b"\r", "t": b"\t", "0": b"\0", "\\": b"\\"}


def _read_text(text: str) -> bytes:
    data = bytearray()
    for match in re.finditer(r"[^\\]+|\\x([0-9a-f]{2})|\\(.?)", text, re.IGNORECASE | re.DOTALL):
        byte, letter = match.groups()
        if byte is not None:
            data.append(int(byte, 16))
        elif letter is None:
            data += _encode(match[0])
        elif letter in _ESCAPED:
            data += _ESCAPED[letter]
        else:
            wrong = printable(match[0])
            raise ValueError(rf'Payload: "{wrong}" is no escape; \xNN, \n, \r, \t, \0 and \\ (a backslash) are.')
    return bytes(data)


def _encode(text: str) -> bytes:
    """UTF-8. Bytes that a terminal or a shell gave and Python could not decode, lone surrogates, are bytes again."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # another surrogate, which came from no byte
        return text.encode(errors="surrogatepass")


def payload_text(data: bytes) -> str:
    """`data` as text on one line: UTF-8 whose characters take a column each as it is, all else escaped so that
    `read_entries` gives it back."""
    escapes = {value: rf"\{letter}" for letter, value in _ESCAPED.items()}
    text = ""
    for character in data.decode(errors="surrogateescape"):
        encoded = character.encode(errors="surrogateescape")
        if encoded in escapes:
            text += escapes[encoded]
        else:
            text += character if is_plain(character) else "".join(f"\\x{byte:02x}" for byte in encoded)
    return text


def payload_hex(data: bytes) -> str:
    """`data` as hex digits, a blank between bytes."""
    return data.hex(" ")


def write_entries(draft: Draft) -> tuple[dict[str, str], str]:
    """Entries to type for `draft`: one for each field, and the payload as text. The inverse of `read_entries`."""
    entries = {name: "" if value is None else str(value) for name, value in vars(draft).items() if name in FIELD}
    entries["options"] = payload_hex(draft.options)
    if draft.chksum is not None:
        entries["chksum"] = f"0x{draft.chksum:04x}"
    return entries, payload_text(draft.payload)


@dataclass(frozen=True)
class Preset:
    """A draft to start from. Its addresses are the default ones: whoever offers it knows better."""

    name: str
    meaning: str
    """Lesson of sending it, in a sentence."""
    draft: Draft


def _echo_request() -> bytes:
    """An ICMP echo request (RFC 792): type 8, code 0, checksum, identifier 1, sequence number 1, data."""
    rest = b"\x00\x01\x00\x01" + b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    return b"\x08\x00" + internet_checksum(b"\x08\x00\x00\x00" + rest).to_bytes(2, "big") + rest


PRESETS = (
    Preset("ClientMessage", "The request of the exchange: a responder answers it.", Draft(payload=b"ClientMessage")),
    Preset("ServerResponse", "The answer of the exchange, sent by hand.", Draft(payload=b"ServerResponse")),
    Preset(
        "ICMP echo request", "A ping: any host answers with an echo reply.", Draft(proto=1, payload=_echo_request())
    ),
    Preset("Empty datagram", "A header and nothing else: the smallest packet there is.", Draft()),
    Preset(
        "Long datagram",
        "1,000 bytes, which a narrow link takes in fragments only; each unit of 8 bytes says its Fragment Offset.",
        Draft(payload=b"".join(b"%7d " % unit for unit in range(125))),
    ),
)
"""The drafts that the composer offers."""
