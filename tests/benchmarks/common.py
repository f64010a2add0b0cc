"""What the benchmarks share: namespaces on a cable, a real pseudo-terminal, what a program has cost, and tables.

They need Linux, root and ip(8); the peers they compare with are reported as not installed when they are missing.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.conftest import Host, Pair, cable

ROWS, COLUMNS = 36, 120
APP = (sys.executable, "-m", "ipl_tui")
FULL = ("no problems", "Quit")
"""What the app shows only when its first frame is full: the composer's verdict, and the footer's last key."""

EMPTY_APP = (
    sys.executable,
    "-c",
    """
from textual.app import App
from textual.widgets import Static

class Empty(App):
    def compose(self):
        yield Static("ready")

Empty().run()
""",
)

_ESCAPE = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_].*?\x1b\\|[ -/]*[0-~])", re.DOTALL
)


@contextmanager
def benchmark_cable() -> Iterator[Pair]:
    """Two network namespaces with a cable between them: va 10.0.9.1/24 and vb 10.0.9.2/24."""
    client = Host(f"ipl-{os.getpid()}-a", "va", "10.0.9.1")
    server = Host(f"ipl-{os.getpid()}-b", "vb", "10.0.9.2")
    with cable(client, server) as pair:
        yield pair


def in_namespace(namespace: str, command: Sequence[str]) -> list[str]:
    """A command, to be run in a network namespace if one is named; ip(8) becomes the command, so it has its PID."""
    return ["ip", "netns", "exec", namespace, *command] if namespace else list(command)


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Look every few milliseconds. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{condition} did not come true within {seconds:g} s")
        time.sleep(0.005)


def installed(program: str) -> bool:
    return shutil.which(program) is not None


class Terminal:
    """A program in a pseudo-terminal of 120x36 that reads what it draws, as it comes, and answers nothing."""

    def __init__(self, command: Sequence[str], namespace: str = "", leave: str = "qq", **environment: str) -> None:
        """Run a command, in a network namespace if one is named; `leave` are the keys that end it,
        pressed one by one until it has ended: the lab asks once about packets that were not saved."""
        self.leave = leave
        self.chunks: list[tuple[float, bytes]] = []
        """What it has written so far: when that was read, in s since the epoch, and the bytes."""
        self._arrived = threading.Condition()
        self._ended = False
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (ROWS, COLUMNS))
        self.started = time.time()
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *in_namespace(namespace, command)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | environment,
        )
        os.close(slave)
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):  # EIO: the program has closed its end
            while chunk := os.read(self._master, 1 << 16):
                now = time.time()
                with self._arrived:
                    self.chunks.append((now, chunk))
                    self._arrived.notify()
        with self._arrived:
            self._ended = True
            self._arrived.notify()

    def press(self, keys: str) -> None:
        """Press keys in it."""
        os.write(self._master, keys.encode())

    def wait_for(self, *texts: str, seconds: float = 30) -> float:
        """When all the texts had been shown, in s since the start. Raises TimeoutError with what was shown instead."""
        deadline = self.started + seconds
        seen = 0
        while True:
            with self._arrived:
                while len(self.chunks) == seen:
                    if self._ended or not self._arrived.wait(deadline - time.time()):
                        raise TimeoutError(f"{texts} not shown within {seconds:g} s, but {self.text()[-2000:]}")
            seen += 1
            text = plain(b"".join(chunk for _, chunk in self.chunks[:seen]))
            if all(wanted in text for wanted in texts):
                return self.chunks[seen - 1][0] - self.started

    def text(self) -> str:
        """All it has written so far, without what only moves and colours."""
        return plain(b"".join(chunk for _, chunk in self.chunks))

    def close(self) -> None:
        """End the program with its own keys, or else by force, and what it has started with it."""
        family = _family(self.pid)
        for key in self.leave:
            with suppress(OSError):
                self.press(key)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        self._reader.join()
        os.close(self._master)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def plain(output: bytes) -> str:
    """What a program has written, without escape sequences."""
    return _ESCAPE.sub(b"", output).decode(errors="ignore")


@dataclass(frozen=True)
class Cost:
    """What a program and its children have used so far."""

    cpu: float
    """Seconds."""
    memory: int
    """Bytes: the peak (VmHWM) of each that is alive, added up."""


def cost(pid: int) -> Cost:
    """What a program has cost until now; the CPU time of its children that have ended is in its own."""
    cpu, memory = 0.0, 0
    for process in _family(pid):
        with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            cpu += sum(process.cpu_times()[:4])
            peak = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
            memory += int(peak[1]) * 1024 if peak else 0
    return Cost(cpu, memory)


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def settle(pid: int, seconds: float = 120) -> Cost:
    """Wait until a program has nothing left to do (under 0.1 s of CPU in a second), and what it has cost by then.

    Raises TimeoutError.
    """
    deadline = time.monotonic() + seconds
    before = cost(pid)
    while time.monotonic() < deadline:
        time.sleep(1)
        after = cost(pid)
        if after.cpu - before.cpu < 0.1:
            return after
        before = after
    raise TimeoutError(f"still busy after {seconds:g} s")


@dataclass
class Table:
    """A Markdown table and the bars that the app is held to."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    bars: list[str] = field(default_factory=list)

    def not_installed(self, name: str) -> None:
        self.rows.append((name, "not installed", *[""] * (len(self.columns) - 2)))

    def bar(self, text: str, met: bool, measured: str) -> None:
        self.bars.append(f"- {text}: {measured}, {'met' if met else '**missed**'}")

    def __str__(self) -> str:
        rules = ("---", *["--:"] * (len(self.columns) - 1))
        lines = ["| " + " | ".join(cells) + " |" for cells in (self.columns, rules, *self.rows)]
        return "\n".join([f"### {self.title}", "", *lines, "", *self.bars, ""])
