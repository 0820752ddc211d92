"""The worker processes of a command: here, or those of a Dask cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from mcls.cli.messages import say
from mcls.cli.options import SectionedOption

if TYPE_CHECKING:
    from mcls.parallel.dask_pool import DaskPool


dask_option = click.option(
    "--dask",
    cls=SectionedOption,
    section="Work",
    metavar="ADDRESS",
    help="Let a Dask cluster do the work: tcp://HOST:PORT, or local:N for N processes.",
)


@contextmanager
def dask_pool(address: str | None, jobs: int) -> "Iterator[DaskPool | None]":
    """Open the pool of a Dask cluster and say where its dashboard is; None without an address."""
    if address is None:
        yield None
        return
    if jobs != 1:
        raise click.UsageError("--jobs and --dask: choose one; a cluster has its own processes")
    from mcls.parallel.dask_pool import DaskPool

    with DaskPool(address) as pool:
        say(f"Dask: {pool.jobs} processes; dashboard: {pool.dashboard}")
        yield pool
