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
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.capture import files
from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.files import Pipe, read_capture, refuse_to_read
from ipl_tui.capture.formats.format import LARGEST_BLOCK
from ipl_tui.capture.formats.pcapng import EARLIEST, LATEST
from ipl_tui.capture.frames import NO_TIME, Batch, StoredInterface
from ipl_tui.capture.sinks import Relay
from ipl_tui.capture.store import Store
from tests.capture.test_store import Packet, any_packet, batch, packets
from tests.conftest import wait_until

SECOND = 1_000_000_000


def pcap(order: str, nanoseconds: bool, sent: list[Packet], linktype: int = 1) -> bytes:
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    parts = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262_144, linktype)]
    for time, frame, length in sent:
        parts.append(struct.pack(f"{order}4I", time // SECOND, time % SECOND // unit, len(frame), length) + frame)
    return b"".join(parts)


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(f"{order}II", kind, len(body) + 12) + body + struct.pack(f"{order}I", len(body) + 12)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, linktype: int, *options: bytes, snaplen: int = 0) -> bytes:
    return block(order, 1, struct.pack(f"{order}HHI", linktype, 0, snaplen) + b"".join(options))


def enhanced(order: str, number: int, ticks: int, frame: bytes, length: int) -> bytes:
    header = struct.pack(f"{order}5I", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), length)
    return block(order, 6, header + frame + bytes(-len(frame) % 4) + option(order, 1, b"a comment"))


def read(content: bytes, filter: str = "") -> tuple[list[Packet], list[StoredInterface], str]:
    """What a file with this content gives, and the sentence that reading it ended with."""
    with TemporaryDirectory() as folder, Store() as store:
        path = Path(folder, "x")
        path.write_bytes(content)
        problem = ""
        try:
            read_capture(path, store, filter)
        except CaptureError as error:
            problem = str(error).replace(str(path), "x")
        return packets(store), store.interfaces, problem


PCAP_HEADER = pcap("<", False, [])

in_pcap = any_packet.map(lambda packet: (packet[0] % (2**32 * SECOND), *packet[1:]))


@given(st.sampled_from("<>"), st.booleans(), st.booleans(), st.lists(in_pcap, max_size=9))
def test_pcap(order: str, nanoseconds: bool, packed: bool, sent: list[Packet]) -> None:
    sent = [(time if nanoseconds else time // 1000 * 1000, frame, length) for time, frame, length in sent]
    content = pcap(order, nanoseconds, sent, 101)
    shown, interfaces, problem = read(gzip.compress(content) if packed else content)
    assert (shown, interfaces, problem) == (sent, [StoredInterface("", 101)], "")


@pytest.mark.parametrize("order", "<>")
def test_pcapng_with_sections_interfaces_and_resolutions(order: str) -> None:
    other = "<" if order == ">" else ">"
    content = b"".join(
        [
            section(order),
            interface(order, 1, option(order, 2, b"eth0"), snaplen=4),
            interface(order, 101, option(order, 9, b"\x09"), option(order, 14, struct.pack(f"{order}q", 10))),
            interface(order, 113, option(order, 9, b"\x82"), option(order, 0, b""), option(order, 2, b"after the end")),
            enhanced(order, 0, 1_500_000, b"micro", 60),
            enhanced(order, 1, 7, b"nano", 4),
            enhanced(order, 2, 5, b"quarter", 7),
            block(order, 5, bytes(12)),  # Interface Statistics, which says nothing about packets
            block(order, 3, struct.pack(f"{order}I", 9) + b"simp"),
            block(order, 2, struct.pack(f"{order}HHIIII", 0, 9, 0, 2_000_000, 3, 3) + b"old"),
            section(other),
            interface(other, 276, option(other, 9, b"\x7f")),
            enhanced(other, 0, 2**64 - 1, b"in no time", 10),
            interface(other, 1, option(other, 9, b"\x00")),
            enhanced(other, 1, 2**64 - 1, b"never", 5),
            interface(other, 1, option(other, 14, struct.pack(f"{other}q", -(2**63)))),
            enhanced(other, 2, 0, b"long ago", 1),
        ]
    )
    shown, interfaces, problem = read(content)
    assert problem == ""
    assert shown == [
        (1_500_000_000, b"micro", 60),
        (10 * SECOND + 7, b"nano", 4),
        (1_250_000_000, b"quarter", 7),
        (NO_TIME, b"simp", 9),
        (2 * SECOND, b"old", 3),
        (0, b"in no time", 10),
        (LATEST, b"never", 5),
        (EARLIEST, b"long ago", 8),
    ]
    assert interfaces == [
        StoredInterface("eth0", 1),
        StoredInterface("", 101),
        StoredInterface("", 113),
        StoredInterface("", 276),
        StoredInterface("", 1),
    ]


@pytest.mark.parametrize("order", "<>")
def test_the_modified_format_has_more_in_the_header_of_a_packet(order: str) -> None:
    content = struct.pack(f"{order}IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65_535, 1)
    sent: list[Packet] = [(SECOND + 2_000, b"first", 5), (2 * SECOND, b"second", 60), (3 * SECOND, b"", 0)]
    for time, frame, length in sent:
        content += struct.pack(f"{order}4I", time // SECOND, time % SECOND // 1000, len(frame), length)
        content += struct.pack(f"{order}IHBB", 3, 0x0800, 4, 0) + frame
    assert read(content) == (sent, [StoredInterface("", 1)], "")
    shown, _, problem = read(content[:-1])
    assert (shown, problem) == (sent[:2], "x is cut short after 2 packets; those before it are shown.")


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("version", [(2, 0), (2, 2), (2, 3), (543, 0)])
def test_old_files_have_the_two_lengths_in_the_other_order(order: str, version: tuple[int, int]) -> None:
    content = struct.pack(f"{order}IHHiIII", 0xA1B2C3D4, *version, 0, 0, 65_535, 1)
    content += struct.pack(f"{order}4I", 1, 0, 60, 5) + b"first" + struct.pack(f"{order}4I", 2, 0, 6, 6) + b"second"
    assert read(content)[::2] == ([(SECOND, b"first", 60), (2 * SECOND, b"second", 6)], "")


def test_version_2_3_was_written_either_way() -> None:
    start = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 3, 0, 0, 65_535, 1)
    for lengths in ((5, 60), (60, 5)):
        assert read(start + struct.pack("<4I", 1, 0, *lengths) + b"first")[0] == [(SECOND, b"first", 60)]


def test_times_after_the_year_2554_keep_their_distances() -> None:
    ticks = 2**64 // 1000
    sent = [enhanced("<", 0, ticks + 7 * number, b"late", 4) for number in range(3)]
    shown, _, _ = read(section("<") + interface("<", 1) + b"".join(sent))
    assert [time for time, _, _ in shown] == [1000 * (ticks + 7 * number) for number in range(3)]


def test_what_has_no_time_has_none_after_being_written_and_read_again(tmp_path: Path) -> None:
    simple = block("<", 3, struct.pack("<I", 5) + b"frame")
    with Store(tmp_path / "again.pcapng") as store, Store() as copy:
        (tmp_path / "simple.pcapng").write_bytes(section("<") + interface("<", 1) + simple * 2)
        read_capture(tmp_path / "simple.pcapng", store)
        store.save(tmp_path / "saved.pcapng")
        for path in (store.path, tmp_path / "saved.pcapng"):
            read_capture(path, copy)
        assert packets(copy) == [(NO_TIME, b"frame", 5)] * 4
        assert store.path.read_bytes().endswith(simple), "as what it is, for other programs too"


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
    assert read(gzip.compress(ng, 1)) == (sent, [StoredInterface("", 1)], "")


TWO: list[Packet] = [(1000, b"first", 5), (2000, b"second", 6)]
PCAP = pcap("<", False, TWO)
PCAPNG = section("<") + interface("<", 1) + enhanced("<", 0, 1, b"first", 5) + enhanced("<", 0, 2, b"second", 6)


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
    [b"", b"\n", b"#!/bin/sh\necho hello\n", bytes(100), b"\x1f\x8b", b"\x1f\x8bnonsense", gzip.compress(b"hi")],
)
def test_a_file_that_is_no_capture(content: bytes) -> None:
    assert read(content) == ([], [], "x is not a capture file (pcap or pcapng).")


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


def test_more_interfaces_than_any_machine_has() -> None:
    _, interfaces, problem = read(gzip.compress(section("<") + interface("<", 1) * 66_000))
    assert (interfaces, problem) == ([], "x is damaged before its first packet.")


STARTS = [PCAP, PCAPNG, pcap(">", True, TWO), section(">") + interface(">", 1), gzip.compress(PCAPNG), b""]


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


@pytest.mark.parametrize("begun", [b"", pcap("<", False, [(0, b"frame", 5)])[:-1], gzip.compress(b"x" * 99)[:20]])
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
        (b"", "standard input is not a capture file (pcap or pcapng)."),
        (b"garbage", "standard input is not a capture file (pcap or pcapng)."),
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
