"""Known data sets: from a folder of audio to a manifest, one file per data set."""
