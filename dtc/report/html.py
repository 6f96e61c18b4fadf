"""What the pages of HTML have in common: how their templates are filled, and figures and sounds inside the page."""

from __future__ import annotations

import base64
from io import BytesIO

import jinja2
from matplotlib.figure import Figure
from PIL import Image

from dtc.report import plots


def environment() -> jinja2.Environment:
    """Return the settings of all templates: every text is escaped, and a name that is not given is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("dtc.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def data_uri(media_type: str, content: bytes) -> str:
    """Return a file as an address that holds its content."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def png_uri(figure: Figure) -> str:
    """Return a figure as an address that holds its PNG, of 256 colours."""
    return data_uri("image/png", small_png_bytes(figure))


def small_png_bytes(figure: Figure) -> bytes:
    """Encode the figure as a PNG file of 256 colours, a third of the size of `plots.png_bytes`."""
    file = BytesIO()
    image = Image.fromarray(plots.rgb_array(figure)).quantize(method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    image.save(file, format="png", optimize=True)
    return file.getvalue()
