"""From audio, or from rows of other programs, to a store."""
