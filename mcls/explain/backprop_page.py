"""The page on which one can go through back-propagation step by step."""

from html import escape

import numpy as np

from mcls.explain.backprop import Backprop, BackpropStep

#: Rows and columns of a matrix that are shown.
_SHOWN = 8

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
section { border-left: .25rem solid #0072B2; padding: .1rem 1rem; margin: 1rem 0; }
section.backward { border-color: #D55E00; }
section.later { display: none; }
h2 { font-size: 1.1rem; margin: .3rem 0; }
code { font-size: 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td { padding: .1rem .6rem; text-align: right; }
nav { position: sticky; top: 0; padding: .5rem 0; background: Canvas; }
button { font: inherit; padding: .3rem .9rem; margin-right: .4rem; }
@media print { nav { display: none; } section.later { display: block; } }
"""

_SCRIPT = """
const steps = [...document.querySelectorAll("section")];
const said = document.querySelector("output");
let shown = 1;
function show(n) {
  shown = Math.max(1, Math.min(steps.length, n));
  steps.forEach((step, i) => step.classList.toggle("later", i >= shown));
  said.textContent = `step ${shown} of ${steps.length}`;
  steps[shown - 1].scrollIntoView({block: "nearest"});
}
document.querySelector("#back").onclick = () => show(shown - 1);
document.querySelector("#next").onclick = () => show(shown + 1);
document.querySelector("#all").onclick = () => show(steps.length);
document.onkeydown = event => {
  if (event.key === "ArrowRight") show(shown + 1);
  if (event.key === "ArrowLeft") show(shown - 1);
};
show(1);
"""

#: The text by which the page is recognised as one of mcls.
MARK = b'<meta name="generator" content="mcls">'


def backprop_page(found: Backprop, title: str) -> str:
    """Return a page of HTML without any reference to the network.

    Parameters
    ----------
    found : Backprop
        The passes to show.
    title : str
        Title of the page; escaped, like the labels.
    """
    sections = "".join(
        _section(step, direction, found.labels)
        for direction, steps in (("forward", found.forward), ("backward", found.backward))
        for step in steps
    )
    end = (
        f"A step of {found.lr:g} against the gradients changes the loss from {found.loss:.4f} to "
        f"{found.next_loss:.4f}. The gradients differ from torch's by at most "
        f"{found.torch_error:.1e}, and from finite differences by {found.difference_error:.1e}."
    )
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">{MARK.decode()}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1>"
        f"<p>A two-layer net with {escape(found.activation)} hidden units, softmax and cross "
        f"entropy. The true label is <b>{escape(found.label)}</b>.</p>"
        '<nav><button id="back">Back</button><button id="next">Next</button>'
        '<button id="all">All</button> <output aria-live="polite"></output></nav>'
        f"<main>{sections}</main><p>{end}</p><script>{_SCRIPT}</script></body></html>\n"
    )


def _section(step: BackpropStep, direction: str, labels: tuple[str, ...]) -> str:
    per_label = step.name in ("z2", "y", "dL/dz2", "dL/dW2", "dL/db2")
    return (
        f'<section class="{direction}"><h2><code>{escape(step.name)} = {escape(step.formula)}'
        f"</code></h2><p>{escape(step.reason)}</p>{_table(step.value, labels, per_label)}</section>"
    )


def _table(value: np.ndarray, labels: tuple[str, ...], per_label: bool) -> str:
    rows = np.atleast_2d(value)
    if value.ndim == 1 and per_label:
        rows = value[:, None]
    cells = []
    for i, row in enumerate(rows[:_SHOWN]):
        name = f"<td>{escape(labels[i])}</td>" if per_label else ""
        more = "<td>…</td>" if len(row) > _SHOWN else ""
        numbers = "".join(f"<td>{x:.4f}</td>" for x in row[:_SHOWN])
        cells.append(f"<tr>{name}{numbers}{more}</tr>")
    more = "<tr><td>…</td></tr>" if len(rows) > _SHOWN else ""
    return f"<table>{''.join(cells)}{more}</table>"
