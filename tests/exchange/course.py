"""The two programs of a course, as plain Scapy scripts: not ours, and told nothing of us.

The client sends first, and only then begins to listen.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

SERVER = """
import sys
from scapy.all import IP, Raw, conf, send, sniff
interface, own_address, expected, way = sys.argv[1:]
conf.use_pcap = way == "libpcap"
conf.verb = 0

def handle(packet):
    if packet.haslayer(Raw) and packet[IP].src == expected and packet[Raw].load == b"ClientMessage":
        send(IP(src=own_address, dst=packet[IP].src, proto=253) / Raw("ServerResponse"), iface=interface)

sniff(iface=interface, filter="ip and proto 253", prn=handle, started_callback=lambda: print("begun", flush=True))
"""
"""Its arguments: its interface, its address, its client's address, and "libpcap" or "sockets"."""

CLIENT = """
import sys
from scapy.all import IP, Raw, conf, send, sniff
interface, own_address, server, way = sys.argv[1:]
conf.use_pcap = way == "libpcap"
conf.verb = 0

def is_answer(packet):
    return packet.haslayer(Raw) and packet[Raw].load == b"ServerResponse"

print("begun", flush=True)
for _ in sys.stdin:
    send(IP(src=own_address, dst=server, proto=253) / Raw("ClientMessage"), iface=interface)
    wanted = f"ip and proto 253 and src host {server}"
    packets = sniff(iface=interface, filter=wanted, stop_filter=is_answer, timeout=15)
    print("heard" if any(map(is_answer, packets)) else "nothing", flush=True)
"""
"""Its arguments: its interface, its address, the server's address, and "libpcap" or "sockets". It asks once for each
line that it is given."""


class Program:
    """One of them, running."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self) -> None:
        """Have the client ask, and listen."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def says(self) -> str:
        """Its next line, when it has come."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def running(program: str, arguments: Sequence[str], namespace: str = "") -> Iterator[Program]:
    """A program that has begun, in a network namespace if one is named; it is killed afterwards."""
    where = ("ip", "netns", "exec", namespace) if namespace else ()
    with subprocess.Popen(
        [*where, sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            started = Program(process)
            assert started.says() == "begun"
            yield started
        finally:
            process.kill()
