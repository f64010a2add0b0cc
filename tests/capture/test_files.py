"""Capture files of all kinds into a store, whole, cut short, damaged and hostile."""

import gzip
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Queue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.capture import files
from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.files import Pipe, read_capture, refuse_to_read
from ipl_tui.capture.formats.format import LARGEST_BLOCK
from ipl_tui.capture.frames import Batch, StoredInterface
from ipl_tui.capture.store import Store
from ipl_tui.capture.writers import Relay
from tests.capture.formats.making import (
    NO_CAPTURE,
    PCAP,
    PCAP_HEADER,
    PCAPNG,
    SECOND,
    TWO,
    block,
    enhanced,
    interface,
    option,
    pcap,
    read,
    section,
)
from tests.capture.test_store import Packet, batch, packets
from tests.conftest import wait_until


def pack(content: bytes) -> bytes:
    """The same for every process that collects the tests: gzip notes the time."""
    return gzip.compress(content, mtime=0)


def test_whatever_reading_raises_is_a_sentence_and_the_rest_is_there(tmp_path: Path) -> None:
    class Broken(Store):
        def append(self, interface: int, batch: Batch) -> int:
            if len(self) == 1:
                raise RuntimeError("on purpose")
            return super().append(interface, batch)

    path = tmp_path / "x.pcapng"
    path.write_bytes(
        section("<") + b"".join(interface("<", 1, option("<", 2, name)) for name in (b"one", b"two")) +
        enhanced("<", 0, 1, b"first", 5) + enhanced("<", 1, 2, b"second", 6)
    )  # fmt: skip
    with Broken() as store:
        with pytest.raises(CaptureError, match=r"^Reading .* stopped: RuntimeError: on purpose\.$"):
            read_capture(path, store)
        assert packets(store) == [(1000, b"first", 5)]


@pytest.mark.parametrize("content", [b"no capture", PCAP_HEADER[:20], PCAP_HEADER + b"\xff" * 16])
def test_nothing_is_begun_for_a_file_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    target = tmp_path / "target.pcapng"
    target.write_bytes(b"precious")
    (tmp_path / "x").write_bytes(content)
    with Store(target) as store, pytest.raises(CaptureError):
        read_capture(tmp_path / "x", store)
    with Store(target) as store, pytest.raises(CaptureError, match="filter"):
        (tmp_path / "x").write_bytes(PCAP)
        read_capture(tmp_path / "x", store, "ip and")
    assert target.read_bytes() == b"precious"


@pytest.mark.parametrize("names", [[b"%d" % number for number in range(3_000)], [b""] * 3_000], ids=["named", "alike"])
def test_a_reading_that_is_stopped_among_thousands_of_interfaces_waits_for_none(
    tmp_path: Path, names: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.pcapng"
    described = b"".join(interface("<", 1, option("<", 2, name)) for name in names)
    path.write_bytes(section("<") + described + b"".join(enhanced("<", n, n, b"frame", 5) for n in range(len(names))))
    waits: list[object] = []
    with Store() as output, ThreadPoolExecutor() as executor:
        relay = Relay(output, most=1)
        monkeypatch.setattr(relay, "_calls", Counting(waits))
        reading = executor.submit(read_capture, path, relay, stop=relay.stopping)
        relay.run()
        reading.result(10)
        assert len(output) == 1
    assert len(waits) <= 3, "the interface, the packet, the end"
    with Store() as store:
        read_capture(path, store)
        assert len(store) == 3_000


class Counting(Queue[object]):
    """Writes down what is put into it."""

    def __init__(self, puts: list[object]) -> None:
        super().__init__(16)
        self.puts = puts

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:
        self.puts.append(item)
        super().put(item, block, timeout)


def test_frames_of_any_length_and_files_longer_than_a_piece() -> None:
    sent = [(number * 1000, bytes([number]) * size, size) for number, size in enumerate((0, 70_000, 3_000_000, 1) * 3)]
    assert read(pcap("<", False, sent)) == (sent, [StoredInterface("", 1)], "")
    ng = section("<") + interface("<", 1) + b"".join(enhanced("<", 0, t // 1000, data, n) for t, data, n in sent)
    assert read(ng) == (sent, [StoredInterface("", 1)], "")
    assert read(gzip.compress(ng, 1, mtime=0)) == (sent, [StoredInterface("", 1)], "")


@pytest.mark.parametrize("content", [PCAP, PCAPNG], ids=["pcap", "pcapng"])
def test_a_file_cut_anywhere_says_so_and_shows_what_is_before(content: bytes) -> None:
    whole = set()
    for length in range(4, len(content)):
        shown, _, problem = read(content[:length])
        assert shown == TWO[: len(shown)]
        if not problem:  # the cut is between two packets: nobody can tell
            whole.add(len(shown))
        elif shown:
            assert problem == "x is cut short after 1 packet; those before it are shown."
        else:
            assert problem == "x is cut short before its first packet."
    assert whole == {0, 1}


def test_a_compressed_file_cut_short() -> None:
    sent = [(number * 1000, struct.pack("I", number * 2654435761 % 2**32) * 50, 200) for number in range(5_000)]
    packed = gzip.compress(pcap("<", False, sent))
    shown, _, problem = read(packed[: len(packed) // 2])
    assert shown == sent[: len(shown)]
    assert len(shown) > 1_000
    assert problem == f"x is cut short after {len(shown):,} packets; those before it are shown."
    damaged = packed[: len(packed) // 2] + b"\xff" * 1000
    shown, _, problem = read(damaged)
    assert shown[:1_000] == sent[:1_000]
    assert "x is damaged after " in problem


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"#!/bin/sh\necho hello\n",
        bytes(100),
        b"\x1f\x8b",
        b"\x1f\x8bnonsense",
        gzip.compress(b"hi", mtime=0),
    ],
)
def test_a_file_that_is_no_capture(content: bytes) -> None:
    assert read(content) == ([], [], f"x {NO_CAPTURE}")


@pytest.mark.parametrize(
    "damage",
    [
        PCAP + struct.pack("<4I", 0, 0, LARGEST_BLOCK + 1, 5) + bytes(100),
        PCAP + b"\xff" * 100,
        PCAPNG + struct.pack("<II", 6, 0) + bytes(100),
        PCAPNG + struct.pack("<II", 6, 34) + bytes(100),
        PCAPNG + struct.pack("<II", 6, 0xFFFFFFFC) + bytes(100),
        PCAPNG + struct.pack("<II", 9, 12) + struct.pack("<I", 16),
        PCAPNG + enhanced("<", 1, 1, b"no such interface", 5),
        PCAPNG + block("<", 6, struct.pack("<5I", 0, 0, 0, 5, 5) + b"four"),
        PCAPNG + block("<", 6, bytes(16)),
        PCAPNG + block("<", 1, b""),
        PCAPNG + section("<") + block("<", 3, bytes(8)),
        PCAPNG + block("<", 0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 2, 0, -1)),
    ],
)
def test_damage_ends_the_reading_and_is_said(damage: bytes) -> None:
    shown, _, problem = read(damage)
    assert shown == TWO
    assert problem == "x is damaged after 2 packets; those before it are shown."


STARTS = [PCAP, PCAPNG, pcap(">", True, TWO), section(">") + interface(">", 1), pack(PCAPNG), b""]


@given(
    st.sampled_from(STARTS), st.binary(max_size=120), st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=4)))
)
def test_hostile_files_give_a_sentence_at_worst(start: bytes, rest: bytes, changes: list[tuple[int, bytes]]) -> None:
    content = bytearray(start + rest)
    for at, change in changes:
        content[at : at + len(change)] = change
    shown, interfaces, problem = read(bytes(content))
    assert all(len(frame) <= len(content) and length >= len(frame) for _, frame, length in shown)
    assert len(interfaces) <= len(shown) + 1
    assert problem == "" or (problem.startswith("x is ") and problem.endswith("."))


def test_a_filter_keeps_what_it_matches() -> None:
    ethernet = bytes(12) + b"\x08\x00\x45" + bytes(30)
    sent: list[Packet] = [(1000, ethernet, 60), (2000, bytes(60), 60), (3000, ethernet, 60)]
    shown, _, problem = read(pcap("<", False, sent), "ip")
    assert (shown, problem) == ([sent[0], sent[2]], "")
    shown, interfaces, problem = read(pcap("<", False, sent), "ip and")
    assert (shown, interfaces) == ([], [])
    assert problem == "The filter does not compile: can't parse filter expression: syntax error."


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with Store() as store:
        store.append(store.add_interface("lo", 1), Batch(b"x", [(1, 0, 1, 1)]))
        for path, words in (
            (tmp_path / "missing", f"There is no file {tmp_path / 'missing'}."),
            (tmp_path, f"Cannot read {tmp_path}: Is a directory."),
            (Path("a\0b"), "null"),
            (store.path, "can't be read into itself"),
        ):
            with pytest.raises(CaptureError) as caught:
                read_capture(path, store)
            assert words in str(caught.value)
        assert len(store) == 1


def test_progress_and_stop(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    sent: list[Packet] = [(number * 1000, bytes(1000), 1000) for number in range(5_000)]
    path.write_bytes(pcap("<", False, sent))
    told: list[int] = []
    with Store() as store:
        read_capture(path, store, progress=told.append)
    assert told == sorted(told)
    assert len(told) > 2
    assert told[-1] == 5_000
    stop = threading.Event()
    with Store() as store:
        read_capture(path, store, progress=lambda _: stop.set(), stop=stop)
        assert 0 < len(store) < 5_000


def test_what_scapy_writes_is_read(tmp_path: Path) -> None:
    from scapy.layers.l2 import Ether
    from scapy.utils import wrpcap, wrpcapng

    frame = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02") / b"ClientMessage"
    frame.time = 1_700_000_000.5
    for write, name in ((wrpcap, "x.pcap"), (wrpcapng, "x.pcapng")):
        write(str(tmp_path / name), [frame])
        with Store() as store:
            read_capture(tmp_path / name, store)
            assert packets(store) == batch_packets(bytes(frame))


def batch_packets(frame: bytes) -> list[Packet]:
    with Store() as store:
        store.append(store.add_interface("", 1), batch((1_700_000_000_500_000_000, frame, len(frame))))
        return packets(store)


@pytest.fixture
def pipe() -> Iterator[tuple[Pipe, int]]:
    """The end that is read, and the one to write to."""
    reader, writer = os.pipe()
    try:
        yield Pipe(reader), writer
    finally:
        os.fstat(reader)  # it was left open
        os.close(reader)
        with suppress(OSError):
            os.close(writer)


@pytest.mark.parametrize("packed", [False, True])
def test_what_has_come_through_a_pipe_is_there_before_its_end(pipe: tuple[Pipe, int], packed: bool) -> None:
    packer = zlib.compressobj(wbits=31)

    def put(data: bytes) -> None:
        if packed:
            data = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
        os.write(pipe[1], data)

    sent = [(SECOND * number, b"frame", 5) for number in range(1, 4)]
    whole = pcap("<", False, sent)
    with Store() as store, ThreadPoolExecutor() as executor:
        reading = executor.submit(read_capture, pipe[0], store)
        put(whole[: 24 + 21 + 10])  # and a part of the second
        wait_until(lambda: len(store) == 1)
        put(whole[24 + 21 + 10 :])
        wait_until(lambda: len(store) == 3)
        assert not reading.done()
        if packed:
            os.write(pipe[1], packer.flush())
        os.close(pipe[1])
        reading.result(5)
        assert packets(store) == sent


@pytest.mark.parametrize("begun", [b"", pcap("<", False, [(0, b"frame", 5)])[:-1], pack(PCAP)[:20]])
def test_reading_a_silent_pipe_ends_when_it_is_told_to(pipe: tuple[Pipe, int], begun: bytes) -> None:
    stop = threading.Event()
    with Store() as store, ThreadPoolExecutor() as executor:
        reading = executor.submit(read_capture, pipe[0], store, stop=stop)
        os.write(pipe[1], begun)
        stop.set()
        reading.result(5)
        assert len(store) == 0


@pytest.fixture
def named(tmp_path: Path) -> Iterator[Path]:
    """A pipe with a name; nobody has opened it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    yield path
    os.close(os.open(path, os.O_RDWR))  # lets go whoever still waits for its other end


def test_a_pipe_with_a_name_is_waited_for_until_it_is_opened_and_while_it_says_nothing(named: Path) -> None:
    stop = threading.Event()
    with Store() as store, ThreadPoolExecutor() as executor:
        reading = executor.submit(read_capture, named, store, stop=stop)
        writer = os.open(named, os.O_WRONLY)
        try:
            os.write(writer, PCAP)
            wait_until(lambda: len(store) == 2)
            stop.set()
            reading.result(5)
        finally:
            os.close(writer)


def test_waiting_for_somebody_to_open_a_pipe_ends_when_it_is_told_to(named: Path) -> None:
    stop = threading.Event()
    with Store() as store:
        reading = threading.Thread(target=read_capture, args=(named, store), kwargs={"stop": stop})
        reading.start()
        stop.set()
        reading.join(5)
        assert not reading.is_alive()


def test_what_another_program_was_quicker_to_read_is_no_end(
    pipe: tuple[Pipe, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def ready(*arguments: object) -> tuple[list[int], list[int], list[int]]:
        nonlocal looks
        looks += 1
        if looks == 5:
            os.write(pipe[1], PCAP)
            os.close(pipe[1])
        return [pipe[0].descriptor], [], []

    monkeypatch.setattr(files, "select", ready)
    os.set_blocking(pipe[0].descriptor, False)
    with Store() as store:
        read_capture(pipe[0], store)
        assert packets(store) == TWO


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", f"standard input {NO_CAPTURE}"),
        (b"garbage", f"standard input {NO_CAPTURE}"),
        (pcap("<", False, [(0, b"frame", 5)])[:-1], "standard input is cut short before its first packet."),
        (pcap("<", False, [(0, b"x", 1)] * 2)[:-1],
         "standard input is cut short after 1 packet; those before it are shown."),
    ],
)  # fmt: skip
def test_pipes_that_are_no_whole_capture(pipe: tuple[Pipe, int], content: bytes, sentence: str) -> None:
    os.write(pipe[1], content)
    os.close(pipe[1])
    with Store() as store, pytest.raises(CaptureError) as raised:
        read_capture(pipe[0], store)
    assert str(raised.value) == sentence


def test_a_descriptor_that_is_not_open_is_said_in_a_sentence() -> None:
    with Store() as store, pytest.raises(CaptureError, match=r"^Cannot read standard input: Bad file descriptor\.$"):
        read_capture(Pipe(10_000), store)


def test_what_cannot_even_be_looked_at_is_said_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "closed" / "x.pcap"
    path.parent.mkdir()
    path.write_bytes(PCAP)
    path.parent.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)  # root may look everywhere
        with pytest.raises(CaptureError) as raised:
            refuse_to_read(path, None)
    finally:
        os.seteuid(user)
        path.parent.chmod(0o700)
    assert str(raised.value) == f"Cannot read {path}: Permission denied."


def test_what_would_be_overwritten_is_not_read_however_it_is_named(tmp_path: Path) -> None:
    path, other = tmp_path / "x.pcap", tmp_path / "other.pcap"
    path.write_bytes(PCAP)
    other.write_bytes(PCAP)
    link = tmp_path / "link.pcap"
    link.symlink_to(path)
    with path.open() as file:
        for source in (path, link, Pipe(file.fileno())):
            with pytest.raises(CaptureError, match="can't be read into itself: write to another file"):
                refuse_to_read(source, path)
            for target in (None, other, tmp_path / "new.pcap"):
                refuse_to_read(source, target)
