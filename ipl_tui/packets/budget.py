"""Dissection within a budget of time and memory, away from the thread that asks: one datagram freezes nothing.

Some of Scapy's dissectors take seconds and gigabytes for one hostile frame. Small frames are dissected in a thread,
which is stopped when it has spent its budget; large ones, which can take much memory too, in a process of its own
(worker.py), which stops by itself or is killed. Neither is there before it is needed. What has spent its budget is
shown as "Raw" with a note, and is never tried again.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from .worker import TooLong, TooMuch, Worker, WorkerError

if TYPE_CHECKING:  # loads Scapy, which the first screen must not wait for
    from .dissect import Dissection, Summary

_Task = Literal["summarise", "dissect"]
"""Function of dissect.py that is asked for."""


@dataclass(frozen=True)
class Budget:
    """Limits of the dissection of one frame."""

    time: float = 0.3
    """Seconds of a processor, in the thread or process that dissects. Ordinary frames take 1 to 5 ms."""
    memory: int = 64 << 20
    """Bytes that the process may grow by. Only Linux is known to hold it to that."""
    small: int = 9_216
    """Bytes of the longest frame that the thread takes; jumbo frames are among them. When tried, the time that it has
    let the thread grow by 5 MB with such frames, by 10 MB with 16,000 bytes, and by 60 MB with 250,000."""


BUDGET = Budget()

PROMPT = 0.02
"""Seconds that drawing waits for dissecting: a screen full of ordinary packets takes no longer, and is then drawn
once."""

_BY_THE_CLOCK = 10
"""Seconds by the clock for each second of the budget: others use the processor too."""
_LOOK = 0.02
"""Seconds between two looks at what is being dissected."""
_LINGER = 60.0
"""Seconds without work after which threads and process end."""


class _Spent(SystemExit):
    """Raised in a thread that has spent its budget. Scapy takes an Exception for a malformed packet, and threading ends
    a thread without a word for this one alone."""


def _say_nothing_of_spent(hook: Callable[[sys.UnraisableHookArgs], object], lost: sys.UnraisableHookArgs) -> None:
    """Python drops what is raised while it cleans up, and says so on standard error: not of _Spent, which is raised
    again until the thread ends. All else goes on to the hook that was there."""
    if lost.exc_type is not _Spent:
        hook(lost)


@dataclass(eq=False)
class _Job:
    """A frame, and what is wanted of it."""

    task: _Task
    frame: bytes
    linktype: int
    length: int
    """Bytes that it had on the wire; 0: as many as are here."""
    wanted: Future[Any] = field(default_factory=Future)


@dataclass(eq=False)
class _Run:
    """A job that is being done in the calling thread."""

    job: _Job
    thread: int = field(default_factory=threading.get_ident)
    began: float = field(default_factory=time.monotonic)
    clock: int | None = None
    """The system's number of the clock of the processor time that the thread has used; None where there is none."""
    used: float = 0.0
    """Time of that clock at the beginning, in seconds."""
    ended: bool = False
    """Set by the thread itself when it has done with it, in whatever way."""
    over: bool = False
    """Set when the budget is spent: nobody waits any more for what comes of it."""

    def __post_init__(self) -> None:
        if hasattr(time, "pthread_getcpuclockid"):
            self.clock = time.pthread_getcpuclockid(self.thread)
            self.used = time.clock_gettime(self.clock)

    def is_spent(self, budget: Budget) -> bool:
        passed = time.monotonic() - self.began
        if self.clock is None or passed > _BY_THE_CLOCK * budget.time:
            return passed > budget.time
        return time.clock_gettime(self.clock) - self.used > budget.time

    def stop(self) -> None:
        """Raise _Spent in the thread, if it is at it still: at its next step in Python."""
        if not self.ended:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread), ctypes.py_object(_Spent))


class Dissector:
    """Dissects frames one after the other, each within the budget. Methods may be called from any thread.

    What it gives are futures, which have a result in the end and no exception, unless they are cancelled. `patience` is
    how many seconds are spent to wait for that here, at most: a result that takes no longer is there at once.
    """

    def __init__(self, budget: Budget = BUDGET) -> None:
        self.budget = budget
        self._notes: dict[tuple[_Task, int, int], str] = {}
        """Notes in place of another try, by task, link type and hash: copies of a frame are not tried again either."""
        self._changed = threading.Condition()
        """Its lock guards all that follows."""
        self._small: deque[_Job] = deque()
        """Jobs that wait for the thread."""
        self._large: deque[_Job] = deque()
        """Jobs that wait for the process."""
        self._running: _Run | None = None
        """Job that the thread does now; None while it waits."""
        self._stopping: list[_Run] = []
        """Runs that are to end, in threads that do nothing after them."""
        self._worker: Worker | None = None
        self._threads: set[Callable[[], None]] = set()
        """Queues that have a thread."""
        self._hook: partial[None] | None = None
        """sys.unraisablehook since a thread was first stopped; None before."""

    def summarise(self, frame: bytes, linktype: int, length: int = 0, *, patience: float = 0.0) -> Future[Summary]:
        """As dissect.summarise(). What was asked for first is done first."""
        return self._ask(_Job("summarise", frame, linktype, length), patience)

    def dissect(self, frame: bytes, linktype: int, length: int = 0, *, patience: float = 0.0) -> Future[Dissection]:
        """As dissect.dissect(). It is done before all that waits: somebody looks at it."""
        return self._ask(_Job("dissect", frame, linktype, length), patience)

    def forget(self) -> None:
        """Try all frames anew: more protocols are known now."""
        self._notes.clear()

    def close(self) -> None:
        """Do nothing any more of what waits, and end the process; what is asked for later starts it again."""
        with self._changed:
            waiting = [*self._small, *self._large]
            self._small.clear()
            self._large.clear()
        for job in waiting:
            if job.wanted.set_running_or_notify_cancel():
                self._answer_with(job, "the program was about to end")
        self._end_worker()

    def _ask(self, job: _Job, patience: float) -> Future[Any]:
        if self._is_answered(job):
            return job.wanted
        small = len(job.frame) <= self.budget.small
        jobs = self._small if small else self._large
        with self._changed:
            if job.task == "dissect":
                jobs.appendleft(job)
            else:
                jobs.append(job)
            self._start(self._work if small else self._have_worked)
            self._changed.notify_all()
            # The process is slow by nature; and what is slow already would be waited for in vain.
            wait = small and (self._running is None or time.monotonic() - self._running.began < patience)
        if wait:
            with suppress(TimeoutError):
                job.wanted.result(patience)
        return job.wanted

    def _is_answered(self, job: _Job) -> bool:
        """Answer a job that must not be tried. What can't be summarised can't be dissected."""
        if not self._notes:
            return False
        key = job.linktype, hash(job.frame)
        note = self._notes.get(("summarise", *key)) or self._notes.get((job.task, *key))
        if note is not None:
            self._answer_with(job, note)
        return note is not None

    def _answer_with(self, job: _Job, note: str) -> None:
        from .dissect import glance, undecoded

        instead = glance if job.task == "summarise" else undecoded
        job.wanted.set_result(instead(job.frame, job.linktype, job.length, f"not decoded: {note}"))

    def _give_up(self, job: _Job, note: str) -> None:
        """Answer a job that has failed, and never try it again."""
        self._note(job, note)
        self._answer_with(job, note)

    def _note(self, job: _Job, note: str) -> None:
        """Never try a job again."""
        self._notes[job.task, job.linktype, hash(job.frame)] = note

    @property
    def _too_long(self) -> str:
        return f"it took more than {self.budget.time:g} s"

    @property
    def _too_much(self) -> str:
        return f"it took more than {self.budget.memory >> 20:,} MB"

    # Threads. Each ends when it had nothing to do for a while, so that nobody needs to end them.

    def _start(self, work: Callable[[], None]) -> None:
        """Start a thread that does it, unless there is one; the lock is held."""
        if work not in self._threads:
            self._threads.add(work)
            threading.Thread(target=work, name=f"dissector{work.__name__}", daemon=True).start()

    def _take(self, jobs: deque[_Job], work: Callable[[], None]) -> _Job | None:
        """The next job; None when the calling thread is to end."""
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: bool(jobs), _LINGER):
                    self._threads.discard(work)
                    return None
                job = jobs.popleft()
            if job.wanted.set_running_or_notify_cancel() and not self._is_answered(job):
                return job

    def _work(self) -> None:
        """Dissect small frames."""
        from . import dissect  # it takes a while, before any budget begins

        with suppress(_Spent):
            while (job := self._take(self._small, self._work)) is not None:
                run = _Run(job)
                result, note = None, ""
                try:
                    with self._changed:
                        self._running = run
                        self._start(self._watch)
                        self._changed.notify_all()
                    result = getattr(dissect, job.task)(job.frame, job.linktype, job.length)
                except MemoryError:
                    note = "there was no memory for it"
                except Exception as error:  # it never happened; the bytes can be shown all the same
                    note = f"it failed ({type(error).__name__})"
                finally:
                    run.ended = True
                with self._changed:
                    if run.over:  # it has been answered, and another thread goes on
                        return
                    self._running = None
                if note:
                    self._give_up(job, note)
                else:
                    job.wanted.set_result(result)

    def _watch(self) -> None:
        """Let no small frame take longer than it may."""
        while True:
            over = None
            with self._changed:
                idle = self._running is None and not self._stopping
                if idle and not self._changed.wait_for(lambda: self._running is not None, _LINGER):
                    self._threads.discard(self._watch)
                    return
                run = self._running
                if run is not None and not run.ended and run.is_spent(self.budget):
                    run.over, self._running, over = True, None, run.job
                    self._stopping.append(run)
                    self._note(over, self._too_long)  # before another thread may come to a copy of it
                    # By another thread, for this one may be in a long call into C.
                    self._threads.discard(self._work)
                    self._start(self._work)
                self._stopping = [run for run in self._stopping if not run.ended]
                if self._stopping and sys.unraisablehook is not self._hook:
                    self._hook = sys.unraisablehook = partial(_say_nothing_of_spent, sys.unraisablehook)
                for run in self._stopping:  # again and again, for a dissector may take it for an error and go on
                    run.stop()
            if over is not None:
                self._answer_with(over, self._too_long)
            time.sleep(_LOOK)

    def _have_worked(self) -> None:
        """Have large frames dissected by the process."""
        while (job := self._take(self._large, self._have_worked)) is not None:
            try:
                worker = self._ready()
            except WorkerError as error:  # that is not the frame's fault
                self._answer_with(job, str(error))
                continue
            try:
                answer = worker.ask(job.task, job.frame, job.linktype, job.length, _BY_THE_CLOCK * self.budget.time)
            except TooLong:
                self._give_up(job, self._too_long)
            except TooMuch:
                self._give_up(job, self._too_much)
            except WorkerError as error:
                if worker.closed:
                    self._answer_with(job, str(error))
                else:
                    self._give_up(job, str(error))
            else:
                job.wanted.set_result(answer)
        self._end_worker()

    def _ready(self) -> Worker:
        """The process, started if there is none that knows as many protocols as this one. Raises WorkerError."""
        all_layers = "scapy.layers.all" in sys.modules
        worker = self._worker
        if worker is None or worker.all_layers != all_layers or not worker.running:
            self._end_worker()
            worker = Worker(self.budget.time, self.budget.memory, all_layers)
            with self._changed:
                self._worker = worker  # it can be ended from now on
            worker.wait()
        return worker

    def _end_worker(self) -> None:
        with self._changed:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()


SHARED = Dissector()
"""That of the whole program: one thread and one process are enough."""


def dissect(frame: bytes, linktype: int, length: int = 0) -> Dissection:
    """As dissect.dissect(), within the budget. Never raises."""
    return SHARED.dissect(frame, linktype, length).result()


def summarise(frame: bytes, linktype: int, length: int = 0) -> Summary:
    """As dissect.summarise(), within the budget. Never raises."""
    return SHARED.summarise(frame, linktype, length).result()
