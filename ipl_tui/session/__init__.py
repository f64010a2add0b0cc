"""A lab without a screen."""
