"""Known datasets: a folder in, a manifest out. One file a dataset."""
