"""The processes of a command: worker processes, those of a Dask cluster or those of torchrun."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from mcls.cli.messages import failure_of, say
from mcls.cli.options import SectionedOption
from mcls.errors import MclsError

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


@contextmanager
def first_of_processes(ctx: click.Context) -> Iterator[int]:
    """Run a command in process 0 of torchrun, given the number of processes; the others follow it.

    Without torchrun there is one process.
    """
    n_processes = int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1
    if n_processes == 1:
        yield 1
        return
    from mcls.parallel import processes

    if processes.join() > 0:
        ctx.exit(processes.follow())
    try:
        yield n_processes
    except MclsError as error:
        processes.leave(failure_of(error).exit_code)
        raise
    processes.leave(0)
