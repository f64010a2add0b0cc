"""A packet as a tree of layers and fields, in the names, values and order of Scapy's show()."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

if TYPE_CHECKING:  # loads Scapy, which the first screen must not wait for
    from ipl_tui.packets.dissect import Node
    from ipl_tui.packets.fields import Field

LONGEST_VALUE = 200
"""Characters of a value that are shown: a payload can have 250,000, and its bytes are in the dump."""

MOST_LINES = 500
"""Layers and fields that are shown: 1,000 take Textual 0.1 s, and the keys would wait for it. Ordinary packets have 30
to 100, hostile ones thousands."""

WORDS = 22
"""Columns of a field's name and value before the RFC's words for it, where they need no more."""

Path = tuple[tuple[str, int], ...]
"""Path to a node: its name and place among its siblings, from the layer down."""


class PacketTree(Tree["Node"]):
    """The layers of one packet. What was folded, and where the cursor was, carries over to the next packet."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "Next field", show=False, id="tree.next"),
        Binding("k", "cursor_up", "Previous field", show=False, id="tree.previous"),
        Binding("g", "scroll_home", "First", show=False, id="tree.first"),
        Binding("G", "scroll_end", "Last", show=False, id="tree.last"),
    ]
    KEYS_TITLE: ClassVar[str] = "Fields"

    COMPONENT_CLASSES: ClassVar[set[str]] = {"packet-tree--words"}

    class NodeChosen(Message):
        """The cursor is on a layer or field."""

        def __init__(self, node: Node, layer: Node) -> None:
            super().__init__()
            self.node = node
            self.layer = layer

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("packet", id=id)
        self.show_root = False
        self.guide_depth = 2
        self.unfolded: dict[Path, bool] = {(("Ethernet", 1),): False}
        """Whether nodes are unfolded, of those that are otherwise than they come: at first the link header, so that IP
        is in view."""
        self.room = 0
        """Number of layers and fields of this packet that may still be shown."""
        self.remarks: Mapping[str, str] = {}
        """Remarks on fields of the outermost IPv4 header, by Scapy's name for each."""

    def show(self, layers: Iterable[Node], remarks: Mapping[str, str] | None = None) -> None:
        """Show another packet."""
        self.remarks = remarks or {}
        for path, node in self.walk():
            if node.allow_expand:
                self.unfolded.pop(path, None)
                if node.is_expanded == is_folded_at_first(node):
                    self.unfolded[path] = node.is_expanded
        at = next((path for path, node in self.walk() if node is self.cursor_node), None)
        self.cursor_line = -1  # so that it is said where the cursor is, also if that is the same line
        self.clear()
        self.room = MOST_LINES
        if left_out := sum(self.add(self.root, layer) for layer in layers):
            from ipl_tui.packets.dissect import Node

            self.root.add_leaf("", Node("…", f"{left_out:,} more; ipl-tui sniff --show prints them all", 0, 0))
        for path, node in self.walk():
            if node.allow_expand and path in self.unfolded and self.unfolded[path] != node.is_expanded:
                node.toggle()
        target = next((node for path, node in self.walk() if path == at), None)
        self.put_cursor(target or next((node for _, node in self.walk()), None))

    def put_cursor(self, node: TreeNode[Node] | None) -> None:
        """Move the cursor, also to a node that was only now added or came out of a fold."""
        if self.last_line >= 0:  # asking lays the lines out: nodes know theirs from then on
            self.move_cursor(node)

    def add(self, parent: TreeNode[Node], node: Node) -> int:
        """Add a node and those inside it, as long as there is room; how many there was none for."""
        inside = (*node.children, *node.parts)
        if not self.room:
            return 1 + sum(self.add(parent, child) for child in inside)
        self.room -= 1
        if not inside:
            parent.add_leaf(Text(node.name), node)
            return 0
        branch = parent.add(Text(node.name), node, expand=not node.parts)
        return sum(self.add(branch, child) for child in inside)

    def walk(self) -> Iterator[tuple[Path, TreeNode[Node]]]:
        """Every node with its path, from top to bottom."""

        def below(parent: TreeNode[Node], path: Path) -> Iterator[tuple[Path, TreeNode[Node]]]:
            seen: dict[str, int] = {}
            for node in parent.children:
                assert node.data is not None, "every node but the root has its data"
                name = node.data.name
                seen[name] = seen.get(name, 0) + 1
                here = (*path, (name, seen[name]))
                yield here, node
                yield from below(node, here)

        yield from below(self.root, ())

    def choose_byte(self, offset: int) -> None:
        """Go to the innermost field that has a byte of the frame; from it to the next one that has."""

        def width(node: TreeNode[Node]) -> tuple[int, bool]:
            # Of those with as many bytes, the field rather than its layer.
            assert node.data is not None, "every node but the root has its data"
            return node.data.stop - node.data.start, bool(node.data.children)

        holding = [
            node
            for _, node in self.walk()
            if node.data is not None and node.data.start <= offset < node.data.stop and not is_part(node)
        ]
        least = min(map(width, holding), default=None)
        innermost = [node for node in holding if width(node) == least]
        here = self.cursor_node
        at = innermost.index(here) + 1 if here is not None and here in innermost else 0
        self.go_to(innermost[at % len(innermost)] if innermost else None)

    def choose_field(self, field: Field) -> None:
        """Go to a field of the outermost IPv4 header, also one that Scapy has in one with others."""
        found = [node for _, node in self.walk() if node.data is not None and node.data.field == field.scapy]
        own = (node for node in found if node.data is not None and node.data.name == field.name)
        self.go_to(next(own, found[0] if found else None))

    def go_to(self, node: TreeNode[Node] | None) -> None:
        if node is None:
            return
        parent = node.parent
        while parent is not None:
            parent.expand()
            parent = parent.parent
        self.put_cursor(node)

    def on_tree_node_highlighted(self, event: Tree.NodeHighlighted[Node]) -> None:
        event.stop()
        layer = event.node
        while layer.parent is not None and layer.parent is not self.root:
            layer = layer.parent
        if event.node.data is None or layer.data is None:
            return  # a node of the packet before, which is no longer shown
        self.post_message(self.NodeChosen(event.node.data, layer.data))

    def render_label(self, node: TreeNode[Node], base_style: Style, style: Style) -> Text:
        fold = "" if not node.allow_expand else "▾ " if node.is_expanded else "▸ "
        if node.data is None:
            return Text("")
        data = node.data
        if data.children and not data.value:
            label = Text(f"{fold}{data.name}", base_style + style + Style(bold=True))
        else:
            value = data.value if len(data.value) <= LONGEST_VALUE else f"{data.value[:LONGEST_VALUE]}…"
            if data.name == "flags" and not value:
                value = "none"  # Scapy writes nothing, which looks like something forgotten
            label = Text(f"{fold}{data.name:<{9 - len(fold)}} = {value}", base_style + style)
        if data.note:
            label.append(f"   {data.note}", Style(italic=True))
        if data.name == data.field and (remark := self.remarks.get(data.field)):
            label.append(f"   {remark}", Style(italic=True))
        if words := self.words(node):
            label.pad_right(WORDS - len(label))
            # Only the colour: on the cursor's line, and in the tree's padding, the background is another's to give.
            quiet = Style(color=self.get_component_rich_style("packet-tree--words").color)
            label.append(f"  {words}", Style() if node is self.cursor_node else quiet)
        return label

    def words(self, node: TreeNode[Node]) -> str:
        """The RFC's words for a field; empty where they are Scapy's name."""
        from ipl_tui.packets.explanations.table import words_for

        layer = node
        while layer.parent is not None and layer.data is not None and (layer is node or not layer.data.children):
            layer = layer.parent
        return words_for(layer.data.name, node.data.name) if layer.data is not None and node.data is not None else ""


def is_folded_at_first(node: TreeNode[Node]) -> bool:
    """True if what is in it is not shown until somebody unfolds it."""
    return node.data is not None and bool(node.data.parts)


def is_part(node: TreeNode[Node]) -> bool:
    """True if it is one of the RFC's fields that Scapy has in one."""
    return node.parent is not None and node.parent.data is not None and bool(node.parent.data.parts)
