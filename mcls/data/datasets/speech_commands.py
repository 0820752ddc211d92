"""Speech Commands: 105,829 spoken words of 1 s, 35 words; version 1 has 64,721 of 30 words.

A folder per word has files such as ``yes/0a7c2a8d_nohash_0.wav``; the part before ``_nohash_`` is
the speaker. ``validation_list.txt`` and ``testing_list.txt`` name the tracks of two parts, and all
others are the train part; a speaker is in one part only. ``_background_noise_`` has six long
recordings without speech, which are no class. Layout and lists are those of the archives.

References
----------
.. [1] P. Warden, "Speech Commands: a dataset for limited-vocabulary speech recognition",
   arXiv:1804.03209, 2018.
"""

from pathlib import Path
from typing import Literal

from mcls.data.datasets.inventory import by_tail, find_audio, manifest_of, stem
from mcls.data.datasets.tables import find_table
from mcls.disk.text_files import read_text
from mcls.registry import register
from mcls.tables.manifest import Manifest

_TEN = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
_WORDS = {
    *_TEN,
    *("bed", "bird", "cat", "dog", "happy", "house", "marvin", "sheila", "tree", "wow"),
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
}
_MORE_WORDS = {"backward", "follow", "forward", "learn", "visual"}
_NOISE = "_background_noise_"
_N_TRACKS = {1: 64721, 2: 105829}
_LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}


@register(
    "datasets",
    "speech-commands",
    task="spoken word",
    tracks=105829,
    labels=35,
    splits="split: 84,843 train, 9,981 valid and 11,005 test, by speaker",
    paper="Warden 2018",
    audio_licence="CC BY 4.0",
    metadata_licence="CC BY 4.0",
    url="https://www.tensorflow.org/datasets/catalog/speech_commands",
    layout="a folder per word, validation_list.txt and testing_list.txt",
)
def speech_commands(
    root: Path,
    *,
    version: Literal[1, 2] = 2,
    words: Literal["all", "ten"] = "all",
    partial: bool = False,
) -> Manifest:
    """Speech Commands: single words of 1 s by many speakers.

    Parameters
    ----------
    root : Path
        Folder with the folders of words and the two lists.
    version : {1, 2}
        Version of the dataset: 1 has 30 words, 2 has 35.
    words : {'all', 'ten'}
        Words that are labels. ten: yes, no, up, down, left, right, on, off, stop and go; all others
        are ``unknown``. This is the protocol with 12 classes, without the class silence, which is
        cut from the background noise.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels, split, group (the speaker) and word.

    Raises
    ------
    DataError
        If files are missing and `partial` is False, or a list is missing.
    """
    root = Path(root)
    audio = find_audio(root, "speech-commands")
    lists = {part: find_table(root, "speech-commands", name) for part, name in _LISTS.items()}
    part_of = {stem(line): part for part, path in lists.items() for line in read_text(path).split()}
    known = _WORDS | (_MORE_WORDS if version == 2 else set())
    found = by_tail(root, {n: p for n, p in audio.items() if _NOISE not in n.split("/")}, 2)
    names = sorted(name for name in {*found, *part_of} if name.partition("/")[0] in known)
    spoken = [name.partition("/")[0] for name in names]
    manifest = manifest_of(
        root,
        "speech-commands",
        names,
        found,
        {
            "labels": [w if words == "all" or w in _TEN else "unknown" for w in spoken],
            "split": [part_of.get(name, "train") for name in names],
            "group": [name.partition("/")[2].partition("_nohash_")[0] for name in names],
            "word": spoken,
        },
        n_expected=_N_TRACKS[version],
        partial=partial,
    )
    n_noise = len(audio) - len(found)
    if n_noise:
        manifest.notes.append(f"left out {n_noise} recordings in {_NOISE}, which are no word")
    return manifest
