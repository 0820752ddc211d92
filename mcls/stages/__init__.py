"""The stages: files in, files out, nothing printed. One file a stage."""
