"""Which features are asked for: ``mfcc``, ``mfcc:n_mfcc=13``, ``fine=mel:n_fft=512``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcls.errors import ConfigError, suggest
from mcls.features.feature import Feature
from mcls.registry import find
from mcls.settings import parse_pairs, resolve, split_spec

_SPEC = re.compile(r"(?:(?P<alias>[\w-]+)=)?(?P<spec>[\w-]+(?::.*)?)", re.S)


@dataclass(frozen=True)
class FeatureSpec:
    """A feature asked for: its name in the store, its entry, all of its settings."""

    name: str
    feature: str
    settings: dict[str, Any]

    def make(self, sr: int) -> Feature:
        """Build it for a sampling rate.

        Raises
        ------
        ConfigError
            If a setting is out of range.
        """
        return find("features", self.feature).load()(sr, **self.settings)


def parse_features(specs: Sequence[str], pairs: Sequence[str] = ()) -> list[FeatureSpec]:
    """Read what ``--feature`` and ``-p`` say.

    Parameters
    ----------
    specs : sequence of str
        ``[ALIAS=]NAME[:key=value,...]``.
    pairs : sequence of str
        ``key=value`` for every feature that has such a setting, ``name.key=value`` for one. They
        beat what the spec says.

    Returns
    -------
    list of FeatureSpec

    Raises
    ------
    ConfigError
        If a name or setting is unknown, or two features have one name.

    Examples
    --------
    >>> [spec.name for spec in parse_features(["mfcc:n_mfcc=13", "fine=mel:n_fft=512"])]
    ['mfcc', 'fine']
    """
    asked = []
    for spec in specs:
        match = _SPEC.fullmatch(spec)
        if match is None:
            raise ConfigError(f"feature {spec!r}: write NAME, NAME:key=value or ALIAS=NAME")
        name, given = split_spec(match["spec"])
        asked.append((match["alias"] or name, find("features", name), given))
    names = [name for name, _, _ in asked]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"feature {name!r} is asked for twice; give one an ALIAS=")
    for key, value in parse_pairs(pairs).items():
        owner, dot, setting = key.rpartition(".")
        if dot and owner not in names:
            raise ConfigError(f"-p {key}={value}: no feature {owner!r}; {suggest(owner, names)}")
        takers = [
            given
            for name, entry, given in asked
            if (name == owner if dot else setting in entry.settings)
        ]
        if not takers:
            known = {known for _, entry, _ in asked for known in entry.settings}
            raise ConfigError(
                f"-p {key}={value}: none of {', '.join(names)} has it; {suggest(setting, known)}"
            )
        for given in takers:
            given[setting] = value
    return [FeatureSpec(name, entry.name, resolve(entry, given)) for name, entry, given in asked]
