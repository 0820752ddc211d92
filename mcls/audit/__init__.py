"""Find copies of recordings, and other faults of a dataset that make scores wrong.

A track is reduced to landmarks (`mcls.audit.landmarks`), an index finds the tracks that share some
(`mcls.audit.index`), and `mcls.audit.alignment` decides whether they are the same recording.
"""
