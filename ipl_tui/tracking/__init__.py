"""Tracking: the fate of packets, known from captured packets alone: hops, fragments, answers, errors."""
