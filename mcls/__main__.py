"""``python -m mcls`` is the command ``mcls``."""

from mcls.cli.main import main

main()
