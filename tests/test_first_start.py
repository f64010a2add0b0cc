"""The first ten minutes of a new user, in a pseudo-terminal: no permission, no option, nothing remembered."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ipl_tui.networks.sandbox import SandboxNetwork
from tests.conftest import wait_until
from tests.test_end_to_end import F2, F5, F9, Terminal

DOWN = "\x1b[B"


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    terminal = Terminal("-f", "ip", temporary=tmp_path)
    yield terminal
    if terminal.process.poll() is None:
        terminal.process.terminate()
        leave(terminal)


def leave(terminal: Terminal) -> None:
    terminal.wait_for("dropped by kernel\r\n")
    assert terminal.close() == 0


def test_f5_and_server_response_is_there(terminal: Terminal) -> None:
    terminal.wait_for("client c0  10.0.1.10  (simulated)")
    terminal.wait_for("Scapy responder (server)")
    terminal.type(F5)
    terminal.wait_for("ServerResponse")
    terminal.wait_for("answers 1")


def test_a_time_to_live_of_1_ends_at_the_router(terminal: Terminal) -> None:
    terminal.wait_for("Scapy responder (server)")
    terminal.type(F9)
    terminal.wait_for("Path: choose a packet")
    terminal.type("2")
    terminal.wait_for("as Linux and macOS begin")
    terminal.type("1")
    terminal.wait_for("auto 0xa1c2")  # the checksum with it
    terminal.type(F5)
    terminal.wait_for("10.0.1.1 says time exceeded")
    terminal.wait_for("Time to Live is used up")


def test_the_same_through_a_real_kernel_that_ends_with_the_lab(terminal: Terminal, sandbox: SandboxNetwork) -> None:
    sandbox.close()
    terminal.wait_for("Scapy responder (server)")
    terminal.type(F2)
    terminal.wait_for("Enter chooses")
    for _ in range(4):
        terminal.type(DOWN)
    terminal.type("\r")
    terminal.wait_for("(sandbox)")
    terminal.wait_for("capturing   0 captured")
    program = psutil.Process(terminal.process.pid)
    wait_until(lambda: len(program.children()) == 1)
    (helper,) = program.children()
    terminal.type(F5)
    terminal.wait_for("ServerResponse")
    terminal.wait_for("answers 1")
    os.kill(terminal.process.pid, signal.SIGKILL)
    terminal.close()
    wait_until(lambda: not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE)


def test_the_next_run_begins_where_the_last_one_was(terminal: Terminal, tmp_path: Path) -> None:
    terminal.wait_for("Scapy responder (server)")
    terminal.type(F2)
    terminal.wait_for("Enter chooses")
    terminal.type(DOWN)
    terminal.type("\r")
    terminal.wait_for("router r0  10.0.1.1")
    terminal.type("q")
    leave(terminal)
    again = Terminal(temporary=tmp_path)
    again.wait_for("router r0  10.0.1.1")
    again.wait_for("capturing")
    again.type("q")
    leave(again)
