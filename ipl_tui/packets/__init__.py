"""Packets: bytes, fields and their meaning. No Textual, no sockets, no threads."""
