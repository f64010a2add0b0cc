"""ipl-tui sniff, as a process of its own in pipes and terminals, and what it prints of any bytes."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from ipl_tui.capture.files import read_capture
from ipl_tui.capture.frames import Frame, StoredInterface
from ipl_tui.capture.store import Store
from ipl_tui.commands.sniff import Printer, View, as_json, as_line, decoded
from ipl_tui.packets import dissect as dissecting
from ipl_tui.packets.budget import SHARED, Budget, summarise
from ipl_tui.session.rows import make_row
from tests.capture.formats.making import NO_CAPTURE
from tests.conftest import run_ip, wait_until

APP = (sys.executable, "-m", "ipl_tui", "sniff")
PATIENCE = 20

LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
NETWORK = LINK / IP(src="10.0.1.10", dst="10.0.2.20")
PACKETS: list[Packet] = [
    LINK / IP(src="10.0.1.10", dst="10.0.2.20", proto=253) / b"ClientMessage",
    NETWORK / UDP(sport=40000, dport=53) / DNS(qd=[DNSQR(qname="a.b")]),
    NETWORK / TCP(sport=40000, dport=40001) / b"\x1b]0;owned\x07\x1b[31m",
    LINK / IP(src="10.0.1.10", dst="10.0.2.20", options=[IPOption_RR(routers=["1.2.3.4"], length=7)]) / ICMP(),
]


def capture_of(packets: list[Packet]) -> bytes:
    """A pcap file in ns; the first packet's time is 1,700,000,000.123456789 s, each of the others 1 ms later."""
    file = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)
    for number, frame in enumerate(map(bytes, packets)):
        file += struct.pack("<4I", 1_700_000_000, 123_456_789 + number * 1_000_000, len(frame), len(frame)) + frame
    return file


CAPTURE = capture_of(PACKETS)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.pcap"
    path.write_bytes(CAPTURE)
    return path


def sniff(*arguments: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*APP, *arguments], input=given, capture_output=True, timeout=PATIENCE)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def sniffing(*arguments: str | Path, **pipes: Any) -> Iterator[subprocess.Popen[bytes]]:
    """One that runs; it is killed if it has not ended by itself."""
    process = subprocess.Popen(
        [*APP, *arguments], **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "bufsize": 0, **pipes}
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def piped(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def send(*payloads: bytes) -> None:
    """Send datagrams to this namespace's loopback, where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for payload in payloads:
            sender.sendto(payload, ("127.0.0.1", 40000))


def test_a_file_is_listed_in_a_line_a_packet(file: Path) -> None:
    done = sniff("-r", file)
    assert done.returncode == 0
    assert done.stderr == "4 packets read\n"
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert lines[0] == "    1     0.000000 10.0.1.10       → 10.0.2.20       253         47 ClientMessage"
    assert lines[1].split()[:7] == ["2", "0.001000", "10.0.1.10", "→", "10.0.2.20", "DNS", "63"]
    assert r"\x1b]0;owned\x07\x1b[31m" in lines[2]
    assert all(line.isprintable() for line in lines)


def test_show_prints_what_scapys_show_does(file: Path) -> None:
    done = sniff("-r", file, "--show")
    views = [view.splitlines()[1:] for view in done.stdout.split("\n\n") if view]
    expected = [packet.__class__(bytes(packet)).show(dump=True) or "" for packet in PACKETS]
    assert [[line.removesuffix("   correct").strip() for line in view] for view in views] == [
        [line.strip() for line in view.splitlines()] for view in expected
    ]


def test_json_is_an_object_a_line(file: Path) -> None:
    done = sniff("-r", file, "--json")
    objects = [json.loads(line, parse_float=Decimal) for line in done.stdout.splitlines()]
    assert [each["number"] for each in objects] == [1, 2, 3, 4]
    assert [each["length"] for each in objects] == [len(packet) for packet in PACKETS]
    assert objects[1]["time"] == Decimal("1700000000.124456789")
    assert [layer["name"] for layer in objects[1]["layers"]] == ["Ethernet", "IP", "UDP", "DNS"]
    header = objects[3]["layers"][1]["fields"]
    assert (header["version"], header["tos"], header["proto"], header["src"]) == (4, 0, "icmp", "10.0.1.10")
    route, _ = header["options"]
    assert route["name"] == "IP Option Record Route"
    assert route["fields"]["pointer"] == 4


def test_a_capture_that_is_piped_in_is_printed_as_it_comes() -> None:
    with sniffing("-r", "-", stdin=subprocess.PIPE) as process:
        source = piped(process.stdin)
        source.write(CAPTURE[: 24 + 16 + 47])
        assert b"ClientMessage" in piped(process.stdout).readline()
        source.write(CAPTURE[24 + 16 + 47 :])
        assert b"DNS" in piped(process.stdout).readline()
        source.close()
        assert process.wait(PATIENCE) == 0
        assert piped(process.stderr).read() == b"4 packets read\n"


@pytest.mark.anywhere
@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order_while_a_pipe_says_nothing(asked: signal.Signals) -> None:
    with sniffing("-r", "-", stdin=subprocess.PIPE) as process:
        piped(process.stdin).write(CAPTURE)
        for _ in PACKETS:
            assert piped(process.stdout).readline()
        process.send_signal(asked)
        process.send_signal(asked)
        assert process.wait(PATIENCE) == 0
        assert piped(process.stderr).read() == b"4 packets read\n"


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("opened", [True, False])
def test_a_signal_ends_it_in_order_while_a_pipe_with_a_name_says_nothing(
    tmp_path: Path, opened: bool, asked: signal.Signals
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with sniffing("-r", path) as process:
        wait_until(lambda: _has_opened(process.pid, path), PATIENCE)
        if opened:
            writer = os.open(path, os.O_WRONLY)
            os.write(writer, CAPTURE)
            for _ in PACKETS:
                assert piped(process.stdout).readline()
        process.send_signal(asked)
        process.send_signal(asked)
        assert process.wait(PATIENCE) == 0
        assert piped(process.stderr).read() == b"%d packets read\n" % (4 if opened else 0)
        if opened:
            os.close(writer)


def _has_opened(pid: int, path: Path) -> bool:
    with suppress(FileNotFoundError):  # it has closed another meanwhile
        return any(os.readlink(each) == str(path) for each in Path(f"/proc/{pid}/fd").iterdir())
    return False


def test_a_signal_ends_it_in_order_while_a_pipe_given_by_its_number_says_nothing() -> None:
    reader, writer = os.pipe()
    with sniffing("-r", f"/dev/fd/{reader}", pass_fds=[reader]) as process:
        os.close(reader)
        os.write(writer, CAPTURE)
        for _ in PACKETS:
            assert piped(process.stdout).readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert piped(process.stderr).read() == b"4 packets read\n"
    os.close(writer)


def test_what_is_piped_in_is_not_written_into_itself(file: Path) -> None:
    with file.open("rb") as given, sniffing("-r", "-", "-w", file, stdin=given) as process:
        assert process.wait(PATIENCE) == 1
        said = piped(process.stderr).read()
    assert said == b"Error: standard input can't be read into itself: write to another file.\n"
    assert file.read_bytes() == CAPTURE


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (CAPTURE, 0, "4 packets read\n"),
        (CAPTURE[:-1], 1, "3 packets read\nError: FILE is cut short after 3 packets; those before it are shown.\n"),
    ],
)
def test_a_closed_output_is_no_trouble(file: Path, content: bytes, status: int, said: str) -> None:
    file.write_bytes(content)
    with sniffing("-r", file, preexec_fn=lambda: os.close(1)) as process:
        assert process.wait(PATIENCE) == status
        assert piped(process.stderr).read().decode().replace(str(file), "FILE") == said


def test_whoever_reads_may_have_seen_enough(tmp_path: Path) -> None:
    path = tmp_path / "long.pcap"
    path.write_bytes(CAPTURE[:24] + CAPTURE[24:] * 5000)
    with sniffing("-r", path) as process:
        assert b"ClientMessage" in piped(process.stdout).readline()
        piped(process.stdout).close()
        assert process.wait(PATIENCE) == 0
        assert piped(process.stderr).read() == b""


def test_ctrl_c_ends_it_while_nobody_reads_what_it_prints(tmp_path: Path) -> None:
    path = tmp_path / "long.pcap"
    path.write_bytes(CAPTURE[:24] + CAPTURE[24:] * 5000)
    with sniffing("-r", path, "--show") as process:
        output = piped(process.stdout).fileno()
        piped(process.stdout).read(1)
        wait_until(lambda: _is_waiting(process.pid), PATIENCE)  # the pipe is full
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        said = piped(process.stderr).read().decode().splitlines()
        assert said[0].endswith(" packets read")
        assert said[1].endswith(" of them not printed")
        assert os.read(output, 100)


def _is_waiting(pid: int) -> bool:
    """Whether the main thread waits for a pipe to be read."""
    return "pipe" in Path(f"/proc/{pid}/wchan").read_text()


@pytest.mark.parametrize("most", [1, 3, 4, 9])
def test_count_is_exact(file: Path, tmp_path: Path, most: int) -> None:
    written = tmp_path / "written.pcapng"
    done = sniff("-r", file, "-c", str(most), "-w", written, "--list")
    count = min(most, 4)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == count
    with Store() as store:
        read_capture(written, store)
        assert [store.frame(number).data for number in range(1, len(store) + 1)] == [
            bytes(packet) for packet in PACKETS[:count]
        ]


def test_a_written_file_is_all_that_is_made_unless_more_is_asked_for(file: Path, tmp_path: Path) -> None:
    written = tmp_path / "written.pcapng"
    done = sniff("-r", file, "-f", "ip proto 253", "-w", written)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"1 packet read\nThe capture is in {written}\n"
    with Store() as store:
        read_capture(written, store)
        assert len(store) == 1


def test_a_capture_goes_through_pipes_unchanged(tmp_path: Path) -> None:
    command = " ".join(APP)
    written = tmp_path / "x.pcapng"
    subprocess.run(
        f"{command} -r - -w - | gzip | {command} -r - -w - > {written}", input=CAPTURE, shell=True, timeout=PATIENCE
    )
    with Store() as store:
        read_capture(written, store)
        frames = [store.frame(number) for number in range(1, len(store) + 1)]
    assert [frame.data for frame in frames] == [bytes(packet) for packet in PACKETS]
    assert [frame.time % 10**9 for frame in frames] == [123_456_789 + 10**6 * number for number in range(4)]


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["-i", "nosuch0"], 1, 'There is no interface "nosuch0"; there are: '),
        (["-i", "simulated", "-f", "ip prot 1"], 1, "The capture filter does not compile: "),
        (["-c", "0"], 2, "0 is not in the range x>=1"),
        (["-c", "-1"], 2, "-1 is not in the range x>=1"),
        (["-c", "x"], 2, "'x' is not a valid integer"),
        (["-r", "/nonexistent"], 1, "There is no file /nonexistent."),
        (["-r", "/"], 1, "Cannot read /: Is a directory."),
        (["-r", "-"], 1, f"standard input {NO_CAPTURE}"),
        (["-r", "FILE", "-i", "lo"], 2, "-i captures on an interface, -r reads a file: give one of them."),
        (["-r", "FILE", "-f", "ip prot 1"], 1, "The filter does not compile: "),
        (["-r", "FILE", "-w", "/nonexistent/x"], 1, "Cannot write the capture to /nonexistent/x: no such file"),
        (["-r", "FILE", "-w", "/"], 1, "/ is not a plain file"),
        (["-r", "FILE", "-w", "FILE"], 1, "can't be read into itself"),
        (["-r", "FILE", "-w", "-", "--json"], 2, "Standard output can't have both, the capture and --json"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    file: Path, arguments: list[str], status: int, sentence: str
) -> None:
    done = sniff(*(str(file) if word == "FILE" else word for word in arguments))
    assert done.returncode == status
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert file.read_bytes() == CAPTURE


@pytest.mark.parametrize(
    ("given", "shown", "sentence"),
    [
        (b"garbage " * 99, 0, f"standard input {NO_CAPTURE}"),
        (CAPTURE[:-1], 3, "standard input is cut short after 3 packets; those before it are shown."),
        (CAPTURE + b"\xff" * 16, 4, "standard input is damaged after 4 packets; those before it are shown."),
    ],
)
def test_a_bad_capture_is_shown_up_to_where_it_is_bad(given: bytes, shown: int, sentence: str) -> None:
    done = sniff("-r", "-", given=given)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == shown
    assert done.stderr == f"{shown} packets read\nError: {sentence}\n"


@pytest.mark.parametrize("option", ["-r", "-w"])
def test_the_empty_name_is_no_file(option: str) -> None:
    ended = sniff(option, "")
    assert ended.returncode == 2
    assert ended.stderr.endswith("the name of a file is needed, and it is empty.\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
@pytest.mark.parametrize("options", [["--list"], ["--json"], ["-w", "-"]])
def test_an_output_that_is_full_is_said_in_a_sentence(file: Path, options: list[str]) -> None:
    with open("/dev/full", "wb") as full, sniffing("-r", file, *options, stdout=full) as process:
        assert process.wait(PATIENCE) == 1
        said = piped(process.stderr).read().decode()
    assert "Error: Cannot write to standard output: no space left on device.\n" in said
    if "-w" not in options:
        read, lost = (int(line.split()[0]) for line in said.splitlines()[:2])
        assert read == lost > 0, "nothing came out"
    assert "Traceback" not in said and "Exception" not in said


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_is_for_terminals(file: Path, variables: dict[str, str], coloured: bool) -> None:
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", **variables}
    with sniffing("-r", file, "-c", "1", stdout=slave, env=environment) as process:
        assert process.wait(PATIENCE) == 0
    line = os.read(master, 10_000)
    os.close(master)
    os.close(slave)
    assert b"ClientMessage" in line
    assert (b"\x1b[" in line) is coloured


def test_the_terminal_is_neither_a_capture_nor_a_place_for_one(file: Path) -> None:
    master, slave = pty.openpty()
    for arguments, sentence in ((["-r", "-"], b"Nothing is piped into it"), (["-w", "-"], b"A terminal can't show")):
        with sniffing(*arguments, stdin=slave, stdout=slave) as process:
            assert process.wait(PATIENCE) == 2
            assert sentence in piped(process.stderr).read()
    os.close(master)
    os.close(slave)


class TestLive:
    """On a loopback interface of its own."""

    @pytest.fixture(autouse=True)
    def permitted(self, own_loopback: None) -> None:
        """These tests capture and send."""

    @contextmanager
    def capturing(self, *arguments: str | Path, **pipes: Any) -> Iterator[subprocess.Popen[bytes]]:
        with sniffing(*arguments, **pipes) as process:
            assert piped(process.stderr).readline() == b"Capturing on lo; Ctrl+C ends it.\n"
            yield process

    def test_packets_are_printed_as_they_come_until_ctrl_c(self) -> None:
        with self.capturing("-f", "udp") as process:  # without a default route, loopback
            for payload in (b"first", b"second"):
                send(payload)
                assert payload in piped(process.stdout).readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
            assert piped(process.stderr).read() == b"2 packets captured\n0 packets dropped by kernel\n"

    def test_it_captures_where_the_default_route_leads(self) -> None:
        run_ip("link", "add", "out0", "type", "veth", "peer", "name", "out1")
        run_ip("address", "add", "192.0.2.1/24", "dev", "out0")
        for name in ("out0", "out1"):
            run_ip("link", "set", name, "up")
        run_ip("route", "add", "default", "via", "192.0.2.254")
        with sniffing() as process:
            assert piped(process.stderr).readline() == b"Capturing on out0; Ctrl+C ends it.\n"

    def test_it_ends_after_exactly_as_many_packets(self, tmp_path: Path) -> None:
        written = tmp_path / "x.pcapng"
        with self.capturing("-i", "lo", "-f", "udp", "-c", "3", "-w", written, "--json") as process:
            send(*[b"x"] * 10)
            assert process.wait(PATIENCE) == 0
            assert len(piped(process.stdout).read().splitlines()) == 3
            assert b"3 packets captured\n" in piped(process.stderr).read()
        with Store() as store:
            read_capture(written, store)
            assert len(store) == 3

    def test_a_program_that_reads_from_it_sees_packets_as_they_come(self) -> None:
        with (
            self.capturing("-i", "lo", "-f", "udp", "-w", "-") as process,
            sniffing("-r", "-", "--json", stdin=process.stdout) as reader,
        ):
            send(b"through the pipe")
            packet = json.loads(piped(reader.stdout).readline())
            assert packet["interface"] == "lo"
            assert packet["layers"][-1]["fields"]["load"] == b"through the pipe".hex()
            process.send_signal(signal.SIGTERM)
            assert (process.wait(PATIENCE), reader.wait(PATIENCE)) == (0, 0)

    def test_an_interface_that_goes_down_is_said(self) -> None:
        with self.capturing("-i", "lo") as process:
            run_ip("link", "set", "lo", "down")
            assert process.wait(PATIENCE) == 1
            assert b"Error: lo went down or was removed" in piped(process.stderr).read()


def test_on_a_network_of_its_own_it_says_who_sends_there() -> None:
    with sniffing("-i", "simulated") as process:
        said = piped(process.stderr)
        assert said.readline() == b"Capturing on simulated:client/c0; Ctrl+C ends it.\n"
        assert b"ipl-tui client -i simulated --show does" in said.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert said.read() == b"0 packets captured\n0 packets dropped by kernel\n"


@given(st.binary(max_size=120), st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 101, 113, 276, 9999]), st.text())
def test_whatever_the_bytes_what_is_printed_is_harmless(data: bytes, time: int, linktype: int, name: str) -> None:
    interface = StoredInterface(name, linktype)
    for frame in (data, bytes(IP()) + data, bytes(PACKETS[1])[:42] + data):
        packet = Frame(1, time, frame, len(frame), 0)
        text = as_json(packet, interface)
        assert text.isascii() and text.isprintable()
        parsed = json.loads(text, parse_float=Decimal)
        assert (parsed["time"] * 10**9, parsed["length"], parsed["interface"]) == (time, len(frame), name)
        assert parsed["layers"]
        row = make_row(packet, interface, summarise(frame, linktype, len(frame)))
        for line in [as_line(row, 0), *decoded(packet, interface)]:
            assert line.replace("\x1b[", "").isprintable()
            assert line.count("\x1b") <= 4  # ours


def many_interfaces(count: int = 3_000) -> bytes:
    """A pcapng file of so many interfaces with names of their own, and a packet on each."""
    frame = bytes(PACKETS[0])
    padded = frame + bytes(-len(frame) % 4)
    described, sent = [], []
    for number in range(count):
        name = b"if%06d" % number
        described.append(block(1, struct.pack("<HHIHH", 1, 0, 0, 2, len(name)) + name))
        sent.append(block(6, struct.pack("<5I", number, 0, number, len(frame), len(frame)) + padded))
    return b"".join([block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)), *described, *sent])


def block(kind: int, body: bytes) -> bytes:
    return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))


class TestThousandsOfInterfaces:
    """Each of them once cost 50 ms at the end, and no signal was heard meanwhile: 150 s, PATIENCE is less."""

    @pytest.fixture
    def many(self, tmp_path: Path) -> Path:
        path = tmp_path / "many.pcapng"
        path.write_bytes(many_interfaces())
        return path

    def test_all_are_read(self, many: Path, tmp_path: Path) -> None:
        assert sniff("-r", many, "-w", tmp_path / "copy.pcapng").stderr.startswith("3,000 packets read\n")
        with Store() as store:
            read_capture(tmp_path / "copy.pcapng", store)
            assert len(store.interfaces) == 3_000

    def test_enough_is_enough(self, many: Path) -> None:
        done = sniff("-r", many, "-c", "1")
        assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (0, 1, "1 packet read\n")

    def test_a_reader_that_has_seen_enough_ends_it(self, many: Path) -> None:
        with sniffing("-r", many) as process:
            assert b"ClientMessage" in piped(process.stdout).readline()
            piped(process.stdout).close()
            process.wait(PATIENCE)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_signals_end_it_while_nobody_reads(self, many: Path, number: int) -> None:
        with sniffing("-r", many, "--show") as process:  # more than a pipe holds
            assert piped(process.stdout).read(1)
            process.send_signal(number)
            process.wait(PATIENCE)
            assert b"packets read" in piped(process.stderr).read()


@pytest.fixture
def printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[bytes, View], str]:
    """What is printed of a file, without a process of its own."""

    def show(content: bytes, view: View) -> str:
        (tmp_path / "given").write_bytes(content)
        read_capture(tmp_path / "given", Printer(view))
        return capsys.readouterr().out

    return show


Printed = Callable[[bytes, View], str]


def test_what_a_snap_length_cut_off_is_said_in_every_view(printed: Printed) -> None:
    whole = bytes(NETWORK / TCP(sport=40000, dport=40001) / (b"G" * 367))
    content = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 68, 1) + struct.pack("<4I", 1, 0, 68, 421) + whole[:68]
    assert " 421 captured 68 of 421 bytes: 40000 > 40001" in printed(content, "list")
    shown = printed(content, "show")
    assert "###[ Raw ]###   captured 68 of 421 bytes" in shown
    assert "wrong" not in shown
    packet = json.loads(printed(content, "json"))
    assert (packet["length"], packet["captured"]) == (421, 68)
    assert packet["layers"][1]["fields"]["len"] == 407
    assert packet["layers"][3]["fields"] == {"load": "47" * 14}


def test_a_header_that_ends_early_is_said_in_every_view(printed: Printed) -> None:
    frame = bytes(PACKETS[0])[:33]
    content = CAPTURE[:24] + struct.pack("<4I", 1, 0, len(frame), len(frame)) + frame
    row = "10.0.1.10       →                 253         33 header ends after 19 bytes, without dst"
    assert row in printed(content, "list")
    assert "###[ IP ]###   header ends after 19 bytes, without dst" in printed(content, "show")
    packet = json.loads(printed(content, "json"))
    assert packet["layers"][1]["fields"]["src"] == "10.0.1.10"
    assert "dst" not in packet["layers"][1]["fields"]


def test_a_packet_without_a_time_shows_none(printed: Printed) -> None:
    frame = bytes(PACKETS[0])
    simple = block(3, struct.pack("<I", len(frame)) + frame + bytes(-len(frame) % 4))
    later = block(6, struct.pack("<5I", 0, 0, 5_000_000, len(frame), len(frame)) + frame + bytes(-len(frame) % 4))
    start = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(1, struct.pack("<HHI", 1, 0, 0))
    content = start + simple + later + simple + later
    assert [line.split()[1] for line in printed(content, "list").splitlines()] == ["-", "0.000000"] * 2
    assert [line.split()[1] for line in printed(content, "show").splitlines() if " → " in line] == ["-", "0.000000"] * 2
    assert [json.loads(line)["time"] for line in printed(content, "json").splitlines()] == [None, 5] * 2


def test_times_before_1970_are_written_as_they_are() -> None:
    frame = Frame(1, -1_500_000_000, bytes(PACKETS[0]), 47, 0)
    assert json.loads(as_json(frame, StoredInterface("", 1)))["time"] == -1.5


@pytest.mark.parametrize(
    ("content", "arguments"),
    [(b"no capture", []), (CAPTURE[:30], []), (CAPTURE, ["-f", "ip and"])],
    ids=["no capture", "cut in its first packet", "bad filter"],
)
def test_a_file_is_not_overwritten_by_what_cannot_be_read(tmp_path: Path, content: bytes, arguments: list[str]) -> None:
    (tmp_path / "given").write_bytes(content)
    (tmp_path / "there.pcapng").write_bytes(b"precious")
    done = sniff("-r", tmp_path / "given", "-w", tmp_path / "there.pcapng", *arguments)
    assert done.returncode == 1
    assert f"Nothing was written to {tmp_path / 'there.pcapng'}" in done.stderr
    assert (tmp_path / "there.pcapng").read_bytes() == b"precious"


def test_a_file_is_not_overwritten_where_nothing_can_be_captured(tmp_path: Path) -> None:
    (tmp_path / "there.pcapng").write_bytes(b"precious")
    for arguments in (["-i", "no-such-interface"], ["-i", "lo", "-f", "ip and"]):
        assert sniff(*arguments, "-w", tmp_path / "there.pcapng").returncode == 1
        assert (tmp_path / "there.pcapng").read_bytes() == b"precious"


def test_a_capture_without_packets_is_one(tmp_path: Path) -> None:
    start = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    for content in (CAPTURE[:24], start, start + block(1, struct.pack("<HHI", 1, 0, 0))):
        (tmp_path / "empty").write_bytes(content)
        done = sniff("-r", tmp_path / "empty", "-w", tmp_path / "copy.pcapng")
        assert (done.returncode, done.stderr.splitlines()[0]) == (0, "0 packets read")
        assert (tmp_path / "copy.pcapng").read_bytes().startswith(start)
        (tmp_path / "copy.pcapng").unlink()


def test_a_packet_that_takes_too_long_is_told_in_every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    def for_ever(frame: bytes, linktype: int, length: int) -> Any:
        while True:
            time.thread_time()

    for task in ("summarise", "dissect"):
        monkeypatch.setattr(dissecting, task, for_ever)
    monkeypatch.setattr(SHARED, "budget", Budget(time=0.02))
    data = bytes(NETWORK / UDP(sport=40000, dport=53) / b"too hard")
    frame, interface = Frame(1, 0, data, len(data), 0), StoredInterface("lab0", 1)
    note = "not decoded: it took more than 0.02 s"
    row = make_row(frame, interface, summarise(data, 1))
    assert as_line(row, 0).endswith(f"   50 Raw, {note}")
    assert f"###[ Raw ]###   {note}" in "\n".join(decoded(frame, interface))
    *_, ip, raw = json.loads(as_json(frame, interface))["layers"]
    assert ip["fields"]["src"] == "10.0.1.10"
    assert raw == {"name": "Raw", "note": note, "fields": {"load": data[34:].hex()}}
