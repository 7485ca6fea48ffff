"""Sphinx settings, on top of those that Astropy's packages share."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

from sphinx_astropy.conf.v2 import *

import astromosaic
from astromosaic.catalog.columns import CONVENTIONS, SURVEYS, Convention
from astromosaic.cli import main
from astromosaic.filters.names import find_name
from astromosaic.inference import FLAGS
from astromosaic.properties import PROPERTIES, VECTORS

DOCS = Path(__file__).parent
GENERATED = DOCS / "generated"
COMMANDS = (
    "predict", "inspect", "plot", "evaluate photoz", "evaluate simulated", "evaluate paper",
    "evaluate latent", "evaluate calibration", "simulate", "train", "finetune", "calibrate",
    "zeropoints",
)  # fmt: skip

#: What is inspected in the documentation: name of the page's part, table, what is given beside it.
INSPECTED = (
    ("inspect_rubin", "rubin.csv"),
    ("inspect_unknown", "unknown.csv"),
    ("inspect_told", "unknown.csv", "mag_g=lsst_g[mag(AB)], mag_r=lsst_r[mag(AB)], "
     "mag_i=lsst_i[mag(AB)]", "stellar_mass=stellar_mass[solMass]"),
)  # fmt: skip

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
    os.environ["COLUMNS"] = "100"  # as wide as argparse may write
    with redirect_stdout(io.StringIO()) as text:
        try:
            main(list(arguments))
        except SystemExit:
            pass  # --help ends this way
    return text.getvalue()


def list_table(widths, *rows):
    """A table in reStructuredText; the first row is its header."""
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in rows:
        lines += [f"   {'-' if i else '* -':>3s} {cell}" for i, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def survey_filters():
    """Rows of surveys and their filters; those without a curve in italics."""
    for survey in SURVEYS.values():
        names = dict.fromkeys(survey.filters.values())
        yield survey.name, ", ".join(f"``{n}``" if find_name(n) else f"*{n}*" for n in names)


def survey_columns():
    """Rows of surveys' kinds of magnitude, in the order in which they are preferred."""
    for name in [*SURVEYS, None]:
        kinds = {}
        for row in CONVENTIONS:
            if row.survey == name:
                kinds.setdefault(row.kind, []).append(row)
        for number, (kind, rows) in enumerate(kinds.items()):
            survey = (name or "told by a description") if number == 0 else ""
            yield survey, kind or "–", "; ".join(map(described, rows))


def described(row: Convention):
    """The columns of a convention, in a few words."""
    text = f"``{row.value}``" + (f", ``{row.errors[0]}``" if row.errors else "")
    inside = [row.unit] if row.unit else []
    inside += ["dereddened"] * row.dereddened + ["inverse variance"] * row.inverse_variance
    inside += [f"{value:g}: {meaning}" for value, meaning in row.sentinels.items()]
    inside += [f"no error: {row.limit_sigma:g} sigma limit"] if row.limit_sigma else []
    inside += [f"one of ``{'``, ``'.join(row.requires)}`` beside it"] if row.requires else []
    return text + (f" ({', '.join(inside)})" if inside else "")


def write_generated():
    """Parts of pages that follow from the package itself, so that they cannot grow stale."""
    GENERATED.mkdir(exist_ok=True)
    properties = [
        (
            f"``{p.name}``",
            p.unit or "–",
            f"{p.to_physical(p.low):.4g} to {p.to_physical(p.high):.4g}",
            p.definition,
        )
        for p in PROPERTIES.values()
    ]
    (GENERATED / "properties.inc").write_text(
        list_table("15 12 18 55", ("name", "unit", "range", "definition"), *properties)
    )
    vectors = [(f"``{v.name}``", v.unit, str(v.length), v.definition) for v in VECTORS.values()]
    (GENERATED / "vectors.inc").write_text(
        list_table("15 18 12 55", ("name", "unit", "elements", "definition"), *vectors)
    )
    (GENERATED / "flags.inc").write_text(
        list_table("10 90", ("value", "meaning"), *((str(b), m) for b, m in FLAGS.items()))
    )

    (GENERATED / "survey_filters.inc").write_text(
        list_table("15 85", ("survey", "filters"), *survey_filters())
    )
    (GENERATED / "survey_columns.inc").write_text(
        list_table("12 13 75", ("survey", "kind", "columns"), *survey_columns())
    )

    for command in COMMANDS:
        text = output_of(*command.split(), "--help")
        (GENERATED / f"{command.replace(' ', '_')}_help.txt").write_text(text)
    (GENERATED / "help.txt").write_text(output_of("--help"))
    (GENERATED / "info.txt").write_text(output_of("info"))
    for name, table, *columns in INSPECTED:
        told = [argument for c in columns for argument in ("--columns", c)]
        text = output_of("inspect", str(DOCS / "tables" / table), *told)
        (GENERATED / f"{name}.txt").write_text(text)

    example = DOCS.parent / "examples" / "sdss_redshifts.py"
    printed = subprocess.run(
        [sys.executable, example], capture_output=True, text=True, check=True
    ).stdout
    (GENERATED / "sdss_redshifts.txt").write_text(printed)


write_generated()
