"""The sandbox: three hosts in namespaces of this machine's Linux kernel. Importing it loads no Scapy."""

from ipl_tui.networks.sandbox.network import SandboxInterface, SandboxNetwork

__all__ = ["SandboxInterface", "SandboxNetwork"]
