"""What a capture filter hides of what comes back."""

from __future__ import annotations

import pytest

from ipl_tui.packets.craft import Draft, craft
from ipl_tui.packets.messages import CLIENT_MESSAGE
from ipl_tui.tracking.view import View

ENDS = {"src": "10.0.1.10", "dst": "10.0.2.20"}
REQUEST = craft(Draft(**ENDS, payload=CLIENT_MESSAGE)).packet  # type: ignore[arg-type]
PING = craft(Draft(**ENDS, proto=1, payload=b"\x08\0\xf7\xfd\0\1\0\1")).packet  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("filter", "request_", "shown", "hides_answer", "hides_error"),
    [
        ("", REQUEST, True, False, False),
        ("ip", REQUEST, True, False, False),
        ("ip proto 253", REQUEST, True, False, True),
        ("icmp", REQUEST, False, True, False),
        ("dst host 10.0.2.20", REQUEST, True, True, True),
        ("icmp[0] = 8", PING, True, True, True),
        ("icmp[0] = 0", PING, False, False, True),
        ("src host 10.0.2.20", PING, False, False, False),
        ("no filter at all", REQUEST, True, False, False),
    ],
)
@pytest.mark.parametrize("linktype", [1, 12, 113])
def test_it_passes_or_not(
    filter: str, request_: bytes, shown: bool, hides_answer: bool, hides_error: bool, linktype: int
) -> None:
    view = View(filter, linktype)
    assert (view.passes(request_), view.hides_answer(request_), view.hides_error(request_)) == (
        shown,
        hides_answer,
        hides_error,
    )


@pytest.mark.parametrize("linktype", [None, 9999])
def test_on_an_unknown_link_nothing_is_said_to_be_hidden(linktype: int | None) -> None:
    view = View("icmp", linktype)
    assert view.passes(REQUEST) and not view.hides_answer(REQUEST) and not view.hides_error(REQUEST)
