"""Tables on disk: manifests, labels and numbers of tracks, their events, and predictions."""
