"""Blocks of rows on several threads: every block once, in order, each product on its own thread."""

import hashlib
import threading

import pytest
import torch

from mcls.parallel.threads import blocks_on, for_blocks, n_threads


@pytest.mark.parametrize("threads", ["1", "3"])
def test_blocks_come_back_in_order(monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert n_threads() == int(threads)
    expected = [(0, 3), (3, 6), (6, 7)]
    assert for_blocks(7, 3, lambda rows: (rows.start, rows.stop)) == expected
    with blocks_on("cpu") as blocks:
        assert blocks(7, 3, lambda rows: (rows.start, rows.stop)) == expected
        assert blocks(0, 3, lambda rows: rows) == []
    with blocks_on("cuda") as blocks:  # one block, which is not cut
        assert blocks(7, 3, lambda rows: (rows.start, rows.stop)) == [(0, 7)]


def test_an_error_in_a_block_is_raised_and_ends_the_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    before = threading.active_count()

    def fails(rows):
        raise MemoryError("no room")

    for run in (lambda: for_blocks(4, 1, fails), lambda: _on_cpu(4, fails)):
        with pytest.raises(MemoryError, match="no room"):
            run()
    assert threading.active_count() == before


def _on_cpu(n_rows, work):
    with blocks_on("cpu") as blocks:
        return blocks(n_rows, 1, work)


def test_products_of_torch_have_the_same_bytes_on_every_thread(monkeypatch):
    """A new thread would otherwise spread its product over all cores, in another order of sums."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(6, 20, generator=generator), torch.randn(20, 1100, generator=generator)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        found = set()
        for threads in ("1", "2", "4"):
            monkeypatch.setenv("OMP_NUM_THREADS", threads)
            found |= set(_on_cpu(4, lambda _: hashlib.sha256((a @ b).numpy()).hexdigest()))
        assert len(found) == 1
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)
