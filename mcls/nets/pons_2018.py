"""Spectrogram and waveform front-ends with one back-end: Pons et al.'s tagging at scale.

They are made of the parts of musicnn; every layer is normalised after its nonlinearity. The hidden
layers are ``frontend``, or its layers ``frontend.conv1``, ..., and ``midend.conv1`` to
``midend.conv3``: ``(batch, maps, frames)``; and ``dense1``: ``(batch, units)``.

The waveform front-end reads a segment as samples: rows of the feature ``waveform`` are one sample
each, and rows of more are joined.

References
----------
Pons, Nieto, Prockup, Schmidt, Ehmann & Serra (2018), End-to-end learning for music audio tagging
at scale; the code its first author published (music-audio-tagging-at-scale-models). The waveform
front-end is after Lee, Park, Kim & Nam (2017), Sample-level deep convolutional neural networks for
music auto-tagging using raw waveforms.

The length of a segment, 15 s at 16 kHz, is from memory of the paper.
"""

from mcls.registry import register_preset

Pons2018 = register_preset(
    "nets",
    "pons-2018",
    of="musicnn",
    summary="Filters of many shapes, three convolutions of 512 maps, and pooling over time.",
    facts={"source": "Pons et al. 2018", "frames": 937},
    normalise_input=False,
    normalise_summary=False,
    frontend="pons-2018",
    envelope="mean",
    midend="pons-2018",
    midend_maps=512,
    units=500,
)

WaveformFrontend = register_preset(
    "nets",
    "waveform-frontend",
    of="pons-2018",
    summary="Seven convolutions of 3 samples, then the mid-end and back-end of pons-2018.",
    facts={"hop": 1, "frames": 240000, "dims": 1},
    frontend="waveform",
)
