"""IPL TUI: an Internet Protocol lab in the terminal."""

from ipl_tui.mending import mend_scapy

mend_scapy()
