"""Firewall rules: what is said about them, and whether the kernel does so."""

from __future__ import annotations

import shutil
import socket
import subprocess

import pytest

from ipl_tui.diagnosis import firewall
from ipl_tui.diagnosis.firewall import eats, has_lister, read_rules
from tests.conftest import go_without

HEADER = b"\x45\0\0\x21\0\1\0\0\x40\xfd\0\0" + socket.inet_aton("127.0.0.1") * 2
PACKET = HEADER + b"ClientMessage"
PROTOCOL = 253

NFT = {
    "nothing": ("", "arrives"),
    "no rule": ("chain i { type filter hook input priority 0; }", "arrives"),
    "the policy": ("chain i { type filter hook input priority 0; policy drop; }", "drops"),
    "the policy, not for loopback": (
        'chain i { type filter hook input priority 0; policy drop; iif "lo" accept; }',
        "arrives",
    ),
    "the policy, but for answers": (
        "chain i { type filter hook input priority 0; policy drop; ct state established,related accept; }",
        "may drop",
    ),
    "the policy, but for the protocol": (
        "chain i { type filter hook input priority 0; policy drop; ip protocol 253 accept; }",
        "arrives",
    ),
    "its number": ("chain i { type filter hook input priority 0; ip protocol 253 drop; }", "drops"),
    "another number": ("chain i { type filter hook input priority 0; ip protocol 254 drop; }", "arrives"),
    "a range": ("chain i { type filter hook input priority 0; ip protocol 200-254 drop; }", "drops"),
    "a set": ("chain i { type filter hook input priority 0; meta l4proto { tcp, 253 } reject; }", "rejects"),
    "a set of others": ("chain i { type filter hook input priority 0; meta l4proto { tcp, udp } drop; }", "arrives"),
    "all but one": ("chain i { type filter hook input priority 0; ip protocol != tcp drop; }", "drops"),
    "all but it": ("chain i { type filter hook input priority 0; ip protocol != 253 drop; }", "arrives"),
    "a port": ("chain i { type filter hook input priority 0; tcp dport 22 drop; }", "arrives"),
    "what is invalid": ("chain i { type filter hook input priority 0; ct state invalid drop; }", "arrives"),
    "a source": ("chain i { type filter hook input priority 0; ip saddr 127.0.0.0/8 drop; }", "may drop"),
    "another interface": ('chain i { type filter hook input priority 0; iifname "eth*" drop; }', "arrives"),
    "this interface": ('chain i { type filter hook input priority 0; iifname "l*" counter drop; }', "drops"),
    "on its way out": ("chain o { type filter hook output priority 0; ip protocol 253 drop; }", "drops"),
    "before routing": ("chain p { type filter hook prerouting priority -300; ip protocol 253 drop; }", "drops"),
    "a chain that is jumped to": (
        "chain s { tcp dport 1 accept; drop; }; chain i { type filter hook input priority 0; jump s; }",
        "drops",
    ),
    "a chain that returns": (
        "chain s { ip protocol 253 return; drop; }; chain i { type filter hook input priority 0; jump s; }",
        "arrives",
    ),
    "a chain that is gone to": (
        "chain s { tcp dport 1 accept; }; chain i { type filter hook input priority 0; goto s; drop; }",
        "arrives",
    ),
    "a map": (
        "chain i { type filter hook input priority 0; ip protocol vmap { tcp : accept, 253 : drop }; }",
        "drops",
    ),
    "a map to a chain": (
        "chain s { drop; }; chain i { type filter hook input priority 0; ip protocol vmap { 253 : jump s }; }",
        "drops",
    ),
    "IPv6": ("chain i { type filter hook input priority 0; meta nfproto ipv6 drop; ip6 nexthdr 253 drop; }", "arrives"),
}
"""Chains of a table of family inet, and what becomes of protocol 253 on loopback."""

IPTABLES = {
    "no rule": ([], "arrives"),
    "its number": (["-A INPUT -p 253 -j DROP"], "drops"),
    "rejected": (["-A INPUT -p 253 -j REJECT"], "rejects"),
    "all but one": (["-A OUTPUT ! -p tcp -j DROP"], "drops"),
    "all but it": (["-A INPUT ! -p 253 -j DROP"], "arrives"),
    "the policy": (["-P INPUT DROP"], "drops"),
    "the policy, not for loopback": (["-P INPUT DROP", "-A INPUT -i lo -j ACCEPT"], "arrives"),
    "another interface": (["-A INPUT -i eth+ -j DROP"], "arrives"),
    "a flag without a value": (["-A INPUT -p tcp --syn -j DROP", "-A INPUT -p udp -j DROP"], "arrives"),
    "a mark": (["-A INPUT -m mark --mark 3 -j DROP"], "may drop"),
    "a remark": (["-A INPUT -m comment --comment tunnels -j DROP"], "drops"),
    "what is invalid": (["-A INPUT -m conntrack --ctstate INVALID -j DROP"], "arrives"),
    "a log": (["-A INPUT -p 253 -j LOG", "-A INPUT -p 253 -j DROP"], "drops"),
    "a chain": (["-N own", "-A INPUT -p 253 -j own", "-A own -j DROP"], "drops"),
    "a chain that returns": (["-N own", "-A INPUT -j own", "-A own -p 253 -j RETURN", "-A own -j DROP"], "arrives"),
    "before routing": (["-t raw -A PREROUTING -p 253 -j DROP"], "drops"),
}
"""Arguments of iptables, and what becomes of protocol 253 on loopback."""


@pytest.fixture
def needs(request: pytest.FixtureRequest) -> None:
    program = request.param
    if not shutil.which(program):
        go_without(f"needs {program}")


def run(command: list[str], standard_input: str = "") -> None:
    done = subprocess.run(command, input=standard_input, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def arrives() -> bool:
    """Whether a packet of the protocol reaches this namespace's own socket."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTOCOL) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender,
    ):
        receiver.setblocking(False)
        try:
            sender.sendto(PACKET, ("127.0.0.1", 0))
            return receiver.recv(100).endswith(b"ClientMessage")  # on loopback it is there when it was sent
        except OSError:  # the firewall stopped it, or nothing is there
            return False


def check(rules: str | None, expected: str) -> None:
    """Compare what is said with what is expected, and that with what the kernel does."""
    assert rules is not None
    eaters = eats(rules, PROTOCOL, "lo")
    said = eaters[0].text if eaters else "arrives"
    assert f" {expected} IP protocol 253 " in said if eaters else said == expected
    assert arrives() is (expected == "arrives") or expected.startswith("may")
    for eater in eaters:
        run([word for word in eater.remedy.split() if word != "sudo"])
    assert arrives(), "the remedy mends it"


@pytest.mark.usefixtures("needs", "own_loopback")
@pytest.mark.parametrize("needs", ["nft"], indirect=True)
@pytest.mark.parametrize("case", NFT)
def test_nftables(case: str) -> None:
    chains, expected = NFT[case]
    lines = chains.replace("; }", ";\n}")  # nft wants a line end before the brace that closes a chain
    run(["nft", "-f", "-"], f"table inet lab {{\n{lines}\n}}\n")
    check(read_rules(), expected)


@pytest.mark.usefixtures("needs", "own_loopback")
@pytest.mark.parametrize("needs", ["iptables"], indirect=True)
@pytest.mark.parametrize("case", IPTABLES)
@pytest.mark.parametrize("program", ["iptables", "iptables-legacy"])
def test_iptables(case: str, program: str) -> None:
    if not shutil.which(program):
        go_without(f"needs {program}")
    for arguments in IPTABLES[case][0]:
        run([program, *arguments.split()])
    check(read_rules(), IPTABLES[case][1])


@pytest.mark.usefixtures("needs", "own_loopback")
@pytest.mark.parametrize("needs", ["iptables"], indirect=True)
@pytest.mark.parametrize("case", IPTABLES)
def test_iptables_without_nft(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in IPTABLES[case][0]:
        run(["iptables", *arguments.split()])
    monkeypatch.setattr(firewall, "NFTABLES", ("no-such-program",))
    check(read_rules(), IPTABLES[case][1])


FORWARDING = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
COMMIT
"""


def test_what_is_only_passing_through_is_not_certain_to_matter_here() -> None:
    (eater,) = eats(FORWARDING, PROTOCOL, "eth0")
    assert eater.text == "iptables chain filter FORWARD may drop IP protocol 253 passing through"
    assert eater.remedy == "sudo iptables -I FORWARD -p 253 -j ACCEPT"
    assert not eater.certain


def test_chains_that_are_jumped_to_many_times_are_looked_at_once() -> None:
    chains = range(64)
    jumps = "".join(f"-A c{number} -j c{number + 1}\n" * 2 for number in chains)
    declared = "".join(f":c{number} - [0:0]\n" for number in (*chains, 64))
    rules = f"*filter\n:INPUT ACCEPT [0:0]\n{declared}-A INPUT -j c0\n{jumps}-A c64 -s 10.0.0.0/8 -j DROP\nCOMMIT\n"
    (eater,) = eats(rules, PROTOCOL)  # in 2 ** 64 steps, otherwise
    assert eater.text == "iptables chain filter INPUT may drop IP protocol 253 arriving"


def test_packets_that_return_meet_the_rules_after_the_jump() -> None:
    own = "-A INPUT -j own\n-A own -s 10.0.0.0/8 -j RETURN\n-A own -j DROP\n-A INPUT -j DROP\n"
    (eater,) = eats(f"*filter\n:INPUT ACCEPT [0:0]\n:own - [0:0]\n{own}COMMIT\n", PROTOCOL)
    assert eater.certain


LOOP = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j INPUT\nCOMMIT\n"


@pytest.mark.parametrize(
    "rules", ['{"nftables": [{"rule": {"family": "ip"}}]}', "{", ":x", "-A INPUT -p 253 -j DROP", LOOP]
)
def test_what_is_not_understood_is_said(rules: str) -> None:
    with pytest.raises(ValueError, match="not understood here"):
        eats(rules, PROTOCOL)


def test_without_a_program_that_lists_them_rules_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewall, "NFTABLES", ("no-such-program",))
    monkeypatch.setattr(firewall, "IPTABLES", ("no-such-program",))
    assert read_rules() is None
    assert not has_lister()


def test_a_program_that_fails_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewall, "NFTABLES", ("false",))
    monkeypatch.setattr(firewall, "IPTABLES", ("sleep", "60"))
    monkeypatch.setattr(firewall, "LONGEST_READING", 0.05)
    assert read_rules() is None
    assert has_lister()


def test_a_comment_may_be_any_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = r'*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m comment --comment "\377\302\205x" -p 253 -j DROP\nCOMMIT\n'
    monkeypatch.setattr(firewall, "NFTABLES", ("no-such-program",))
    monkeypatch.setattr(firewall, "IPTABLES", ("printf", rules))
    listed = read_rules()
    assert listed is not None
    assert [eater.certain for eater in eats(listed, PROTOCOL)] == [True]
