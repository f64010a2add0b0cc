"""The lab on the simulated network and in the sandbox: the same keys, the same sights, no permission needed."""

from __future__ import annotations

import os
import signal
from contextlib import closing

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from ipl_tui.networks.interface import Network
from ipl_tui.networks.kernel import KernelNetwork
from ipl_tui.networks.links import read_link
from ipl_tui.networks.sandbox import SandboxNetwork
from ipl_tui.networks.simulated import SimulatedNetwork
from ipl_tui.screens.lab import LabScreen
from ipl_tui.widgets.header_grid import HeaderForm, HeaderGrid
from ipl_tui.widgets.packet_list import PacketList
from tests.conftest import Children
from tests.screen import seen, until, until_seen
from tests.screens.conftest import Running, settled


async def compose(pilot: Pilot[None], lab: LabScreen, payload: str = "", **fields: str) -> None:
    """Change the draft, and send it."""
    lab.query_one(HeaderForm).fill(fields)
    if payload:
        lab.query_one("#payload", Input).value = payload
    await until(pilot, lambda: lab.composer.crafted is not None)
    await pilot.pause()
    await pilot.press("f5")


async def test_the_list_goes_to_what_was_sent_however_late_it_is_shown(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipl_tui.session.recording.GATHER", 0.3)
    with closing(SimulatedNetwork()) as network:
        async with running("simulated:client", networks=[network]) as (pilot, lab):
            await settled(pilot, lab)
            await pilot.press("f5")
            await until(pilot, lambda: lab.packets.count == 4 and lab.packets.selected != 1)
            assert lab.packets.selected == 3, "the ClientMessage, after ARP's request and reply"


async def test_the_list_goes_to_what_was_sent_also_when_an_icmp_error_is_there_before_the_list_shows_it(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipl_tui.session.recording.GATHER", 0.3)
    with closing(SimulatedNetwork()) as network:
        async with running("simulated:client", networks=[network], filter="ip") as (pilot, lab):
            await settled(pilot, lab)
            await compose(pilot, lab, ttl="1")
            await until_seen(pilot, "▲ 10.0.1.1 says time exceeded")
            await until(pilot, lambda: lab.packets.selected == 1)
            await pilot.press("f5")
            await until(pilot, lambda: len(lab.session.store) == 4)
            await until(pilot, lambda: lab.packets.selected == 3)
            await until_seen(pilot, "▲ 10.0.1.1 says time exceeded")


class TestExchange:
    async def test_f5_and_the_answer_is_there(self, running: Running, network: Network) -> None:
        async with running(f"{network.name}:client", networks=[network], filter="ip") as (pilot, lab):
            await until_seen(pilot, f"client c0  10.0.1.10  ({network.name}) ▾")
            await until_seen(pilot, "↩ Scapy responder (server)")
            await settled(pilot, lab)
            await pilot.press("f5")
            answer = await until_seen(pilot, "ServerResponse")
            assert "10.0.2.20       ⇥ 10.0.1.10" in answer and "↩ answers 1" in answer
            await until_seen(pilot, "Sent 1 × 33 bytes, exact, on c0; answered in")
            assert len(lab.session.store) == 2, "and nobody objects"

    async def test_the_answer_is_said_where_one_types_on_a_small_screen_too(self, running: Running) -> None:
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network], filter="ip", size=(80, 24)) as (pilot, lab):
                await settled(pilot, lab)
                await pilot.press("2", "f5")
                assert "ms by packet 2" in await until_seen(pilot, "; answered in")

    async def test_what_the_lab_sends_is_answered_at_once(
        self, running: Running, network: Network, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also from beyond the router, which has changed its header."""
        monkeypatch.setattr("ipl_tui.session.responder.DELAY", 3600.0)
        async with running(f"{network.name}:client", networks=[network], filter="ip proto 253") as (pilot, lab):
            await settled(pilot, lab)
            for number in (1, 3):
                await pilot.press("f5")
                await until_seen(pilot, f"↩ answers {number}")

    async def test_without_the_responder_the_objection_is_explained(self, running: Running, network: Network) -> None:
        async with running(f"{network.name}:client", networks=[network], filter="ip", responder=False) as (pilot, lab):
            await until(pilot, lab.session.settled.is_set)
            await pilot.press("f5")
            assert "refused by 2" in await until_seen(pilot, "ClientMessage  ")
            assert "↯ about 1" in await until_seen(pilot, "protocol unreachable  ↯")
            await until_seen(pilot, "▲ 10.0.2.20 says protocol unreachable: nobody there listens to")
            await until_seen(pilot, "F6 turns the responder on")
            await pilot.press("f6")
            await until_seen(pilot, "↩ Scapy responder (server)")
            await pilot.press("f5")
            await until_seen(pilot, "↩ answers 3")

    async def test_the_kernel_method_arrives_too(self, running: Running, network: Network) -> None:
        async with running(f"{network.name}:client", networks=[network], filter="ip") as (pilot, lab):
            await settled(pilot, lab)
            await pilot.press("2", "ctrl+l", "ctrl+l")
            await until_seen(pilot, "s     kernel")
            await pilot.press("f5")
            await until_seen(pilot, "↩ answers 1")

    async def test_an_objection_of_another_host_advises_no_responder(self, running: Running, network: Network) -> None:
        async with running(f"{network.name}:client", networks=[network], filter="ip", responder=False) as (pilot, lab):
            await until(pilot, lab.session.settled.is_set)
            await compose(pilot, lab, dst="10.0.1.1")
            await until_seen(pilot, "▲ 10.0.1.1 says protocol unreachable: nobody there listens to")
            assert not any("F6 turns" in line for line in seen(pilot.app))

    async def test_an_answer_that_is_lost_is_named(self, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ipl_tui.session.session.MISSED_AFTER", 0.3)
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network], filter="ip", follow=True) as (pilot, lab):
                await settled(pilot, lab)
                await compose(pilot, lab, src="10.0.1.99")
                await until(pilot, lambda: "nothing came back" in str(lab.composer.verdict.render()))
                said = str(lab.composer.verdict.render())
                assert "the answer, packet 5, did not come back: " in said
                assert "the router did not pass the answer on." in said


class TestPath:
    async def test_every_hop_is_joined_and_its_changes_are_marked(self, running: Running, network: Network) -> None:
        async with running(
            f"{network.name}:client", networks=[network], filter="ip proto 253", size=(200, 60), follow=True
        ) as (pilot, lab):
            await settled(pilot, lab)
            await pilot.press("f5")
            await until(pilot, lambda: lab.query_one(PacketList).count == 8)
            await until_seen(pilot, "Path  c0 #1 ─▶ r0 #2 ─ TTL 64→63, checksum ─▶ r1 #3 ─▶ s0 #4")
            await until_seen(pilot, "✔ Arrived at the server.")
            assert "r1        10.0.1.10 " in await until_seen(pilot, "⇢ 2, TTL 64→63, checksum")
            await pilot.press("down", "down")
            await until_seen(pilot, "63 (was 64)")
            await until_seen(pilot, "ttl       = 63   was 64 on r0")
            marks = lab.query_one("#header-grid", HeaderGrid).marks
            assert marks == {"ttl": "changed", "chksum": "changed"}
            await pilot.press("end")
            await until_seen(pilot, "Path  s0 #5 ─▶ r1 #6 ─ TTL 64→63, checksum ─▶ r0 #7 ─▶ c0 #8")
            await until_seen(pilot, "✔ Arrived at the client.")

    async def test_a_packet_whose_time_to_live_ends(self, running: Running, network: Network) -> None:
        async with running(f"{network.name}:client", networks=[network], filter="ip") as (pilot, lab):
            await settled(pilot, lab)
            await pilot.press("f9")
            await until_seen(pilot, "● capturing path")
            await settled(pilot, lab)
            await compose(pilot, lab, ttl="1")
            await until_seen(pilot, "▲ 10.0.1.1 says time exceeded")
            await until_seen(pilot, "Path  c0 #1 ─▶ r0 #2")
            ending = (
                "Time to Live is used up"
                if network.name == "simulated"
                else "✖ Last seen on r0: the router did not pass it"
            )
            assert "✖" in await until_seen(pilot, ending)
            assert "⇢ 1 ✖ " in await until_seen(pilot, "⇢ 1")
            await until(pilot, lambda: lab.query_one(PacketList).count == 4)
            await pilot.press("f5")
            await until_seen(pilot, "Path  c0 #5 ─▶ r0 #6")

    async def test_a_reader_of_another_packet_is_not_taken_away_from_it(self, running: Running) -> None:
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network], filter="ip", follow=True) as (pilot, lab):
                await settled(pilot, lab)
                for count in (8, 16):
                    await pilot.press("f5")
                    await until(pilot, lambda count=count: lab.query_one(PacketList).count == count)  # type: ignore[misc]
                await pilot.press("1", "end", *["up"] * 14)
                packets = lab.query_one(PacketList)
                await until(pilot, lambda: packets.selected == 2 and not packets.following)
                await pilot.press("f5")
                await until(pilot, lambda: packets.count == 24)
                assert packets.selected == 2

    async def test_the_router_fragments_and_the_pieces_are_joined(self, running: Running, network: Network) -> None:
        network.set_link(read_link("r1-s0:mtu=100", network.links()))
        async with running(
            f"{network.name}:client", networks=[network], filter="ip src 10.0.1.10", size=(200, 60), follow=True
        ) as (pilot, lab):
            await settled(pilot, lab)
            await compose(pilot, lab, payload="x" * 200)
            await until_seen(
                pilot,
                "Path  c0 #1 ─▶ r0 #2 ─ TTL 64→63, fragmented, checksum ─▶ r1 #3, #4, #5 ─▶ s0 #6, #7, #8"
                if network.name == "simulated"
                else "fragmented, checksum",
            )
            await until(pilot, lambda: len(lab.session.tracker.journey(1).stops[-1].frames) == 3)

    async def test_don_t_fragment_tells_the_size_that_fits(self, running: Running, network: Network) -> None:
        async with running(f"{network.name}:client", networks=[network], filter="ip", follow=True) as (pilot, lab):
            await settled(pilot, lab)
            await compose(pilot, lab, payload="x" * 600, df="1")
            await until_seen(pilot, "fragmentation needed, MTU 576")
            await until_seen(pilot, "▲ 10.0.1.1 says fragmentation needed")
            await until(pilot, lambda: lab.session.tracker.loss(2))

    async def test_off_again_there_is_one_interface(self, running: Running, network: Network) -> None:
        async with running(f"{network.name}:client", networks=[network], filter="ip", follow=True) as (pilot, lab):
            await settled(pilot, lab)
            await until_seen(pilot, "Path: choose a packet")
            await pilot.press("f9")
            await until(pilot, lambda: not any("Path: " in line for line in seen(pilot.app)))
            await settled(pilot, lab)
            await pilot.press("f5")
            await until_seen(pilot, "2 captured")

    async def test_this_machine_has_no_path(self, running: Running) -> None:
        async with running(networks=[KernelNetwork(), SimulatedNetwork(), SandboxNetwork()]) as (pilot, lab):
            await pilot.press("f9")
            await until_seen(pilot, "The interfaces of the kernel network form")
            await until_seen(pilot, "choose a simulated or sandbox one")
            assert not lab.session.following


class TestLinks:
    async def test_latency_loss_and_mtu_are_set_in_the_lab(self, running: Running) -> None:
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network], filter="ip", follow=True) as (pilot, lab):
                await settled(pilot, lab)
                await pilot.press("L")
                await until_seen(pilot, "Links of the simulated network")
                loss = pilot.app.screen.query(Input)[1]
                loss.value = "200"
                await pilot.press("enter")
                await until_seen(pilot, "✖ The loss is 0 to 100 %.")
                loss.value = "100"
                await pilot.press("enter")
                await until_seen(pilot, "c0-r0: MTU 1500, loses 100%")
                # ARP is lost as well: the packet never leaves the client.
                await pilot.press("f5")
                await until_seen(pilot, "Nobody at 10.0.1.1 answered ARP on c0.")

    async def test_a_packet_lost_on_a_link_is_told(self, running: Running) -> None:
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network], filter="ip", size=(200, 60)) as (pilot, lab):
                await settled(pilot, lab)
                await pilot.press("f5")
                await until_seen(pilot, "answered by 2")
                network.set_link(read_link("c0-r0:loss=100", network.links()))
                await pilot.press("f5")
                await until_seen(pilot, "ClientMessage  ✖ Lost on the link c0-r0, which loses 100% of all frames.")

    async def test_in_the_sandbox_only_the_mtu(self, running: Running, sandbox: SandboxNetwork) -> None:
        async with running("sandbox:client", networks=[sandbox]) as (pilot, lab):
            await settled(pilot, lab)
            await pilot.press("L")
            await until_seen(pilot, "not here")
            pilot.app.screen.query(Input)[5].value = "300"
            await pilot.press("enter")
            await until_seen(pilot, "r1-s0: MTU 300")
            assert [interface.mtu for interface in sandbox.path()] == [1500, 1500, 300, 300]

    async def test_this_machine_s_are_not_for_us(self, running: Running) -> None:
        async with running() as (pilot, _):
            await pilot.press("L")
            await until_seen(pilot, "Nothing of the kernel network's links can be set here.")


class TestSelector:
    async def test_networks_are_told_apart_and_the_choice_is_remembered(
        self, running: Running, sandbox: SandboxNetwork
    ) -> None:
        chosen: list[str] = []
        with closing(SimulatedNetwork()) as simulated:
            networks: list[Network] = [simulated, sandbox, KernelNetwork()]
            async with running("simulated", networks=networks, filter="ip", on_interface_chosen=chosen.append) as (
                pilot,
                lab,
            ):
                await settled(pilot, lab)
                await pilot.press("f2")
                for network in networks:
                    await until_seen(pilot, f"{network.name}  {network.purpose}")
                await until_seen(pilot, "router  r1")
                await pilot.press("j", "j", "j", "j", "enter")
                await until_seen(pilot, "client c0  10.0.1.10  (sandbox) ▾")
                await until_seen(pilot, "↩ Scapy responder (server)")
                await settled(pilot, lab)
                await pilot.press("f5")
                await until_seen(pilot, "↩ answers 1")
                assert chosen == ["sandbox:client/c0"]

    async def test_the_destination_moves_with_the_interface(self, running: Running) -> None:
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:server", networks=[network]) as (pilot, lab):
                await until(pilot, lambda: lab.query_one(HeaderForm).entries["dst"] == "10.0.1.10")
                await pilot.press("f2", "k", "k", "k", "enter")
                await until(pilot, lambda: lab.query_one(HeaderForm).entries["dst"] == "10.0.2.20")

    async def test_the_composer_says_that_choosing_another_ended_a_repeat(
        self, running: Running, network: Network
    ) -> None:
        async with running(f"{network.name}:client", networks=[network], size=(120, 36)) as (pilot, lab):
            await settled(pilot, lab)
            lab.composer.count.value, lab.composer.interval.value = "1000", "0.01"
            await pilot.press("f5")
            await until_seen(pilot, "of 1,000; F5 stops")
            await pilot.press("f2")
            await until_seen(pilot, "Enter chooses")
            await pilot.press("j", "enter")
            assert " of 1,000" in await until_seen(pilot, "Stopped: another interface was chosen; sent ")
            await until_seen(pilot, "router r0")
            assert lab.composer.form.inputs["dst"].value == lab.snapshot.interface.destination

    async def test_a_responder_that_the_user_switched_off_stays_off(self, running: Running) -> None:
        with closing(SimulatedNetwork()) as network:
            async with running("simulated:client", networks=[network]) as (pilot, lab):
                await settled(pilot, lab)
                await pilot.press("f6")
                await until(pilot, lambda: lab.session.responder is None)
                await pilot.press("f2", "j", "enter")
                await until_seen(pilot, "router r0")
                await until(pilot, lab.session.settled.is_set)
                assert lab.session.responder is None


async def test_a_sandbox_whose_helper_dies_is_told_and_the_lab_goes_on(
    running: Running, sandbox: SandboxNetwork, children: Children
) -> None:
    async with running("sandbox:client", networks=[sandbox], filter="ip") as (pilot, lab):
        await settled(pilot, lab)
        await pilot.press("f5")
        await until_seen(pilot, "↩ answers 1")
        (helper,) = children()
        os.kill(helper.pid, signal.SIGKILL)
        await until_seen(pilot, "✖ The sandbox has ended")
        await until_seen(pilot, "✖ not capturing   2 captured")
        await pilot.press("f2", "enter")
        await until_seen(pilot, "● capturing")
        await settled(pilot, lab)
        await pilot.press("f5")
        await until_seen(pilot, "↩ answers 3")


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_styles_at_the_start_are_those_of_the_stylesheet(size: tuple[int, int], running: Running) -> None:
    def styles() -> dict[str, object]:
        return {
            f"{number} {node.css_identifier} {name}": value
            for number, node in enumerate(lab.walk_children(with_self=True))
            for name, value in node.styles.get_rules().items()
        }

    with closing(SimulatedNetwork()) as network:
        async with running("simulated:client", networks=[network], size=size) as (pilot, lab):
            await settled(pilot, lab)
            as_drawn = styles()
            lab.update_node_styles(animate=False)
            assert {name: value for name, value in styles().items() if as_drawn.get(name) != value} == {}
            assert len(as_drawn) > 1000
