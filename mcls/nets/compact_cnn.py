"""Five small convolutions of 32 maps: the compact net of Choi et al., whose layers are features.

All layers together are a feature of 160 numbers (``--layer all``), made to be learnt on one large
set of music and used on small ones.

References
----------
Choi, Fazekas, Sandler & Cho (2017), Transfer learning for music classification and regression
tasks; sizes as in the code its first author published (transfer_learning_music and compact_cnn).

Differs from the published code: on segments of other than 96 dimensions, pools shrink to what is
left, where the code has a table of pools by the number of dimensions.
"""

from mcls.registry import register_preset

CompactCNN = register_preset(
    "nets",
    "compact-cnn",
    of="fcn4",
    summary="Fully convolutional, 5 layers of 32 maps; small enough for a laptop.",
    facts={"source": "Choi et al. 2017", "frames": 1360},
    maps=(32, 32, 32, 32, 32),
    pools=((4, 2), (4, 3), (5, 2), (4, 2), (4, 4)),
    nonlinearity="elu",
    dropout=0.0,
    init="he",
)
