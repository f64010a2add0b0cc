"""The lab without a screen: commands in, one frozen snapshot out."""
