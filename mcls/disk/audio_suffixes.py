"""The suffixes of audio files."""

#: The suffixes of audio files.
AUDIO_SUFFIXES = frozenset(
    {".wav", ".w64", ".rf64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc"}
    | {".au", ".caf", ".m4a", ".mp4", ".aac", ".ac3", ".wma", ".webm", ".mka", ".ape", ".wv"}
)
