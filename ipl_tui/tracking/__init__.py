"""What became of packets, known from captured packets alone: hops, fragments, answers, errors, fate."""
