"""The RFC 1071 sum."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.packets.checksum import internet_checksum


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        ("", 0xFFFF),
        ("0001 f203 f4f5 f6f7", 0x220D),  # RFC 1071 §3 has the sum 0xddf2
        ("4500 0073 0000 4000 4011 0000 c0a8 0001 c0a8 00c7", 0xB861),
        ("01", 0xFEFF),  # an odd byte is the high one of its word
        ("ffff", 0),
        ("0000", 0xFFFF),
    ],
)
def test_known_sums(data: str, checksum: int) -> None:
    assert internet_checksum(bytes.fromhex(data)) == checksum


@given(st.binary(max_size=200))
def test_it_is_the_sum_of_words_with_the_carries_added(data: bytes) -> None:
    padded = data + bytes(len(data) % 2)
    total = sum(padded[i] << 8 | padded[i + 1] for i in range(0, len(padded), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert internet_checksum(data) == total ^ 0xFFFF


@given(st.binary(min_size=2, max_size=60).map(lambda data: data[: len(data) // 2 * 2]))
def test_a_packet_with_its_checksum_sums_to_zero(data: bytes) -> None:
    assert internet_checksum(data + internet_checksum(data).to_bytes(2, "big")) == 0
