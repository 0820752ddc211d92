"""The command line: one file a command. The only floor that knows click and the terminal."""
