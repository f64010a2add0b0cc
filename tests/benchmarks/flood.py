"""Flood: 1,000,000 frames as fast as tcpreplay can send them, into the app and what people use today.

Each captures on one end of a veth pair while tcpreplay sends on the other. Run it: python -m tests.benchmarks.flood
"""

from __future__ import annotations

import random
import re
import struct
import subprocess
import sys
import tempfile
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

from ipl_tui.packets.craft import Draft, craft
from tests.benchmarks.common import APP, Table, Terminal, benchmark_cable, cost, in_namespace, installed, settle
from tests.conftest import Pair

FRAMES, LOOPS = 100_000, 10
SENT = FRAMES * LOOPS

# To a MAC address that is nobody's: captured, and then ignored by the kernel, which has enough to do.
LINK_HEADER = bytes.fromhex("020000000099 020000000001 0800")

SCAPY = """
import signal, sys
from scapy.all import AsyncSniffer
sniffer = AsyncSniffer(iface=sys.argv[1], started_callback=lambda: print("listening", flush=True))
signal.signal(signal.SIGINT, lambda *_: None)
sniffer.start()
signal.pause()
print("kept", len(sniffer.stop()), flush=True)
"""


@dataclass(frozen=True)
class Peer:
    """Somebody who captures."""

    name: str
    command: tuple[str, ...]
    ready: str
    """What it shows when it captures."""
    leave: str
    """The keys that end it."""
    file: Path | None
    """Where it keeps what it captured; without it, it says at its end how many it "kept"."""


def make_frames(path: Path) -> None:
    """A pcap of IPv4 frames of mixed sizes, 60 to 1400 bytes; one in a hundred is an exchange's."""
    chance = random.Random(253)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number in range(FRAMES):
            source, destination = f"10.0.9.{100 + number % 50}", "10.0.9.2"
            if number % 200 == 100:
                draft = Draft(id=number % 65536, src=source, dst=destination, payload=b"ClientMessage")
            elif number % 200 == 101:
                source, destination = destination, f"10.0.9.{100 + (number - 1) % 50}"
                draft = Draft(id=number % 65536, src=source, dst=destination, payload=b"ServerResponse")
            else:
                # Many small, some middling, few long, as on the Internet (and in the IMIX of those who test routers).
                size = chance.choice((60, 60, 60, chance.randint(60, 200), chance.randint(60, 600), 1400))
                payload = chance.randbytes(size - len(LINK_HEADER) - 20)
                draft = Draft(id=number % 65536, proto=254, src=source, dst=destination, payload=payload)
            frame = LINK_HEADER + craft(draft).packet
            file.write(struct.pack("<IIII", number // 1_000_000, number % 1_000_000, len(frame), len(frame)) + frame)


def count_kept(file: Path) -> int:
    """What capinfos says is in a file."""
    told = subprocess.run(["capinfos", "-T", "-r", "-m", "-c", str(file)], capture_output=True, text=True)
    # It complains when the writer has not flushed the last frame, but counts those before it.
    return int(told.stdout.strip().split(",")[1])


def span(file: Path) -> tuple[float, float]:
    """When the first and the last frame of a file came, in s since the epoch."""
    command = ["capinfos", "-T", "-r", "-m", "-a", "-e", "-S", str(file)]
    _, first, last = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split(",")
    return float(first), float(last)


def longest_gap(chunks: list[tuple[float, bytes]], first: float, last: float) -> float:
    """The longest time, in s, that the app's screen showed the same count of frames while frames arrived.

    From the arrival of the first frame to the first count, and so on to the count after the last frame's arrival.
    """
    ends = list(accumulate(len(chunk) for _, chunk in chunks))
    updates, shown = [first], b"0"
    for found in re.finditer(rb"([\d,]+) captured", b"".join(chunk for _, chunk in chunks)):
        if found[1] != shown:
            shown = found[1]
            updates.append(chunks[bisect_left(ends, found.end())][0])
            if updates[-1] > last:
                break
    return max(after - before for before, after in pairwise(updates))


def run(peer: Peer, pair: Pair, frames: Path, home: Path, table: Table) -> None:
    """Flood one and add its row, and the app's bars."""
    environment = {"XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home)}
    with Terminal(peer.command, pair.server.namespace, peer.leave, **environment) as terminal:
        terminal.wait_for(peer.ready)
        before = settle(terminal.pid)
        replay = ["tcpreplay", "--topspeed", f"--loop={LOOPS}", "-K", "-i", pair.client.interface, str(frames)]
        told = subprocess.run(
            in_namespace(pair.client.namespace, replay), capture_output=True, text=True, check=True
        ).stdout
        during = cost(terminal.pid)
        after = settle(terminal.pid)
        if peer.file is not None and peer.name == "termshark":
            kept = count_kept(peer.file)  # its dumpcap has written all of it by now
    text = terminal.text()
    rate = re.search(r"Rated: .* ([\d.]+) pps", told)
    sent = re.search(r"Successful packets:\s+(\d+)", told)
    assert rate and sent and int(sent[1]) == SENT, told
    if peer.file is None:
        said = re.search(r"kept (\d+)", text)
        kept = int(said[1]) if said else 0
    elif peer.name != "termshark":
        kept = count_kept(peer.file)
    cpu, memory = after.cpu - before.cpu, max(during.memory, after.memory) / 1e6
    gap = ""
    if peer.name == "ipl-tui":
        assert peer.file is not None
        longest = longest_gap(terminal.chunks, *span(peer.file)) * 1000
        gap = f"{longest:.0f} ms"
        # On the screen, and when it leaves.
        dropped = max(int(n.replace(",", "")) for n in re.findall(r"([\d,]+) (?:packets )?dropped", text))
        table.bar("Nothing dropped by the kernel", dropped == 0, f"{dropped:,}")
        table.bar("Every frame in the file", kept == SENT, f"{kept:,}")
        table.bar("Longest gap between two updates under 150 ms", longest < 150, gap)
        table.bar("Peak memory under 180 MB", memory < 180, f"{memory:.0f} MB")
    table.rows.append(
        (
            peer.name,
            f"{kept:,}",
            f"{SENT - kept:,}",
            f"{kept / SENT:.1%}",
            f"{float(rate[1]):,.0f}/s",
            f"{cpu:.1f} s",
            f"{memory:.0f} MB",
            gap,
        )
    )


def measure() -> Table:
    columns = ("Capturing", "Kept", "Lost", "", "Sent at", "CPU", "Peak memory", "Longest gap between updates")
    table = Table(f"Flood: {SENT:,} frames over veth", columns)
    if not installed("tcpreplay") or not installed("capinfos"):
        table.not_installed("tcpreplay and capinfos")
        return table
    with tempfile.TemporaryDirectory(prefix="ipl-flood-") as folder, benchmark_cable() as pair:
        home, frames = Path(folder), Path(folder) / "frames.pcap"
        home.chmod(0o777)  # tcpdump gives root up before it opens its file
        make_frames(frames)
        on = ("-i", pair.server.interface)

        def peer(name: str, command: tuple[str, ...], ready: str, leave: str, file: str) -> Peer:
            return Peer(name, (*command, *on, "-w", str(home / file)), ready, leave, home / file)

        for one in (
            peer("ipl-tui", APP, "● capturing", "q", "ipl-tui.pcapng"),
            peer("tcpdump -w", ("tcpdump",), "listening on", "\x03", "tcpdump.pcap"),
            Peer(
                "Scapy's AsyncSniffer",
                (sys.executable, "-c", SCAPY, pair.server.interface),
                "listening",
                "\x03",
                None,
            ),
            peer("termshark", ("termshark",), "termshark", "q\r", "termshark.pcapng"),
        ):
            if installed(one.command[0]):
                run(one, pair, frames, home, table)
                if one.file is not None:
                    one.file.unlink(missing_ok=True)
            else:
                table.not_installed(one.name)
    return table


if __name__ == "__main__":
    print(measure())
