"""BPF capture filters: compiled by libpcap, run on a socket by the kernel or on stored frames here."""

import ctypes
import re
import socket
import struct
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ipl_tui.capture.formats.pcap import file_header
from ipl_tui.capture.frames import SNAPLEN, file_linktype

try:
    import pcapy as pcapy  # sniffer.py takes it from here
except ImportError:  # Windows: pcapy-ng has no wheel there, everything but compiling a filter works without it.
    pcapy = None

Instruction = tuple[int, int, int, int]
"""One instruction of a BPF program: code, jump if true, jump if false, operand."""

LONGEST_FILTER = 2_000
"""Characters. Compiling grows with the square of the length and holds the GIL: 2,000 take at most 20 ms."""

_ACCEPT_ALL: tuple[Instruction, ...] = ((0x06, 0, 0, SNAPLEN),)  # BPF_RET | BPF_K
_REJECT_ALL: tuple[Instruction, ...] = ((0x06, 0, 0, 0),)
_LOAD_PROTOCOL: Instruction = (0x30, 0, 0, 9)  # BPF_LD | BPF_B | BPF_ABS: the byte where IPv4 has it
_LOAD_DESTINATION: Instruction = (0x20, 0, 0, 16)  # BPF_LD | BPF_W | BPF_ABS
_LOAD_INTERFACE: Instruction = (0x20, 0, 0, 0xFFFFF008)  # the same, of SKF_AD_OFF + SKF_AD_IFINDEX (linux/filter.h)
_JUMP_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
MOST_ADDRESSES = 250
"""Jumps of BPF reach 255 instructions far."""
_SO_ATTACH_FILTER = getattr(socket, "SO_ATTACH_FILTER", 26)  # Python names it only since 3.14

# A word of the filter language as libpcap's scanner cuts it: an escaped name, an IPv6 or MAC address, or a word.
_WORD = re.compile(r"\\[^ !()\t\r\n]+|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*|[A-Za-z0-9](?:[-_.A-Za-z0-9]*[.A-Za-z0-9])?")
_LOCAL_NAMES = re.compile(
    "port|portrange|proto|protochain|type|subtype|dir|direction|llc"
    "|on|ifname|rset|ruleset|rnr|rulenum|srnr|subrulenum|reason|action"
)
"""The qualifiers whose names need no network: services, protocols, and words that libpcap knows itself."""


class FilterError(ValueError):
    """The filter does not compile. The message is libpcap's own."""


@dataclass(frozen=True)
class Filter:
    """A compiled filter. A blank one matches everything."""

    text: str
    linktype: int
    instructions: tuple[Instruction, ...]
    _program: Any = None

    def matches(self, frame: bytes) -> bool:
        """True if the filter accepts these bytes; `len` in a filter is the captured length here."""
        return self._program is None or self._program.filter(frame) != 0

    def attach(self, sock: socket.socket) -> None:
        """Let the kernel run the filter on what the socket receives from now on.

        Raises OSError (the kernel's) or FilterError where there is no such thing (only Linux has it).
        """
        _attach(sock, self.instructions)


@lru_cache(maxsize=64)
def compile_filter(text: str, linktype: int) -> Filter:
    """Compile a filter for frames of a link type (libpcap's number). Raises FilterError.

    Host names are refused, not looked up: libpcap would ask DNS for every half-typed word, with the GIL held.
    """
    if not text.strip():
        return Filter(text, linktype, _ACCEPT_ALL)
    if pcapy is None:
        raise FilterError("capture filters need libpcap, which pcapy-ng does not bring to this system")
    if len(text) > LONGEST_FILTER:
        raise FilterError(f"a filter may have {LONGEST_FILTER:,} characters, this one has {len(text):,}")
    if not text.isascii() or "\0" in text:
        raise FilterError("a filter has ASCII characters only")
    _refuse_host_names(text)
    if problem := _problem(text, linktype):
        raise FilterError(problem)
    program = pcapy.compile(_checker(linktype).datalink(), SNAPLEN, text, 1, 0)
    return Filter(text, linktype, tuple(program.get_bpf()), program)


def attach_reject_all(sock: socket.socket) -> None:
    """Make a socket discard all it is given (the program `ret 0`), so that it never fills. Raises as Filter.attach."""
    _attach(sock, _REJECT_ALL)


def attach_protocol(sock: socket.socket, proto: int) -> None:
    """Let a socket that receives IPv4 packets (packet(7), SOCK_DGRAM) have those of one protocol number alone.

    It needs no libpcap. Raises as Filter.attach.
    """
    _attach(sock, (_LOAD_PROTOCOL, (_JUMP_IF_EQUAL, 0, 1, proto), *_ACCEPT_ALL, *_REJECT_ALL))


def attach_arrivals(sock: socket.socket, interface: int, loopback: int, own: Sequence[bytes]) -> None:
    """Let a raw socket have what arrives at one interface, and by loopback what is for an address of `own`.

    Interfaces are the kernel's numbers, addresses 4 bytes; of very many, the first count. Raises as Filter.attach.
    """
    own = own[:MOST_ADDRESSES]
    # Jumps say how many instructions to leave out. The last two refuse and accept.
    by_loopback: tuple[Instruction, ...] = ()
    if own:
        by_loopback = ((_JUMP_IF_EQUAL, 0, 1 + len(own), loopback), _LOAD_DESTINATION)
        by_loopback += tuple((_JUMP_IF_EQUAL, len(own) - at, 0, int.from_bytes(each)) for at, each in enumerate(own))
    accept = (_JUMP_IF_EQUAL, len(by_loopback) + 1, 0, interface)
    _attach(sock, (_LOAD_INTERFACE, accept, *by_loopback, *_REJECT_ALL, *_ACCEPT_ALL))


def _attach(sock: socket.socket, instructions: tuple[Instruction, ...]) -> None:
    if sys.platform != "linux":
        raise FilterError("only Linux attaches filters to sockets")
    # struct sock_filter and struct sock_fprog of linux/filter.h; the kernel copies the program during the call.
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in instructions))
    pointer = struct.pack("@HP", len(instructions), ctypes.addressof(program))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)


@lru_cache(maxsize=32)
def _checker(linktype: int) -> Any:
    """A libpcap handle on an empty capture file of a link type, to try filters on.

    pcapy.compile() reads libpcap's message from a handle it has freed (bpf_compile in pcapy.cc), setfilter() does
    not: so a filter is tried with setfilter() first, and compile() sees only what compiles.
    """
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(file_header(file_linktype(linktype)))
        file.flush()
        return pcapy.open_offline(file.name)


def _problem(text: str, linktype: int) -> str:
    """libpcap's complaint about a filter; empty if it compiles."""
    try:
        _checker(linktype).setfilter(text)
    except pcapy.PcapError as error:
        return str(error) or "syntax error"
    return ""


def _refuse_host_names(text: str) -> None:
    qualifier = ""
    for word in _WORD.findall(text):
        if _is_name(word):
            if not _LOCAL_NAMES.fullmatch(qualifier):
                raise FilterError(f"unknown host '{word.lstrip(chr(92))}' (names are not looked up: give an address)")
        elif word[0].isalpha() and word not in ("and", "or", "not"):
            qualifier = word


@lru_cache(maxsize=1024)
def _is_name(word: str) -> bool:
    """True if libpcap takes a word for a name: no keyword, no number, no address. `port` looks up services only."""
    if word.startswith("\\"):
        return True
    if ":" in word or not _problem(f"len = {word}", 1):
        return False
    return _problem(f"port {word}", 1)[:12] in ("", "unknown port")
