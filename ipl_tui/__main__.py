"""`python -m ipl_tui` is `ipl-tui`."""

from ipl_tui.cli import main

if __name__ == "__main__":
    main()
