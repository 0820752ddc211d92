"""The leak guard: no learnt step may have seen a track that is to be scored."""

from collections.abc import Sequence

from mcls.chain.step import kind_of
from mcls.data.parts import Parts
from mcls.disk.chain import Chain
from mcls.errors import DataError


def refuse_leaks(chain: Chain, parts: Parts, track_ids: Sequence[str]) -> None:
    """Refuse a chain with a step that was learnt from tracks of the valid or test part.

    Raises
    ------
    DataError
        The message names the step, the number of tracks and some of them.
    """
    held_out = {track_ids[i] for i in parts.of("valid", "test")}
    for step in chain:
        leaked = sorted(held_out.intersection(step.learnt_from))
        if leaked:
            some = ", ".join(leaked[:3]) + (", ..." if len(leaked) > 3 else "")
            raise DataError(
                f"the {kind_of(step).noun} {step.name!r} was learnt from {len(leaked)} tracks that "
                f"are now in the valid or test part ({some}): scores on them would be too good. "
                f"Learn it again with the same split options ({parts.describe()})"
            )
