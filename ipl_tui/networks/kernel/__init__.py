"""The kernel network: this machine's own interfaces. Importing it loads no Scapy."""

from ipl_tui.networks.kernel.network import KernelInterface, KernelNetwork

__all__ = ["KernelInterface", "KernelNetwork"]
