"""Capture: packets as they arrive, and as they are kept. No Textual."""
