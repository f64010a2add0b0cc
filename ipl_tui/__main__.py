"""`python -m ipl_tui` is `ipl-tui`."""

from ipl_tui.cli import main

main()
