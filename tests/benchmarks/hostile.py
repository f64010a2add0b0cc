"""Hostile datagrams: how long keys wait while such are decoded, what memory that takes, and whether it can be left.

Run it: python -m tests.benchmarks.hostile. It needs no root.
"""

from __future__ import annotations

import os
import re
import signal
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

import psutil
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import PcapWriter

from tests.benchmarks.common import APP, Table, Terminal

KEYS = 70
ETHERNET = 1
LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def ber(tag: int, body: bytes) -> bytes:
    return bytes([tag, 0x83]) + len(body).to_bytes(3, "big") + body


def snmp(variables: int) -> bytes:
    """An SNMP request."""
    request = b"\x02\x01\1\x02\x01\0\x02\x01\0" + ber(0x30, b"\x30\x06\x06\x02\x2b\x06\x05\0" * variables)
    return ber(0x30, b"\x02\x01\0\x04\6public" + ber(0xA0, request))


def dns(labels: int, pointers: int) -> bytes:
    """A DNS query with a long name, and pointers to it."""
    head = struct.pack("!6H", 1, 0x0100, 1 + pointers, 0, 0, 0)
    return head + b"\1a" * labels + b"\0\0\1\0\1" + (b"\xc0\x0c\0\1\0\1" * pointers)


def datagram(port: int, payload: bytes, put_together: bool = False) -> bytes:
    """A frame with it; with lengths of 0, as a network card hands over what it has put together."""
    length = 0 if put_together else None
    return bytes(LINK / IP(src="192.0.2.10", dst="198.51.100.20", len=length) / UDP(dport=port, len=length) / payload)


def frames(name: str) -> list[bytes]:
    """Twelve frames, each different, so that each is tried; ordinary ones between them."""
    hostile: dict[str, Callable[[int], bytes]] = {
        "ordinary packets": lambda n: datagram(40002, bytes([n])),
        "one DNS name of 31,500 labels, 99 pointers to it": lambda n: datagram(53, dns(31_500 - n, 99)),
        "SNMP with 8,000 variables": lambda n: datagram(161, snmp(7_800 - n)),
        "SNMP with 31,000 variables, lengths 0": lambda n: datagram(161, snmp(31_000 - n), put_together=True),
        "SNMP with 1,000 variables": lambda n: datagram(161, snmp(1_100 - n)),
    }
    ordinary = datagram(40002, b"hello")
    return [frame for n in range(12) for frame in (ordinary, hostile[name](n), ordinary)]


CASES = (
    "ordinary packets",
    "one DNS name of 31,500 labels, 99 pointers to it",
    "SNMP with 8,000 variables",
    "SNMP with 31,000 variables, lengths 0",
    "SNMP with 1,000 variables",
)


class Memory(threading.Thread):
    """The most memory that a program and its children held at a time, in bytes."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.program = psutil.Process(pid)
        self.peak = 0
        self.worker = 0
        """Of that, the children's."""
        self.stopping = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.stopping.wait(0.02):
            try:
                sizes = [process.memory_info().rss for process in (self.program, *self.program.children())]
            except psutil.NoSuchProcess:
                continue
            if sum(sizes) > self.peak:
                self.peak, self.worker = sum(sizes), sum(sizes[1:])


def press_keys(terminal: Terminal) -> list[float]:
    """From a key to what it shows, in ms: the cursor goes down and up, through the hostile packets, from the start."""
    times = []
    at = 1
    for number in range(KEYS):
        key, at = ("j", at + 1) if number // 35 % 2 == 0 else ("k", at - 1)
        seen = len(terminal.chunks)
        begun = time.time()
        terminal.press(key)
        while True:
            shown = [(when, chunk) for when, chunk in list(terminal.chunks[seen:])]
            found = next((when for when, chunk in shown if re.search(rb"\xe2\x96\xb8%d\b" % at, chunk)), None)
            if found is not None:
                times.append((found - begun) * 1000)
                break
            if time.time() - begun > 30:
                raise TimeoutError(f"packet {at} was not selected")
            time.sleep(0.001)
        time.sleep(0.05)
    return times


def leave(file: Path, how: str) -> float:
    """From `q` or SIGTERM, while hostile frames are being decoded, to the end of the program, in s."""
    with Terminal((*APP, "-i", "simulated", "-r", str(file))) as terminal:
        terminal.wait_for("36 packets", "192.0.2.10")
        terminal.press("jj")
        time.sleep(0.1)
        begun = time.time()
        if how == "q":
            terminal.press("q")
        else:
            os.kill(terminal.pid, signal.SIGTERM)
        terminal.wait_for("dropped by kernel")
        return time.time() - begun


def measure() -> Table:
    columns = (
        "Twelve of them in a file of 36",
        "Median",
        "95%",
        "Longest",
        "Memory",
        "of that, the process",
        "q",
        "SIGTERM",
    )
    table = Table(f"Hostile datagrams: {KEYS} keys, from the key to what it shows", columns)
    with tempfile.TemporaryDirectory(prefix="ipl-hostile-") as folder:
        for name in CASES:
            file = Path(folder) / "hostile.pcap"
            with PcapWriter(str(file), linktype=ETHERNET) as writer:
                for frame in frames(name):
                    writer.write(frame)
            with Terminal((*APP, "-i", "simulated", "-r", str(file))) as terminal:
                memory = Memory(terminal.pid)
                terminal.wait_for("36 packets", "192.0.2.10")
                times = press_keys(terminal)
                time.sleep(2)
                memory.stopping.set()
                memory.join()
            late = quantiles(times, n=20, method="inclusive")[18]
            spread = [f"{value:.0f} ms" for value in (median(times), late, max(times))]
            sizes = [f"{value >> 20} MB" for value in (memory.peak, memory.worker)]
            ends = [f"{leave(file, how):.1f} s" for how in ("q", "SIGTERM")]
            table.rows.append((name, *spread, *sizes, *ends))
            table.bar(
                f"{name}: 95% within 100 ms, all within 250 ms", late < 100 and max(times) < 250, ", ".join(spread[1:])
            )
            table.bar(f"{name}: below 300 MB together", memory.peak < 300 << 20, sizes[0])
    return table


if __name__ == "__main__":
    print(measure())
