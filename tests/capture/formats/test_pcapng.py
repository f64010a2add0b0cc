"""The pcapng format: blocks of any byte order are read, and times of any distance are written."""

import gzip
import struct
from pathlib import Path

import pytest

from ipl_tui.capture.files import read_capture
from ipl_tui.capture.formats.pcapng import EARLIEST, LATEST
from ipl_tui.capture.frames import NO_TIME, StoredInterface
from ipl_tui.capture.store import Store
from tests.capture.formats.making import SECOND, block, enhanced, interface, option, read, section
from tests.capture.test_store import batch, packets


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


def test_more_interfaces_than_any_machine_has() -> None:
    _, interfaces, problem = read(gzip.compress(section("<") + interface("<", 1) * 66_000))
    assert (interfaces, problem) == ([], "x is damaged before its first packet.")


def test_times_far_apart_and_none_can_be_read_by_others(tmp_path: Path) -> None:
    """One interface in the store; in the file it is described once for each 64 bits of time."""
    late = 3 * 2**64 + 5
    with Store(tmp_path / "x.pcapng") as store:
        second = [store.add_interface(name, 1) for name in ("one", "two")][1]
        store.append(0, batch((NO_TIME, b"simple", 6), (NO_TIME, b"cut", 9), (1, b"a", 1)))
        store.append(second, batch((late, b"b", 1), (late + 7, b"c", 1), (1, b"d", 1), (NO_TIME, b"e", 1)))
        assert store.interfaces == [StoredInterface("one", 1), StoredInterface("two", 1)]
        assert [store.frame(number).interface for number in range(1, 8)] == [0, 0, 0, second, second, second, second]
        assert [store.time(number) for number in range(4, 8)] == [late, late + 7, 1, NO_TIME]
    content = (tmp_path / "x.pcapng").read_bytes()
    kinds = []
    at = 0
    while at < len(content):
        kind, size = struct.unpack_from("<II", content, at)
        kinds.append(kind)
        at += size
    assert kinds == [0x0A0D0D0A, 1, 1, 3, 6, 6, 1, 6, 6, 6, 6]
    assert content.count(b"no time was written down") == 2, "where a Simple Packet Block can't say what it is"
