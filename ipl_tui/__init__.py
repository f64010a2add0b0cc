"""IPL TUI: an Internet Protocol lab in the terminal."""

from ipl_tui.scapy_patches import mend_scapy

mend_scapy()
