"""Nets that leave mcls: graphs from rows or from audio to scores, as files."""
