"""Known datasets: from a folder of audio to a manifest, one file per dataset.

A dataset is a function ``(root, *, settings, partial)`` → `Manifest` under
``@register("datasets", NAME, ...)``. It reads local files only. Its facts are what ``mcls list
datasets`` and the table of ``data/README.md`` show:

``task``, ``tracks``, ``labels``
    What is classified, and how many tracks and labels were published.
``splits``
    The columns of splits in the manifest, and what each is.
``paper``, ``url``
    Where the dataset is described, and where it is from.
``audio_licence``, ``metadata_licence``
    The licences as their authors state them.
``layout``
    The files that the folder should have; errors name it.

`mcls.data.datasets.inventory` compares the folder with the numbers: what is missing is an error, or
with ``partial`` a note. `mcls.data.datasets.tables` reads tables of metadata,
`mcls.data.datasets.class_folders` class folders without any. The docstring of a dataset says where
the facts about its files are from. Where a published split tears a recording or an artist apart,
the manifest has no column ``group``, as the group would refuse the split.
"""
