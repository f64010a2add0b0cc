"""The course's two programs exchange with the lab: F6 answers their client, F5 asks their server."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from ipl_tui.widgets.header_grid import HeaderForm
from tests.conftest import Pair, inside
from tests.exchange.course import CLIENT, SERVER
from tests.exchange.course import running as started
from tests.exchange.test_clients import needs_libpcap
from tests.screen import until, until_seen
from tests.screens.conftest import Running, settled

__all__ = ["needs_libpcap"]


@pytest.mark.parametrize(("place", "way"), [("lo", "libpcap"), ("veth", "libpcap"), ("lo", "sockets")], ids=" ".join)
async def test_the_lab_and_their_programs(
    running: Running, request: pytest.FixtureRequest, needs_libpcap: None, place: str, way: str
) -> None:
    ours, ours_at, theirs, theirs_at, namespace = "lo", "127.0.0.1", "lo", "127.0.0.1", ""
    with ExitStack() as leaving:
        if place == "lo":
            request.getfixturevalue("own_loopback")
        else:
            pair: Pair = request.getfixturevalue("veth")
            ours, ours_at, theirs, theirs_at = "c0", pair.client.address, "s0", pair.server.address
            namespace = pair.server.namespace
            leaving.enter_context(inside(pair.client.namespace))
        async with running(ours, filter="ip proto 253", responder=True) as (pilot, lab):
            await settled(pilot, lab)
            await until_seen(pilot, "waits 0.15 s")
            with started(CLIENT, [theirs, theirs_at, ours_at, way], namespace) as client:
                client.ask()
                await until_seen(pilot, "↩ answers 1")
                assert client.says() == "heard"
            await pilot.press("f6")
            await until(pilot, lambda: lab.session.responder is None)
            lab.query_one(HeaderForm).fill({"dst": theirs_at})
            with started(SERVER, [theirs, theirs_at, ours_at, way], namespace):
                asked = len(lab.session.store) + 1
                await pilot.press("f5")
                await until_seen(pilot, f"↩ answers {asked}")
