"""The checks: what each says of what it finds, and what mends it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from ipl_tui import privileges
from ipl_tui.capture import filters
from ipl_tui.capture.errors import permission_remedy
from ipl_tui.diagnosis import checks
from ipl_tui.diagnosis.checks import (
    Finding,
    Terminal,
    check_allowed,
    check_firewall,
    check_interfaces,
    check_libpcap,
    check_permission,
    check_privileges,
    check_route,
    check_terminal,
    check_translation,
    check_wireshark,
    examine,
    is_private,
    is_public,
    split_reason,
)
from ipl_tui.networks.interface import Ability, find_interface
from ipl_tui.networks.kernel import KernelInterface, KernelNetwork
from ipl_tui.networks.sandbox import SandboxNetwork
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.privileges import Privileges
from tests.conftest import Pair, inside, run_ip
from tests.fake_interface import FakeInterface, FakeNetwork

TERMINAL = Terminal(80, 24, "truecolor")
CABLE = KernelInterface("eth0", "up", (IPv4Interface("10.0.1.10/24"),), 1, 1500)


@pytest.mark.parametrize(
    ("kept", "verdict", "text"),
    [
        (Privileges(1000, "alice", frozenset(), False), "works", "runs as alice (uid 1000), has no capability"),
        (
            Privileges(1000, "alice", frozenset({"CAP_NET_RAW"}), True),
            "works",
            "runs as alice (uid 1000), keeps CAP_NET_RAW and nothing else",
        ),
        (
            Privileges(1000, "alice", frozenset({"CAP_NET_RAW", "CAP_NET_ADMIN"}), False),
            "works",
            "runs as alice (uid 1000), has CAP_NET_RAW and CAP_NET_ADMIN",
        ),
        (
            Privileges(0, "root", frozenset({"CAP_NET_RAW", "CAP_1", "CAP_2", "CAP_3"}), False),
            "limited",
            "runs as root (uid 0), has CAP_NET_RAW and 3 more; so do dissectors",
        ),
        (Privileges(0, "root", frozenset(), False), "limited", "runs as root (uid 0), has no capability; so do"),
    ],
)
def test_what_is_kept_is_said(kept: Privileges, verdict: str, text: str) -> None:
    finding = check_privileges(kept)
    assert finding.verdict == verdict
    assert finding.text.startswith(text)
    assert ("sudo ipl-tui" in finding.remedy) == (kept.uid == 0)


class TestPermission:
    FORBIDDEN = Ability(False, f"Capturing on eth0 needs permission: {permission_remedy()}.")

    def test_there(self) -> None:
        assert check_permission(FakeInterface("eth0")) == Finding("Permission", "works", "can capture and send on eth0")

    def test_missing_with_the_least_that_is_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(privileges, "current", lambda: Privileges(1000, "alice", frozenset(), False))
        finding = check_permission(FakeInterface("eth0", ability=self.FORBIDDEN))
        assert (finding.verdict, finding.text) == (
            "fails",
            "Capturing on eth0 needs permission: CAP_NET_RAW is enough",
        )
        assert finding.remedy.startswith("sudo ipl-tui, or the least: sudo setcap cap_net_raw+ep /")

    def test_missing_for_the_root_of_a_container(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(privileges, "current", lambda: Privileges(0, "root", frozenset(), False))
        finding = check_permission(FakeInterface("eth0", ability=self.FORBIDDEN))
        assert (finding.verdict, finding.remedy) == ("fails", "start the container with --cap-add NET_RAW")

    def test_of_an_interface_that_is_down(self) -> None:
        down = FakeInterface("eth0", ability=Ability(False, "eth0 is down: bring it up first."))
        assert check_permission(down) == Finding("Permission", "fails", "eth0 is down", "bring it up first")


class TestLibpcap:
    def test_its_version_is_told(self) -> None:
        finding = check_libpcap()
        assert finding.verdict == "works"
        assert finding.text.startswith("1.")
        assert "in pcapy-ng 2." in finding.text
        assert "; Scapy 2." in finding.text

    def test_where_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(filters, "pcapy", None)
        finding = check_libpcap()
        assert (finding.verdict, finding.remedy) == ("limited", "pip install pcapy-ng")

    def test_where_it_does_not_tell(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def cannot(path: str) -> None:
            raise OSError

        monkeypatch.setattr("ctypes.CDLL", cannot)
        assert check_libpcap().text.startswith("that of pcapy-ng 2.")


class TestInterfaces:
    def test_the_selected_one_is_the_first(self) -> None:
        others = [FakeInterface("lo", "127.0.0.1/8"), CABLE, FakeInterface("ifb0"), FakeInterface("ifb1")]
        finding = check_interfaces(CABLE, others)
        assert (finding.verdict, finding.remedy) == ("works", "")
        assert finding.text == "eth0 10.0.1.10/24, lo 127.0.0.1/8; 2 more without an IPv4 address"

    @pytest.mark.parametrize(
        ("interface", "verdict", "remedy"),
        [
            (replace(CABLE, state="down"), "fails", "sudo ip link set eth0 up"),
            (replace(CABLE, state="no carrier"), "limited", "connect the other end of eth0"),
            (replace(CABLE, addresses=()), "limited", "sudo ip address add ADDRESS/24 dev eth0"),
        ],
    )
    def test_what_is_wrong_with_it_and_what_mends_it(
        self, interface: KernelInterface, verdict: str, remedy: str
    ) -> None:
        finding = check_interfaces(interface, [interface])
        assert (finding.verdict, finding.remedy) == (verdict, remedy)


class TestRoute:
    def test_by_the_interface_selected(self, veth: Pair) -> None:
        with inside(veth.client.namespace):
            run_ip("-n", veth.client.namespace, "route", "add", "default", "via", "10.0.1.20")
            c0 = find_interface("c0", [KernelNetwork()])
            assert check_route(c0, "10.0.1.20") == Finding("Route", "works", "to 10.0.1.20: c0, from 10.0.1.10")
            assert check_route(c0, "8.8.8.8").text == "to 8.8.8.8: c0, from 10.0.1.10 by router 10.0.1.20"

    def test_by_another(self, veth: Pair) -> None:
        with inside(veth.client.namespace):
            lo = find_interface("lo", [KernelNetwork()])
            finding = check_route(lo, "10.0.1.20")
        text = "packets to 10.0.1.20 leave by c0, from 10.0.1.10, not by lo"
        assert finding == Finding("Route", "limited", text, "choose that one: -i c0")

    def test_to_the_machine_itself(self, veth: Pair) -> None:
        with inside(veth.client.namespace):
            finding = check_route(find_interface("c0", [KernelNetwork()]), "10.0.1.10")
        assert finding.verdict == "limited"
        assert finding.text == "10.0.1.10 is this machine's own address, reached by lo, not c0"

    def test_none_and_the_command_that_mends_it(self, veth: Pair) -> None:
        with inside(veth.client.namespace):
            c0 = find_interface("c0", [KernelNetwork()])
            finding = check_route(c0, "10.0.9.9")
            assert (finding.verdict, finding.text) == ("fails", "no route leads to 10.0.9.9")
            command = finding.remedy.removeprefix("if it is on this link: sudo ip ")
            run_ip("-n", veth.client.namespace, *command.split())
            assert check_route(c0, "10.0.9.9").verdict == "works"

    @pytest.mark.parametrize("system", ["darwin", "win32"])
    def test_none_where_there_is_no_such_command(self, monkeypatch: pytest.MonkeyPatch, system: str) -> None:
        monkeypatch.setattr("sys.platform", system)
        monkeypatch.setattr(KernelInterface, "route", lambda *_: None)
        assert check_route(CABLE, "10.0.9.9").remedy == "choose the interface that it is on, with -i"

    @pytest.mark.parametrize(
        ("interface", "destination", "verdict", "text"),
        [
            ("client", "10.0.2.20", "works", "to 10.0.2.20: simulated:client/c0 by router 10.0.1.1"),
            ("client", "10.0.1.1", "works", "to 10.0.1.1: simulated:client/c0"),
            ("router/r0", "10.0.2.20", "limited", "packets to 10.0.2.20 leave by r1, not by r0"),
            ("router/r0", "8.8.8.8", "fails", "the router has no route to 8.8.8.8"),
            ("server", "10.0.2.20", "works", "to 10.0.2.20: the server's own address"),
        ],
    )
    def test_in_the_network_of_the_plan(self, interface: str, destination: str, verdict: str, text: str) -> None:
        finding = check_route(SimulatedNetwork().find(interface), destination)
        assert (finding.verdict, finding.text) == (verdict, text)


class TestSandbox:
    def test_there(self, sandbox: SandboxNetwork) -> None:
        text = "user namespaces are allowed: it works, without root"
        assert check_allowed(sandbox, CABLE) == Finding("Sandbox", "works", text)

    def test_forbidden_it_limits_and_fails_whoever_has_selected_it(self) -> None:
        reason = "This system allows no more namespaces, which the sandbox needs: sudo sysctl x=1."
        network = FakeNetwork("sandbox", inner := FakeInterface("c0", ability=Ability(False, reason)))
        finding = check_allowed(network, CABLE)
        assert (finding.title, finding.verdict, finding.remedy) == ("Sandbox", "limited", "sudo sysctl x=1")
        assert check_allowed(network, inner).verdict == "fails"


class TestFirewall:
    RULES = "*filter\n:INPUT DROP [0:0]\nCOMMIT\n"

    def test_each_chain_that_eats_is_named_with_what_mends_it(self) -> None:
        assert check_firewall(self.RULES, CABLE) == [
            Finding(
                "Firewall",
                "fails",
                "iptables chain filter INPUT drops IP protocol 253 arriving",
                "sudo iptables -I INPUT -p 253 -j ACCEPT",
            )
        ]
        assert check_firewall("", CABLE) == [Finding("Firewall", "works", "no rule against IP protocol 253")]

    def test_it_does_not_reach_the_networks_of_this_program(self) -> None:
        (finding,) = check_firewall(self.RULES, SimulatedNetwork().find("client"))
        assert finding.verdict == "works"

    @pytest.mark.parametrize(
        ("lister", "remedy"), [(True, "sudo ipl-tui doctor"), (False, "sudo apt install nftables")]
    )
    def test_rules_that_are_not_known_are_not_guessed(
        self, lister: bool, remedy: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(checks, "has_lister", lambda: lister)
        (finding,) = check_firewall(None, CABLE)
        assert (finding.verdict, finding.remedy) == ("limited", remedy)
        assert "can't be read" in finding.text

    def test_rules_that_are_not_understood(self) -> None:
        (finding,) = check_firewall("-A INPUT -j DROP", CABLE)
        assert (finding.verdict, finding.remedy) == ("limited", "sudo nft list ruleset")


@pytest.mark.parametrize(
    ("terminal", "term", "verdict", "text"),
    [
        (TERMINAL, "xterm", "works", "80x24, 16 million colours"),
        (Terminal(200, 60, None), "xterm", "works", "200x60, no colours"),
        (Terminal(79, 24, "256"), "xterm", "limited", "79x24, 256 colours"),
        (Terminal(80, 23, "standard"), "xterm", "limited", "80x23, 16 colours"),
        (TERMINAL, "dumb", "limited", "80x24, 16 million colours: TERM does not say what it is"),
        (None, "xterm", "limited", "none here: the lab needs one, the commands do without"),
    ],
)
def test_the_terminal(
    terminal: Terminal | None, term: str, verdict: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    finding = check_terminal(terminal)
    assert (finding.verdict, finding.text) == (verdict, text)


def test_wireshark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "find_wireshark", lambda: "/usr/bin/wireshark")
    monkeypatch.setenv("DISPLAY", ":0")
    assert check_wireshark().verdict == "works"
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "no graphical screen" in check_wireshark().text
    monkeypatch.setattr(checks, "find_wireshark", lambda: "")
    assert check_wireshark().verdict == "limited"
    assert check_wireshark().remedy == "sudo apt install wireshark"


@pytest.mark.parametrize(
    ("reason", "parts"),
    [
        ("c0 is down: bring it up first.", ("c0 is down", "bring it up first")),
        (
            "A policy forbids it (unshare: Operation not permitted): run outside of it.",
            ("A policy forbids it (unshare: Operation not permitted)", "run outside of it"),
        ),
        ("This kernel has none.", ("This kernel has none", "")),
        ("Sending needs permission: run so, or so: sudo x.", ("Sending needs permission", "run so, or so: sudo x")),
    ],
)
def test_a_reason_is_split_into_what_is_and_what_to_do(reason: str, parts: tuple[str, str]) -> None:
    assert split_reason(reason) == parts


def test_all_is_examined_and_nothing_is_sent(sandbox: SandboxNetwork) -> None:
    before = os.listdir("/proc/self/fd")
    network = FakeNetwork("kernel", interface := FakeInterface("lo", "127.0.0.1/8"))
    interface.of_this_machine = True
    titles = [each.title for each in examine(interface, [network, sandbox], "127.0.0.1", "", TERMINAL)]
    assert titles == [
        "Privileges",
        "Permission",
        "libpcap",
        "Interfaces",
        "Route",
        "Sandbox",
        "Firewall",
        "Terminal",
        "Wireshark",
    ]
    assert interface.sent == []
    assert len(os.listdir("/proc/self/fd")) == len(before)


class TestTranslation:
    """The course uses the address that a web page told the student: that of the router that translates (NAT)."""

    @pytest.fixture
    def behind_a_router(self, veth: Pair) -> Iterator[None]:
        """The test runs in a namespace whose addresses are private and whose default route leads to a router."""
        run_ip("-n", veth.client.namespace, "route", "add", "default", "via", "10.0.1.20")
        with inside(veth.client.namespace):
            yield

    def test_a_public_address_from_a_private_one(self, behind_a_router: None) -> None:
        (finding,) = check_translation(KernelNetwork().find("c0"), "203.0.113.7")
        assert (finding.title, finding.verdict) == ("NAT", "limited")
        assert finding.text == (
            "packets to 203.0.113.7, a public address, leave from 10.0.1.10, a private one: a router between them has "
            "to translate (NAT), and protocol 253 has no ports for it to translate by. If 203.0.113.7 is the address "
            "that a web page told you, it is that router's, and nothing leads from it back in to you"
        )
        assert finding.remedy == "use 10.0.1.10, this machine's own, or 127.0.0.1"

    @pytest.mark.parametrize("destination", ["10.9.9.9", "192.168.1.1", "100.64.0.1", "127.0.0.1", "10.0.1.10"])
    def test_nothing_translates_on_the_way_to_a_private_address_or_to_itself(
        self, behind_a_router: None, destination: str
    ) -> None:
        assert check_translation(KernelNetwork().find("c0"), destination) == []

    @pytest.mark.parametrize("proto", [1, 6, 17])
    def test_what_every_router_translates(self, behind_a_router: None, proto: int) -> None:
        assert check_translation(KernelNetwork().find("c0"), "203.0.113.7", proto) == []

    def test_from_a_public_address_nothing_has_to_be_translated(self, behind_a_router: None, veth: Pair) -> None:
        run_ip("-n", veth.client.namespace, "address", "add", "198.51.100.9/32", "dev", "c0")
        for kind in (("198.51.100.8", "dev", "c0"), ("default", "via", "10.0.1.20")):
            run_ip("-n", veth.client.namespace, "route", "replace", *kind, "src", "198.51.100.9")
        assert check_translation(KernelNetwork().find("c0"), "203.0.113.7") == []
        assert check_translation(KernelNetwork().find("c0"), "198.51.100.9") == []  # its own

    def test_without_a_way_none_leaves(self, veth: Pair) -> None:
        with inside(veth.client.namespace):
            assert check_translation(KernelNetwork().find("c0"), "203.0.113.7") == []

    def test_the_networks_of_the_plan_translate_nothing(self) -> None:
        assert check_translation(SimulatedNetwork().find("client"), "203.0.113.7") == []

    @pytest.mark.parametrize(
        ("address", "private", "public"),
        [
            ("9.255.255.255", False, True), ("10.0.0.0", True, False), ("10.255.255.255", True, False),
            ("172.15.0.1", False, True), ("172.16.0.1", True, False), ("172.31.9.9", True, False),
            ("172.32.0.0", False, True), ("192.168.0.1", True, False), ("192.169.0.1", False, True),
            ("100.63.0.1", False, True), ("100.64.0.1", True, False), ("100.127.0.1", True, False),
            ("100.128.0.1", False, True), ("203.0.113.7", False, True), ("169.254.1.1", False, False),
            ("127.0.0.1", False, False), ("224.0.0.1", False, False), ("240.0.0.1", False, False),
            ("255.255.255.255", False, False), ("0.1.2.3", False, False), ("0.0.0.0", False, False),
        ],
    )  # fmt: skip
    def test_which_addresses_are_private_and_which_public(self, address: str, private: bool, public: bool) -> None:
        assert (is_private(address), is_public(address)) == (private, public)
