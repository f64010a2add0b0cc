"""ipl-tui send: real packets on a cable and on the networks of its own, and what it says to nonsense."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click
import pytest
from click.testing import CliRunner, Result
from scapy.layers.inet import ICMP, IP

from ipl_tui.commands import send
from ipl_tui.commands.common import SelectedInterface
from ipl_tui.exchange.engine import ServerConfig
from ipl_tui.exchange.engines import make_server
from ipl_tui.networks.interface import SendError
from ipl_tui.networks.kernel import KernelNetwork
from ipl_tui.packets.fields import FIELDS, read_header
from ipl_tui.packets.hex import hex_dump
from ipl_tui.packets.messages import CLIENT_MESSAGE
from ipl_tui.tracking.expected_answers import Answer
from tests.conftest import Pair, Wire, inside
from tests.fake_interface import FakeInterface, FakeNetwork

SENT = "Sent 1 × 33 bytes, exact, on simulated:client/c0\n"


def run(*arguments: str, piped: str | bytes | None = None) -> Result:
    return CliRunner().invoke(send.command, arguments, input=piped)


def simulated(*arguments: str, piped: str | bytes | None = None) -> Result:
    return run("-i", "simulated:client", *arguments, piped=piped)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeInterface:
    """The interface that every name is, with one address."""
    interface = FakeInterface("f0", "10.0.9.9/24")
    network = FakeNetwork("fake", interface)

    @contextmanager
    def select_interface(
        name: str | None, destination: str | None = None, anyhow: bool = False, stay: bool = False
    ) -> Iterator[SelectedInterface]:
        yield SelectedInterface(interface, network, (network,))

    monkeypatch.setattr(send, "select_interface", select_interface)
    return interface


def sent_by(fake: FakeInterface, *arguments: str, piped: str | bytes | None = None) -> bytes:
    """The one packet that was sent."""
    done = run("-i", "f0", "--dst", "10.0.9.1", *arguments, piped=piped)
    assert done.exit_code == 0, done.output
    ((packet, method),) = fake.sent
    assert f"Sent 1 × {len(packet):,} bytes, {method}, on f0\n" in done.stdout
    return packet


# What is sent


def test_the_default_is_the_composers() -> None:
    done = simulated("--dry-run")
    dump = bytes(IP(src="10.0.1.10", dst="10.0.2.20", proto=253) / CLIENT_MESSAGE)
    assert done.stdout.splitlines()[-5:-2] == hex_dump(dump)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--version", "5"], {"version": 5}),
        (["--ihl", "7"], {"ihl": 7}),
        (["--dscp", "46", "--ecn", "3"], {"dscp": 46, "ecn": 3}),
        (["--len", "0x1234"], {"len": 0x1234}),
        (["--id", "0b101"], {"id": 5}),
        (["--reserved", "--df", "--mf"], {"reserved": 1, "df": 1, "mf": 1}),
        (["--reserved=1", "--df", "0", "--mf", "1"], {"reserved": 1, "df": 0, "mf": 1}),
        (["--frag", "8191"], {"frag": 8191}),
        (["--ttl", "0"], {"ttl": 0}),
        (["--proto", "icmp"], {"proto": 1}),
        (["--chksum", "0xbeef"], {"chksum": 0xBEEF}),
        (["--src", "203.0.113.1"], {"src": "203.0.113.1"}),
        (["--src", ""], {"src": "10.0.9.9"}),
        (["--dst", "10.0.9.2"], {"dst": "10.0.9.2"}),
        (["--options", "07:07:04:00 00 00 00"], {"options": bytes.fromhex("0707040000000000"), "ihl": 7}),
    ],
)
def test_every_field_is_an_option(fake: FakeInterface, arguments: list[str], expected: dict[str, object]) -> None:
    header = read_header(sent_by(fake, *arguments))
    assert {name: header[name] for name in expected} == expected


def test_every_field_of_the_header_is_explained() -> None:
    text = " ".join(run("--help").stdout.split())
    assert all(f"--{field.name} " in text for field in FIELDS)
    assert "--df [0|1] Don't Fragment. 1: a router" in text
    assert "(traceroute). RFC 791 §3.1. [default: 64]" in text


@pytest.mark.parametrize(
    ("arguments", "piped", "payload"),
    [
        ([], None, CLIENT_MESSAGE),
        (["--payload", ""], None, b""),
        (["--payload", r"a\x00\n\\é"], None, b"a\0\n\\\xc3\xa9"),
        (["--hex", "--payload", "0xde:ad, be ef"], None, b"\xde\xad\xbe\xef"),
        (["--hex"], "dead\nbe ef\n", b"\xde\xad\xbe\xef"),
        (["--hex"], b"41" * 65_515, b"A" * 65_515),
    ],
)
def test_the_payload(fake: FakeInterface, arguments: list[str], piped: str | bytes | None, payload: bytes) -> None:
    assert sent_by(fake, *arguments, piped=piped)[20:] == payload


def test_what_contradicts_itself_is_said_and_sent(fake: FakeInterface) -> None:
    done = run("-i", "f0", "--dst", "10.0.9.1", "--version", "6", "--ttl", "0", "--method", "kernel", "--id", "0")
    assert done.exit_code == 0
    assert done.stderr.splitlines() == [
        "▲ Version says 6; IPv4 is 4.",
        "▲ Time to Live is 0: no router forwards it.",
        "▲ The kernel will choose an Identification in place of 0; exact sends yours.",
    ]
    assert [method for _, method in fake.sent] == ["kernel"]


@pytest.mark.parametrize("options", ["8327", "0783", "070b04"])
@pytest.mark.parametrize("dry", [["--dry-run"], []], ids=["dry run", "sent"])
def test_options_longer_than_they_are(fake: FakeInterface, options: str, dry: list[str]) -> None:
    done = run("-i", "f0", "--dst", "10.0.9.1", "--options", options, *dry)
    assert done.exit_code == 0
    assert done.stderr.startswith("▲ ") and "bytes, only 4 are left in the header." in done.stderr
    assert len(fake.sent) == (0 if dry else 1)


def test_an_interface_without_an_address(monkeypatch: pytest.MonkeyPatch, fake: FakeInterface) -> None:
    fake.addresses = ()
    done = run("-i", "f0", "--dst", "10.0.9.1")
    assert "▲ f0 has no IPv4 address: the source is 0.0.0.0. --src gives another.\n" in done.stderr
    assert read_header(fake.sent[0][0])["src"] == "0.0.0.0"
    assert run("-i", "f0", "--dst", "10.0.9.1", "--src", "10.0.9.5").stderr == ""


# Dry run


def test_a_dry_run_draws_the_packet_and_sends_nothing(fake: FakeInterface) -> None:
    fake.on_send = lambda: pytest.fail("it was sent")
    done = run("--dst", "10.0.9.1", "--dry-run", "--wait", "--count", "3", "--ttl", "7", "--payload", r"\x1b[31m")
    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    assert {len(line) for line in lines[:14]} == {65}
    assert "│ 7             │ 253           │" in lines[6]
    assert lines[-1] == "Not sent: 3 × 25 bytes, exact, on f0"
    assert "\x1b" not in done.output
    assert lines[-3].endswith("·[31m")


# What comes back


def test_the_answer_of_the_simulated_server() -> None:
    done = simulated("--wait")
    assert done.exit_code == 0, done.output
    first, second = done.stdout.splitlines(keepends=True)
    assert first == SENT
    assert second.startswith("From 10.0.2.20: ServerResponse, 34 bytes, after ")


def test_the_error_of_the_simulated_router() -> None:
    done = simulated("--wait", "--ttl", "1", "--show")
    assert done.exit_code == 1
    assert done.stderr.startswith("10.0.1.1 says time exceeded: its Time to Live was used up on the way; after ")
    assert done.stdout.startswith(SENT + "###[ Ethernet ]###\n")
    assert "###[ IP in ICMP ]###" in done.stdout


def test_the_answer_in_full() -> None:
    done = simulated("--wait", "--show")
    assert "load      = b'ServerResponse'" in done.stdout


def test_an_echo_reply() -> None:
    echo = bytes(ICMP(id=7, seq=2) / b"\x1b[31m").hex()
    done = simulated("--wait", "5", "--proto", "ICMP", "--hex", piped=echo)
    assert done.exit_code == 0
    assert "From 10.0.2.20: echo-reply" in done.stdout
    assert "\x1b" not in done.output


def test_nothing_comes_back() -> None:
    done = simulated("--wait", "0.05", "--chksum", "1")
    assert done.exit_code == 1
    (why,) = done.stderr.splitlines()[1:]
    assert why.startswith("Sent on c0, seen on c0, nothing came back in ")
    assert "its Header Checksum is wrong" in why


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--payload", "hello"], "it is neither a ping nor exactly ClientMessage by protocol 253"),
        (["--proto", "1"], "it is neither a ping nor exactly ClientMessage by protocol 253"),
        (["--dst", "10.0.2.99"], "servers listen at 10.0.1.10, 10.0.1.1, 10.0.2.1, 10.0.2.20 only, not at 10.0.2.99"),
    ],
)
def test_why_nothing_comes_back(arguments: list[str], reason: str) -> None:
    done = simulated("--wait", "0.05", *arguments)
    assert done.exit_code == 1
    assert reason in done.stderr
    assert "F6" not in done.stderr and "F9" not in done.stderr


def test_each_answer_and_a_summary() -> None:
    done = simulated("--wait", "--count", "3", "--interval", "0.01")
    assert done.exit_code == 0
    *answers, sent = done.stdout.splitlines()
    assert [line.split(",")[0] for line in answers] == ["From 10.0.2.20: ServerResponse"] * 3
    assert sent == "Sent 3 × 33 bytes, exact, on simulated:client/c0"
    assert "\n3 sent, 3 answered, 0 lost; " in done.stderr


def test_times_that_nobody_knows_are_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    answers = [Answer(b"", b"", delay, sure) for delay, sure in ((1_000_000, True), (9_000_000, False))]
    send.print_summary(answers, 3)
    assert capsys.readouterr().err == (
        "3 sent, 2 answered, 1 lost; 1.00 / 1.00 / 1.00 ms least, median, most; 1 while several waited, not timed\n"
    )


def test_errors_are_counted() -> None:
    done = simulated("--wait", "--count", "2", "--interval", "0.01", "--ttl", "1")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == "2 sent, 0 answered, 2 ICMP errors, 0 lost"


@pytest.mark.usefixtures("needs_sandbox")
def test_the_sandbox_answers() -> None:
    done = run("-i", "sandbox:client", "--wait")
    assert done.exit_code == 0, done.output
    assert "From 10.0.2.20: ServerResponse, 34 bytes, after " in done.stdout


def test_over_a_cable(veth: Pair) -> None:
    with inside(veth.server.namespace), closing(KernelNetwork().find("s0")) as server:
        responder = make_server("socket", ServerConfig(server))
        responder.start()
    try:
        with closing(Wire(veth.client.namespace, "c0")) as wire, inside(veth.client.namespace):
            done = run("--dst", "10.0.1.20", "--id", "0x77", "--wait", "--df")
            assert done.exit_code == 0, done.output
            assert done.stdout.startswith("Sent 1 × 33 bytes, exact, on c0\nFrom 10.0.1.20: ServerResponse, 34 bytes, ")
            request = wire.wait_for(lambda packet: packet[9] == 253)
            assert request == bytes(
                IP(src="10.0.1.10", dst="10.0.1.20", proto=253, id=0x77, flags="DF") / CLIENT_MESSAGE
            )
            # The kernel has no objection to the answer, which came before this echo reply.
            assert run("--dst", "10.0.1.20", "--proto", "1", "--hex", "--payload", "0800f7ff00000000").exit_code == 0
            wire.wait_for(lambda packet: packet[9] == 1 and packet[20] == 0)
            assert not any(packet[9] == 1 and packet[20] == 3 for packet in wire.packets)
    finally:
        responder.stop()


@pytest.mark.parametrize("named", [[], ["-i", "c0"], ["-i", "lo"]], ids=["by the route", "by its interface", "lo"])
@pytest.mark.parametrize(
    ("source", "expected"),
    [([], "10.0.1.10"), (["--src", "10.0.1.10"], "10.0.1.10"), (["--src", "127.0.0.1"], "127.0.0.1")],
)
def test_an_own_address_is_reached_by_loopback_and_its_answer_is_heard(
    veth: Pair, named: list[str], source: list[str], expected: str
) -> None:
    with inside(veth.client.namespace):
        interface = KernelNetwork().find("c0")
        responder = make_server("socket", ServerConfig(interface))
        with closing(interface), closing(Wire(veth.client.namespace, "lo")) as wire:
            responder.start()
            try:
                done = run(*named, "--dst", "10.0.1.10", "--wait", *source)
            finally:
                responder.stop()
            request = wire.wait_for(lambda packet: packet[9] == 253)
    assert read_header(request)["src"] == expected
    assert done.stdout.startswith("Sent 1 × 33 bytes, kernel, on lo\n")
    said = "10.0.1.10 is this machine's own address: lo takes it, not c0.\n" if named == ["-i", "c0"] else ""
    assert done.stderr.startswith(said)
    if expected == "10.0.1.10":  # from another address, a socket bound to c0 has no way to answer
        assert (done.exit_code, done.stderr) == (0, said)
        assert "From 10.0.1.10: ServerResponse, 34 bytes" in done.stdout


def test_an_exact_frame_to_an_own_address_is_refused_where_nobody_receives_it(veth: Pair) -> None:
    with inside(veth.client.namespace):
        done = run("-i", "c0", "--dst", "10.0.1.10", "--method", "exact")
    assert done.exit_code == 1
    assert done.stderr.endswith(
        "10.0.1.10 is this machine's own address and no frame reaches it: kernel delivers it.\n"
    )


def test_nobody_listens_over_a_cable(veth: Pair) -> None:
    with inside(veth.client.namespace):
        done = run("-i", "c0", "--dst", "10.0.1.20", "--wait", "--src", "10.0.1.10")
        assert done.exit_code == 1
        assert done.stderr.startswith("10.0.1.20 says protocol unreachable: nobody there listens to this protocol")
        done = run("-i", "c0", "--dst", "10.0.1.20", "--wait", "0.05", "--src", "192.0.2.1")
        assert (done.exit_code, "its Source is 192.0.2.1, no address of c0" in done.stderr) == (1, True)


def test_where_no_route_leads(veth: Pair) -> None:
    sentence = "No route leads from this machine to 203.0.113.1: choose an interface with -i."
    with inside(veth.client.namespace):
        done = run("--dst", "203.0.113.1")
        assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"Error: {sentence}\n")
        done = run("--dst", "203.0.113.1", "--dry-run")
        assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.usefixtures("own_loopback")
def test_on_loopback() -> None:
    done = run("--wait", "--proto", "ICMP", "--hex", "--payload", "0800f7ff00000000")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Sent 1 × 28 bytes, kernel, on lo\nFrom 127.0.0.1: echo-reply 0, 28 bytes, after ")
    done = run("--wait", "0.05")
    assert (done.exit_code, "Sent on lo, seen on lo, nothing came back" in done.stderr) == (1, True)


# The end before the end


def test_a_problem_says_how_many_were_sent(fake: FakeInterface) -> None:
    def fail() -> None:
        if len(fake.sent) == 2:
            raise SendError("f0 is down.")

    fake.on_send = fail
    done = run("-i", "f0", "--dst", "10.0.9.1", "--count", "5", "--interval", "0.001")
    assert done.exit_code == 1
    assert done.stdout == "Sent 2 × 33 bytes, exact, on f0\n"
    assert done.stderr.endswith("Error: f0 is down. (2 were sent)\n")


def test_without_permission(fake: FakeInterface) -> None:
    def refuse() -> None:
        raise SendError("Sending on f0 needs permission: run with sudo.")

    fake.on_send = refuse
    done = run("-i", "f0", "--dst", "10.0.9.1")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "Error: Sending on f0 needs permission: run with sudo.\n"


@pytest.mark.anywhere
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_cleanly(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "ipl_tui", "send", "-i", "simulated:client", "--wait", "--count", "100"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("From 10.0.2.20: ServerResponse")
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out.splitlines()[-1].endswith("× 33 bytes, exact, on simulated:client/c0; stopped before 100")
    assert err.splitlines()[-1].startswith("1 sent, 1 answered")
    assert "Traceback" not in err


# Nonsense


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ttl", "300"], "--ttl: Time to Live is 8 bits: 0 to 255."),
        (["--ttl", ""], "--ttl: Time to Live needs a number, 0 to 255."),
        (["--df", "2"], "--df: Don't Fragment is 1 bit: 0 or 1."),
        (["--proto", "nosuch"], "--proto: Protocol needs a number, 0 to 255, or a keyword such as ICMP."),
        (["--dst", "localhost"], '--dst: Destination needs an address such as 10.0.1.10; "localhost" is a name.'),
        (["--src", "1.2.3"], '--src: Source needs an address such as 10.0.1.10; "1.2.3" is not one.'),
        (["--options", "070"], "--options: Options has 3 hex digits; a byte is two."),
        (["--options", "01" * 41], "--options: Options have 41 bytes; IHL can count 40."),
        (["--payload", r"\q"], r'--payload: Payload: "\q" is no escape'),
        (["--payload", "x" * 65_516], "--payload: The packet has 65,536 bytes; Total Length can count 65,535."),
        (["--hex", "--payload", "abc"], "--payload: Payload has 3 hex digits; a byte is two."),
        (["--hex", "--payload", "\x1b["], r'--payload: Payload is hex: "\x1b" is no hex digit.'),
        (["--count", "0"], "'--count': 0 is not in the range"),
        (["--count", "100001"], "'--count': 100001 is not in the range"),
        (["--interval", "0"], "'--interval': 0.0 is not in the range"),
        (["--interval", "nan"], "'--interval'"),
        (["--wait", "0"], "'--wait': 0.0 is not in the range"),
        (["--wait", "nan"], "'--wait'"),
        (["--show"], "--show prints what comes back: it needs --wait."),
        (["--method", "magic"], "'--method'"),
    ],
)
def test_what_makes_no_sense_names_its_option(arguments: list[str], sentence: str) -> None:
    done = simulated(*arguments)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert done.stdout == ""
    assert "\x1b" not in done.output


def test_everything_that_is_wrong_is_said_at_once() -> None:
    done = simulated("--ttl", "300", "--dst", "nobody", "--options", "0")
    assert [line.partition("--")[2].partition(":")[0] for line in done.stderr.splitlines()[-3:]] == [
        "ttl",
        "dst",
        "options",
    ]


@pytest.mark.parametrize(
    ("piped", "sentence"),
    [
        ("", "--hex found nothing on standard input"),
        (" \n", "--hex found nothing on standard input"),
        ("4", "--payload: Payload has 1 hex digit"),
        ("zz", '--payload: Payload is hex: "z" is no hex digit.'),
        (b"\xff\xfe", "is no hex digit"),
        ("0" * 131_040, "--payload: The packet has 65,540 bytes"),
        ("0" * 1_000_000, "--hex: standard input has more than an IPv4 packet's 65,535 bytes."),
    ],
)
def test_standard_input_that_is_no_payload(piped: str | bytes, sentence: str) -> None:
    done = simulated("--hex", piped=piped)
    assert done.exit_code == 2
    assert sentence in done.stderr


def test_nobody_types_hex() -> None:
    ours, theirs = pty.openpty()
    try:
        command = [sys.executable, "-m", "ipl_tui", "send", "-i", "simulated:client", "--hex"]
        done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=20)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2
    assert "--hex reads standard input, which is a terminal" in done.stderr


def test_an_interface_that_leads_nowhere_needs_a_destination(fake: FakeInterface) -> None:
    done = run("-i", "f0")
    assert done.exit_code == 2
    assert "f0 has no usual destination: give one with --dst." in done.stderr


def test_there_is_no_such_interface() -> None:
    done = run("-i", "nosuch0")
    assert (done.exit_code, 'There is no interface "nosuch0"' in done.stderr) == (1, True)


def test_it_starts_without_what_it_does_not_need() -> None:
    program = (
        "import sys, ipl_tui.commands.send; print([m for m in ('scapy', 'textual', 'psutil') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert done.stdout == "[]\n"


def test_it_is_a_command() -> None:
    from ipl_tui.cli import main

    assert isinstance(main.get_command(click.Context(main), "send"), click.Command)
