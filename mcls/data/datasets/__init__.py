"""Known datasets: from a folder of audio to a manifest, one file per dataset."""
