"""Plots: arrays in, a matplotlib figure out. One file per kind of plot.

Nothing here opens a display or keeps global state: figures are made by `page.figure`, drawn within
`page.style` and written by `page.save`.
"""
