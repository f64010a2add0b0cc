"""The two messages of the exchange, and the protocol number they travel under."""

PROTOCOL = 253
"""For experiments and testing (RFC 3692 §2.1)."""

CLIENT_MESSAGE = b"ClientMessage"
SERVER_RESPONSE = b"ServerResponse"
