"""The page of a report, as one text of HTML that refers to nothing outside itself."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from mcls.errors import missing_extra
from mcls.explain.backprop_page import MARK
from mcls.report.charts import CONFIG, Spec

__all__ = ["MARK", "check_extra", "page"]


def check_extra() -> None:
    """Refuse to begin where the packages of the extra ``report`` are missing.

    Raises
    ------
    ConfigError
        Says what to install.
    """
    try:
        import jinja2
        import vl_convert
    except ImportError as error:
        raise missing_extra("mcls report", str(error.name), "report") from error
    del jinja2, vl_convert


def page(
    content: Mapping[str, Any],
    *,
    specs: Mapping[str, Spec],
    cells: Mapping[str, Any],
    audio: Mapping[str, str],
) -> str:
    """Return the page.

    Parameters
    ----------
    content : mapping
        What ``page.html`` shows; all text is escaped.
    specs : mapping of str to dict
        The charts by the names in the page.
    cells : mapping
        The tracks of the cells of confusion matrices.
    audio : mapping of str to str
        Opus in WebM as base64, by the names in the page.
    """
    import jinja2
    import vl_convert
    from markupsafe import Markup

    own = files("mcls.report")
    code = {name: (own / name).read_text("utf-8") for name in ("page.html", "page.css", "page.js")}
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    bundle: Any = vl_convert.javascript_bundle  # its types ask for what it does not need
    libraries = str(bundle())
    return environment.from_string(code["page.html"]).render(
        **content,
        mark=Markup(MARK.decode()),
        style=Markup(code["page.css"]),
        script=Markup(code["page.js"]),
        libraries=Markup(libraries.replace("</script", "<\\/script")),
        charts=Markup(_json({"specs": specs, "config": CONFIG})),
        cells=Markup(_json(cells)),
        audio=Markup(_json(audio)),
    )


def _json(value: Any) -> str:
    """Return JSON that can stand in a script element: no text in it ends the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
