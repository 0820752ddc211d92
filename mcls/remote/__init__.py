"""Files at a URL, such as ``s3://bucket/mel.h5``: copies to read, outputs that are uploaded."""
