"""The growing capture file: what goes in comes out, whatever fails on the way."""

import errno
import gzip
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.capture import store as store_module
from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.files import read_capture
from ipl_tui.capture.formats.pcapng import EARLIEST, LATEST
from ipl_tui.capture.frames import NO_TIME, Batch, Frame, StoredInterface
from ipl_tui.capture.store import Store

Packet = tuple[int, bytes, int]
"""Time in ns, bytes, length on the wire."""


def batch(*packets: Packet) -> Batch:
    data = b"".join(frame for _, frame, _ in packets)
    records, start = [], 0
    for time, frame, length in packets:
        records.append((time, start, len(frame), length))
        start += len(frame)
    return Batch(data, records)


def packets(store: Store) -> list[Packet]:
    frames = [store.frame(number) for number in range(1, len(store) + 1)]
    return [(frame.time, frame.data, frame.length) for frame in frames]


any_time = st.one_of(st.integers(0, 2**64 - 1), st.integers(EARLIEST, LATEST), st.just(NO_TIME))

any_packet = st.tuples(any_time, st.binary(max_size=70), st.integers(0, 2**32 - 1)).map(
    lambda packet: (packet[0], packet[1], max(len(packet[1]), packet[2]))
)


@given(st.lists(st.lists(any_packet, max_size=5), max_size=5))
def test_what_is_appended_can_be_read(batches: list[list[Packet]]) -> None:
    with Store() as store, Store() as copy:
        for each in batches:
            interface = store.add_interface(f"eth{len(store)}", 1)
            assert store.append(interface, batch(*each)) == len(store) - len(each) + 1
        expected = [packet for each in batches for packet in each]
        assert packets(store) == expected
        read_capture(store.path.rename(store.path.with_suffix(".moved")), copy)
        store.path.with_suffix(".moved").rename(store.path)
        assert packets(copy) == expected


def read_back(store: Store, first: int, stop: int) -> list[tuple[int, Packet]]:
    """Frames from one to before another, in batches: the interface, and the packet."""
    found: list[tuple[int, Packet]] = []
    while first < stop:
        runs, after = store.batches(first, stop)
        assert [run[1] for run in runs] == sorted({first, *(run[1] for run in runs)})
        for interface, _, (data, records) in runs:
            found += [(interface, (time, data[at : at + size], length)) for time, at, size, length in records]
        first = after
    return found


@given(st.lists(st.lists(any_packet, max_size=5), max_size=5), st.data())
def test_what_is_appended_can_be_read_back_in_batches(batches: list[list[Packet]], data: st.DataObject) -> None:
    with Store() as store:
        for each in batches:
            store.append(store.add_interface("", 1), batch(*each))
        expected = [(interface, packet) for interface, each in enumerate(batches) for packet in each]
        first = data.draw(st.integers(1, len(expected) + 1))
        stop = data.draw(st.integers(first, len(expected) + 1))
        assert read_back(store, first, stop) == expected[first - 1 : stop - 1]


def test_batches_end_where_much_is_read_and_where_the_index_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_CHUNK", 4)
    monkeypatch.setattr(store_module, "_COPY", 250)
    with Store() as store:
        given = [(number, bytes(100 if number < 4 else 300 if number == 4 else 1), 300) for number in range(12)]
        store.append(store.add_interface("", 1), batch(*given))
        ends, first = [], 1
        while first <= len(store):
            _, first = store.batches(first, len(store) + 1)
            ends.append(first)
        assert ends == [3, 5, 6, 9, 13]
        assert [packet for _, packet in read_back(store, 1, 13)] == given


def test_batches_without_what_is_wanted_are_passed_over() -> None:
    with Store() as store:
        store.append(store.add_interface("", 1), batch((0, b"one two", 7), (1, b"three", 5)))
        assert [run[1] for run in store.batches(1, 3, (b"four", b"three"))[0]] == [1]
        assert store.batches(1, 3, (b"four", b"five")) == ([], 3)
        assert store.batches(1, 2, (b"three",)) == ([], 2)


def test_batches_of_a_file_that_was_changed_are_refused() -> None:
    with Store() as store:
        store.append(store.add_interface("", 1), batch((0, b"one", 3), (1, b"two", 3)))
        with pytest.raises(IndexError):
            store.batches(3, 4)
        os.truncate(store.path, store.path.stat().st_size - 20)
        with pytest.raises(CaptureError, match=r"Packets from 1 on can't be read: .* was changed by another program"):
            store.batches(1, 3)


def test_a_frame_knows_where_it_came_from() -> None:
    with Store() as store:
        store.add_interface("lo", 1)
        tun = store.add_interface("tun0", 12)
        store.append(tun, batch((1_000_000_007, b"\x45abc", 9)))
        assert store.interfaces == [StoredInterface("lo", 1), StoredInterface("tun0", 101)]
        assert store.frame(1) == Frame(1, 1_000_000_007, b"\x45abc", 9, tun)
        assert store.time(1) == 1_000_000_007
        for number in (-1, 0, 2):
            with pytest.raises(IndexError):
                store.frame(number)


def test_large_frames_and_many_of_them() -> None:
    with Store() as store:
        interface = store.add_interface("lo", 1)
        many = batch(*[(number, number.to_bytes(4, "big"), 4) for number in range(70_000)])
        store.append(interface, many)
        store.append(interface, many)
        store.append(interface, batch((5, b"x" * 262_144, 262_144)))
        assert len(store) == 140_001
        for number in (1, 65_536, 65_537, 70_000, 70_001, 131_072, 131_073, 140_000):
            assert store.frame(number).data == ((number - 1) % 70_000).to_bytes(4, "big")
        assert store.frame(140_001).data == b"x" * 262_144


def test_taps_hear_of_each_batch_after_it_is_in_the_store() -> None:
    heard: list[tuple[int, int, Batch, int]] = []
    with Store() as store:

        def tap(interface: int, first: int, each: Batch) -> None:
            heard.append((interface, first, each, len(store)))

        store.taps.append(tap)
        interface = store.add_interface("lo", 1)
        one, two = batch((1, b"a", 1)), batch((2, b"b", 1), (3, b"c", 1))
        store.append(interface, one)
        store.append(interface, two)
    assert heard == [(0, 1, one, 1), (0, 2, two, 3)]


def test_a_temporary_capture_is_private_and_goes_away() -> None:
    with Store() as store:
        assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert not store.path.exists()
    store.close()
    with pytest.raises(CaptureError, match="closed"):
        store.add_interface("lo", 1)
    with pytest.raises(CaptureError, match="closed"):
        store.append(0, batch((1, b"", 0)))


def test_a_tap_that_raises_costs_no_packet_and_is_told_of_once() -> None:
    def stumble(interface: int, first: int, each: Batch) -> None:
        raise IndexError(f"on purpose, at {first}")

    heard: list[int] = []
    with Store() as store:
        store.taps += [stumble, lambda interface, first, each: heard.append(first)]
        interface = store.add_interface("lo", 1)
        assert store.tap_problem == ""
        store.append(interface, batch((1, b"a", 1)))
        store.append(interface, batch((2, b"b", 1)))
        assert packets(store) == [(1, b"a", 1), (2, b"b", 1)]
        assert heard == [1, 2]
        assert "packet 1 (IndexError: on purpose, at 1)" in store.tap_problem


def test_a_given_file_is_as_it_was_until_something_is_captured(tmp_path: Path) -> None:
    there, new = tmp_path / "there.pcapng", tmp_path / "new.pcapng"
    there.write_bytes(b"precious")
    for path in (there, new):
        with Store(path) as store, Store() as copy:
            store.save(tmp_path / "saved.pcapng")
            read_capture(tmp_path / "saved.pcapng", copy)
            assert not store.begun
    assert there.read_bytes() == b"precious"
    assert not new.exists()
    for path in (there, new):
        with Store(path) as store, Store() as copy:
            store.begin()
            read_capture(path, copy)
            assert store.begun
        assert path.stat().st_size == 28  # a section without interfaces and packets


@pytest.mark.parametrize("name", ["a.pcapng.gz", "a.pcap.GZ"])
def test_a_capture_that_grows_is_not_compressed(tmp_path: Path, name: str) -> None:
    with pytest.raises(CaptureError, match=r"can't be compressed while it grows: leave out the \.gz of"):
        Store(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_where_a_capture_began_is_the_first_time_that_there_is() -> None:
    with Store() as store:
        interface = store.add_interface("", 1)
        for each in (batch((NO_TIME, b"a", 1)), batch((NO_TIME, b"b", 1), (7, b"c", 1)), batch((3, b"d", 1))):
            store.append(interface, each)
        assert store.began == 7


def test_what_is_described_and_cannot_be_written_is_forgotten(tmp_path: Path) -> None:
    late = 2**64 + 5
    with Store(tmp_path / "full.pcapng") as store:
        interface = store.add_interface("lo", 1)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (store.path.stat().st_size + 4, hard))
        try:
            with pytest.raises(CaptureError, match="file too large"):
                store.append(interface, batch((late, b"a", 1)))
            with pytest.raises(CaptureError, match="file too large"):
                store.add_interface("x", 1)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        store.append(interface, batch((late, b"a", 1)))
        store.append(store.add_interface("y", 101), batch((late, b"b", 1)))
        assert packets(store) == [(late, b"a", 1), (late, b"b", 1)]
    with Store() as copy:
        read_capture(tmp_path / "full.pcapng", copy)
        assert packets(copy) == [(late, b"a", 1), (late, b"b", 1)]
        assert copy.interfaces == [StoredInterface("lo", 1), StoredInterface("y", 101)]


def test_a_given_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "kept.pcapng"
    path.write_bytes(b"what was there before" * 100)
    with Store(path) as store:
        store.append(store.add_interface("lo", 1), batch((1, b"frame", 5)))
    with Store() as copy:
        read_capture(path, copy)
        assert packets(copy) == [(1, b"frame", 5)]


def test_places_where_no_capture_can_be_written(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "no" / "x", "no such file"), (tmp_path, "not a plain file")):
        with pytest.raises(CaptureError, match=words):
            Store(path)
    with Store() as store:
        for path, words in (
            (tmp_path / "no" / "x", "no such file"),
            (tmp_path, "not a plain file"),
            (Path("/dev/null"), "not a plain file"),
            (store.path, "already"),
        ):
            with pytest.raises(CaptureError, match=words):
                store.save(path)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_full_disk_loses_nothing_that_was_captured(tmp_path: Path) -> None:
    first, second = batch((1, b"a" * 1000, 1000)), batch((2, b"b" * 5000, 5000))
    with Store(tmp_path / "full.pcapng") as store:
        interface = store.add_interface("lo", 1)
        store.append(interface, first)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))  # the kernel takes 3000 bytes, then fails with EFBIG
        try:
            with pytest.raises(CaptureError, match="file too large; the 1 packet before that is kept"):
                store.append(interface, second)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert packets(store) == [(1, b"a" * 1000, 1000)]
        with Store() as copy:
            store.save(tmp_path / "copy.pcapng")
            read_capture(tmp_path / "copy.pcapng", copy)
            assert len(copy) == 1
        assert store.append(interface, second) == 2  # there is room again
    with Store() as copy:
        read_capture(tmp_path / "full.pcapng", copy)
        assert [frame[0] for frame in packets(copy)] == [1, 2]


def test_a_disk_that_is_full_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(CaptureError, match=os.strerror(errno.EFBIG)[1:]):
            Store()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["saved.pcapng", "saved.pcap", "saved", "saved.pcapng.gz", "saved.pcap.GZ", "s.gz"])
@pytest.mark.parametrize("count", [None, 0, 1, 2, 3, 9])
def test_saving(tmp_path: Path, name: str, count: int | None) -> None:
    sent = [(1_700_000_000_000_001_000, b"first", 5), (2_000, b"second", 60), (3_000_000_001, b"", 7)]
    with Store() as store, Store() as copy:
        interface = store.add_interface("lo", 1)
        store.append(interface, batch(*sent[:2]))
        store.append(interface, batch(*sent[2:]))
        (tmp_path / name).write_bytes(b"replaced")
        assert store.save(tmp_path / name, count) == len(sent[:count])
        read_capture(tmp_path / name, copy)
        assert packets(copy) == sent[:count]
        content = (tmp_path / name).read_bytes()
        assert (content[:2] == b"\x1f\x8b") is name.lower().endswith(".gz")
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        assert (content[:4] == b"\n\r\r\n") is (".pcapng" in name or name in ("saved", "s.gz"))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("letter", "xé漢🐧")
def test_a_name_may_be_as_long_as_a_name_can_be(tmp_path: Path, letter: str) -> None:
    name = letter * ((255 - len(".pcapng")) // len(letter.encode())) + ".pcapng"
    with Store() as store:
        store.save(tmp_path / name)
        with pytest.raises(CaptureError, match="file name too long"):
            store.save(tmp_path / f"{letter * 4}{name}")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_readers_and_savers_see_whole_frames_while_it_grows(tmp_path: Path) -> None:
    done = threading.Event()
    with Store() as store:
        interface = store.add_interface("lo", 1)

        def grow() -> None:
            for start in range(0, 100_000, 500):
                numbers = range(start + 1, start + 501)
                store.append(interface, batch(*[(number, b"%d" % number * (number % 9), 60) for number in numbers]))
            done.set()

        writer = threading.Thread(target=grow)
        writer.start()
        rounds = 0
        while not done.is_set() or not rounds:
            rounds += 1
            if number := len(store):
                frame = store.frame(number)
                assert (frame.time, frame.data) == (number, b"%d" % number * (number % 9))
            with Store() as copy:
                store.save(tmp_path / "saved.pcapng")
                read_capture(tmp_path / "saved.pcapng", copy)
                assert len(copy) >= number
                assert all(copy.time(each) == each for each in range(1, len(copy) + 1, 997))
        writer.join()
        assert len(store) == 100_000


def test_a_file_that_another_program_changes(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    with Store(path) as store:
        store.append(store.add_interface("lo", 1), batch((1, b"x" * 100, 100)))
        os.truncate(path, 90)
        for use in (lambda: store.frame(1), lambda: store.time(1), lambda: store.save(tmp_path / "copy.pcap")):
            with pytest.raises(CaptureError, match="another program"):
                use()
        path.write_bytes(bytes(path.stat().st_size + 200))
        with pytest.raises(CaptureError, match="another program"):
            store.frame(1)


@pytest.mark.skipif(not shutil.which("tshark"), reason="needs tshark")
def test_wireshark_opens_what_a_crash_leaves(tmp_path: Path) -> None:
    path = tmp_path / "crash.pcapng"
    crash = (
        "import os, sys; from pathlib import Path; from ipl_tui.capture.store import *\n"
        "store = Store(Path(sys.argv[1])); lo = store.add_interface('lo', 1, 'ip proto 253')\n"
        "store.append(lo, Batch(bytes(60), [(1_700_000_000_123_456_789, 0, 60, 1514)])); os._exit(1)"
    )
    assert subprocess.run([sys.executable, "-c", crash, path]).returncode == 1
    fields = ["frame.time_epoch", "frame.len", "frame.cap_len", "frame.interface_name"]
    shown = subprocess.run(
        ["tshark", "-r", path, "-T", "fields", *[part for field in fields for part in ("-e", field)]],
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0
    assert shown.stdout.split() == ["1700000000.123456789", "1514", "60", "lo"]


def test_importing_the_store_and_filters_loads_no_scapy_and_no_textual() -> None:
    code = "import sys, ipl_tui.capture.store, ipl_tui.capture.filters; print({'scapy', 'textual'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_a_name_that_no_file_can_have_is_said(tmp_path: Path) -> None:
    with Store() as store, pytest.raises(CaptureError, match="no NUL character"):
        store.save(tmp_path / "a\0b.pcapng")


ONE, TWO, THREE = (5, b"one", 3), (6, b"two", 3), (7, b"three", 5)


def test_a_temporary_capture_that_is_cleared_gives_back_its_file_and_begins_again(tmp_path: Path) -> None:
    with Store() as store:
        store.append(store.add_interface("eth0", 1), batch(ONE, TWO))
        store.frame(1)
        store.saved = 1
        assert (store.unsaved, store.path.stat().st_size > 28) == (1, True)
        store.clear()
        assert (len(store), store.interfaces, store.began, store.saved, store.unsaved) == (0, [], None, 0, 0)
        assert store.before == 2 and store.path.stat().st_size == 0
        assert store.save(tmp_path / "none.pcapng") == 0
        with pytest.raises(IndexError):
            store.frame(1)
        assert store.append(store.add_interface("eth1", 1), batch(THREE)) == 1
        assert packets(store) == [THREE] and store.keep() == store.path
    assert store.path.exists()
    with Store() as copy:
        read_capture(store.path, copy)
        assert packets(copy) == [THREE] and [each.name for each in copy.interfaces] == ["eth1"]
    store.path.unlink()


def test_a_given_file_keeps_what_was_in_a_capture_that_is_cleared(tmp_path: Path) -> None:
    path = tmp_path / "written.pcapng"
    with Store(path) as store:
        store.append(store.add_interface("eth0", 1), batch(ONE, TWO))
        for _ in range(3):  # again is no harm
            store.clear()
            store.add_interface("eth1", 1)
        store.append(0, batch(THREE))
        assert packets(store) == [THREE] and store.unsaved == 0
        assert read_back(store, 1, 2) == [(0, THREE)]
        for ending in ("pcapng", "pcap"):
            store.save(tmp_path / f"saved.{ending}")
            with Store() as copy:
                read_capture(tmp_path / f"saved.{ending}", copy)
                assert packets(copy) == [THREE], "what is in the list"
    with Store() as copy:
        read_capture(path, copy)
        assert packets(copy) == [ONE, TWO, THREE]


def test_a_given_file_that_nothing_was_captured_in_is_not_cleared(tmp_path: Path) -> None:
    path = tmp_path / "there.pcapng"
    path.write_bytes(b"precious")
    with Store(path) as store:
        store.clear()
    assert path.read_bytes() == b"precious"


def test_clearing_a_closed_capture_is_refused() -> None:
    with Store() as store:
        pass
    with pytest.raises(CaptureError, match="closed"):
        store.clear()
