"""Few open files: each program says so in a sentence, or works."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from ipl_tui.limits import FEWEST_FILES


def run(soft: int, hard: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ipl_tui", *arguments],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.parametrize("files", [8, 16, FEWEST_FILES - 1])
@pytest.mark.parametrize(
    "arguments",
    [(), ("-D",), ("sniff", "-i", "lo"), ("client", "-i", "sandbox"), ("server",), ("send", "-i", "simulated")],
    ids=" ".join,
)
def test_too_few_are_refused(arguments: tuple[str, ...], files: int) -> None:
    done = run(files, files, *arguments)
    sentence = f"A program may have {files} files open here, and this one needs 64: ulimit -n 64."
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"Error: {sentence}\n")


def test_what_the_system_would_allow_is_taken() -> None:
    done = run(16, FEWEST_FILES, "client", "-i", "simulated:client")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ServerResponse" in done.stdout
