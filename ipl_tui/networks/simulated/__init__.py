"""The simulated network: three hosts in memory. Importing it loads no Scapy; see simulation.py for what runs."""

from ipl_tui.networks.simulated.network import SimulatedInterface, SimulatedNetwork

__all__ = ["SimulatedInterface", "SimulatedNetwork"]
