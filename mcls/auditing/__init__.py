"""Looking for copies, wrong labels and damaged audio in a dataset."""
