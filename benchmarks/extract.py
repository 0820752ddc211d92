"""Extraction against the script a user writes, two other libraries and the floor.

python benchmarks/extract.py [--clips 60] [--rounds 3] [--data FOLDER] [--json]

The same as ``mcls bench extract``; `mcls.stages.bench_extract` says what is measured.
"""

import sys

from mcls.cli.main import cli

if __name__ == "__main__":
    cli(["bench", "extract", *sys.argv[1:]], prog_name="mcls")
