"""The Internet checksum worked out, as on a blackboard: the words, their sum, the carries, the complement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ipl_tui.packets.ipv4 import SHORTEST_HEADER, header_length


@dataclass(frozen=True)
class WorkedChecksum:
    """The Internet checksum of a header, step by step (RFC 1071 §1)."""

    words: tuple[int, ...]
    """The header's 16-bit words, the checksum's own taken as 0."""
    sums: tuple[int, ...]
    """Running sum after each word, before carries are folded back."""
    folds: tuple[int, ...]
    """Sum after each folding of the carries; empty if there were none."""
    right: int
    """The complement: what the checksum has to be."""
    found: int
    """What stands in the header."""


def work_checksum(header: bytes, at: int = 10) -> WorkedChecksum:
    """Work out the checksum that stands `at` that byte of a header; an odd last byte gets a zero after it."""
    data = header[:at] + b"\0\0" + header[at + 2 :]
    data += bytes(len(data) % 2)
    words = tuple(int.from_bytes(data[start : start + 2]) for start in range(0, len(data), 2))
    sums = []
    total = 0
    for word in words:
        total += word
        sums.append(total)
    folds = []
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
        folds.append(total)
    return WorkedChecksum(words, tuple(sums), tuple(folds), 0xFFFF - total, int.from_bytes(header[at : at + 2]))


_WORDS = ("Version, IHL, DSCP, ECN", "Total Length", "Identification", "Flags, Fragment Offset",
          "Time to Live, Protocol", "Header Checksum, taken as 0", "Source Address", "Source Address",
          "Destination Address", "Destination Address")  # fmt: skip


def show_checksum(worked: WorkedChecksum) -> Iterator[str]:
    """Lines of a worked IPv4 header checksum: words, running sum, carries folded back, complement, verdict."""
    yield "word   value     sum"
    for number, (word, total) in enumerate(zip(worked.words, worked.sums, strict=True), 1):
        name = _WORDS[number - 1] if number <= len(_WORDS) else "Options"
        yield f"{number:>4}  0x{word:04x}  {total:>#8x}   {name}"
    before = worked.sums[-1] if worked.sums else 0
    for fold in worked.folds:
        yield f"carries folded back: 0x{before & 0xFFFF:04x} + {before >> 16:#x} = {fold:#x}"
        before = fold
    yield f"complement: 0xffff - 0x{before:04x} = 0x{worked.right:04x}"
    if worked.right == worked.found:
        verdict = "the header agrees"
    elif worked.found:
        verdict = f"the header says 0x{worked.found:04x}: wrong"
    else:
        verdict = "the header says 0x0000: left to the network card, or wrong"
    yield f"checksum 0x{worked.right:04x}; {verdict}"


def whole_header(packet: bytes) -> bytes:
    """The IPv4 header that `packet` begins with, by its IHL; empty if it is shorter than one, or cut short."""
    header = packet[: header_length(packet)] if packet else b""
    return header if SHORTEST_HEADER <= len(header) == header_length(packet) else b""


def show_header_checksum(packet: bytes) -> Iterator[str]:
    """Lines of the worked checksum of the IPv4 header that `packet` begins with; empty if the header is not whole."""
    if header := whole_header(packet):
        yield from show_checksum(work_checksum(header))


def show_change(before: bytes, after: bytes) -> Iterator[str]:
    """Lines on why the header checksum of an IPv4 packet is another one after a hop (RFC 1624 §3); empty if nothing
    else of the header changed, or one of them is not whole, or they are of different lengths."""
    before, after = whole_header(before), whole_header(after)
    if len(before) != len(after) or not before:
        return
    old, new = work_checksum(before), work_checksum(after)
    total = old.found ^ 0xFFFF
    changed = [at for at, pair in enumerate(zip(old.words, new.words, strict=True)) if pair[0] != pair[1]]
    for at in changed:
        name = _WORDS[at] if at < len(_WORDS) else "Options"
        yield f"word {at + 1}, {name}: 0x{old.words[at]:04x} became 0x{new.words[at]:04x}"
        total += (old.words[at] ^ 0xFFFF) + new.words[at]
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    if changed:
        right = total ^ 0xFFFF
        verdict = "as it is" if right == new.found else f"but the header says 0x{new.found:04x}"
        yield f"HC' = ~(~HC + ~m + m'): from 0x{old.found:04x} to 0x{right:04x}, {verdict}"
