"""Dissection within a budget: what is spent is stopped, told and not tried again, and everything else goes on."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, bind_layers, split_layers

from ipl_tui.packets import dissect as dissecting
from ipl_tui.packets.budget import Budget, Dissector
from ipl_tui.packets.dissect import Dissection, Summary, dissect, glance, load_layers, summarise, undecoded
from ipl_tui.packets.show import show
from ipl_tui.packets.worker import TooLong, Worker, WorkerError
from tests.conftest import Children, wait_until

load_layers()

ETHERNET, RAW_IP = 1, 101
LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
NETWORK = LINK / IP(src="192.0.2.10", dst="198.51.100.20")
ORDINARY = bytes(NETWORK / UDP(sport=40001, dport=40002) / b"hello")
SLOW = "Raw, not decoded: it took more than 0.05 s"


def ber(tag: int, body: bytes) -> bytes:
    """A value of ASN.1 with a length of two bytes."""
    return bytes([tag, 0x82]) + struct.pack("!H", len(body)) + body


def snmp(variables: int, community: bytes = b"public") -> bytes:
    """A frame with an SNMP request for so many variables: 1,000 take Scapy 0.3 s, 8,000 seconds and 380 MB."""
    request = b"\x02\x01\1\x02\x01\0\x02\x01\0" + ber(0x30, b"\x30\x06\x06\x02\x2b\x06\x05\0" * variables)
    body = ber(0x30, b"\x02\x01\0" + ber(4, community) + ber(0xA0, request))
    return bytes(NETWORK / UDP(sport=161, dport=161) / body)


class Endless(Packet):
    """Its dissection never ends by itself."""

    tried = 0

    def do_dissect(self, s: bytes) -> bytes:
        Endless.tried += 1
        while True:
            self.step()

    def step(self) -> None:
        time.thread_time()


class Stubborn(Endless):
    """Nor when it is told to, at first."""

    def step(self) -> None:
        if Stubborn.tried < 3:
            try:
                while True:
                    time.thread_time()
            except BaseException:
                Stubborn.tried += 1
        raise SystemError("what was swallowed three times is over")


class Cleaning(Endless):
    """It is in the middle of cleaning up when it is first told to end, where Python drops what is raised."""

    def step(self) -> None:
        if Cleaning.tried < 2:
            Slow()  # and gone
            Cleaning.tried += 1
        super().step()


class Slow:
    """Its end takes for ever."""

    def __del__(self) -> None:
        while True:
            time.thread_time()


@pytest.fixture(params=[Endless, Stubborn, Cleaning], ids=["endless", "swallows what stops it", "cleans up"])
def endless(request: pytest.FixtureRequest) -> Iterator[bytes]:
    """A small frame that is never dissected."""
    request.param.tried = 0
    bind_layers(UDP, request.param, dport=40404)
    yield bytes(NETWORK / UDP(sport=40403, dport=40404) / b"what it is about")
    split_layers(UDP, request.param, dport=40404)


@pytest.fixture
def dissector() -> Iterator[Dissector]:
    with closing(Dissector(Budget(time=0.05))) as dissector:
        yield dissector


class TestSmallFrames:
    @pytest.mark.parametrize("frame", [ORDINARY, b"", b"\1\2", bytes(LINK / ARP())])
    def test_within_the_budget_nothing_differs(self, frame: bytes, children: Children) -> None:
        with closing(Dissector()) as dissector:
            assert dissector.summarise(frame, ETHERNET).result(10) == summarise(frame, ETHERNET)
            assert dissector.dissect(frame, ETHERNET).result(10) == dissect(frame, ETHERNET)
        assert not children(), "there is no process for them"

    def test_a_spent_budget_is_told_and_others_go_on(self, dissector: Dissector, endless: bytes) -> None:
        slow, other = dissector.summarise(endless, ETHERNET), dissector.summarise(ORDINARY, ETHERNET)
        assert slow.result(10) == Summary("192.0.2.10", "198.51.100.20", "UDP", SLOW)
        assert other.result(10) == summarise(ORDINARY, ETHERNET)

    def test_its_thread_ends_without_a_word(
        self, dissector: Dissector, endless: bytes, capfd: pytest.CaptureFixture[str]
    ) -> None:
        before = set(threading.enumerate())
        dissector.summarise(endless, ETHERNET).result(10)
        dissector.summarise(ORDINARY, ETHERNET).result(10)
        wait_until(lambda: [t.name for t in set(threading.enumerate()) - before].count("dissector_work") == 1)
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("endless", [Endless], indirect=True)
    def test_it_is_never_tried_again_nor_is_a_copy(self, dissector: Dissector, endless: bytes) -> None:
        dissector.summarise(endless, ETHERNET).result(10)
        copy = bytes(bytearray(endless))
        for _ in range(3):
            assert dissector.summarise(copy, ETHERNET).done()
            layers = dissector.dissect(copy, ETHERNET).result(0).layers
        assert [layer.name for layer in layers] == ["Ethernet", "IP", "Raw"]
        assert Endless.tried == 1
        dissector.forget()
        dissector.summarise(endless, ETHERNET).result(10)
        assert Endless.tried == 2

    def test_a_copy_that_already_waits_is_not_tried_either(self, dissector: Dissector, endless: bytes) -> None:
        Endless.tried = 0
        for future in [dissector.summarise(endless, ETHERNET) for _ in range(4)]:
            assert future.result(10).info == SLOW
        assert Endless.tried <= 1

    def test_a_row_may_be_known_where_the_layers_take_too_long(
        self, dissector: Dissector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def dissect_for_ever(frame: bytes, linktype: int, length: int) -> Dissection:
            while True:
                time.thread_time()

        monkeypatch.setattr(dissecting, "dissect", dissect_for_ever)
        assert dissector.dissect(ORDINARY, ETHERNET).result(10).summary.info == SLOW
        assert dissector.summarise(ORDINARY, ETHERNET).result(10) == summarise(ORDINARY, ETHERNET)

    @pytest.mark.parametrize(
        ("error", "note"),
        [(MemoryError(), "there was no memory for it"), (RuntimeError("boom"), "it failed (RuntimeError)")],
    )
    def test_whatever_is_raised_is_told(
        self, dissector: Dissector, monkeypatch: pytest.MonkeyPatch, error: Exception, note: str
    ) -> None:
        def fail(frame: bytes, linktype: int, length: int) -> Summary:
            raise error

        monkeypatch.setattr(dissecting, "summarise", fail)
        assert dissector.summarise(ORDINARY, ETHERNET).result(10).info == f"Raw, not decoded: {note}"
        assert dissector.dissect(ORDINARY, ETHERNET).result(10).layers[-1].note == f"not decoded: {note}"

    def test_what_is_looked_at_comes_before_the_rows_and_what_nobody_wants_is_left(
        self, dissector: Dissector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        go, begun, done = threading.Event(), threading.Event(), list[str]()

        def noting(task: str) -> Any:
            def work(frame: bytes, linktype: int, length: int) -> str:
                begun.set()
                go.wait(10)
                done.append(f"{task} {frame.decode()}")
                return done[-1]

            return work

        for task in ("summarise", "dissect"):
            monkeypatch.setattr(dissecting, task, noting(task))
        slow = Dissector(Budget(time=10))
        futures: list[Any] = [slow.summarise(b"1", ETHERNET)]
        assert begun.wait(10)
        futures += [slow.summarise(b"2", ETHERNET), slow.summarise(b"3", ETHERNET), slow.dissect(b"4", ETHERNET)]
        assert futures.pop(1).cancel()
        go.set()
        assert [future.result(10) for future in futures] == ["summarise 1", "summarise 3", "dissect 4"]
        assert done == ["summarise 1", "dissect 4", "summarise 3"]

    def test_behind_something_slow_nobody_waits(self, dissector: Dissector, endless: bytes) -> None:
        slow = Dissector(Budget(time=1))
        running = slow.summarise(endless, ETHERNET)
        wait_until(lambda: running.running())
        wait_until(lambda: not slow.summarise(ORDINARY, ETHERNET, patience=0.01).done())
        assert not running.done()

    def test_patience_is_rewarded(self, dissector: Dissector) -> None:
        assert dissector.summarise(ORDINARY, ETHERNET, patience=10).done()


class TestLargeFrames:
    """The process is started once for most of these tests, as that takes a second."""

    @pytest.fixture(scope="class")
    @staticmethod
    def shared(children: Children) -> Iterator[Dissector]:
        with closing(Dissector(Budget(time=0.3, memory=1 << 30, small=500))) as dissector:
            yield dissector

    def test_within_the_budget_nothing_differs(self, shared: Dissector) -> None:
        for frame in (bytes(NETWORK / UDP(sport=40001, dport=40002) / bytes(5000)), snmp(60)):
            assert shared.summarise(frame, ETHERNET).result(60) == summarise(frame, ETHERNET)
            assert shared.dissect(frame, ETHERNET).result(60) == dissect(frame, ETHERNET)

    def test_too_long_is_stopped_told_and_not_tried_again(self, shared: Dissector, children: Children) -> None:
        assert shared.summarise(snmp(60), ETHERNET).result(60).protocol == "SNMP"
        (process,) = children()
        slow = shared.summarise(snmp(7000), ETHERNET)
        assert slow.result(60).info == "Raw, not decoded: it took more than 0.3 s"
        assert shared.dissect(snmp(7000), ETHERNET).done()
        assert shared.summarise(snmp(61), ETHERNET).result(60).protocol == "SNMP"
        assert children() == [process], "which stopped by itself"

    def test_a_process_that_died_is_replaced(self, shared: Dissector, children: Children) -> None:
        assert shared.summarise(snmp(62), ETHERNET).result(60).protocol == "SNMP"
        (process,) = children()
        process.kill()
        wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE)
        assert shared.summarise(snmp(63), ETHERNET).result(60).protocol == "SNMP"

    def test_one_that_dies_at_a_frame_is_told(self, children: Children) -> None:
        before = children()
        with closing(Dissector(Budget(time=60, memory=1 << 30))) as dissector:
            fatal = dissector.summarise(snmp(7000), ETHERNET)
            wait_until(lambda: len(children()) > len(before))
            next(process for process in children() if process not in before).kill()
            assert fatal.result(60).info == "Raw, not decoded: its process ended with status -9"

    @pytest.mark.skipif(sys.platform != "linux", reason="no other system is known to bound a process's memory")
    def test_too_much_memory_is_told(self) -> None:
        with closing(Dissector(Budget(time=60, memory=8 << 20, small=500))) as dissector:
            (*_, raw) = dissector.dissect(snmp(7000), ETHERNET).result(60).layers
        assert raw.note == "not decoded: it took more than 8 MB", "which is no malformed packet"

    def test_none_is_left(self, children: Children) -> None:
        before = children()
        dissector = Dissector(Budget(small=500))
        assert dissector.summarise(snmp(60), ETHERNET).result(60).protocol == "SNMP"
        assert len(children()) == len(before) + 1
        dissector.close()
        assert children() == before

    def test_where_none_can_be_started_that_is_told(
        self, dissector: Dissector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        assert "its process did not start" in dissector.summarise(snmp(2000), ETHERNET).result(10).info
        monkeypatch.setattr(sys, "executable", "/bin/false")
        assert "its process ended with status 1" in dissector.summarise(snmp(2000), ETHERNET).result(10).info


class TestWorker:
    @pytest.fixture(scope="class")
    @staticmethod
    def worker() -> Iterator[Worker]:
        with closing(Worker(0.3, 64 << 20, all_layers=False)) as worker:
            worker.wait()
            yield worker

    def test_it_knows_what_this_program_knows(self, worker: Worker) -> None:
        assert worker.ask("summarise", snmp(10), ETHERNET, 0, 10).protocol == "UDP", "SNMP is one of all layers"

    @pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
    def test_it_has_no_terminal_no_rights_and_no_descriptors_of_ours(self, worker: Worker, tmp_path: Path) -> None:
        status = Path(f"/proc/{worker.pid}/status").read_text()
        assert "CapPrm:\t0000000000000000" in status and "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        assert os.getsid(worker.pid) == worker.pid
        opened = {os.readlink(f"/proc/{worker.pid}/fd/{n}") for n in os.listdir(f"/proc/{worker.pid}/fd")}
        assert all(name.startswith("pipe:") or name == os.devnull for name in opened)

    def test_ctrl_c_and_sigterm_of_the_program_are_not_for_it(self, worker: Worker) -> None:
        assert worker.ask("summarise", ORDINARY, ETHERNET, 0, 10) == summarise(ORDINARY, ETHERNET)
        assert os.getpgid(worker.pid) != os.getpgid(0)

    def test_it_does_not_outlive_a_program_that_is_killed(self) -> None:
        script = (
            "from ipl_tui.packets.worker import Worker; import time\n"
            "worker = Worker(0.3, 1 << 26, False); worker.wait(); print(worker.pid, flush=True); time.sleep(60)"
        )
        program = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert program.stdout is not None
        with program.stdout:
            process = psutil.Process(int(program.stdout.readline()))
        program.send_signal(signal.SIGKILL)
        program.wait()
        wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)

    def test_what_takes_too_long_by_the_clock_is_killed(self) -> None:
        with closing(Worker(60, 1 << 30, all_layers=True)) as worker:
            worker.wait()
            with pytest.raises(TooLong):
                worker.ask("summarise", snmp(7000), ETHERNET, 0, 0.1)
            with pytest.raises(WorkerError):
                worker.ask("summarise", ORDINARY, ETHERNET, 0, 10)

    def test_an_error_is_told_by_name(self) -> None:
        worker = Worker(1, 1 << 26, all_layers=False)
        worker.wait()
        with closing(worker), pytest.raises(WorkerError, match="AttributeError"):
            worker.ask("imagine", ORDINARY, ETHERNET, 0, 10)


@pytest.mark.parametrize(
    ("frame", "linktype", "names", "ipv4", "summary"),
    [
        (ORDINARY, ETHERNET, ["Ethernet", "IP", "Raw"], (14, 47), ("192.0.2.10", "198.51.100.20", "UDP")),
        (ORDINARY[14:], RAW_IP, ["IP", "Raw"], (0, 33), ("192.0.2.10", "198.51.100.20", "UDP")),
        (bytes(LINK / Dot1Q() / IP() / b"x"), ETHERNET, ["Ethernet", "802.1Q", "IP", "Raw"], (18, 39),
         ("127.0.0.1", "127.0.0.1", "0")),
        (bytes(LINK / ARP()), ETHERNET, ["Raw"], None, ("02:00:00:00:00:01", "02:00:00:00:00:02", "Raw")),
        (bytes(LINK.__class__(type=0x8100)) + b"\0\1\x81\0" * 99 + b"\0\1\x08\0" + bytes(IP()), ETHERNET, ["Raw"],
         None, None),
        (ORDINARY[:20], ETHERNET, None, None, None),
        (b"", ETHERNET, ["Raw"], None, ("", "", "Raw")),
        (b"bytes", 9999, ["Raw"], None, ("", "", "Raw")),
    ],
)  # fmt: skip
def test_what_is_not_decoded_has_its_header_and_a_note(
    frame: bytes,
    linktype: int,
    names: list[str] | None,
    ipv4: tuple[int, int] | None,
    summary: tuple[str, str, str] | None,
) -> None:
    dissection = undecoded(frame, linktype, 0, "not decoded: why")
    raw = dissection.layers[-1]
    assert (raw.name, raw.note, raw.stop) == ("Raw", "not decoded: why", len(frame))
    assert raw.start == max((layer.stop for layer in dissection.layers[:-1]), default=0)
    assert dissection.ipv4 == ipv4
    assert "   not decoded: why" in "\n".join(show(dissection))
    assert dissection.summary.info == "Raw, not decoded: why"
    if names is not None:
        assert [layer.name for layer in dissection.layers] == names
    if summary is not None:
        assert (dissection.summary.source, dissection.summary.destination, dissection.summary.protocol) == summary


def test_the_header_of_what_is_not_decoded_is_judged_as_always() -> None:
    frame = bytes(LINK / IP(chksum=1) / UDP() / b"x")
    whole, part = dissect(frame, ETHERNET).layers[1], undecoded(frame, ETHERNET, 0, "why").layers[1]
    assert part == whole


def test_at_a_glance() -> None:
    assert glance(ORDINARY, ETHERNET) == Summary("192.0.2.10", "198.51.100.20", "UDP", "")
    assert glance(bytes(LINK / ARP()), ETHERNET) == Summary("02:00:00:00:00:01", "02:00:00:00:00:02", "", "")
    assert glance(b"", ETHERNET) == glance(b"\x60" + bytes(39), RAW_IP) == Summary("", "", "", "")
