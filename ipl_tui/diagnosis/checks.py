"""The doctor's checks: what works here and what does not, with the command that mends it. No check sends a packet."""

from __future__ import annotations

import ctypes
import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from ipl_tui import privileges
from ipl_tui.capture.errors import permission_remedy
from ipl_tui.diagnosis.firewall import eats, has_lister
from ipl_tui.diagnosis.wireshark import find_wireshark, has_screen
from ipl_tui.networks.interface import LOOPBACK, Interface, Network
from ipl_tui.packets.ipv4 import ICMP
from ipl_tui.packets.messages import PROTOCOL

Verdict = Literal["works", "limited", "fails"]

MARKS: dict[Verdict, tuple[str, str]] = {"works": ("✔", "green"), "limited": ("▲", "yellow"), "fails": ("✖", "red")}
"""Mark before a finding and its colour, by the name that Rich and click share."""

SMALLEST_TERMINAL = 80, 24
"""Columns and lines that the lab is made for, at least."""

PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
"""The networks of RFC 1918, and the one for providers of RFC 6598."""

TRANSLATED = (ICMP, 6, 17)
"""The IP protocols that every translating router knows: by ports (TCP, UDP) or ICMP's identifiers."""

COLOURS = {"truecolor": "16 million colours", "256": "256 colours", "standard": "16 colours", "windows": "16 colours"}
"""By Rich's names for what a terminal can do."""


@dataclass(frozen=True)
class Finding:
    """Result of a check."""

    title: str
    """Subject of the check, in a word."""
    verdict: Verdict
    text: str
    remedy: str = ""
    """Command or advice that mends it; empty if nothing has to be mended."""


@dataclass(frozen=True)
class Terminal:
    """The terminal that the screen is drawn on."""

    columns: int
    lines: int
    colours: str | None
    """Rich's name for what it can do; None for no colours."""


def examine(
    interface: Interface,
    networks: Sequence[Network],
    destination: str,
    rules: str | None,
    terminal: Terminal | None,
) -> list[Finding]:
    """Every check, for an interface and a dotted-quad destination (or nothing).

    `rules` is what firewall.read_rules() gave. Takes some tens of ms: a sandbox is made to see whether it can be.
    """
    own = [each for network in networks for each in network.interfaces() if each.of_this_machine]
    real = [interface] if interface.of_this_machine else [each for each in own if each.addresses]
    return [
        check_privileges(privileges.current()),
        *[check_permission(each, each is interface) for each in real[:1]],
        check_libpcap(),
        check_interfaces(interface, own),
        *([check_route(interface, destination), *check_translation(interface, destination)] if destination else []),
        *[check_allowed(network, interface) for network in networks if network.allowed],
        *check_firewall(rules, interface),
        check_terminal(terminal),
        check_wireshark(),
    ]


def check_privileges(kept: privileges.Privileges) -> Finding:
    """Check who runs this, and which rights are kept."""
    others = sorted(kept.capabilities - {"CAP_NET_RAW"})
    named = [*sorted(kept.capabilities & {"CAP_NET_RAW"}), *(others if len(others) < 3 else [f"{len(others)} more"])]
    has = f"{' and '.join(named) or 'no capability'}{' and nothing else' if named == ['CAP_NET_RAW'] else ''}"
    number = f" (uid {kept.uid})" if kept.uid is not None else ""
    verb = "keeps" if kept.kept_from_sudo else "has"
    text = f"runs as {kept.user}{number}" + (f", {verb} {has}" if sys.platform == "linux" else "")
    if kept.uid == 0:
        remedy = f"from your own account: {with_sudo()}"
        return Finding("Privileges", "limited", f"{text}; so do dissectors", remedy)
    return Finding("Privileges", "works", text)


def check_permission(own: Interface, selected: bool = True) -> Finding:
    """Check that this machine's interfaces can capture and send; nothing fails while another is selected."""
    worst: Verdict = "fails" if selected else "limited"
    title, missing = "Permission", [ability.reason for ability in own.abilities().values() if not ability.possible]
    if not missing:
        return Finding(title, "works", f"can capture and send on {own.name}")
    text, remedy = split_reason(missing[0])
    if remedy != permission_remedy():  # it is down, or gone
        return Finding(title, worst, text, remedy)
    if privileges.current().uid == 0:
        return Finding(title, worst, f"{text}, which root has not here", "start the container with --cap-add NET_RAW")
    _, least, command = remedy.partition("the capability: ")
    text = f"{text}: CAP_NET_RAW is enough" if least else text
    return Finding(title, worst, text, f"{with_sudo()}, or the least: {command}" if least else with_sudo())


def check_libpcap() -> Finding:
    """The version of libpcap that captures, which the wheels of pcapy-ng carry."""
    from ipl_tui.capture.filters import pcapy

    scapy = f"Scapy {version('scapy')}"
    if pcapy is None:
        text = f"not there: capturing goes through {scapy}, without filters"
        remedy = "install Npcap from https://npcap.com" if sys.platform == "win32" else "pip install pcapy-ng"
        return Finding("libpcap", "limited", text, remedy)
    carrier = f"pcapy-ng {version('pcapy-ng')}"
    try:
        tell = ctypes.CDLL(pcapy.__file__).pcap_lib_version
    except (OSError, AttributeError):  # built in another way
        return Finding("libpcap", "works", f"that of {carrier}; {scapy}")
    tell.restype = ctypes.c_char_p
    return Finding("libpcap", "works", f"{tell().decode().removeprefix('libpcap version ')}, in {carrier}; {scapy}")


def check_interfaces(interface: Interface, own: Sequence[Interface]) -> Finding:
    """The interfaces and their addresses, the selected one first; whether that one is up and has an address."""
    listed = [interface, *(each for each in own if each.name != interface.name and each.addresses)]
    shown = [
        f"{each.full_name} {', '.join(map(str, each.addresses)) or 'without an IPv4 address'}"
        + (f" ({each.state})" if each.state != "up" else "")
        for each in listed
    ]
    hidden = len([each for each in own if each not in listed and each.name != interface.name])
    text = ", ".join(shown) + (f"; {hidden} more without an IPv4 address" if hidden else "")
    ip = sys.platform == "linux" and interface.of_this_machine
    if interface.state == "down":
        return Finding("Interfaces", "fails", text, f"sudo ip link set {interface.name} up" if ip else "switch it on")
    if interface.state == "no carrier":
        return Finding("Interfaces", "limited", text, f"connect the other end of {interface.name}")
    if not interface.addresses:
        remedy = f"sudo ip address add ADDRESS/24 dev {interface.name}" if ip else "give it an address"
        return Finding("Interfaces", "limited", text, remedy)
    return Finding("Interfaces", "works", text)


def check_route(interface: Interface, destination: str) -> Finding:
    """Check that packets to a destination leave by the interface selected."""
    title, host, route = "Route", interface.host, interface.route(destination)
    if route is None:
        text = f"the {host} has no route to {destination}" if host else f"no route leads to {destination}"
        return Finding(title, "fails", text, _route_remedy(interface, destination))
    if host and interface.is_own(destination):
        return Finding(title, "works", f"to {destination}: the {host}'s own address")
    source = "" if host else f", from {route.source}"  # in networks of several hosts, an interface has one address
    by = f" by router {route.router}" if route.router else ""
    if route.interface == interface.name:
        return Finding(title, "works", f"to {destination}: {interface.full_name}{source}{by}")
    if route.source == destination:
        text = f"{destination} is this machine's own address, reached by {route.interface}, not {interface.name}"
    else:
        text = f"packets to {destination} leave by {route.interface}{source}{by}, not by {interface.name}"
    return Finding(title, "limited", text, f"choose that one: -i {interface.full_name_of(route.interface)}")


def _route_remedy(interface: Interface, destination: str) -> str:
    """Advice for a user without a route."""
    if not interface.of_this_machine:
        return "choose another interface"
    if sys.platform != "linux" or any(address.ip.is_loopback for address in interface.addresses):
        return "choose the interface that it is on, with -i"
    return f"if it is on this link: sudo ip route add {destination} dev {interface.name}"


def check_translation(interface: Interface, destination: str, proto: int = PROTOCOL) -> list[Finding]:
    """Findings about the translation of addresses (NAT, RFC 3022) that a router has to do on the way to a destination:
    where this machine sends to a public one from a private one. None where no router has to, or where the protocol has
    what it takes."""
    if not interface.of_this_machine or proto in TRANSLATED or interface.is_own(destination):
        return []
    route = interface.route(destination)
    if route is None or not is_private(route.source) or not is_public(destination):
        return []
    text = (
        f"packets to {destination}, a public address, leave from {route.source}, a private one: a router between them "
        f"has to translate (NAT), and protocol {proto} has no ports for it to translate by. If {destination} is the "
        "address that a web page told you, it is that router's, and nothing leads from it back in to you"
    )
    return [Finding("NAT", "limited", text, f"use {route.source}, this machine's own, or {LOOPBACK}")]


def is_private(address: str) -> bool:
    """True if a dotted quad is for networks that share a public address: RFC 1918, or a provider's (RFC 6598)."""
    return any(IPv4Address(address) in network for network in PRIVATE)


def is_public(address: str) -> bool:
    """True if a dotted quad may be a host's in the Internet. Those for documentation count: they stand for such."""
    target = IPv4Address(address)
    other = target.is_loopback or target.is_link_local or target.is_multicast or target.is_unspecified
    return not (is_private(address) or other or int(target) >> 24 in (0, *range(240, 256)))


def check_allowed(network: Network, interface: Interface) -> Finding:
    """Check that the system allows a network that not every system allows: found out by trying. Nothing fails while
    another network's interface is selected."""
    title, ability = network.name.capitalize(), network.interfaces()[0].can_capture()
    if ability.possible:
        return Finding(title, "works", network.allowed)
    text, remedy = split_reason(ability.reason)
    return Finding(title, "fails" if network.has(interface) else "limited", text, remedy)


def check_firewall(rules: str | None, interface: Interface, proto: int = PROTOCOL) -> list[Finding]:
    """Rules of this machine that eat an IP protocol, the exchange's. They do not reach the other networks."""
    title = "Firewall"
    if not interface.of_this_machine:
        return [Finding(title, "works", f"this machine's rules do not reach the {interface.network} network")]
    if sys.platform == "darwin":
        text = "not looked at: rules are read on Linux only; a Mac has pf, and the Application Firewall for programs"
        return [Finding(title, "works", text, "sudo pfctl -s rules")]
    if sys.platform != "linux":
        return [Finding(title, "works", "not looked at: rules are read on Linux only")]
    if rules is None:
        remedy = f"{with_sudo()} doctor" if has_lister() else "sudo apt install nftables"
        return [Finding(title, "limited", "its rules can't be read: root may, with nft or iptables", remedy)]
    try:
        eaters = eats(rules, proto, interface.name)
    except ValueError as error:
        return [Finding(title, "limited", str(error), "sudo nft list ruleset")]
    return [Finding(title, "fails" if each.certain else "limited", each.text, each.remedy) for each in eaters] or [
        Finding(title, "works", f"no rule against IP protocol {proto}")
    ]


def check_terminal(terminal: Terminal | None) -> Finding:
    """The terminal's colours and size."""
    if terminal is None:
        return Finding("Terminal", "limited", "none here: the lab needs one, the commands do without")
    colours = COLOURS.get(terminal.colours or "", "no colours")
    text = f"{terminal.columns}x{terminal.lines}, {colours}"
    if os.environ.get("TERM") in (None, "", "dumb", "unknown") and sys.platform != "win32":
        return Finding("Terminal", "limited", f"{text}: TERM does not say what it is", "export TERM=xterm-256color")
    columns, lines = SMALLEST_TERMINAL
    if terminal.columns < columns or terminal.lines < lines:
        return Finding("Terminal", "limited", text, f"make it {columns}x{lines} at least")
    return Finding("Terminal", "works", text)


def check_wireshark() -> Finding:
    """Check that the lab can hand its capture to Wireshark."""
    if find_wireshark() and not has_screen():
        return Finding("Wireshark", "limited", "no graphical screen here: F8 in the lab saves the capture for it")
    if path := find_wireshark():
        return Finding("Wireshark", "works", f"{path}: w in the lab opens the capture in it")
    remedy = "sudo apt install wireshark" if sys.platform == "linux" else "https://www.wireshark.org/download.html"
    return Finding("Wireshark", "limited", "not installed: F8 in the lab saves the capture for it", remedy)


def with_sudo() -> str:
    """The command that starts this program with sudo."""
    program = sys.argv[0]
    if os.path.basename(program) == "__main__.py":
        return f"sudo {shlex.quote(sys.executable)} -m ipl_tui"
    here = os.path.relpath(program)
    return f"sudo {shlex.quote(program if here.startswith(os.pardir) else here)}"


def split_reason(reason: str) -> tuple[str, str]:
    """Problem and advice of an Ability: the sentence's parts before and after its colon, not one in brackets.

    >>> split_reason("c0 is down: bring it up first.")
    ('c0 is down', 'bring it up first')
    """
    parts = re.fullmatch(r"((?:[^(:]|\([^)]*\))*): (.*?)\.?", reason)
    return (parts[1], parts[2]) if parts else (reason.removesuffix("."), "")
