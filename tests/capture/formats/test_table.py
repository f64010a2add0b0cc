"""What holds for every format in the table."""

from itertools import combinations
from pathlib import Path

import pytest

from ipl_tui.capture.files import read_capture
from ipl_tui.capture.formats.format import MAGIC_SIZE, Format
from ipl_tui.capture.formats.pcapng import PCAPNG
from ipl_tui.capture.formats.table import FORMATS, format_for, format_of
from ipl_tui.capture.frames import StoredInterface
from ipl_tui.capture.store import Store
from tests.capture.test_store import Packet, batch, packets


def test_no_two_formats_can_be_taken_for_each_other() -> None:
    for one, other in combinations(FORMATS, 2):
        assert not one.magics & other.magics
        assert one.ending != other.ending and one.name != other.name
    assert format_of(b"GIF8") is None


@pytest.mark.parametrize("name", ["capture", "capture.dump", "pcap", ".pcap"])
def test_a_name_that_ends_like_no_format_is_for_pcapng(name: str) -> None:
    assert format_for(Path(name)) is PCAPNG


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)
def test_what_is_saved_by_its_ending_is_told_by_its_magic_and_read(tmp_path: Path, kind: Format) -> None:
    sent: list[Packet] = [(1_700_000_000_000_001_001, b"first", 5), (2_000, b"second", 60)]
    path = tmp_path / f"saved{kind.ending.upper()}"
    with Store() as store, Store() as copy:
        store.append(store.add_interface("", 101), batch(*sent))
        store.save(path)
        read_capture(path, copy)
        assert (packets(copy), copy.interfaces) == (sent, [StoredInterface("", 101)])
    magic = path.read_bytes()[:MAGIC_SIZE]
    assert magic in kind.magics and all(len(each) == MAGIC_SIZE for each in kind.magics)
    assert format_for(path) is format_of(magic) is kind
