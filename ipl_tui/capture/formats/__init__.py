"""Formats of capture files: a file each, with its reader and its writer, and a table of them."""
