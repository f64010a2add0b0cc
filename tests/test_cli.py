"""The command line, as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ipl_tui", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)


def test_the_interfaces_are_listed() -> None:
    done = run("-D")
    assert done.returncode == 0
    assert "127.0.0.1/8" in next(line for line in done.stdout.splitlines() if line.startswith("lo"))


def test_the_version_is_told() -> None:
    assert run("--version").stdout.startswith("ipl-tui, version ")


def test_help_names_every_option() -> None:
    words = run("-h").stdout
    assert all(f" {option}" in words for option in ("-i", "-f", "-r", "-w", "--responder", "-D", "--version"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-i", "nosuch0"], 'There is no interface "nosuch0"; there are: '),
        (["-f", "ip prot 1"], "The filter does not compile: "),
        (["-w", "/nonexistent/x.pcapng"], "Cannot write the capture to /nonexistent/x.pcapng: no such file"),
        (["-w", "/dev/null"], "/dev/null is not a plain file"),
        (["-r", "/nonexistent/x.pcapng"], "There is no file /nonexistent/x.pcapng."),
    ],
)
def test_what_cannot_be_started_is_said_in_a_sentence(arguments: list[str], sentence: str) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_terminal_it_says_so_and_leaves() -> None:
    done = run()
    assert done.returncode == 1
    assert "The lab needs a terminal to read keys from" in done.stderr


def test_a_file_is_not_read_into_itself(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    path.write_bytes(b"precious")
    done = run("-r", str(path), "-w", str(path))
    assert done.returncode == 1
    assert "can't be read into itself" in done.stderr
    assert path.read_bytes() == b"precious"
