"""The simulated network does what Linux does: the same packets are sent into both, and all that is captured agrees.

What is sent is in drafts.py. Linux is right, except for what EXCEPTIONS says: there two Linux hosts differ, too.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import cache
from itertools import zip_longest
from typing import Any

import pytest

from ipl_tui.networks.interface import Network, SendError
from ipl_tui.networks.sandbox import SandboxNetwork
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.networks.topology import LINKS, PATH
from ipl_tui.packets.checksum import internet_checksum
from ipl_tui.packets.fields import read_header
from ipl_tui.packets.icmp import ERROR_TYPES
from tests.networks.drafts import CASES, CLIENT, SERVER, Case, datagram, icmp

EXCEPTIONS = {
    "ARP": "Whether a neighbour is asked for depends on when it was last heard of.",
    "id": "The Identification is a host's to choose (RFC 6864 §4.1): only which packets have the same is compared.",
    "times": "In Timestamp options and ICMP timestamp replies: only that they are of now is compared.",
    "order": "Whether a frame or one in the other direction is first depends on when a processor gets to them.",
    "chksum": "Of what holds such an Identification or such times: only whether it is right is compared.",
}
"""What is not compared as it was captured, and why."""

IPV4 = b"\x08\x00"
SENTINEL = b"sentinel"
DAY, NOW = 86_400_000, 60_000
"""Milliseconds; and how many of them ago is now."""

Fields = dict[str, Any]


class Bench:
    """A network with a capture on each of its interfaces."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._captures = {interface.name: interface.open_capture() for interface in network.path()}
        self._frames: dict[str, list[bytes]] = {name: [] for name in self._captures}
        self._sentinels = 0
        self._settle("c0")  # the neighbours are known then

    def close(self) -> None:
        for capture in self._captures.values():
            capture.close()
        self.network.close()

    def begin(self, case: Case) -> "Seen":
        """Send a case's packets, each when all that came of the one before is over."""
        for frames in self._frames.values():
            frames.clear()
        seen = Seen()
        with ExitStack() as leaving:
            sockets = {
                f"{name}, protocol {proto}": leaving.enter_context(self.network.find(name).open_protocol(proto))
                for name, proto in case.listening
            }
            for packet in case.packets:
                try:
                    self.network.find(case.sender).send(packet, case.method)
                    seen.answers.append("sent")
                except SendError as error:
                    seen.answers.append(str(error))
                self._settle(case.sender)
            for name, listener in sockets.items():
                while listener.select([listener], 0):
                    packet = listener.recv_raw()[1] or b""
                    if SENTINEL not in packet:
                        seen.packets.setdefault(f"heard on {name}", []).append((b"", packet))
        return seen

    def finish(self, case: Case, seen: "Seen") -> None:
        """Wait for what comes late, and note all that was captured."""
        if case.awaited:
            name, wanted = case.awaited
            own = self.network.find(name).addresses[0].ip.packed
            while sum(_is_error_for(own, frame[14:]) for frame in self._frames[name]) < wanted:
                self._read(name)
            self._settle(case.sender)
        if case.listening:  # the sandbox's helper closes its copy of a socket before it does the next thing
            self.network.set_link(self.network.links()[0])
        for name, frames in self._frames.items():
            hardware_address = self.network.find(name).hardware_address
            for frame in frames:
                if SENTINEL not in frame:
                    place = f"sent from {name}" if frame[6:12] == hardware_address else f"arrived at {name}"
                    seen.packets.setdefault(place, []).append((frame[:14], frame[14:]))

    def _settle(self, sender: str) -> None:
        """Send echo requests from end to end and back, the sender's first. Links and hosts keep the order, so that all
        that was sent before is over when the last reply was seen on every interface."""
        ends = {"c0": (CLIENT, SERVER), "s0": (SERVER, CLIENT)}
        for end in ("c0", "s0") if sender in ("c0", "r1") else ("s0", "c0"):
            self._sentinels += 1
            mark = SENTINEL + self._sentinels.to_bytes(4)
            source, destination = ends[end]
            echo = datagram(icmp(8, data=mark), proto=1, src=source, dst=destination)
            self.network.find(end).send(echo, "exact")
            for name, frames in self._frames.items():
                while sum(mark in frame for frame in frames) < 2:
                    self._read(name)

    def _read(self, name: str) -> None:
        assert self._captures[name].wait(10), f"{self.network.name}: nothing more came on {name}"
        data, records = self._captures[name].recv_batch()
        frames = [data[start : start + length] for _, start, length, _ in records]
        self._frames[name] += [frame for frame in frames if frame[12:14] == IPV4]


def _is_error_for(address: bytes, packet: bytes) -> bool:
    return packet[9] == 1 and packet[(packet[0] & 15) * 4] in ERROR_TYPES and packet[16:20] == address


class Seen:
    """What came of a case in one network."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        """What was said to each packet that was sent."""
        self.packets: dict[str, list[tuple[bytes, bytes]]] = {}
        """By where they were captured or heard, each with its link header, if any."""


class Reader:
    """Reads what was seen into fields that can be compared, with EXCEPTIONS made."""

    def __init__(self, case: Case, own: str) -> None:
        """`own` is the address of the sender, which its kernel fills in."""
        self._given = set()
        for packet in case.packets:
            fields = read_header(packet)
            if fields["id"] or case.method == "exact":
                self._given |= {self._key(fields), self._key({**fields, "src": own})}
        self._chosen: dict[tuple[Any, ...], str] = {}

    @staticmethod
    def _key(fields: Fields) -> tuple[Any, ...]:
        return tuple(fields.get(name) for name in ("src", "dst", "proto", "id"))

    def read(self, link_header: bytes, packet: bytes) -> Fields:
        """The fields of a packet, with those of the ICMP message and of the packet that it quotes."""
        fields, _ = self._read(packet)
        return {"link header": link_header, **fields}

    def _read(self, packet: bytes) -> tuple[Fields, bool]:
        """The same, and whether there was an exception."""
        fields: Fields = dict(read_header(packet))
        header = (packet[0] & 15) * 4 if packet else 0
        options, has_times = _without_times(packet[20:header])
        fields["options"] = options
        key = self._key(fields)
        is_chosen = not fields.get("df") and key not in self._given  # one that is never cut needs none (RFC 6864 §4.1)
        if is_chosen:
            fields["id"] = self._chosen.setdefault(key, f"chosen, the {len(self._chosen) + 1}. of them")
        if is_chosen or has_times:
            fields["chksum"] = _judge(packet[:header])
        message = packet[header:]
        excepted = is_chosen or has_times
        if fields.get("proto") == 1 and not fields.get("frag") and len(message) >= 8:
            inner, inner_excepted = self._read_icmp(message, whole=not fields.get("mf"))
            fields |= inner
            excepted |= inner_excepted
        else:
            fields["payload"] = message
        return fields, excepted

    def _read_icmp(self, message: bytes, whole: bool) -> tuple[Fields, bool]:
        fields: Fields = {"type": message[0], "code": message[1], "ICMP checksum": message[2:4], "rest": message[4:8]}
        data, excepted = message[8:], False
        if message[0] in ERROR_TYPES:
            quote, excepted = self._read(data)
            fields |= {f"quoted {name}": value for name, value in quote.items()}
        elif message[0] == 14 and len(data) >= 12:
            times = [_without_now(data[at : at + 4]) for at in (4, 8)]
            fields |= {"originate": data[:4], "receive": times[0], "transmit": times[1], "data": data[12:]}
            excepted = True
        else:
            fields["data"] = data
        if excepted and whole:
            fields["ICMP checksum"] = _judge(message)
        return fields, excepted


def _judge(summed: bytes) -> str:
    return "right" if internet_checksum(summed) == 0 else "wrong"


def _without_times(options: bytes) -> tuple[bytes, bool]:
    """The options with the times of now blotted out that the entries of Timestamp hold; whether there are any."""
    blotted = bytearray(options)
    at = 0
    while at + 4 <= len(options) and options[at] != 0:
        length = 1 if options[at] == 1 else options[at + 1]
        if options[at] == 68:
            size = 4 if options[at + 3] & 15 == 0 else 8
            for end in range(at + min(options[at + 2] - 1, length), at + 3 + size, -size):
                blotted[end - 4 : end] = _without_now(options[end - 4 : end])
        at += max(length, 1)
    return bytes(blotted), blotted != options


def _without_now(word: bytes) -> bytes:
    """A time in ms since midnight UT; something else if it is of now."""
    ago = (time.time_ns() // 1_000_000 - int.from_bytes(word)) % DAY
    return b"now!" if ago < NOW else word


def differences(case: Case, linux: Seen, simulated: Seen) -> list[str]:
    """Where the two don't agree, in words."""
    own = next(str(port.address.ip) for port in PATH if port.name == case.sender)
    readers = Reader(case, own), Reader(case, own)
    found = [
        f"packet {number} of the case: Linux {one!r}, simulated {other!r}"
        for number, (one, other) in enumerate(zip(linux.answers, simulated.answers, strict=True), 1)
        if one != other
    ]
    for place in sorted(linux.packets | simulated.packets):
        ones, others = (
            [reader.read(*each) for each in seen.packets.get(place, [])]
            for reader, seen in zip(readers, (linux, simulated), strict=True)
        )
        for number, (one, other) in enumerate(zip_longest(ones, others), 1):
            where = f"{place}, frame {number}"
            if one is None or other is None:
                found.append(f"{where}: only {'Linux' if one else 'simulated'}: {one or other}")
                continue
            found += [
                f"{where}, {field}: Linux {one.get(field)!r}, simulated {other.get(field)!r}"
                for field in one | other
                if one.get(field) != other.get(field)
            ]
    return found


def make_benches(case: Case, leaving: ExitStack) -> tuple[Bench, Bench]:
    """New networks for a case: Linux, and the simulated one."""
    links = [replace(link, mtu=mtu) for link, mtu in zip(LINKS, case.mtus, strict=True)]
    timeout = 1 if case.awaited else 3600  # or what is left over of one case would speak up in another
    networks = SandboxNetwork(links, timeout), SimulatedNetwork(links, reassembly_timeout=timeout)
    linux, simulated = (leaving.enter_context(closing(Bench(network))) for network in networks)
    return linux, simulated


@pytest.fixture(scope="module")
def shared(needs_sandbox: None) -> Iterator[Callable[[Case], tuple[Bench, Bench]]]:
    """Linux and the simulated network for a case: for all cases with the same MTUs the same two."""
    with ExitStack() as leaving:

        @cache
        def find(mtus: tuple[int, int]) -> tuple[Bench, Bench]:
            return make_benches(Case((), mtus=mtus), leaving)

        yield lambda case: find(case.mtus)


@pytest.fixture(scope="module")
def begun(needs_sandbox: None) -> Iterator[dict[str, list[tuple[Bench, Seen]]]]:
    """The cases that take seconds, all begun at once."""
    late = {name: case for name, case in CASES.items() if case.awaited}
    with ExitStack() as leaving:
        benches = {name: make_benches(case, leaving) for name, case in late.items()}
        yield {name: [(bench, bench.begin(case)) for bench in benches[name]] for name, case in late.items()}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.awaited])
def test_linux_and_the_simulated_network_do_the_same(name: str, shared: Callable[[Case], tuple[Bench, Bench]]) -> None:
    case = CASES[name]
    with ExitStack() as leaving:
        linux, simulated = make_benches(case, leaving) if case.alone else shared(case)
        seen = linux.begin(case), simulated.begin(case)
        linux.finish(case, seen[0])
        simulated.finish(case, seen[1])
    assert differences(case, *seen) == []


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.awaited])
def test_they_do_the_same_after_some_seconds(name: str, begun: dict[str, list[tuple[Bench, Seen]]]) -> None:
    case = CASES[name]
    for bench, seen in begun[name]:
        bench.finish(case, seen)
    (_, linux), (_, simulated) = begun[name]
    assert differences(case, linux, simulated) == []


def test_a_difference_is_told() -> None:
    """Between two simulated networks, for want of a Linux that does something else."""
    case = Case((datagram(bytes(100)),))
    seen = []
    for mtu in (100, 99):
        links = (LINKS[0], replace(LINKS[1], mtu=mtu))
        with closing(Bench(SimulatedNetwork(links))) as bench:
            seen.append(bench.begin(case))
            bench.finish(case, seen[-1])
    found = differences(case, *seen)
    assert "arrived at s0, frame 1, len: Linux 100, simulated 92" in found
    assert "arrived at s0, frame 2, frag: Linux 10, simulated 9" in found
    assert not any(line.startswith("sent from c0") for line in found)


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 60
