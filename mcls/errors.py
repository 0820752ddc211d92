"""Errors that mcls raises on purpose, in three kinds.

Every message says what is wrong (with the value and the file), what was expected and what to do.
The command line exits with 2 for a `ConfigError`, as for wrong usage, and with 1 for the others.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class MclsError(Exception):
    """Base class of the errors that mcls raises on purpose."""


class DataError(MclsError):
    """The user's audio, labels or splits cannot be used as they are."""


class FormatError(MclsError):
    """A file is not what its name or its attributes promise."""


class ConfigError(MclsError, ValueError):
    """A setting is unknown, out of range or at odds with another."""


def missing_extra(what: str, packages: str, extra: str) -> ConfigError:
    """Return the error that says which packages are missing and what to install.

    Examples
    --------
    >>> print(missing_extra("mcls tune", "optuna", "tune"))
    mcls tune needs optuna: pip install 'mcls[tune]'
    """
    return ConfigError(f"{what} needs {packages}: pip install 'mcls[{extra}]'")


def suggest(word: str, known: Iterable[str]) -> str:
    """Suggest the known word that is closest to a misspelt one, or else list all of them.

    Parameters
    ----------
    word : str
        The word that was typed.
    known : iterable of str
        The words that exist.

    Returns
    -------
    str
        ``"did you mean 'mfcc'?"`` or ``"there are: cqt, mel, mfcc"``.

    Examples
    --------
    >>> suggest("mfc", ["mel", "mfcc"])
    "did you mean 'mfcc'?"
    >>> suggest("zzz", ["mel", "mfcc"])
    'there are: mel, mfcc'
    """
    known = sorted(known)
    close = get_close_matches(word, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return "there are: " + ", ".join(known) if known else "there are none"
