"""A process that dissects frames and may be killed, and what both ends of the pipes to it do.

It is started without a shell, a terminal or a right of ours. Both directions carry pickles: to it, where Python finds
its modules, the budget, and then a frame after the other; from it, that it is ready, and an answer to each. When its
standard input ends, because the program that started it has ended in whatever way, it ends too.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

LONGEST_START = 60.0
"""Seconds that it may take to be ready, by the clock; it takes about 1."""

_STARTER = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from ipl_tui.packets.worker import serve
serve()
"""

_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
_CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h


class WorkerError(Exception):
    """There is no answer; the message says why, in words that go on a sentence."""


class TooLong(WorkerError):
    """It had no more time."""


class TooMuch(WorkerError):
    """It had no more memory."""


class Worker:
    """The process, seen from the program that starts it. Methods may be called from any thread, ask() from one."""

    def __init__(self, time: float, memory: int, all_layers: bool) -> None:
        """Start it; ask() may be called after wait(). Raises WorkerError.

        A frame may cost `time` seconds of a processor, and let it grow by `memory` bytes; `all_layers`: whether it
        knows all of Scapy's protocols.
        """
        self.all_layers = all_layers
        self.closed = False
        """True once it was ended from here."""
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _STARTER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl+C in the terminal is not for it
            )
        except OSError as error:
            raise WorkerError(f"its process did not start: {error}") from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        self._bounds = time, memory

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> None:
        """Wait until it is ready, about 1 s. Raises WorkerError."""
        path = [str(Path(entry).absolute()) for entry in sys.path]
        self._exchange([path, (*self._bounds, self.all_layers)], LONGEST_START)

    def ask(self, task: str, frame: bytes, linktype: int, length: int, patience: float) -> Any:
        """Answer of the function `task` of dissect.py about a frame with this length on the wire, within `patience`
        seconds of the clock.

        Raises WorkerError; the process has then ended, unless it stopped by itself.
        """
        return self._exchange([(task, frame, linktype, length)], patience)

    def _exchange(self, messages: list[object], patience: float) -> Any:
        """Say something and take the answer. Raises WorkerError."""
        late = threading.Event()

        def be_late() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(patience, be_late)
        timer.daemon = True
        timer.start()
        kind, answer, more = "", None, False
        # Whatever comes of a process that was killed while it wrote.
        with suppress(OSError, EOFError, ValueError, pickle.UnpicklingError):
            for message in messages:
                pickle.dump(message, self._to)
            self._to.flush()
            kind, answer, more = pickle.load(self._from)
        timer.cancel()
        if not more:
            self._end()
        if kind == "done":
            return answer
        if kind == "memory":
            raise TooMuch("it took too much memory")
        if kind == "time" or late.is_set():
            raise TooLong("it took too long")
        raise WorkerError(answer or f"its process ended with status {self._process.returncode}")

    def close(self) -> None:
        """End it, whatever it does; twice is fine."""
        self.closed = True
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._to, self._from):
            with suppress(OSError, ValueError):  # what it takes no more is not written
                pipe.close()


# In the process


class _MemoryCounts:
    """Stands for Scapy's conf.debug_dissector, which says whether a dissector's error is raised or hidden."""

    def __bool__(self) -> bool:
        return isinstance(sys.exc_info()[1], MemoryError)


class _OutOfTime(BaseException):
    """Raised when the time is spent. Not an Exception: Scapy takes those for a malformed packet."""


class _Bounds:
    """Limits of the dissection of one frame: seconds of a processor, and bytes more than are taken at the start.

    Where the system knows no such bounds, who waits for the answer has a clock.
    """

    def __init__(self, time: float, memory: int) -> None:
        self.time, self.memory = time, memory
        self.base = _memory_taken()
        self.running = False
        if sys.platform != "win32":
            signal.signal(signal.SIGPROF, self._stop)

    def _stop(self, *_: object) -> None:
        if self.running:
            raise _OutOfTime

    def begin(self) -> None:
        self.running = True
        if sys.platform != "win32":
            import resource

            if self.base:
                most = resource.getrlimit(resource.RLIMIT_AS)[1]
                resource.setrlimit(resource.RLIMIT_AS, (self.base + self.memory, most))
            # Again and again, for a dissector may take it for an error and go on.
            signal.setitimer(signal.ITIMER_PROF, self.time, 0.02)

    def end(self) -> None:
        self.running = False
        if sys.platform != "win32":
            import resource

            signal.setitimer(signal.ITIMER_PROF, 0)
            most = resource.getrlimit(resource.RLIMIT_AS)[1]
            resource.setrlimit(resource.RLIMIT_AS, (most, most))

    @property
    def used_up(self) -> bool:
        """True if so little memory came back that the next frame would pay for it."""
        return _memory_taken() > self.base + self.memory // 4


def _memory_taken() -> int:
    """Bytes of address space, which are what RLIMIT_AS counts; 0 where the system does not say."""
    if sys.platform != "linux":
        return 0
    import resource

    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def serve() -> None:
    """Answer what comes through standard input, until it ends."""
    time, memory, all_layers = pickle.load(sys.stdin.buffer)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a dissector prints is no answer
    from scapy.config import conf

    from ipl_tui.packets import dissect

    if all_layers:
        dissect.load_layers()
    # A frame for which there was no memory is not a malformed one.
    conf.debug_dissector = _MemoryCounts()  # type: ignore[assignment]
    _give_up_rights()
    bounds = _Bounds(time, memory)
    answer = pickle.dumps(("done", None, True))
    with suppress(BrokenPipeError, EOFError):  # whoever wanted answers has ended
        while True:
            answers.write(answer)
            answers.flush()
            task, *about = pickle.load(sys.stdin.buffer)
            try:
                answer = _answer(bounds, lambda: getattr(dissect, task)(*about))  # noqa: B023 - called at once
            except _OutOfTime:
                answer = b""
            if not answer:
                gc.collect()
                answer = pickle.dumps(("time", None, not bounds.used_up))


def _answer(bounds: _Bounds, work: Callable[[], object]) -> bytes:
    """Answer of work, or why there is none, ready to be written; empty if there was no time. May raise _OutOfTime."""
    kind, said = "done", None
    try:
        bounds.begin()
        answer = pickle.dumps(("done", work(), True))
        bounds.running = False
        return answer
    except _OutOfTime:
        return b""
    except MemoryError:
        kind = "memory"
    except Exception as error:
        kind, said = "failed", type(error).__name__
    finally:
        bounds.end()
    return pickle.dumps((kind, said, False))


def _give_up_rights() -> None:
    """Dissectors open no socket and write no file. Python itself may have rights of root's, by its file or its user.

    Not before everything is loaded, which may be closed to others.
    """
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0)))
        libc.capset(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24))
