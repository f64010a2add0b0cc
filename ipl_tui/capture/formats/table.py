"""The formats of capture files, a row each: read by what a file begins with, saved by how its name ends."""

from pathlib import Path

from ipl_tui.capture.formats.format import Format
from ipl_tui.capture.formats.pcap import PCAP
from ipl_tui.capture.formats.pcapng import PCAPNG

FORMATS: tuple[Format, ...] = (PCAP, PCAPNG)

_BY_MAGIC = {magic: each for each in FORMATS for magic in each.magics}
_BY_ENDING = {each.ending: each for each in FORMATS}


def format_of(magic: bytes) -> Format | None:
    """The format of a file that begins with these MAGIC_SIZE bytes; None: it is no capture file."""
    return _BY_MAGIC.get(magic)


def format_for(path: Path) -> Format:
    """The format to save a file of this name in; pcapng, which says most, if the name does not end like any."""
    return _BY_ENDING.get(path.suffix.lower(), PCAPNG)
