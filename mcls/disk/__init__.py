"""Things on disk: formats, atomic writes, resuming."""
