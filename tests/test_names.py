"""Interfaces and files with any names: nothing crashes, and nothing of them steers the terminal."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ipl_tui
from ipl_tui.capture.errors import CaptureError
from ipl_tui.networks.interface import SendError
from ipl_tui.networks.kernel import KernelNetwork
from ipl_tui.settings import remember, remembered
from tests.conftest import NOT_UTF8, STEERING
from tests.test_end_to_end import F2, Terminal

SENTENCE = "has a name that is not UTF-8"


def run(*arguments: str, status: int) -> str:
    """What a command prints; it is in what a terminal may be given, and there is no traceback."""
    command = [sys.executable, "-m", "ipl_tui", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    printed = (done.stdout + done.stderr).decode()
    assert "Traceback" not in printed
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", printed)
    assert done.returncode == status, printed
    return printed


def test_the_kernels_bytes_are_kept(odd: None) -> None:
    interface = KernelNetwork().find(NOT_UTF8)
    assert [str(address) for address in interface.addresses] == ["10.9.9.1/24"]
    remember("interface", interface.full_name)
    assert remembered("interface") == NOT_UTF8
    assert interface.choose_method("10.9.9.77") == "kernel"
    interface.open_raw(253).close()
    with pytest.raises(CaptureError, match=SENTENCE):
        interface.open_capture()
    with pytest.raises(SendError, match=SENTENCE):
        interface.send(bytes.fromhex("4500001400010000") + b"\x40\xfd" + bytes(6) + b"\x0a\x09\x09\x4d", "exact")
    assert SENTENCE in interface.can_capture().reason
    assert interface.can_send().possible


def test_every_command_takes_them(odd: None) -> None:
    listed = run("-D", status=0)
    assert r"  \x1b[31mE\x1b[2J  up" in listed
    assert r"  x\xff\xfey  up  10.9.9.1/24" in listed
    assert SENTENCE in run("sniff", "-i", NOT_UTF8, status=1)
    assert "33 bytes, kernel, on x\\xff\\xfey" in run("send", "-i", NOT_UTF8, "--dst", "10.9.9.77", status=0)
    assert SENTENCE in run("server", "-i", NOT_UTF8, status=1)
    assert SENTENCE in run("client", "-i", NOT_UTF8, "--dst", "10.9.9.77", status=1)
    unanswered = "client", "-i", NOT_UTF8, "--dst", "10.9.9.77", "--engine", "socket", "--timeout", "0.1"
    assert r"Sent on x\xff\xfey" in run(*unanswered, status=1)
    assert SENTENCE in run("doctor", "-i", NOT_UTF8, status=1)
    leaving = r"packets to 10.9.9.9 leave by x\xff\xfey, from 10.9.9.1"
    assert leaving in run("doctor", "-i", STEERING, "--dst", "10.9.9.9", status=0)


HOSTILE = "a\x1b]0;X\x07\x9b5n\x7f"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("-r", HOSTILE), 1),
        (("-i", HOSTILE), 1),
        (("-w", f"/nowhere/{HOSTILE}"), 1),
        (("-f", HOSTILE), 1),
        (("--link", HOSTILE), 1),
        (("--engine", HOSTILE), 2),
        ((f"--{HOSTILE}",), 2),
        ((HOSTILE,), 2),
        (("sniff", "-r", HOSTILE), 1),
        (("sniff", "-r", "/dev/null", "-w", f"/nowhere/{HOSTILE}"), 1),
        (("sniff", "-i", HOSTILE), 1),
        (("sniff", "-c", HOSTILE), 2),
        (("sniff", "-i", "simulated", "-f", HOSTILE), 1),
        (("client", "-i", HOSTILE), 1),
        (("client", "--dst", HOSTILE), 2),
        (("client", "--timeout", HOSTILE), 2),
        (("server", "-i", HOSTILE), 1),
        (("server", f"-{HOSTILE}"), 2),
        (("send", "-i", HOSTILE), 1),
        (("send", "-i", "simulated", "--ttl", HOSTILE), 2),
        (("send", "-i", "simulated", "--payload", HOSTILE, "--dry-run"), 0),
        (("doctor", "-i", HOSTILE), 1),
        (("doctor", "--dst", HOSTILE), 2),
    ],
    ids=lambda value: ascii(" ".join(value)) if isinstance(value, tuple) else "",
)
def test_nothing_that_is_typed_comes_back_raw(arguments: tuple[str, ...], status: int) -> None:
    printed = run(*arguments, status=status)
    if HOSTILE in arguments and status:
        assert r"\x1b]0;X" in printed or "--ttl" in arguments or "-f" in arguments


def test_commands_print_words_in_one_place() -> None:
    """Whoever prints with click itself escapes nothing."""
    places = [Path(ipl_tui.__file__).with_name("cli.py"), *Path(ipl_tui.__file__).with_name("commands").glob("*.py")]
    for path in places:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and path.name != "common.py":
                assert ast.unparse(node.func) not in ("click.echo", "click.secho", "click.style", "print"), path


def test_the_lab_goes_on_with_them(odd: None) -> None:
    terminal = Terminal("-i", NOT_UTF8)
    terminal.wait_for(SENTENCE)
    terminal.type(F2)
    terminal.wait_for("Enter chooses")
    terminal.type("\x1b")
    terminal.wait_for("Protocol Length  Info")
    terminal.process.terminate()
    terminal.wait_for("0 packets dropped by kernel\r\n")
    assert terminal.close() == 0
