"""The commands without a screen, one file each: a `command` that the command line loads when it is named."""
