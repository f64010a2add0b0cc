"""The command line, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def run(*arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-m", "ipl_tui", *arguments]
    return subprocess.run(command, text=True, timeout=30, **{**pipes, **settings})


def test_the_interfaces_are_listed() -> None:
    done = run("-D")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert "127.0.0.1/8" in next(line for line in lines if line.startswith("  lo "))
    assert "10.0.1.10/24" in next(line for line in lines if line.startswith("  simulated:client/c0 "))
    assert "10.0.2.1/24" in next(line for line in lines if line.startswith("  sandbox:router/r1 "))
    assert [line.partition(":")[0] for line in lines if line[0] != " "] == ["simulated", "sandbox", "kernel"]


def test_the_version_is_told() -> None:
    assert run("--version").stdout.startswith("ipl-tui, version ")


def test_help_names_every_option() -> None:
    words = run("-h").stdout
    assert all(f" {option}" in words for option in ("-i", "-f", "-r", "-w", "--path", "--responder", "--link", "-D"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-i", "nosuch0"], 'There is no interface "nosuch0"; there are: '),
        (["-i", "simulated:nosuch"], "there are: client/c0, router/r0, router/r1, server/s0."),
        (["-i", "lo", "--path"], "--path needs a network whose interfaces form a path; kernel has none."),
        (["--link", "c0-s0:mtu=300"], 'There is no link "c0-s0"; there are c0-r0 and r1-s0.'),
        (["--link", "r1-s0:mtu=67"], "The MTU is 68 to 65,535 bytes."),
        (["-i", "sandbox", "--link", "r1-s0:loss=5%"], "The loss can't be set here, only the MTU."),
        (["-f", "ip prot 1"], "The filter does not compile: "),
        (["-w", "/nonexistent/x.pcapng"], "Cannot write the capture to /nonexistent/x.pcapng: no such file"),
        (["-w", "/dev/null"], "/dev/null is not a plain file"),
        (["-r", "/nonexistent/x.pcapng"], "There is no file /nonexistent/x.pcapng."),
        (["-w", "-"], "The lab's screen is on standard output: ipl-tui sniff -w - writes a capture there."),
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


@pytest.mark.parametrize(
    "arguments",
    [["-f", "ip and"], [], ["-r", "no-such-file"], ["-i", "no-such-interface"], ["--link", "no-such-link:mtu=300"]],
    ids=["bad filter", "no terminal", "no file", "no interface", "no link"],
)
def test_nothing_is_written_before_all_else_is_right(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "there.pcapng").write_bytes(b"precious")
    done = run("-w", str(tmp_path / "there.pcapng"), *arguments)
    assert done.returncode == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"there.pcapng": b"precious"}


PRINTING = [
    ["-D"],
    ["--help"],
    ["send", "--help"],
    ["doctor"],
    ["server", "-i", "simulated", "--count", "1"],
    ["client", "-i", "simulated", "--count", "2", "--show"],
    ["send", "-i", "simulated", "--wait"],
]
"""Commands that print something and end by themselves."""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_an_output_that_is_full_is_said_in_a_sentence(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = run(*arguments, stdout=full)
    assert done.returncode == 1
    assert done.stderr == "Error: Cannot write to standard output: no space left on device.\n"


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_nobody_has_to_read_what_is_printed(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run(*arguments, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_closed_output_is_no_trouble(arguments: list[str]) -> None:
    done = run(*arguments, preexec_fn=lambda: os.close(1))
    assert "Traceback" not in done.stderr and "Error" not in done.stderr
    assert done.returncode == 0 or arguments == ["doctor"]  # it ends with 1 where something fails


def test_ctrl_c_while_something_is_loaded_is_forgotten_once_it_is_answered(tmp_path: Path) -> None:
    """A module that is run with -m ends by SIGINT, in the eyes of Python, where exec() let one through."""
    (tmp_path / "interrupted.py").write_text(
        "import click\nfrom ipl_tui.commands.common import Command\n"
        "@click.command(cls=Command)\n"
        "def command():\n"
        "    try:\n"
        "        exec('raise KeyboardInterrupt')\n"
        "    except KeyboardInterrupt:\n"
        "        click.echo('answered')\n"
        "command()\n"
    )
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()])}
    done = subprocess.run([sys.executable, "-m", "interrupted"], env=os.environ | paths, capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("answered\n", "", 0)


def test_ctrl_c_while_python_cleans_up_is_not_lost() -> None:
    """What is raised in a weak reference's callback, as one runs after each import, and in __del__, Python drops."""
    program = """
import click, signal, threading
from ipl_tui.commands.common import Command

class Gone:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        click.echo("not reached")

@click.command(cls=Command)
def command():
    Gone()
    click.echo("dropped")
    threading.Event().wait(20)

command()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=15)
    assert (done.stdout, done.stderr, done.returncode) == ("dropped\n", "", 130)


def test_an_error_that_is_not_the_outputs_is_not_said_to_be() -> None:
    program = """
import ipl_tui.commands.common as common, ipl_tui.cli as cli
def fail(seed=0):
    raise OSError(28, "No space left on device")
cli.make_networks = fail
cli.main(["-D"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert "standard output" not in done.stderr
    assert done.stderr.endswith("OSError: [Errno 28] No space left on device\n")


@pytest.mark.parametrize(("arguments", "read"), [([], True), (["--help"], False), (["-i", "lo", "-h"], False)])
def test_the_firewalls_rules_are_read_for_the_doctor_but_not_for_its_help(
    tmp_path: Path, arguments: list[str], read: bool
) -> None:
    lister = tmp_path / "nft"
    lister.write_text(f"#!/bin/sh\necho $(id -u) > {tmp_path / 'was-run'}\n")
    lister.chmod(0o755)
    run("doctor", *arguments, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert (tmp_path / "was-run").exists() is read
