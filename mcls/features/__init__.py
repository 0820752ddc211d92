"""Features: audio in, rows out. One file a feature."""
