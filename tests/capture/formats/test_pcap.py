"""The pcap format: every kind of it that there is is read, and what it can't say is not written."""

import gzip
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.frames import NO_TIME, StoredInterface
from ipl_tui.capture.store import Store
from tests.capture.formats.making import SECOND, pcap, read
from tests.capture.test_store import Packet, any_packet, batch

in_pcap = any_packet.map(lambda packet: (packet[0] % (2**32 * SECOND), *packet[1:]))


@given(st.sampled_from("<>"), st.booleans(), st.booleans(), st.lists(in_pcap, max_size=9))
def test_pcap(order: str, nanoseconds: bool, packed: bool, sent: list[Packet]) -> None:
    sent = [(time if nanoseconds else time // 1000 * 1000, frame, length) for time, frame, length in sent]
    content = pcap(order, nanoseconds, sent, 101)
    shown, interfaces, problem = read(gzip.compress(content) if packed else content)
    assert (shown, interfaces, problem) == (sent, [StoredInterface("", 101)], "")


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


@pytest.mark.parametrize(("time", "magic"), [(5_000, 0xA1B2C3D4), (5_001, 0xA1B23C4D)])
def test_a_pcap_is_in_nanoseconds_only_if_it_must(tmp_path: Path, time: int, magic: int) -> None:
    with Store() as store:
        store.append(store.add_interface("tun0", 12), batch((time, b"x", 1)))
        store.save(tmp_path / "saved.pcap")
    assert struct.unpack_from("<I16xI", (tmp_path / "saved.pcap").read_bytes()) == (magic, 101)


def test_times_that_a_pcap_cannot_say(tmp_path: Path) -> None:
    with Store() as store:
        interface = store.add_interface("", 1)
        store.append(interface, batch((NO_TIME, b"x", 1)))
        store.save(tmp_path / "untimed.pcap")
        assert struct.unpack_from("<II", (tmp_path / "untimed.pcap").read_bytes(), 24) == (0, 0)
        for time in (2**32 * 10**9, -1):
            store.append(interface, batch((time, b"x", 1)))
            with pytest.raises(CaptureError, match=r"no times before 1970 or after 2106: save it as \.pcapng"):
                store.save(tmp_path / "late.pcap")
    assert not (tmp_path / "late.pcap").exists()


def test_a_pcap_holds_one_link_type(tmp_path: Path) -> None:
    path = tmp_path / "saved.pcap"
    path.write_bytes(b"old")
    with Store() as store:
        ethernet, raw = store.add_interface("lo", 1), store.add_interface("tun0", 101)
        store.append(ethernet, batch((1, b"x", 1)))
        store.save(tmp_path / "one.pcap")  # nothing was captured on tun0
        store.append(raw, batch((2, b"y", 1)))
        with pytest.raises(CaptureError, match="one link type"):
            store.save(path)
    assert path.read_bytes() == b"old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["one.pcap", "saved.pcap"]
