"""The command line: one short file per command, put together in main.py."""
