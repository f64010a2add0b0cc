"""BPF filters: libpcap's words, no name look-ups, and the same program on a socket and on stored frames."""

import socket
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.capture import filters
from ipl_tui.capture.filters import LONGEST_FILTER, FilterError, attach_reject_all, compile_filter

ETHERNET, RAW = 1, 101


def ipv4(proto: int, payload: bytes = b"ClientMessage") -> bytes:
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, proto, 0, b"\x0a\0\1\x0a", b"\x0a\0\1\x14"
    )
    return header + payload


@pytest.mark.parametrize(
    ("text", "matches_253", "matches_icmp"),
    [
        ("", True, True),
        ("  \t", True, True),
        ("ip", True, True),
        ("ip proto 253", True, False),
        ("ip proto \\icmp", False, True),
        ("icmp", False, True),
        ("host 10.0.1.10", True, True),
        ("src 10.0.1.20", False, False),
        ("ip[8] = 64 and len < 60", True, True),
        ("tcp[tcpflags] & tcp-syn != 0 or port http or https", False, False),
        ("net 10.0.0.0/8 and not fe80::1", True, True),
    ],
)
@pytest.mark.parametrize("linktype", [ETHERNET, RAW, 12, 14])
def test_a_filter_matches_frames(text: str, matches_253: bool, matches_icmp: bool, linktype: int) -> None:
    link = bytes(12) + b"\x08\x00" if linktype == ETHERNET else b""
    compiled = compile_filter(text, linktype)
    assert compiled.matches(link + ipv4(253)) is matches_253
    assert compiled.matches(link + ipv4(1)) is matches_icmp


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ip and", "syntax error"),
        ("port 99999", "illegal port number 99999 > 65535"),
        ("port nosuchservice", "unknown port 'nosuchservice'"),
        ("ip\0", "ASCII"),
        ("hôst", "ASCII"),
        ("ip or " * LONGEST_FILTER, f"{LONGEST_FILTER:,} characters"),
        ("(" * 1_999, "syntax error"),
    ],
)
def test_a_filter_that_does_not_compile_says_why(text: str, words: str) -> None:
    with pytest.raises(FilterError, match=words):
        compile_filter(text, ETHERNET)


def test_a_link_type_that_libpcap_does_not_know() -> None:
    with pytest.raises(FilterError, match="unknown data link type 9999"):
        compile_filter("ip", 9999)


@pytest.mark.parametrize(
    "text",
    [
        "hos",
        "host localhost",
        "example.org",
        "src example.org",
        "port http and ip6 example.org",
        "host \\tcp",
        "dst net example",
        "host fe80::1 or example",
        "gateway example",
        "not ether host example",
    ],
)
def test_names_are_refused_and_never_looked_up(text: str) -> None:
    with pytest.raises(FilterError, match="unknown host"):
        compile_filter(text, ETHERNET)


@given(st.text(max_size=60))
def test_any_text_compiles_or_is_a_filter_error(text: str) -> None:
    try:
        compiled = compile_filter(text, ETHERNET)
    except FilterError as error:
        assert str(error)
    else:
        assert compiled.instructions


WORDS = (
    "ip tcp udp host src dst port net and or not ( ) 10.0.0.1 80 [ ] : 2 > = proto 253 len foo fe80::1 gateway \\udp"
)


@given(st.lists(st.sampled_from(WORDS.split()), max_size=12), st.sampled_from([0, 1, 101, 113, 276]), st.binary())
def test_any_words_of_the_language_on_any_frame(words: list[str], linktype: int, frame: bytes) -> None:
    try:
        compiled = compile_filter(" ".join(words), linktype)
    except FilterError as error:
        assert str(error)
    else:
        assert compiled.matches(frame) in (True, False)


def test_without_libpcap_only_a_blank_filter_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_filter.cache_clear()
    monkeypatch.setattr(filters, "pcapy", None)
    assert compile_filter("", ETHERNET).matches(b"anything")
    with pytest.raises(FilterError, match="need libpcap"):
        compile_filter("ip", ETHERNET)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux attaches filters to sockets")
def test_the_kernel_runs_an_attached_filter() -> None:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with left, right:
        right.setblocking(False)
        compile_filter("ip proto 253", RAW).attach(right)
        left.send(ipv4(1))
        left.send(ipv4(253))
        assert right.recv(100) == ipv4(253)
        compile_filter("", RAW).attach(right)
        left.send(ipv4(1))
        assert right.recv(100) == ipv4(1)
        attach_reject_all(right)
        left.send(ipv4(253))
        with pytest.raises(BlockingIOError):
            right.recv(100)
