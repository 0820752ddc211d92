"""Audio files: decode any format in blocks and find their faults, and write WAV files."""
