"""Setting links from text."""

import pytest

from ipl_tui.networks.interface import LinkError
from ipl_tui.networks.links import check_link, describe_link, read_link
from ipl_tui.networks.topology import LINKS, Link

SANDBOX = tuple(Link(link.ends, link.mtu, None, None) for link in LINKS)


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("c0-r0:mtu=100", Link(("c0", "r0"), 100)),
        ("r1-s0:latency=50ms,loss=20%", Link(("r1", "s0"), 576, 0.05, 0.2)),
        ("r1-s0: mtu=68 , latency=1.5, loss=100 %", Link(("r1", "s0"), 68, 0.0015, 1.0)),
        ("r1-s0:loss=0", Link(("r1", "s0"), 576)),
    ],
)
def test_what_is_named_is_set_and_the_rest_stays(text: str, link: Link) -> None:
    assert read_link(text, LINKS) == link


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("c0-s0:mtu=100", 'There is no link "c0-s0"; there are c0-r0 and r1-s0.'),
        ("", 'There is no link ""'),
        ("c0-r0", 'no ""'),
        ("c0-r0:speed=1", 'A link has mtu, latency and loss, and no "speed"'),
        ("c0-r0:mtu=67", "The MTU is 68 to 65,535 bytes."),
        ("c0-r0:mtu=65536", "The MTU is 68 to 65,535 bytes."),
        ("c0-r0:mtu=5.5", 'The mtu needs a whole number; "5.5" is none.'),
        ("c0-r0:mtu=1e3", 'The mtu needs a whole number; "1e3" is none.'),
        ("c0-r0:latency=nan", 'The latency needs a number of ms; "nan" is none.'),
        ("c0-r0:latency=-1", 'The latency needs a number of ms; "-1" is none.'),
        ("c0-r0:latency=60001", "The latency is 0 to 60,000 ms."),
        ("c0-r0:loss=101", "The loss is 0 to 100 %."),
        ("c0-r0:loss=٣", 'The loss needs a number of %; "٣" is none.'),
    ],
)
def test_what_cannot_be_set_is_said(text: str, sentence: str) -> None:
    with pytest.raises(LinkError) as problem:
        read_link(text, LINKS)
    assert sentence in str(problem.value)


def test_where_only_the_mtu_can_be_set() -> None:
    assert read_link("r1-s0:mtu=300", SANDBOX) == Link(("r1", "s0"), 300, None, None)
    for setting in ("latency=1ms", "loss=0"):
        with pytest.raises(LinkError, match="can't be set here, only the MTU"):
            read_link(f"r1-s0:{setting}", SANDBOX)


def test_where_there_are_none() -> None:
    with pytest.raises(LinkError, match="This machine's own links can't be set"):
        read_link("c0-r0:mtu=100", ())


def test_a_link_of_another_network_is_refused() -> None:
    with pytest.raises(LinkError, match="There is no link"):
        check_link(Link(("x", "y")), LINKS)


def test_a_link_in_words() -> None:
    assert describe_link(LINKS[1]) == "r1-s0: MTU 576"
    assert describe_link(Link(("c0", "r0"), 1500, 0.05, 0.2)) == "c0-r0: MTU 1500, 50 ms, loses 20%"
