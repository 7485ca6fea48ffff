"""What commands share: options, how they are read, and remedies in their words."""

import argparse
import os
import re
import textwrap

__all__ = [
    "add_calibration",
    "add_columns",
    "add_data",
    "add_device",
    "add_labelled",
    "add_lookback_time",
    "add_weights",
    "add_zero_points",
    "as_options",
    "card_lines",
    "check_inputs",
    "command",
    "given",
    "label_names",
    "names",
    "read_data",
    "whole",
    "wrapped",
    "zero_points",
]

# Remedies that are told in Python's words, and the options that do the same.
_OPTIONS = (
    (r"columns=\{'([^']+)':\s+None\}", r"--columns '\1=none'"),
    (r"columns=\{name:\s+None\}", "--columns NAME=none"),
    (r"columns=\{'([^']+)':\s+'([^']+)'\}", r"--columns '\1=\2'"),
    (
        r"give it one,\s+e\.g\.\s+table\['[^']+'\]\.unit\s+=\s+",
        "write one into the file, or tell it behind what the column holds, as in --columns "
        "'flux=lsst_r[nJy]'; e.g. ",
    ),
    (r"table\['[^']+'\]\.unit\s+=\s+", "in the file, "),
)


def command(commands, name, run, help, description=None, epilog=None):
    """A subcommand that calls ``run(args)``."""
    parser = commands.add_parser(
        name,
        help=help,
        description=description or help,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    parser.set_defaults(run=run)
    return parser


def as_options(message):
    """A message with its remedies in terms of the command line, where they are in Python's."""
    for pattern, option in _OPTIONS:
        message = re.sub(pattern, option, message)
    return message


def add_data(parser):
    parser.add_argument("input", nargs="?", metavar="IN", help="the table of galaxies")
    parser.add_argument(
        "--spectrum",
        metavar="FILE",
        help="spectra in a file that specutils reads: one for each row of IN, or in its place",
    )


def read_data(args):
    """The table or spectra that are given, and the spectra beside a table."""
    if not (args.input or args.spectrum):
        raise ValueError("nothing is given: name a table, or a file of spectra with --spectrum")
    from ..io import read_catalog

    spectrum = _read_spectrum(args.spectrum) if args.spectrum else None
    return (read_catalog(args.input), spectrum) if args.input else (spectrum, None)


def _read_spectrum(path):
    check_inputs(path)
    from astropy.io.registry import IORegistryError
    from specutils import Spectrum

    try:
        return Spectrum.read(path)
    except (IORegistryError, ValueError, OSError) as error:
        raise ValueError(
            f"{path} is no file of spectra that specutils recognises ({error}); read it in Python "
            "and give it to astromosaic.predict"
        ) from None


def add_columns(parser):
    parser.add_argument(
        "--columns",
        type=_columns,
        action=_Together,
        metavar="C=WHAT[,...]",
        help="what columns are, where their names do not tell: a filter, a property or 'ebv', with "
        "'_err' for its error, with its unit in brackets if the column has none ('lsst_r[uJy]'); "
        "'lsst_u_limit[3 sigma]' for upper limits; 'none' for a column to be left out; may be "
        "given several times",
    )


def add_lookback_time(parser):
    parser.add_argument(
        "--lookback-time",
        type=_times,
        metavar="T[,T...]UNIT",
        help="edges of the bins of the table's histories, or their middles, counted back from the "
        "galaxy's own redshift, with their unit at the end: 0,0.1,1,3Gyr",
    )


def add_labelled(parser):
    """Options of what learns from labelled galaxies and writes weights."""
    parser.add_argument(
        "--labels",
        type=label_names,
        default="z_spec",
        metavar="COLUMN",
        help="column of true redshifts in a table (default: z_spec), or PROPERTY=COLUMN[,...]",
    )
    parser.add_argument(
        "--output", required=True, metavar="WEIGHTS", help="the weights to write (.safetensors)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace WEIGHTS if it exists")
    parser.add_argument("--seed", type=int, default=0, help="seed of what is random (default: 0)")
    add_columns(parser)
    add_lookback_time(parser)
    add_weights(parser)
    add_device(parser)


def add_calibration(parser):
    parser.add_argument(
        "--calibration",
        metavar="NAME",
        help="correct the posteriors of scalars by this calibration of the weights' card (default: "
        "as trained)",
    )


def add_zero_points(parser):
    parser.add_argument(
        "--zero-points",
        metavar="FILE",
        help="correct the photometry by the table of zero points that 'astromosaic zeropoints' "
        "wrote, or with 'own' by those of this table itself (default: as it is)",
    )


def zero_points(args):
    if args.zero_points in (None, "own"):
        return args.zero_points
    from ..io import read_catalog

    return read_catalog(args.zero_points)


def add_weights(parser):
    parser.add_argument(
        "--weights", metavar="PATH", help="other weights than those of the package (.safetensors)"
    )


def add_device(parser):
    parser.add_argument("--device", help="'cpu' or 'cuda', as PyTorch calls its devices")


class _Together(argparse.Action):
    """Dicts of an option that is given several times, as one."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, {**(getattr(namespace, self.dest) or {}), **values})


def check_inputs(*paths):
    """Raise FileNotFoundError unless all files are there."""
    for path in paths:
        if not os.path.exists(path):
            raise FileNotFoundError(f"there is no file {path}")


def given(args, *names):
    """Those of the options that were given: the functions have the defaults."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def names(text):
    """'a,b' as a list of names."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of names separated by commas")
    return names


def label_names(text):
    """'z_spec' as it is, 'a=x,b=y' as a dict."""
    if "=" not in text:
        return text
    pairs = [[part.strip() for part in item.partition("=")] for item in text.split(",")]
    if not all(name and equals and column for name, equals, column in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form PROPERTY=COLUMN")
    return {name: column for name, _, column in pairs}


def _columns(text):
    """'a=x,b=none' as a dict, with None for a column to be left out."""
    columns = {}
    for item in re.split(r",(?![^\[]*\])", text):  # not within brackets
        column, equals, what = (part.strip() for part in item.partition("="))
        if not (column and equals and what):
            raise argparse.ArgumentTypeError(f"{item!r} is not of the form COLUMN=WHAT")
        columns[column] = None if what.lower() == "none" else what
    return columns


def _times(text):
    """'0,0.1,1Gyr' as a Quantity."""
    from astropy import units as u

    *first, last = text.split(",")
    try:
        last = u.Quantity(last)
        return u.Quantity([*map(float, first), last.value], last.unit).to(u.Gyr)
    except (TypeError, ValueError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of times with a unit at the end, such as 0,0.1,1,3Gyr"
        ) from None


def whole(text):
    """A whole number that is not negative."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def wrapped(text):
    return textwrap.wrap(text, 98, subsequent_indent="  ")


def card_lines(value, name=None, depth=0):
    """A model card, with its nested dicts, as lines of text."""
    indent = "  " * depth
    if isinstance(value, dict):
        lines = [f"{indent}{name}:"] if name is not None else []
        for key, item in value.items():
            lines += card_lines(item, str(key).replace("_", " "), depth + (name is not None))
        return lines
    if isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value):
        numbered = enumerate(value, start=1)
        return [line for i, item in numbered for line in card_lines(item, f"{name} {i}", depth)]
    if isinstance(value, list | tuple):
        value = ", ".join(str(item) for item in value)
    return textwrap.wrap(
        f"{name}: {value}", 98, initial_indent=indent, subsequent_indent=indent + "    "
    )
