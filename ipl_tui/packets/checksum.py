"""The checksum of IP, ICMP, UDP and TCP (RFC 1071)."""


def internet_checksum(data: bytes) -> int:
    """The complement of the ones' complement sum of the 16-bit words of `data`; an odd last byte gets a zero after it.

    Over data that holds its own right checksum the result is 0 (RFC 1071 §1).
    """
    # 65,536 is 1 modulo 65,535, so the end-around carries are a remainder, and the words need not be summed one by one.
    number = int.from_bytes(data + bytes(len(data) % 2), "big")
    return 0xFFFF - (number % 0xFFFF or 0xFFFF * (number > 0))
