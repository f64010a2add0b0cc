"""IPL TUI: an Internet Protocol lab in the terminal."""
