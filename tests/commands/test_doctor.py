"""ipl-tui doctor: what it prints, how it ends, and what it makes of machines where things are missing."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from ipl_tui import cli
from ipl_tui.commands import doctor
from ipl_tui.diagnosis import firewall
from tests.conftest import Pair, go_without, inside, run_ip

RULES = "*filter\n:INPUT DROP [0:0]\nCOMMIT\n"


def run(*arguments: str, rules: str | None = "") -> Result:
    return CliRunner().invoke(doctor.command, arguments, obj=rules)


@pytest.mark.usefixtures("own_loopback")
class TestOutput:
    def test_where_all_is_well_it_ends_with_0(self) -> None:
        done = run()
        assert done.exit_code == 0, done.output
        assert "✔ Permission  can capture and send on lo\n" in done.output
        assert "✔ Route       to 127.0.0.1: lo, from 127.0.0.1\n" in done.output
        assert "✔ Firewall    no rule against IP protocol 253\n" in done.output
        assert done.output.endswith("\n  tcpdump     tcpdump -n -i lo 'ip proto 253'\n")

    @pytest.mark.anywhere
    def test_it_is_one_screen_of_80x24(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "executable", "/usr/bin/python3")  # the remedies name it, wherever it lies
        lines = run().output.splitlines()
        assert len(lines) <= 23, "and the shell's own line"
        assert max(map(len, lines)) <= 80

    def test_what_fails_is_marked_with_its_remedy_and_ends_with_1(self) -> None:
        done = run(rules=RULES)
        assert done.exit_code == 1
        assert (
            "✖ Firewall    iptables chain filter INPUT drops IP protocol 253 arriving\n"
            "              → sudo iptables -I INPUT -p 253 -j ACCEPT\n"
        ) in done.output

    def test_rules_that_are_not_known_do_not_fail(self) -> None:
        done = run(rules=None)
        assert done.exit_code == 0
        assert "▲ Firewall    its rules can't be read: root may, with nft or iptables\n" in done.output

    def test_a_destination_without_a_route_fails(self) -> None:
        done = run("--dst", "10.9.9.9")
        assert done.exit_code == 1
        assert "✖ Route       no route leads to 10.9.9.9\n" in done.output
        assert "→ choose the interface that it is on, with -i" in done.output

    def test_colours_are_for_terminals(self) -> None:
        assert "\x1b" not in run().output
        coloured = CliRunner().invoke(doctor.command, [], obj="", color=True)
        assert "\x1b[32m\x1b[1m✔" in coloured.output


def test_the_destination_chooses_the_interface(veth: Pair) -> None:
    with inside(veth.client.namespace):
        done = run("--dst", veth.server.address)
        assert "on c0 (" in done.output
        assert "✔ Route       to 10.0.1.20: c0, from 10.0.1.10\n" in done.output
        assert "tcpdump -n -i c0 'ip proto 253'\n" in done.output
        other = run("-i", "lo", "--dst", veth.server.address)
        assert "▲ Route       packets to 10.0.1.20 leave by c0, from 10.0.1.10, not by lo\n" in other.output
        assert "→ choose that one: -i c0\n" in other.output


def test_the_networks_of_this_program() -> None:
    assert "where tcpdump sees none" in run("-i", "simulated:client").output
    in_sandbox = run("-i", "sandbox:client").output
    assert "✔ Route       to 10.0.2.20: sandbox:client/c0 by router 10.0.1.1\n" in in_sandbox
    assert "  tcpdump     each program makes a sandbox of its own: d in the lab" in in_sandbox


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-i", "nosuch0"], 'There is no interface "nosuch0"; there are: '),
        (["--dst", "nobody"], '"nobody" is no IPv4 address'),
    ],
)
def test_what_is_no_place_is_said(arguments: list[str], sentence: str) -> None:
    done = run(*arguments)
    assert done.exit_code != 0
    assert sentence in done.output


def run_as(*options: str) -> subprocess.CompletedProcess[str]:
    """The command in a process that setpriv(1) gives less than root's rights."""
    if not shutil.which("setpriv"):
        go_without("needs setpriv")
    command = ["setpriv", *options, sys.executable, "-m", "ipl_tui", "doctor"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


@pytest.mark.usefixtures("own_loopback")
def test_as_an_ordinary_user_the_permission_is_missing() -> None:
    # Nobody may read root's Python only with this one.
    reading = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    done = run_as("--reuid=65534", "--regid=65534", "--clear-groups", *reading)
    assert "✔ Privileges  runs as nobody (uid 65534), has CAP_2\n" in done.stdout, done.stderr
    assert "✖ Permission  Capturing on lo needs permission: CAP_NET_RAW is enough\n" in done.stdout
    assert "sudo setcap cap_net_raw+ep /" in done.stdout
    assert "▲ Firewall    its rules can't be read: root may, with nft or iptables\n" in done.stdout
    assert "  tcpdump     sudo tcpdump -n -i lo 'ip proto 253'\n" in done.stdout
    assert done.returncode == 1


@pytest.mark.usefixtures("own_loopback")
def test_as_the_root_of_a_container_without_the_capability() -> None:
    done = run_as("--bounding-set=-net_raw", "--inh-caps=-net_raw")
    assert "✖ Permission  Capturing on lo needs permission" in done.stdout, done.stderr
    assert "→ start the container with --cap-add NET_RAW\n" in done.stdout
    assert done.returncode == 1


@pytest.mark.usefixtures("own_loopback")
def test_the_rules_are_read_while_root_is_not_given_up_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    root = True

    def give_up_root() -> None:
        nonlocal root
        root = False

    monkeypatch.setattr(firewall, "read_rules", lambda: RULES if root else None)
    monkeypatch.setattr(cli, "give_up_root", give_up_root)
    done = CliRunner().invoke(cli.main, ["doctor"])
    assert not root
    assert "✖ Firewall    iptables chain filter INPUT drops IP protocol 253 arriving\n" in done.output
    assert done.exit_code == 1


def test_a_public_address_is_told_from_ones_own(veth: Pair) -> None:
    run_ip("-n", veth.client.namespace, "route", "add", "default", "via", "10.0.1.20")
    with inside(veth.client.namespace):
        done = run("--dst", "203.0.113.7")
        assert "▲ NAT         packets to 203.0.113.7, a public address, leave from 10.0.1.10," in done.output
        assert "→ use 10.0.1.10, this machine's own, or 127.0.0.1\n" in done.output
        own = run("-i", "c0", "--dst", "10.0.1.10").output
        assert "What works here, on c0" in own and "NAT" not in own
        assert "10.0.1.10 is this machine's own address, reached by lo, not c0" in own
