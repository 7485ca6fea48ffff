"""The command line: ``astromosaic COMMAND ...``.

Results go to standard output, progress and errors to standard error. Exit codes: 0 if all went
well, 1 for an error in what was given (one sentence says what to do), 2 for a command line that
cannot be understood, 130 if interrupted. Each module has the commands of a kind: their options in
``add``, what they do in functions of their own.
"""

import argparse
import os
import sys
import warnings

from . import evaluate, learn, predict, show, simulate
from .options import as_options

__all__ = ["main"]

DESCRIPTION = """\
Give what is known of galaxies, ask for what is not: redshifts, masses, star formation rates and
fluxes in any filter, each with its uncertainty, from any mixture of photometry and known
properties. The trained weights are part of the package; nothing is downloaded."""


EXAMPLES = """\
examples:
  astromosaic predict galaxies.fits --query redshift,stellar_mass --output answers.ecsv
  astromosaic predict cat.parquet --query mag_hsc_y --columns mag_u=cfht_u --output y.fits
  astromosaic inspect galaxies.fits
  astromosaic info
  astromosaic evaluate photoz --data spectroscopic.fits

'astromosaic COMMAND --help' tells more of each command."""


#: Which extra brings a package that may be missing.
EXTRAS = {
    "diffsky": "simulate",
    "jax": "simulate",
    "matplotlib": "plot",
    "qp": "qp",
    "sklearn": "evaluate",
}


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        The exit code.
    """
    args = _parser().parse_args(argv)
    warnings.formatwarning = lambda message, *_, **__: (
        f"astromosaic: warning: {as_options(str(message))}\n"
    )
    try:
        code = args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("astromosaic: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone, as in "astromosaic info | head": no error of the
        # user's, and nothing may be written any more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, OSError, ImportError) as error:
        if args.debug:
            raise
        message = as_options(" ".join(str(error).split()))
        if extra := EXTRAS.get(getattr(error, "name", None)):
            message += f": pip install 'astromosaic[{extra}]'"
        print(f"astromosaic: error: {message}", file=sys.stderr)
        return 1
    return code or 0


def _parser():
    from .. import __version__

    parser = argparse.ArgumentParser(
        prog="astromosaic",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"astromosaic {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (predict, show, evaluate, simulate, learn):
        module.add(commands)
    return parser
