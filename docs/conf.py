"""Sphinx settings, on top of those that Astropy's packages share."""

import io
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

from sphinx_astropy.conf.v2 import *

import astromosaic
from astromosaic.cli import main
from astromosaic.properties import PROPERTIES

DOCS = Path(__file__).parent
GENERATED = DOCS / "generated"

project = "astromosaic"
author = "astromosaic developers"
copyright = author
version = release = astromosaic.__version__

exclude_patterns = ["_build", "generated"]
# The documentation must build without a network.
intersphinx_mapping = {}
html_title = f"astromosaic {release}"
html_theme_options = {"navigation_with_keys": False}
plot_html_show_formats = False
plot_html_show_source_link = False
plot_rcparams = {"savefig.bbox": "tight"}
plot_formats = [("png", 150)]


def output_of(*arguments):
    """What a command line prints."""
    with redirect_stdout(io.StringIO()) as text:
        try:
            main(list(arguments))
        except SystemExit:
            pass  # --help ends this way
    return text.getvalue()


def write_generated():
    """Pages' parts that follow from the package itself, so that they cannot grow stale."""
    GENERATED.mkdir(exist_ok=True)
    rows = [".. list-table::", "   :header-rows: 1", "   :widths: 15 12 18 55", ""]
    for cells in [
        ("name", "unit", "range", "definition"),
        *(
            (
                f"``{p.name}``",
                p.unit or "–",
                f"{p.to_physical(p.low):.4g} to {p.to_physical(p.high):.4g}",
                p.definition,
            )
            for p in PROPERTIES.values()
        ),
    ]:
        rows += [f"   {'-' if i else '* -'} {cell}".replace("   -", "     -") for i, cell in
                 enumerate(cells)]  # fmt: skip
    (GENERATED / "properties.inc").write_text("\n".join(rows) + "\n")

    for command in ("predict", "evaluate photoz", "evaluate simulated", "simulate", "train"):
        text = output_of(*command.split(), "--help")
        (GENERATED / f"{command.replace(' ', '_')}_help.txt").write_text(text)
    (GENERATED / "help.txt").write_text(output_of("--help"))
    (GENERATED / "info.txt").write_text(output_of("info"))

    example = DOCS.parent / "examples" / "sdss_redshifts.py"
    printed = subprocess.run(
        [sys.executable, example], capture_output=True, text=True, check=True
    ).stdout
    (GENERATED / "sdss_redshifts.txt").write_text(printed)


write_generated()
