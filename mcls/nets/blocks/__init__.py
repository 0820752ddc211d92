"""What several nets are made of. No net: those are one floor up, and put these together."""
