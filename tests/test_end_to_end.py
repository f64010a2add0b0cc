"""The whole program in a pseudo-terminal: what a person types and sees, with the real kernel below."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from ipl_tui.capture.files import read_capture
from ipl_tui.capture.store import Store
from ipl_tui.packets.craft import Draft, craft
from tests.capture.formats.making import NO_CAPTURE

ESCAPE_SEQUENCE = re.compile(r"\x1b(\[[0-9;?>=]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[=>])")
F1, F2, F5, F6 = "\x1bOP", "\x1bOQ", "\x1b[15~", "\x1b[17~"
F7, F8, F9 = "\x1b[18~", "\x1b[19~", "\x1b[20~"


class Terminal:
    """A program in a pseudo-terminal of 120 x 36."""

    def __init__(
        self,
        *arguments: str,
        temporary: Path | None = None,
        command: Sequence[str] = (sys.executable, "-m", "ipl_tui"),
        stdin: int | None = None,
    ) -> None:
        """Start ipl-tui; `temporary` is its folder for temporary files, `stdin` what is piped into it."""
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdin=slave if stdin is None else stdin,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0),  # as a shell's: /dev/tty leads to it
            env={**os.environ, "TERM": "xterm-256color", **({"TMPDIR": str(temporary)} if temporary else {})},
        )
        os.close(slave)
        self.output = ""
        """All that it has written so far, without escape sequences."""

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def wait_for(self, text: str, seconds: float = 20) -> None:
        """Read until a text has been drawn in one piece."""
        deadline = time.monotonic() + seconds
        while text not in self.output:
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} was not drawn; the last that was: {self.output[-3000:]}"
            try:
                data = os.read(self.master, 65536)
            except OSError:
                data = b""  # how Linux says that the other end is closed
            assert data, f"the program ended before {text!r} was drawn: {self.output[-3000:]}"
            self.output = ESCAPE_SEQUENCE.sub("", self.output + data.decode(errors="replace"))

    def close(self) -> int:
        """Let the program end; its status."""
        status = self.process.wait(20)
        os.close(self.master)
        return status


@pytest.fixture(autouse=True)
def permitted(own_loopback: None) -> None:
    """These tests capture and send."""


def test_f5_sends_client_message_and_server_response_is_on_the_screen(tmp_path: Path) -> None:
    path = tmp_path / "exchange.pcapng"
    terminal = Terminal("-i", "lo", "-f", "ip proto 253", "-w", str(path))
    terminal.wait_for("capturing")
    terminal.type(F6)
    terminal.wait_for("Scapy responder")
    terminal.type(F5)
    terminal.wait_for("ServerResponse")
    terminal.wait_for("answers 1")
    terminal.type("q")
    terminal.wait_for("2 packets captured")
    terminal.wait_for("0 packets dropped by kernel")
    terminal.wait_for(str(path.name))
    assert terminal.close() == 0
    with Store() as store:
        read_capture(path, store)
        assert [store.frame(number).data[34:] for number in (1, 2)] == [b"ClientMessage", b"ServerResponse"]


def test_a_program_that_is_killed_leaves_a_whole_capture(tmp_path: Path) -> None:
    path = tmp_path / "killed.pcapng"
    terminal = Terminal("-f", "ip proto 253", "-w", str(path), "--responder")
    terminal.wait_for("capturing")
    terminal.type(F5)
    terminal.wait_for("answers 1")
    terminal.process.send_signal(signal.SIGKILL)
    assert terminal.close() == -signal.SIGKILL
    with Store() as store:
        read_capture(path, store)
        assert len(store) == 2


@pytest.mark.parametrize("asked", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_to_leave_is_followed(asked: signal.Signals, tmp_path: Path) -> None:
    terminal = Terminal(temporary=tmp_path)
    terminal.wait_for("capturing")
    terminal.process.send_signal(asked)
    terminal.wait_for("0 packets dropped by kernel")
    assert terminal.close() == 0
    assert list(tmp_path.iterdir()) == []


CRASHES = {
    "a handler": "LabScreen.action_help = boom",
    "a worker": "LabScreen.action_help = work(boom_later)",
    "the thread that reads keys": "LabScreen.action_help = lambda self: setattr(TerminalDriver, 'pass_on', boom)",
}
"""What makes the lab end with an error after F1, by where that is."""

CRASHING = """
from textual import work
from ipl_tui.cli import main
from ipl_tui.driver import TerminalDriver
from ipl_tui.screens.lab import LabScreen
def boom(*arguments): raise RuntimeError("boom")
async def boom_later(self): boom()
"""


def exchanged(temporary: Path, *command: str) -> Terminal:
    """The lab with two packets captured."""
    options = ("-i", "simulated:client", "-f", "ip")
    terminal = Terminal(*options, temporary=temporary, command=(sys.executable, *(command or ("-m", "ipl_tui"))))
    terminal.wait_for("Scapy responder (server)")
    terminal.type(F5)
    terminal.wait_for("2 captured")
    return terminal


def require_kept(terminal: Terminal, temporary: Path) -> None:
    """What was captured is where the last words say."""
    (kept,) = temporary.iterdir()
    terminal.wait_for("2 packets captured\r\n0 packets dropped by kernel\r\nThe capture was not saved; it is in ")
    terminal.wait_for(str(kept))
    with Store() as store:
        read_capture(kept, store)
        assert len(store) == 2


@pytest.mark.parametrize("asked", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_what_was_captured(asked: signal.Signals, tmp_path: Path) -> None:
    terminal = exchanged(tmp_path)
    terminal.process.send_signal(asked)
    terminal.wait_for("The capture was not saved")
    require_kept(terminal, tmp_path)
    assert terminal.close() == 0


@pytest.mark.parametrize("asked", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_nothing_and_is_not_kept_waiting_by_a_question(asked: signal.Signals, tmp_path: Path) -> None:
    terminal = exchanged(tmp_path)
    terminal.type("\x11")  # Ctrl+Q
    terminal.wait_for("2 packets not saved")
    terminal.process.send_signal(asked)
    require_kept(terminal, tmp_path)
    assert terminal.close() == 0


@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES.keys())
def test_a_crash_leaves_what_was_captured_and_is_no_success(crash: str, tmp_path: Path) -> None:
    terminal = exchanged(tmp_path, "-c", f"{CRASHING}{crash}\nmain()")
    terminal.type(F1)
    terminal.wait_for("The capture was not saved")
    assert "boom" in terminal.output
    require_kept(terminal, tmp_path)
    assert terminal.close() == 1


def test_a_lost_terminal_leaves_what_was_captured(tmp_path: Path) -> None:
    terminal = exchanged(tmp_path)
    os.close(terminal.master)
    terminal.process.wait(20)
    (kept,) = tmp_path.iterdir()
    with Store() as store:
        read_capture(kept, store)
        assert len(store) == 2


def test_what_was_saved_or_given_up_is_not_left(tmp_path: Path) -> None:
    temporary, saved = tmp_path / "temporary", tmp_path / "saved.pcapng"
    temporary.mkdir()
    terminal = exchanged(temporary)
    terminal.type(F8)
    terminal.wait_for("Save 2 packets as")
    terminal.type(f"{saved}\r")
    terminal.wait_for("Saved 2 packets")
    terminal.process.terminate()
    terminal.wait_for("0 packets dropped by kernel\r\n")
    assert terminal.close() == 0
    assert "not saved" not in terminal.output
    assert list(temporary.iterdir()) == []
    terminal = exchanged(temporary)
    terminal.type("q")
    terminal.wait_for("2 packets not saved")
    terminal.type("q")
    terminal.wait_for("0 packets dropped by kernel\r\n")
    assert terminal.close() == 0
    assert list(temporary.iterdir()) == []


def test_bytes_that_are_not_utf8_are_no_keys_and_end_nothing(tmp_path: Path) -> None:
    terminal = Terminal("-i", "simulated:client", temporary=tmp_path)
    terminal.wait_for("capturing")
    os.write(terminal.master, b"\xff\x9b\xe9\x1b[9999999u\x1b[:~\xc3" + F2.encode())
    terminal.wait_for("Enter chooses")
    terminal.type("\x1b")
    terminal.wait_for("Protocol Length  Info")
    terminal.output = ""
    terminal.type(F8)
    terminal.wait_for("Save 0 packets as")
    os.write(terminal.master, b"\x1b[200~name\xff\x9b\x1b[201~")
    terminal.wait_for(r"name\xff\x9b")
    terminal.process.terminate()
    terminal.wait_for("0 packets dropped by kernel\r\n")
    assert terminal.close() == 0
    assert "Traceback" not in terminal.output


def test_it_leaves_when_its_terminal_is_gone(tmp_path: Path) -> None:
    terminal = Terminal(temporary=tmp_path)
    terminal.wait_for("capturing")
    assert [path.suffix for path in tmp_path.iterdir()] == [".pcapng"]
    os.close(terminal.master)
    terminal.process.wait(20)
    assert list(tmp_path.iterdir()) == []


def test_it_leaves_when_its_terminal_is_gone_that_took_no_output_before(tmp_path: Path) -> None:
    terminal = Terminal(temporary=tmp_path)
    terminal.wait_for("capturing")
    before, unread = -1, 0
    while unread != before:  # until nothing more can be drawn, for nobody reads it
        terminal.type(F1 * 50)  # the help, on and off
        with suppress(subprocess.TimeoutExpired):
            terminal.process.wait(1)
        before, unread = unread, struct.unpack("i", fcntl.ioctl(terminal.master, termios.FIONREAD, bytes(4)))[0]
    os.close(terminal.master)
    terminal.process.wait(20)
    assert list(tmp_path.iterdir()) == []


def test_nothing_but_the_summary_is_left_on_the_terminal() -> None:
    terminal = Terminal("-f", "ip proto 253")
    terminal.wait_for("capturing")
    terminal.type(F7)
    terminal.wait_for("view paused")
    terminal.output = ""
    terminal.type("q")
    terminal.wait_for("0 packets captured\r\n0 packets dropped by kernel\r\n")
    assert terminal.close() == 0
    assert "Traceback" not in terminal.output and "Warning" not in terminal.output


def records(*frames: bytes) -> bytes:
    """What of a pcap file follows its header: Ethernet frames."""
    return b"".join(struct.pack("<4I", 1_700_000_000, 0, len(frame), len(frame)) + frame for frame in frames)


FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)


def frame(payload: bytes) -> bytes:
    return bytes(12) + b"\x08\x00" + craft(Draft(payload=payload), "10.0.1.10").packet


@pytest.mark.parametrize("closed", [False, True])
def test_a_capture_is_shown_while_it_is_piped_in_and_keys_work(closed: bool) -> None:
    reader, writer = os.pipe()
    terminal = Terminal("-r", "-", stdin=reader)
    os.close(reader)
    os.write(writer, FILE_HEADER + records(frame(b"ClientMessage")))
    terminal.wait_for("ClientMessage")
    terminal.wait_for("1 packet")
    os.write(writer, records(frame(b"and another")))
    terminal.wait_for("and another")
    terminal.type(F7)
    terminal.wait_for("view paused")
    if closed:
        os.close(writer)
    terminal.type("q")
    terminal.wait_for("2 packets not saved")  # for they are nowhere else
    terminal.type("q")
    terminal.wait_for("2 packets read")
    assert terminal.close() == 0
    if not closed:
        os.close(writer)


@pytest.mark.parametrize("opened", [True, False])
def test_a_pipe_with_a_name_is_shown_as_it_comes_and_keys_work(tmp_path: Path, opened: bool) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    terminal = Terminal("-r", str(path))
    terminal.wait_for("0 packets")
    if opened:
        writer = os.open(path, os.O_WRONLY)
        os.write(writer, FILE_HEADER + records(frame(b"ClientMessage")))
        terminal.wait_for("ClientMessage")
    terminal.type("q")
    terminal.wait_for("1 packet read" if opened else "0 packets read")
    assert terminal.close() == 0
    if opened:
        os.close(writer)


def test_what_is_piped_in_is_not_written_into_itself(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(FILE_HEADER + records(frame(b"precious")))
    with path.open("rb") as file:
        terminal = Terminal("-r", "-", "-w", str(path), stdin=file.fileno())
    terminal.wait_for("standard input can't be read into itself: write to another file.")
    assert terminal.close() == 1
    assert b"precious" in path.read_bytes()


def test_capturing_on_an_interface_ends_what_is_piped_in() -> None:
    reader, writer = os.pipe()
    terminal = Terminal("-i", "lo", "-r", "-", stdin=reader)
    os.close(reader)
    os.write(writer, FILE_HEADER + records(frame(b"from the pipe")))
    terminal.wait_for("from the pipe")
    terminal.type(F2)
    terminal.wait_for("sandbox")
    terminal.type("\r")
    terminal.wait_for("capturing")
    terminal.type("qq")  # faster than the question is drawn
    terminal.wait_for("1 packet captured")
    assert terminal.close() == 0
    os.close(writer)


def test_what_is_piped_in_and_no_capture_is_said_on_the_screen() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"garbage")
    os.close(writer)
    terminal = Terminal("-r", "-", stdin=reader)
    os.close(reader)
    terminal.wait_for(f"standard input {NO_CAPTURE}")
    terminal.type("q")
    terminal.wait_for("0 packets read")
    assert terminal.close() == 0


def test_ctrl_z_stops_it_and_fg_draws_the_whole_screen_again() -> None:
    terminal = Terminal("-i", "simulated:client")
    terminal.wait_for("Scapy responder (server)")
    terminal.type("\x1a")
    _, status = os.waitpid(terminal.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    terminal.output = ""
    terminal.process.send_signal(signal.SIGCONT)
    for text in ("1 Packets", "Nothing is captured here yet.", "Send F5"):
        terminal.wait_for(text)
    terminal.type("q")
    terminal.wait_for("0 packets dropped by kernel")
    assert terminal.close() == 0


def test_with_standard_error_in_a_file_the_screen_is_drawn_all_the_same(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    script = f'exec "{sys.executable}" -m ipl_tui "$@" 2>"{errors}"'
    terminal = Terminal("-i", "lo", command=("sh", "-c", script, "sh"))
    terminal.wait_for("0 captured")
    terminal.type("q")
    with pytest.raises(AssertionError, match="the program ended"):
        terminal.wait_for("what is never drawn")  # reads the rest
    assert terminal.close() == 0
    assert "\x1b" not in errors.read_text() and "0 packets captured" in errors.read_text()


def test_with_nothing_to_draw_on_it_says_so(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    script = f'exec "{sys.executable}" -m ipl_tui "$@" >"{tmp_path / "output"}" 2>"{errors}"'
    terminal = Terminal("-i", "lo", command=("sh", "-c", script, "sh"))
    assert terminal.close() == 1
    assert errors.read_text() == "Error: The lab needs a terminal to draw on: standard output and error go elsewhere.\n"
