"""Looks through captured frames for what belongs to one of them: only when somebody asks, and not for long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ipl_tui.capture.frames import Frame
from ipl_tui.capture.store import Store
from ipl_tui.packets.ipv4 import ICMP, SHORTEST_HEADER
from ipl_tui.packets.link_layer import network_layer
from ipl_tui.tracking.fate import Unknown
from ipl_tui.tracking.fragments import datagram_of, is_complete, read_piece
from ipl_tui.tracking.matching import error_about, goes_back, is_answer

MOST_FRAMES = 5_000
"""Frames that are searched before or after one: among more, what belongs to it would be lost in other traffic."""

TOO_MANY: Unknown = "too many frames"
CUT: Unknown = "cut frames"


@dataclass(frozen=True, slots=True)
class Found:
    """Result of a search."""

    frames: tuple[int, ...] = ()
    """The numbers of the frames; empty: none."""
    unknown: Unknown = ""
    """Reason why there may be others; empty: there are none."""


@dataclass(frozen=True, slots=True)
class FragmentedDatagram:
    """The fragments of a datagram that were captured on one interface."""

    frames: tuple[int, ...]
    """The numbers of the frames that hold them, in the order in which they came."""
    complete: bool
    """True if they are all of it."""


def packet_in(store: Store, frame: Frame) -> bytes:
    """The IPv4 packet in a frame, or nothing."""
    return frame.data[network_layer(frame.data, store.interfaces[frame.interface].linktype) :]


def find_answers(store: Store, after: int, request: bytes) -> Found:
    """The frames after one that hold an answer to a packet, on any interface. Raises CaptureError."""
    end = len(store)
    if end > after + MOST_FRAMES:
        return Found(unknown=TOO_MANY)
    found: list[int] = []
    unknown: Unknown = ""
    for frame in _frames(store, range(after + 1, end + 1)):
        packet = packet_in(store, frame)
        if is_answer(request, packet):
            found.append(frame.number)
        elif frame.cut and goes_back(request, packet):
            unknown = CUT
    return Found(tuple(found), unknown)


def find_request(store: Store, number: int) -> Found:
    """The frame before one, the nearest on the same interface, whose packet that one answers, or is an ICMP error
    about. Raises as Store.frame()."""
    frame = store.frame(number)
    answer = packet_in(store, frame)
    if len(answer) < SHORTEST_HEADER:
        return Found(unknown=CUT if frame.cut else "")
    unknown: Unknown = CUT if frame.cut and answer[9] == ICMP else ""
    first = max(1, number - MOST_FRAMES)
    for earlier in _frames(store, range(number - 1, first - 1, -1)):
        request = packet_in(store, earlier)
        if earlier.interface != frame.interface or len(request) < SHORTEST_HEADER:
            continue
        if is_answer(request, answer) or error_about(request, answer):
            return Found((earlier.number,))
        if goes_back(request, answer) and (earlier.cut or frame.cut):
            unknown = CUT
    return Found(unknown=unknown or (TOO_MANY if first > 1 else ""))


def find_fragments(store: Store, number: int) -> FragmentedDatagram | None:
    """The datagram that a frame holds a fragment of, on its interface; None where it holds none. Raises as
    Store.frame().

    A sender may use an Identification again: the fragments are those around the frame until one comes again.
    """
    frame = store.frame(number)
    packet = packet_in(store, frame)
    if not packet or not read_piece(packet)[0].is_fragment:
        return None
    datagram = datagram_of(packet)
    pieces = {number: read_piece(packet)[0]}
    starts = {pieces[number].start}
    end = min(len(store), number + MOST_FRAMES)
    for numbers in (range(number - 1, max(0, number - MOST_FRAMES - 1), -1), range(number + 1, end + 1)):
        for other in _frames(store, numbers):
            seen = packet_in(store, other)
            if other.interface != frame.interface or not seen or datagram_of(seen) != datagram:
                continue
            piece = read_piece(seen)[0]
            if not piece.is_fragment or piece.start in starts:
                break
            starts.add(piece.start)
            pieces[other.number] = piece
    return FragmentedDatagram(tuple(sorted(pieces)), is_complete(pieces.values()))


def _frames(store: Store, numbers: Iterable[int]) -> Iterator[Frame]:
    return (store.frame(number) for number in numbers)
