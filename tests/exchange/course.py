"""The two programs of a course, as plain Scapy scripts: not ours, and told nothing of us.

The client sends first and only then begins to listen. Each says on its first line that it has begun.
"""

from __future__ import annotations

SERVER = """
import sys
from scapy.all import IP, Raw, conf, send, sniff
conf.use_pcap = sys.argv[4] == "libpcap"
conf.verb = 0
interface, own_address, expected = sys.argv[1:4]

def handle(packet):
    if packet.haslayer(Raw) and packet[IP].src == expected and packet[Raw].load == b"ClientMessage":
        send(IP(src=own_address, dst=packet[IP].src, proto=253) / Raw("ServerResponse"), iface=interface)
        print("answered", flush=True)

sniff(iface=interface, filter="ip and proto 253", prn=handle, started_callback=lambda: print("listening", flush=True))
"""
"""Arguments: its interface, its address, its client's address, and "libpcap" or "sockets"."""

CLIENT = """
import sys
from scapy.all import IP, Raw, conf, send, sniff
conf.use_pcap = sys.argv[4] == "libpcap"
conf.verb = 0
interface, own_address, server = sys.argv[1:4]

def is_answer(packet):
    return packet.haslayer(Raw) and packet[Raw].load == b"ServerResponse"

for _ in range(int(sys.argv[5])):
    sys.stdin.readline()
    send(IP(src=own_address, dst=server, proto=253) / Raw("ClientMessage"), iface=interface)
    heard = sniff(
        iface=interface, filter=f"ip and proto 253 and src host {server}", stop_filter=is_answer, timeout=float(sys.argv[6])
    )
    print("heard" if any(is_answer(packet) for packet in heard) else "nothing", flush=True)
"""
"""Arguments: its interface, its address, the server's address, "libpcap" or "sockets", how often it asks, each time
when a line comes by standard input, and how many seconds it then listens."""
