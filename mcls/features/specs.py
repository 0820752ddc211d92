"""Feature specs of the command line: ``mfcc``, ``mfcc:n_mfcc=13``, ``fine=mel:n_fft=512``."""

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
    """A feature to extract: its name in the store, its entry, and all of its settings."""

    name: str
    feature: str
    settings: dict[str, Any]

    def make(self, sr: int) -> Feature:
        """Build the feature for a sampling rate.

        Raises
        ------
        ConfigError
            If a setting is out of range.
        """
        return find("features", self.feature).load()(sr, **self.settings)


def parse_features(specs: Sequence[str], pairs: Sequence[str] = ()) -> list[FeatureSpec]:
    """Parse the options ``--feature`` and ``-p``.

    Parameters
    ----------
    specs : sequence of str
        ``[ALIAS=]NAME[:key=value,...]``.
    pairs : sequence of str
        ``key=value`` for every feature with such a setting, ``name.key=value`` for one feature;
        they take precedence over the spec.

    Returns
    -------
    list of FeatureSpec

    Raises
    ------
    ConfigError
        If a name or setting is unknown, or two features have the same name.

    Examples
    --------
    >>> [spec.name for spec in parse_features(["mfcc:n_mfcc=13", "fine=mel:n_fft=512"])]
    ['mfcc', 'fine']
    """
    asked = []
    for spec in specs:
        match = _SPEC.fullmatch(spec)
        if match is None:
            raise ConfigError(f"cannot parse {spec!r}; write NAME, NAME:key=value or ALIAS=NAME")
        name, given = split_spec(match["spec"])
        asked.append((match["alias"] or name, find("features", name), given))
    names = [name for name, _, _ in asked]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"feature {name!r} is given twice; name one with ALIAS={name}")
    for key, value in parse_pairs(pairs).items():
        owner, dot, setting = key.rpartition(".")
        if dot and owner not in names:
            raise ConfigError(f"-p {key}: there is no feature {owner!r}; {suggest(owner, names)}")
        takers = [
            given
            for name, entry, given in asked
            if (name == owner if dot else setting in entry.settings)
        ]
        if not takers:
            known = {known for _, entry, _ in asked for known in entry.settings}
            raise ConfigError(
                f"-p {key}: none of the features {', '.join(names)} has this setting; "
                f"{suggest(setting, known)}"
            )
        for given in takers:
            given[setting] = value
    return [
        FeatureSpec(name, entry.name, entry.load().pinned(resolve(entry, given)))
        for name, entry, given in asked
    ]
