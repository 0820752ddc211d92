"""Worker processes and threads that share out the work."""
