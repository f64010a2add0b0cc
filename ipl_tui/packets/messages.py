"""The two messages of the exchange, and the numbers that they travel under."""

PROTOCOL = 253
"""IP protocol number, one for experiments and testing (RFC 3692 §2.1)."""

PORT = 61253
"""TCP port of the asyncio engine: a private one (RFC 6335 §6), above those that Linux gives to clients."""

CLIENT_MESSAGE = b"ClientMessage"
SERVER_RESPONSE = b"ServerResponse"
