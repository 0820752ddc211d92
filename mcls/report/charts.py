"""Charts of a report: specifications of Vega-Lite, as dicts that JSON can hold.

Text and axes are drawn in ``currentColor``, so that they are readable on a light and on a dark page
and on paper; the colours of marks have a contrast of 3 or more with both. Every chart has a
description for screen readers and comes with a table of its numbers (`mcls.report.tables`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcls.report.tables import PageTable

#: Blue, vermilion, green, purple, ochre and grey, mid-way between white and black in lightness.
COLOURS = ("#2b83c4", "#d9622b", "#1f9a75", "#b0699a", "#a8801f", "#808080")

#: Bars and lines that a chart shows, at most; the table has all.
_MOST = 40

Spec = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """A chart with what a reader who does not see it needs.

    Parameters
    ----------
    title : str
    description : str
        What it shows, in a sentence.
    spec : dict
        Vega-Lite, without the parts that all charts share.
    table : PageTable
        Its numbers.
    """

    title: str
    description: str
    spec: Spec
    table: PageTable

    def whole(self) -> Spec:
        """Return the specification with its description and the shared parts."""
        size = {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}
        return {**size, "description": self.description, **self.spec}


#: How all charts look; given to Vega once.
CONFIG: Spec = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "axis": {
        "domainColor": "currentColor",
        "gridColor": "currentColor",
        "gridOpacity": 0.12,
        "labelColor": "currentColor",
        "labelFontSize": 12,
        "labelLimit": 140,
        "tickColor": "currentColor",
        "titleColor": "currentColor",
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "legend": {
        "labelColor": "currentColor",
        "labelFontSize": 12,
        "labelLimit": 220,
        "orient": "bottom",
        "columns": 2,
        "title": None,
    },
    "view": {"stroke": None},
    "range": {"category": list(COLOURS)},
}


def _axis(field: str, title: str | None, **more: Any) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, **more}


def intervals_chart(rows: Sequence[Mapping[str, Any]], *, metric: str) -> Spec:
    """Return points with intervals, a line per name.

    Parameters
    ----------
    rows : sequence of mapping
        ``name``, ``value``, ``low`` and ``high``.
    metric : str
        Name of the values.
    """
    names = [row["name"] for row in rows]
    more: Spec = {"scale": {"zero": False, "nice": True}, "axis": {"tickCount": 8}}
    y: Spec = {"field": "name", "type": "nominal", "sort": names, "title": None}
    tooltip = [
        {"field": "name", "title": "run"},
        *({"field": f, "title": t, "format": ".3f"} for f, t in (("value", metric),)),
        *({"field": f, "title": f, "format": ".3f"} for f in ("low", "high")),
    ]
    return {
        "height": 30 * len(rows),
        "data": {"values": [_rounded(row) for row in rows]},
        "encoding": {"y": y, "tooltip": tooltip},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 3, "color": COLOURS[0], "opacity": 0.55},
                "encoding": {"x": _axis("low", metric, **more), "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 90, "color": COLOURS[0]},
                "encoding": {"x": _axis("value", metric, **more)},
            },
        ],
    }


def label_bars(rows: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> Spec:
    """Return bars with intervals per label and metric, the labels in the order of the rows.

    Parameters
    ----------
    rows : sequence of mapping
        ``name``, ``metric``, ``value``, ``low`` and ``high``.
    metrics : sequence of str
        Their order.
    """
    names = list(dict.fromkeys(row["name"] for row in rows))
    if len(names) > _MOST:
        kept = {*names[: _MOST // 2], *names[-_MOST // 2 :]}
        rows = [row for row in rows if row["name"] in kept]
        names = [name for name in names if name in kept]
    low = min(0.0, *(row["value"] for row in rows))
    x = {"scale": {"domain": [low, 1]}}
    offset = {"field": "metric", "type": "nominal", "sort": list(metrics)}
    tooltip = [
        {"field": "name", "title": "label"},
        {"field": "metric"},
        *({"field": f, "format": ".3f"} for f in ("value", "low", "high")),
    ]
    y: Spec = {"field": "name", "type": "nominal", "sort": names, "title": None}
    y["scale"] = {"paddingInner": 0.25}
    return {
        "height": (13 * len(metrics) + 6) * len(names),
        "data": {"values": [_rounded(row) for row in rows]},
        "encoding": {"y": y, "yOffset": offset, "tooltip": tooltip},
        "layer": [
            {
                "mark": {"type": "bar", "opacity": 0.8},
                "encoding": {
                    "x": _axis("value", None, **x),
                    "color": {"field": "metric", "type": "nominal", "sort": list(metrics)},
                },
            },
            {
                "transform": [{"filter": "isValid(datum.low)"}],
                "mark": {"type": "rule", "color": "currentColor", "strokeWidth": 1.5},
                "encoding": {"x": _axis("low", None, **x), "x2": {"field": "high"}},
            },
        ],
    }


def curves_chart(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x: str,
    y: str,
    picked: str,
    roc: bool,
) -> Spec:
    """Return one curve per label, of which a select element picks the one that stands out.

    Parameters
    ----------
    curves : mapping of str to sequence of (x, y)
        Both in 0..1, in the order in which they are drawn.
    x, y : str
        Titles of the axes.
    picked : str
        The label that stands out at first.
    roc : bool
        Whether these are ROC curves, with the line of chance; other curves are steps whose height
        is that of their right end.
    """
    values = [
        {"label": label, "x": round(a, 4), "y": round(b, 4), "at": i}
        for label, points in curves.items()
        for i, (a, b) in enumerate(points)
    ]
    unit = {"scale": {"domain": [0, 1]}}
    position = {"x": _axis("x", x, **unit), "y": _axis("y", y, **unit)}
    line = {"type": "line", "interpolate": "linear" if roc else "step-before"}
    layers: list[Spec] = [
        {
            "mark": {**line, "strokeWidth": 1, "color": "currentColor", "opacity": 0.25},
            "encoding": {**position, "detail": {"field": "label"}, "order": {"field": "at"}},
        },
        {
            "transform": [{"filter": "datum.label == label"}],
            "mark": {**line, "strokeWidth": 3, "color": COLOURS[0]},
            "encoding": {**position, "order": {"field": "at"}},
        },
    ]
    if roc:
        ends = [{"x": 0, "y": 0}, {"x": 1, "y": 1}]
        layers.append(
            {
                "data": {"values": ends},
                "mark": {**line, "strokeDash": [4, 4], "color": "currentColor", "opacity": 0.5},
                "encoding": position,
            }
        )
    bind = {"input": "select", "options": list(curves), "name": "Label "}
    picking = {"name": "label", "value": picked, "bind": bind}
    return {"height": 300, "params": [picking], "data": {"values": values}, "layer": layers}


def calibration_chart(bins: Sequence[Mapping[str, Any]]) -> Spec:
    """Return the observed share of tracks by predicted probability, with intervals.

    Parameters
    ----------
    bins : sequence of mapping
        ``probability``, ``observed``, ``low``, ``high`` and ``n``.
    """
    unit = {"scale": {"domain": [0, 1]}}
    x = _axis("probability", "predicted probability", **unit)
    y = "share that is true"
    tooltip = [
        {"field": "probability", "format": ".3f"},
        {"field": "observed", "format": ".3f"},
        {"field": "n"},
    ]
    ends = [{"x": 0, "y": 0}, {"x": 1, "y": 1}]
    points = {"x": x, "y": _axis("observed", y, **unit), "tooltip": tooltip}
    return {
        "height": 300,
        "layer": [
            {
                "data": {"values": ends},
                "mark": {
                    "type": "line",
                    "strokeDash": [4, 4],
                    "color": "currentColor",
                    "opacity": 0.5,
                },
                "encoding": {
                    "x": _axis("x", "predicted probability", **unit),
                    "y": _axis("y", y, **unit),
                },
            },
            {
                "data": {"values": [_rounded(row) for row in bins]},
                "layer": [
                    {
                        "mark": {"type": "rule", "color": COLOURS[0], "strokeWidth": 2},
                        "encoding": {"x": x, "y": _axis("low", y, **unit), "y2": {"field": "high"}},
                    },
                    {"mark": {"type": "line", "color": COLOURS[0]}, "encoding": points},
                    {
                        "mark": {
                            "type": "point",
                            "filled": True,
                            "size": 70,
                            "color": COLOURS[0],
                        },
                        "encoding": points,
                    },
                ],
            },
        ],
    }


def history_chart(rows: Sequence[Mapping[str, Any]], quantity: str, *, log: bool) -> Spec:
    """Return a quantity over epochs: a colour per part, a line per fold.

    Parameters
    ----------
    rows : sequence of mapping
        ``epoch``, ``value``, ``part``, ``fold`` and ``kept``, true for the epoch that was kept.
    quantity : str
    log : bool
        Whether the axis of values is logarithmic.
    """
    scale: Spec = {"type": "log"} if log else {"zero": False}
    axis: Spec = {"format": ".0e", "tickCount": 5} if log else {}
    parts = list(dict.fromkeys(["train", "valid", *(row["part"] for row in rows)]))
    several = len({row["part"] for row in rows}) > 1
    position = {
        "x": _axis("epoch", "epoch", axis={"tickMinStep": 1}, scale={"nice": False}),
        "y": _axis("value", quantity, scale=scale, axis=axis),
        "color": {
            "field": "part",
            "type": "nominal",
            "scale": {"domain": parts, "range": [COLOURS[i % 6] for i in range(len(parts))]},
            "legend": {"values": [part for part in parts if part in {row["part"] for row in rows}]}
            if several
            else None,
        },
        "detail": {"field": "fold"},
        "tooltip": [
            {"field": "epoch"},
            {"field": "value", "format": ".4g"},
            {"field": "part"},
            {"field": "fold"},
        ],
    }
    return {
        "height": 200,
        "data": {"values": [_rounded(row) for row in rows]},
        "encoding": position,
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 1.5, "opacity": 0.8}},
            {
                "transform": [{"filter": "datum.kept"}],
                "mark": {"type": "point", "filled": True, "size": 60},
            },
        ],
    }


def numbers_chart(rows: Sequence[Mapping[str, Any]], target: str) -> Spec:
    """Return predicted by true numbers of a regression; rows have ``name``, ``x`` and ``y``."""
    values = [float(row[key]) for row in rows for key in "xy"]
    ends = [{"x": at, "y": at} for at in (min(values), max(values))]
    loose = {"scale": {"zero": False}}
    position = {
        "x": _axis("x", f"true {target}", **loose),
        "y": _axis("y", f"predicted {target}", **loose),
    }
    return {
        "height": 300,
        "layer": [
            {
                "data": {"values": ends},
                "mark": {
                    "type": "line",
                    "strokeDash": [4, 4],
                    "color": "currentColor",
                    "opacity": 0.5,
                },
                "encoding": position,
            },
            {
                "data": {"values": [_rounded(row) for row in rows]},
                "mark": {"type": "point", "filled": True, "opacity": 0.6, "color": COLOURS[0]},
                "encoding": {**position, "tooltip": [{"field": f} for f in ("name", "x", "y")]},
            },
        ],
    }


def _rounded(row: Mapping[str, Any]) -> Spec:
    return {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in row.items()}
