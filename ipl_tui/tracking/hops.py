"""Joins the frames that are one IPv4 packet on its way from interface to interface, and tells what changed."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.frames import Batch
from ipl_tui.capture.store import Store
from ipl_tui.packets.link_layer import network_layer
from ipl_tui.tracking.fragments import Piece, datagram_of, read_piece, units_of

LONGEST_HOP = 64_000_000_000
"""Longest time of a packet to the next interface, in ns: the simulated network delays it by 60 s at most, ARP gives up
after 3 s, and a second is for slow machines."""

SLACK = 1_000_000
"""Time by which a packet may be seen again sooner than expected, in ns: times are rounded, and clocks differ."""

MOST_JOINS = 200_000
MOST_WAITING = 10_000

MOST_COMPARED = 64
"""With how many different packets of one Identification a fragment is compared, the newest first: each comparison reads
from the file. And with how many that took too long and don't fit a frame is compared, for the same payload."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop on a packet's way, an interface: several frames if it was in pieces by then."""

    interface: int
    """Index in Store.interfaces."""
    frames: tuple[int, ...]
    """Their numbers, in order."""


@dataclass(frozen=True, slots=True)
class Journey:
    """The whole way of a packet."""

    stops: tuple[Stop, ...]
    """In the order in which it passed them."""
    ends: tuple[int, ...]
    """The numbers of the frames that nothing follows, in order: where the packet, or a piece of it, was last seen."""


@dataclass(slots=True, eq=False)
class _Sighting:
    """A frame that may be seen again at a next interface."""

    number: int
    time: int
    interface: int
    position: int
    datagram: bytes
    piece: Piece
    link: bytes
    """The link header."""
    packet: int
    """The hash of what follows it."""
    ttl: int
    left: bool | None
    """True if the interface's own host put it on the link; None where nobody knows."""
    direction: int = 0
    """Direction on the path: 1, -1, or 0 as long as it may be either."""
    continued: int = 0
    """The units of the piece that were seen at the next interface, a bit each."""

    def may_become(self, later: "_Sighting") -> bool:
        """True if it is one hop to the later one: over a link nothing changes, and a host that passes a packet on makes
        a new link header, if there is any, and lowers Time to Live (RFC 791 §3.2)."""
        if later.packet == self.packet:
            return later.link == self.link and self.left is not False and later.left is not True
        passed_on = later.ttl < self.ttl and (later.link != self.link or not later.link)
        return passed_on and self.left is not True and later.left is not False


class _Underway:
    """The sightings that wait to be continued, by where they were and where that is to be, oldest first."""

    def __init__(self, interfaces: Sequence[int]) -> None:
        self.positions = {interface: position for position, interface in enumerate(interfaces)}
        self.sightings: OrderedDict[int, _Sighting] = OrderedDict()
        self.awaited: dict[tuple[int, int, bytes], dict[Piece, OrderedDict[int, _Sighting]]] = {}

    def add(self, sighting: _Sighting) -> None:
        """Wait for what continues it, unless the path ends here."""
        for place in self._places(sighting):
            pieces = self.awaited.setdefault((sighting.position, place, sighting.datagram), {})
            pieces.setdefault(sighting.piece, OrderedDict())[sighting.number] = sighting
            self.sightings[sighting.number] = sighting
        if len(self.sightings) > MOST_WAITING:
            self.remove(next(iter(self.sightings.values())))

    def remove(self, sighting: _Sighting) -> None:
        for place in self._places(sighting):
            self._leave(place, sighting)
        del self.sightings[sighting.number]

    def go_on(self, sighting: _Sighting, place: int, units: int) -> None:
        """These units of it were seen at this position."""
        if not sighting.direction:
            for other in self._places(sighting):
                if other != place:
                    self._leave(other, sighting)
            sighting.direction = place - sighting.position
        sighting.continued |= units
        if sighting.continued == units_of(sighting.piece, sighting.piece):
            self.remove(sighting)

    def expire(self, time: int) -> None:
        """Remove those that have waited too long at this time."""
        while self.sightings:
            oldest = next(iter(self.sightings.values()))
            if time - oldest.time <= LONGEST_HOP:
                return
            self.remove(oldest)

    def _places(self, sighting: _Sighting) -> list[int]:
        """The positions where it may be seen next."""
        steps = (sighting.direction,) if sighting.direction else (-1, 1)
        return [sighting.position + step for step in steps if 0 <= sighting.position + step < len(self.positions)]

    def _leave(self, place: int, sighting: _Sighting) -> None:
        key = sighting.position, place, sighting.datagram
        pieces = self.awaited[key]
        queue = pieces[sighting.piece]
        del queue[sighting.number]
        if not queue:
            del pieces[sighting.piece]
            if not pieces:
                del self.awaited[key]


class Hops:
    """A tap for Store.taps: called in the thread that appends, asked from any.

    A frame continues one that was appended before it, on the interface before or after its own on the path, never back
    to where that one came from. Either the hop is a link, and both are the very same frame; or it is a host that passes
    a packet on: the link header differs and Time to Live is lower. Then both have the same addresses, protocol and
    Identification, and what the later carries of the datagram's payload is what the earlier carries, or a fragment of
    it, byte for byte, and not continued yet. The rest of the header may differ. A packet whose header does not tell
    where its payload is (version, IHL, Total Length) is followed over links only.

    Of several that fit (a composer sends the same again and again) the one is continued whose age is nearest to what
    the hop takes: without latency the youngest. So what was lost, or was under way when the capture began, does not
    shift those after it. What the network says is gone is left out, and so is what is more than a millisecond too
    young: while latency has just been raised, what is still under way is not joined.

    Where the hardware address of an interface is not known, a frame does not show which way it went over a link: one
    that arrived, and whose sending nobody saw, may be taken for the sending of the same packet going back. But a host's
    hop has a direction, and comes first where both fit.

    Frames of the same time must be appended in the order in which the packet passed: an earlier hop that is appended
    after a later one stays apart, or is taken for the way back.

    The newest 200,000 joins are kept, and 10,000 frames wait for what continues them, 64 seconds at most.
    """

    def __init__(
        self,
        store: Store,
        gone: Callable[[int, int], bool] = lambda interface, time: False,
        delay: Callable[[int, int], int] = lambda earlier, later: 0,
        own: Callable[[int], bytes] = lambda interface: b"",
    ) -> None:
        """`gone`, `delay` and `own` tell what the network knows; they are called in the appending thread.

        gone(interface, time): whether the frame seen there at that time, in ns, went no further.
        delay(earlier, later): the latency of the link between two interfaces, in ns; 0 if there is none.
        own(interface): its hardware address; empty if it has none, or nobody knows.
        Interfaces are the store's numbers.
        """
        self._store = store
        self._gone = gone
        self._delay = delay
        self._own = own
        self._underway = _Underway(())
        self._previous: OrderedDict[int, int] = OrderedDict()
        self._following: dict[int, tuple[int, ...]] = {}

    def follow(self, interfaces: Sequence[int]) -> None:
        """Join what is appended from now on for these interfaces (the store's numbers), in the order in which packets
        pass them; none: join nothing, as at first. What was joined stays."""
        self._underway = _Underway(interfaces)  # a batch that is being joined elsewhere goes on with the old one

    def previous(self, number: int) -> int | None:
        """The frame that was this packet, or that this one is a piece of, one interface earlier."""
        return self._previous.get(number)

    def following(self, number: int) -> tuple[int, ...]:
        """The frames that this one became at the next interface, in order: several if it was fragmented in between."""
        return self._following.get(number, ())

    def journey(self, number: int) -> Journey:
        """The way of the packet that a frame belongs to, from its first frame to all its last. Raises as Store.frame().

        What was joined so long ago that it is forgotten is not in it.
        """
        while (previous := self.previous(number)) is not None:
            number = previous
        stops: list[Stop] = []
        ends: list[int] = []
        frames = [number]
        while frames:
            stops.append(Stop(self._store.frame(frames[0]).interface, tuple(frames)))
            next_frames: list[int] = []
            for frame in frames:
                following = self.following(frame)
                next_frames += following
                if not following:
                    ends.append(frame)
            frames = sorted(next_frames)
        return Journey(tuple(stops), tuple(sorted(ends)))

    def __call__(self, interface: int, first: int, batch: Batch) -> None:
        """Join the frames of a batch whose first has this number."""
        underway = self._underway
        position = underway.positions.get(interface)
        if position is None:
            return
        linktype = self._store.interfaces[interface].linktype
        own = self._own(interface)
        data, records = batch
        for number, (time, start, captured, _) in enumerate(records, first):
            frame = data[start : start + captured]
            at = network_layer(frame, linktype)
            packet = frame[at:]
            if not packet:
                continue
            piece, payload = read_piece(packet)
            ttl = int.from_bytes(packet[8:9])
            left = frame[6:12] == own if own else None
            seen = _Sighting(
                number, time, interface, position, datagram_of(packet), piece, frame[:at], hash(packet), ttl, left
            )
            underway.expire(time)
            earlier = self._find(underway, seen, payload)
            if earlier is not None:
                seen.direction = position - earlier.position
                underway.go_on(earlier, position, units_of(piece, earlier.piece))
                self._join(earlier.number, number)
            underway.add(seen)

    def _find(self, underway: _Underway, seen: _Sighting, payload: bytes) -> _Sighting | None:
        """Sighting that a frame continues: of a packet with the same payload, or else of a longer one that it is a
        fragment of; None without one."""
        sides = [
            pieces
            for side in (seen.position - 1, seen.position + 1)
            if (pieces := underway.awaited.get((side, seen.position, seen.datagram)))
        ]
        piece = seen.piece
        best: tuple[bool, int, _Sighting] | None = None
        for pieces in sides:
            if piece in pieces and (chosen := self._choose(underway, pieces[piece], seen)):
                best = chosen if best is None or chosen[:2] < best[:2] else best
        if best is not None:
            return best[2]
        for pieces in sides:
            for whole in list(islice(reversed(pieces), MOST_COMPARED)):
                if not piece.is_within(whole):
                    continue
                sample = next(iter(pieces[whole].values()))  # those that wait in one queue have the same bytes
                if self._read_payload(sample).startswith(payload, piece.start - whole.start) and (
                    chosen := self._choose(underway, pieces[whole], seen)
                ):
                    return chosen[2]
        return None

    def _choose(
        self, underway: _Underway, queue: OrderedDict[int, _Sighting], seen: _Sighting
    ) -> tuple[bool, int, _Sighting] | None:
        """Choice among several same packets of one interface that a frame may continue, behind what makes it the less
        likely: whether the hop is a link, and how far its age is from what that takes. Those that are gone wait no
        longer."""
        expected = seen.time - self._delay(next(iter(queue.values())).interface, seen.interface)
        soonest = expected + SLACK
        chosen: tuple[bool, int, _Sighting] | None = None
        unfit = 0
        gone: list[_Sighting] = []
        for sighting in reversed(queue.values()):
            if sighting.time > soonest:
                continue
            distance = abs(expected - sighting.time)
            if unfit == MOST_COMPARED or (chosen is not None and distance >= chosen[1]):
                break
            if sighting.continued & units_of(seen.piece, sighting.piece) or not sighting.may_become(seen):
                unfit += 1
            elif self._gone(sighting.interface, sighting.time):
                gone.append(sighting)
            else:
                chosen = sighting.packet == seen.packet, distance, sighting
        for sighting in gone:
            underway.remove(sighting)
        return chosen

    def _read_payload(self, sighting: _Sighting) -> bytes:
        """Bytes of the datagram's payload that a sighting carries, from the file; empty if the file is gone."""
        try:
            frame = self._store.frame(sighting.number).data
        except CaptureError:
            return b""
        linktype = self._store.interfaces[sighting.interface].linktype
        return read_piece(frame[network_layer(frame, linktype) :])[1]

    def _join(self, earlier: int, later: int) -> None:
        self._following[earlier] = (*self._following.get(earlier, ()), later)
        self._previous[later] = earlier
        if len(self._previous) > MOST_JOINS:
            _, oldest = self._previous.popitem(last=False)
            # It is the first of those that follow, for all are joined in the order of their numbers.
            if rest := self._following[oldest][1:]:
                self._following[oldest] = rest
            else:
                del self._following[oldest]
