"""An encoder that mcls finds through its entry point."""

from mcls.registry import register_preset

softer = register_preset(
    "encoders",
    "softer-threshold",
    of="soft-threshold",
    summary="Soft threshold with a low threshold.",
    alpha=0.1,
)
