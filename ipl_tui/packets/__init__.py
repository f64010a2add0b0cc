"""What a packet is: bytes, fields and their meaning. No Textual, no sockets, no threads."""
