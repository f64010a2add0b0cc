"""The packet tree: names, values and order of Scapy's show(); what was folded and where the cursor was."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from ipl_tui.packets.craft import Draft, craft
from ipl_tui.packets.dissect import Node, dissect
from ipl_tui.packets.fields import FIELD
from ipl_tui.widgets.packet_tree import LONGEST_VALUE, MOST_LINES, PacketTree
from tests.screen import seen, until, until_seen
from tests.widgets.stage import Stage, staged

ETHERNET, RAW_IP = 1, 101


def layers(payload: bytes = b"ClientMessage", **values: Any) -> tuple[Node, ...]:
    """What the dissector makes of a packet in an Ethernet frame."""
    packet = craft(Draft(src="10.0.1.10", dst="10.0.1.20", payload=payload, **values)).packet
    return dissect(bytes(12) + b"\x08\x00" + packet, ETHERNET).layers


def lines(stage: Stage) -> list[str]:
    """The tree's lines, without its guides."""
    return [text for line in seen(stage) if (text := line.strip("│├└ ▁▂▃▄▅▆▇█"))]


async def goes_to(pilot: Pilot[None], tree: PacketTree, name: str) -> None:
    """Wait until the cursor is on the node of a name."""
    await until(pilot, lambda: cursor(tree) == name)


def cursor(tree: PacketTree) -> str:
    node = tree.cursor_node
    return node.data.name if node is not None and node.data is not None else ""


async def says(pilot: Pilot[None], stage: Stage, name: str, value: str | None = None) -> None:
    """Wait until the tree has said that a node is chosen."""

    def has_said() -> bool:
        said = [message.node for message in stage.said(PacketTree.NodeChosen)]
        return bool(said) and said[-1].name == name and value in (None, said[-1].value)

    await until(pilot, has_said)


class TestValues:
    async def test_layers_and_fields_are_named_and_ordered_as_show_does(self) -> None:
        tree = PacketTree(id="tree")
        async with staged(tree, size=(70, 30)) as (pilot, stage):
            tree.show(layers(df=1, ttl=63))
            await until_seen(pilot, "ClientMessage")
            assert lines(stage) == [
                "▸ Ethernet",
                "▾ IP",
                "version   = 4",
                "ihl       = 5",
                "▸ tos     = 0x0         DSCP and ECN",
                "len       = 33          Total Length",
                "id        = 1           Identification",
                "▸ flags   = DF",
                "frag      = 0           Fragment Offset",
                "ttl       = 63          Time to Live",
                "proto     = 253         Protocol",
                "chksum    = 0x24c2   correct  Header Checksum",
                "src       = 10.0.1.10   Source Address",
                "dst       = 10.0.1.20   Destination Address",
                "options   =",
                "▾ Raw",
                "load      = b'ClientMessage'",
            ]

    async def test_a_wrong_checksum_is_called_wrong(self) -> None:
        tree = PacketTree()
        async with staged(tree, size=(70, 30)) as (pilot, _):
            tree.show(layers(chksum=1))
            assert "0x1   wrong, 0x63c2 would be right" in await until_seen(pilot, "chksum")

    async def test_a_long_value_is_cut(self) -> None:
        tree = PacketTree()
        async with staged(tree, size=(300, 30)) as (pilot, _):
            tree.show(layers(b"x" * 60_000))
            load = await until_seen(pilot, "load")
            assert load.rstrip().endswith("xxx…")
            assert load.count("x") == LONGEST_VALUE - len("b'")

    async def test_markup_is_text(self) -> None:
        tree = PacketTree()
        async with staged(tree, size=(100, 30)) as (pilot, _):
            tree.show(
                (
                    Node(
                        "[bold]Layer[/]",
                        "",
                        0,
                        4,
                        (Node("[red]f", "[/] [@click=app.quit]q[/]", 0, 4, (), "", ""),),
                        "",
                        "",
                    ),
                )
            )
            await until_seen(pilot, "▾ [bold]Layer[/]")
            await until_seen(pilot, "[red]f    = [/] [@click=app.quit]q[/]")


class TestTheNextPacket:
    async def test_the_link_header_is_folded_at_first(self) -> None:
        tree = PacketTree()
        async with staged(tree, size=(70, 30)) as (pilot, stage):
            tree.show(layers())
            await until_seen(pilot, "▸ Ethernet")
            assert not any(line.startswith("type") for line in lines(stage))
            assert cursor(tree) == "Ethernet"

    async def test_what_was_folded_stays_folded(self) -> None:
        tree = PacketTree()
        async with staged(tree, size=(70, 30)) as (pilot, stage):
            tree.show(layers())
            await until_seen(pilot, "▾ IP")
            await pilot.press("enter", "down", "down", "down", "down", "enter")  # open Ethernet, fold IP
            await until_seen(pilot, "▾ Ethernet")
            await until_seen(pilot, "▸ IP")
            tree.show(layers(b"the next"))
            await until_seen(pilot, "the next")
            assert lines(stage)[:2] == ["▾ Ethernet", "dst       = 00:00:00:00:00:00  Destination Address"]
            assert "▸ IP" in lines(stage) and "▾ Raw" in lines(stage)

    async def test_a_fold_outlives_packets_that_do_not_have_the_layer(self) -> None:
        tree = PacketTree()
        async with staged(tree, size=(70, 30)) as (pilot, _):
            tree.show(layers())
            await until_seen(pilot, "▾ Raw")
            await pilot.press("G", "k", "enter")
            await until_seen(pilot, "▸ Raw")
            tree.show(layers(b""))
            await until(pilot, lambda: not any("Raw" in line for line in seen(pilot.app)))
            tree.show(layers(b"again"))
            await until_seen(pilot, "▸ Raw")

    async def test_the_cursor_stays_on_its_field(self) -> None:
        tree = PacketTree()
        async with staged(tree, size=(70, 30)) as (pilot, stage):
            tree.show(layers(ttl=64))
            tree.choose_field(FIELD["ttl"])
            await goes_to(pilot, tree, "ttl")
            for ttl in (7, 8, 9):
                tree.show(layers(ttl=ttl))
                await until_seen(pilot, f"ttl       = {ttl}")
                await goes_to(pilot, tree, "ttl")
                await says(pilot, stage, "ttl", str(ttl))  # on the same line, and yet other bytes

    async def test_the_cursor_stays_on_its_field_however_fast_packets_are_paged_through(self) -> None:
        tree = PacketTree()
        async with staged(tree, size=(70, 30)) as (pilot, _):
            tree.show(layers())
            tree.choose_field(FIELD["ttl"])
            await goes_to(pilot, tree, "ttl")
            for ttl in range(1, 20):
                tree.show(layers(ttl=ttl))
            await until_seen(pilot, "ttl       = 19")
            await goes_to(pilot, tree, "ttl")

    async def test_the_cursor_goes_to_the_top_where_its_field_is_not(self) -> None:
        tree = PacketTree()
        async with staged(tree, size=(70, 30)) as (pilot, _):
            tree.show(layers())
            tree.choose_byte(14 + 20)
            await goes_to(pilot, tree, "load")
            tree.show(layers(b""))
            await goes_to(pilot, tree, "Ethernet")


class TestChoosing:
    @pytest.mark.parametrize(
        ("choose", "name", "shown"),
        [
            (lambda tree: tree.choose_field(FIELD["ttl"]), "ttl", "ttl       = 64"),
            (lambda tree: tree.choose_field(FIELD["df"]), "df", "df        = 0"),
            (lambda tree: tree.choose_byte(14), "version", "version   = 4"),
            (lambda tree: tree.choose_byte(14 + 11), "chksum", "chksum    = 0x63c2"),
            (lambda tree: tree.choose_byte(14 + 25), "load", "load      = b'ClientMessage'"),
            (lambda tree: tree.choose_byte(12), "type", "type      ="),
        ],
        ids=[
            "ttl",
            "flags",
            "the first byte of IP",
            "a checksum byte",
            "a payload byte",
            "a byte of the folded link header",
        ],
    )
    async def test_a_field_or_byte_is_found_and_said(
        self, choose: Callable[[PacketTree], None], name: str, shown: str
    ) -> None:
        tree = PacketTree()
        async with staged(tree, size=(70, 30)) as (pilot, stage):
            tree.show(layers())
            await until_seen(pilot, "ClientMessage")
            choose(tree)
            await goes_to(pilot, tree, name)
            await until_seen(pilot, shown)
            await says(pilot, stage, name)

    async def test_the_rfc_s_fields_in_one_of_scapy_s_are_folded_until_one_is_chosen(self) -> None:
        tree = PacketTree()
        async with staged(tree, size=(70, 30)) as (pilot, stage):
            tree.show(layers(dscp=46, ecn=1, df=1))
            await until_seen(pilot, "▸ tos     = 0xb9")
            tree.choose_field(FIELD["ecn"])
            await goes_to(pilot, tree, "ecn")
            shown = lines(stage)
            at = shown.index("▾ tos     = 0xb9        DSCP and ECN")
            assert [line.split() for line in shown[at + 1 : at + 3]] == [["dscp", "=", "46"], ["ecn", "=", "1"]]
            await says(pilot, stage, "ecn", "1")
            node = stage.said(PacketTree.NodeChosen)[-1].node
            assert node.bits == (8 * 14 + 14, 8 * 14 + 16)
            tree.show(layers(dscp=0, ecn=2))
            await until_seen(pilot, "ecn       = 2")
            await goes_to(pilot, tree, "ecn")

    async def test_choosing_a_byte_again_goes_to_the_next_field_in_it(self) -> None:
        tree = PacketTree()
        async with staged(tree, size=(70, 30)) as (pilot, _):
            tree.show(layers())
            await until_seen(pilot, "ClientMessage")
            for name in ("version", "ihl", "version"):
                tree.choose_byte(14)
                await goes_to(pilot, tree, name)

    async def test_what_is_not_there_leaves_the_cursor(self) -> None:
        tree = PacketTree()
        async with staged(tree, size=(70, 30)) as (pilot, _):
            tree.show(layers())
            tree.choose_field(FIELD["ttl"])
            await goes_to(pilot, tree, "ttl")
            tree.choose_byte(5000)
            tree.choose_field(dataclasses.replace(FIELD["ttl"], name="ttl of another", scapy="no such field"))
            await pilot.pause()
            assert cursor(tree) == "ttl"

    @pytest.mark.parametrize(
        ("keys", "name"),
        [("j", "IP"), ("j j", "version"), ("j j k", "IP"), ("G", "load"), ("G g", "Ethernet"), ("down", "IP")],
    )
    async def test_keys_move_the_cursor_and_the_layer_is_said_too(self, keys: str, name: str) -> None:
        tree = PacketTree()
        async with staged(tree, size=(70, 30)) as (pilot, stage):
            tree.show(layers())
            await goes_to(pilot, tree, "Ethernet")
            await pilot.press(*keys.split())
            await goes_to(pilot, tree, name)
            await says(pilot, stage, name)
            layer = {"version": "IP", "load": "Raw"}.get(name, name)
            assert stage.said(PacketTree.NodeChosen)[-1].layer.name == layer

    async def test_an_empty_frame_has_an_empty_tree(self) -> None:
        tree = PacketTree()
        async with staged(tree, size=(70, 30)) as (pilot, stage):
            tree.show(layers())
            await until_seen(pilot, "ClientMessage")
            tree.show(())
            await until(pilot, lambda: not lines(stage))
            await pilot.press("j", "k", "g", "G", "enter")


async def test_of_thousands_of_fields_there_are_as_many_as_keys_need_not_wait_for() -> None:
    tree = PacketTree(id="tree")
    many = Node("Many", "", 0, 0, tuple(Node(f"field {number}", "1", 0, 0) for number in range(3 * MOST_LINES)))
    async with staged(tree, size=(90, 30)) as (pilot, _):
        tree.show((many, Node("Raw", "", 0, 0, (Node("load", "b''", 0, 0),))))
        await pilot.press("end")
        await until_seen(pilot, f"{2 * MOST_LINES + 3:,} more; ipl-tui sniff --show prints them all")
        await until_seen(pilot, f"field {MOST_LINES - 2} ")
        assert tree.last_line == MOST_LINES
        tree.show((Node("Raw", "", 0, 0, (Node("load", "b''", 0, 0),)),))
        assert tree.last_line == 1
