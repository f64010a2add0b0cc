"""Three simulated hosts whose links take no time, and packets for them."""

from collections import deque
from typing import Any

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from ipl_tui.networks.reassembly import write_checksum
from ipl_tui.networks.simulated.effects import Deliver, Discard, Effect, Transmit
from ipl_tui.networks.simulated.stack import Stack
from ipl_tui.networks.topology import HOSTS, PATH, Port
from ipl_tui.packets.checksum import internet_checksum

CLIENT, ROUTER, SERVER = HOSTS
C0, R0, R1, S0 = PATH
FAR_END = {C0: R0, R0: C0, R1: S0, S0: R1}
CLIENT_ADDRESS, NEAR, FAR, SERVER_ADDRESS = (str(port.address.ip) for port in PATH)
ELSEWHERE = "192.0.2.1"
PROTOCOL = 253
BROADCAST = b"\xff" * 6
MIDNIGHT = 86_400.0 * 20_000
"""A midnight (UT), in seconds since 1970."""


class Lab:
    """The three hosts and their links, which take no time: who says what is written down."""

    def __init__(self) -> None:
        self.now = MIDNIGHT
        self.mtus = {"c0": 1500, "r0": 1500, "r1": 576, "s0": 576}
        self.stacks = {host.name: Stack(host, self.mtus.__getitem__) for host in HOSTS}
        self.frames: list[tuple[Port, bytes]] = []
        self.effects: list[Effect] = []

    def carry_out(self, effects: list[Effect]) -> None:
        waiting = deque(effects)
        while waiting:
            effect = waiting.popleft()
            self.effects.append(effect)
            if isinstance(effect, Transmit):
                self.frames.append((effect.port, effect.frame))
                far = FAR_END[effect.port]
                waiting += self.stacks[far.host].receive(far, effect.frame, self.now)

    def send(self, packet: bytes, port: Port = C0, to: bytes = b"") -> None:
        """Put a packet on the link at a port, in a frame to the other end of it, or to any address."""
        self.put(ether(packet, port, to), port)

    def put(self, frame: bytes, port: Port = C0) -> None:
        far = FAR_END[port]
        self.carry_out(self.stacks[far.host].receive(far, frame, self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass, and what is due happen when it is due."""
        end = self.now + seconds
        while True:
            dues = {name: due for name, stack in self.stacks.items() if (due := stack.due()) is not None and due <= end}
            if not dues:
                break
            name = min(dues, key=dues.__getitem__)
            self.now = max(self.now, dues[name])
            self.carry_out(self.stacks[name].tick(self.now))
        self.now = end

    @property
    def packets(self) -> list[tuple[str, bytes]]:
        """The IPv4 packets that hosts sent so far, each by the port where it left."""
        return [(port.name, frame[14:]) for port, frame in self.frames if frame[12:14] == b"\x08\x00"]

    @property
    def transcript(self) -> list[str]:
        return [f"{port} {describe(packet)}" for port, packet in self.packets]

    @property
    def reasons(self) -> list[str]:
        return [effect.reason for effect in self.effects if isinstance(effect, Discard)]

    @property
    def delivered(self) -> list[bytes]:
        return [effect.packet for effect in self.effects if isinstance(effect, Deliver)]


def acquainted() -> Lab:
    """Hosts that know their neighbours already."""
    lab = Lab()
    lab.send(datagram(payload=ICMP(), proto=1))
    assert lab.transcript == ["r1 echo 63", "s0 echo-reply 64", "r0 echo-reply 63"]
    lab.frames.clear()
    lab.effects.clear()
    return lab


def ether(packet: bytes, port: Port = C0, to: bytes = b"") -> bytes:
    return (to or FAR_END[port].hardware_address) + port.hardware_address + b"\x08\x00" + packet


def datagram(payload: bytes | Packet = b"ClientMessage", options: bytes = b"", **fields: Any) -> bytes:
    values: dict[str, Any] = {"src": CLIENT_ADDRESS, "dst": SERVER_ADDRESS, "id": 7, "proto": PROTOCOL, **fields}
    body = Raw(payload) if isinstance(payload, bytes) else payload
    packet = bytearray(bytes(IP(**values) / body))
    if options:
        packet[20:20] = options
        packet[0] += len(options) // 4
        packet[2:4] = len(packet).to_bytes(2)
        write_checksum(packet)
    return bytes(packet)


def udp(**fields: Any) -> bytes:
    return datagram(UDP(sport=5, dport=9) / b"hello", proto=17, **fields)


def tcp(payload: bytes = b"", **header: Any) -> bytes:
    return datagram(TCP(sport=5, dport=9, **header) / payload, proto=6)


def echo(size: int = 8, **fields: Any) -> bytes:
    return datagram(ICMP(id=5, seq=6) / bytes(size), proto=1, **fields)


def arp(op: int = 1, psrc: str = CLIENT_ADDRESS, pdst: str = NEAR, to: bytes = BROADCAST, **fields: Any) -> bytes:
    message = ARP(op=op, hwsrc=C0.hardware_address, psrc=psrc, pdst=pdst, **fields)
    return bytes(Ether(src=C0.hardware_address, dst=to) / message)


def describe(packet: bytes) -> str:
    """A packet in a few words: what it is, its TTL, and what matters beyond."""
    parsed = IP(packet)
    assert internet_checksum(packet[: parsed.ihl * 4]) == 0
    words = [str(parsed.proto)]
    if parsed.frag == 0 and ICMP in parsed:
        words = [parsed[ICMP].sprintf("%ICMP.type%")]
        if parsed[ICMP].type not in (0, 8):
            words = [f"{parsed[ICMP].type}/{parsed[ICMP].code}"]
    words.append(str(parsed.ttl))
    if parsed.frag or parsed.flags.MF:
        words.append(f"{parsed.frag}{'+' if parsed.flags.MF else '.'}")
    return " ".join(words).replace("echo-request", "echo")
