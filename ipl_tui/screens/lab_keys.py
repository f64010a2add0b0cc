"""The keys of the lab's screen: what each does, and what footer and F1 say about it."""

from textual.binding import Binding, BindingType

LAB_KEYS: list[BindingType] = [
    Binding("f1,question_mark", "help", "Help", id="lab.help", tooltip="Every key, and how to read the lab"),
    Binding("f2", "interface", "Interface", id="lab.interface", tooltip="Choose where to capture and send"),
    Binding("f3,slash", "filter", "Filter", id="lab.filter", tooltip="Go to the capture filter"),
    Binding("ctrl+o", "unfilter", "Capture without filter", show=False, id="lab.unfilter",
            tooltip="Clear the capture filter, and capture everything from here on"),
    Binding("f5", "send", "Send", id="lab.send", tooltip="Send the packet in the composer, or stop sending"),
    Binding("f6", "responder", "Answer", id="lab.responder", tooltip="Answer ClientMessage, or stop answering"),
    Binding("f7,space", "pause", "Pause", id="lab.pause", tooltip="Hold the list still; capturing goes on"),
    Binding("f8", "save", "Save", id="lab.save", tooltip="Save the capture as pcapng or pcap"),
    Binding("f9", "path", "Path", id="lab.path", tooltip="Capture on all interfaces of the network, join the hops"),
    Binding("L", "links", "Links", show=False, id="lab.links", tooltip="Set latency, loss and MTU of the network"),
    Binding("e", "engine", "Engine", show=False, id="lab.engine", tooltip="Answer with Scapy, or a raw socket"),
    Binding("v", "compare", "Compare the three engines", show=False, id="lab.compare",
            tooltip="Scapy, raw socket and asyncio over TCP side by side, as captured"),
    Binding("c,ctrl+y", "checksum", "Checksum worked", show=False, id="lab.checksum",
            tooltip="Work out the header checksum of the draft or the packet; after a hop, why it changed"),
    Binding("d", "doctor", "Doctor", show=False, id="lab.doctor",
            tooltip="What works here, and what mends the rest"),
    Binding("w", "wireshark", "Open in Wireshark", show=False, id="lab.wireshark",
            tooltip="Open a copy of the capture in Wireshark"),
    Binding("1", "pane('packets')", "Packets", show=False, id="lab.packets", tooltip="Go to the packets"),
    Binding("2", "pane('compose')", "Compose", show=False, id="lab.compose", tooltip="Go to the composer"),
    Binding("3", "pane('header')", "Header", show=False, id="lab.header", tooltip="Go to the packet's header"),
    Binding("4", "pane('fields')", "Fields", show=False, id="lab.fields", tooltip="Go to the packet's fields"),
    Binding("escape", "pane('packets')", "Back to the packets", show=False, id="lab.back"),
    Binding("q", "app.quit", "Quit", id="lab.quit", tooltip="Leave the lab"),
]  # fmt: skip
