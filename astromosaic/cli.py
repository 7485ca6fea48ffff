"""The command line: ``astromosaic COMMAND ...``.

Results go to standard output, progress and errors to standard error. Exit codes: 0 if all went
well, 1 for an error in what was given (one sentence says what to do), 2 for a command line that
cannot be understood, 130 if interrupted.
"""

import argparse
import json
import os
import re
import sys
import textwrap
import warnings

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

PREDICT = """\
Predict properties of every galaxy of a table.

Columns are recognised by the names that surveys give them, or by the name of a filter
('lsst_r', 'hsc_g', 'cfht_megacam_us_9301', 'spherex_001' to 'spherex_102') with its error in
'NAME_err'. Known properties ('redshift', 'stellar_mass', ...) are used if they are there. Files may
be FITS, ECSV, VOTable, HDF5, Parquet or (input only) CSV.

The output has a row for every row of the input, in the same order, with the columns that identify
an object and, for each query Q, the median Q and the limits of its 68% interval Q_lo and Q_hi. The
column 'flag' tells what is wrong with a row; 0 is good."""

PREDICT_EXAMPLES = """\
queries:
  {queries},
  the vectors {vectors} (array columns),
  the flux in any filter by its name ('lsst_y') or its AB magnitude ('mag_lsst_y')

examples:
  astromosaic predict sdss.fits --query redshift --output photoz.fits
  astromosaic predict cat.ecsv --query redshift,sfr --samples 100 --output out.parquet
  astromosaic predict --spectrum spectra.fits --query redshift --output out.ecsv
  astromosaic predict cat.ecsv --query stellar_mass --output out.ecsv \\
      --columns mag_u=cfht_u,magerr_u=cfht_u_err,zphot_old=none"""

INSPECT = """\
Show how 'astromosaic predict' would read a table: what each column holds, its unit and who says
so, its errors, how many values are measured, upper limits or missing; which columns are not read,
and why; and what to give as --columns where names do not tell. What is wrong with a column is
shown beside it; nothing is predicted."""

INSPECT_EXAMPLES = """\
examples:
  astromosaic inspect galaxies.fits
  astromosaic inspect cat.ecsv --columns mag_u=cfht_u,magerr_u=cfht_u_err,zphot_old=none"""

SIMULATE = """\
Simulate a training and a test set of galaxies, with noiseless fluxes in many filters.

Needs the simulation packages: pip install 'astromosaic[simulate]'. A run that was stopped goes on
where it was when the same command is given again."""

TRAIN = """\
Train a model on noiseless galaxies: mocks made by 'astromosaic simulate', tables in HDF5 or Parquet
with columns of your own, or OpenCosmo catalogues. Which one a file is, is told by its content;
several are trained on together.

Progress is kept beside the output: the same command given again after an interruption goes on from
there, with the same result."""

FINETUNE = """\
Adapt the model to galaxies of which the redshift, or another property, is known for true.

The weights that are written answer as before, but for what was learned; how much the other answers
moved on galaxies that were not learned from is printed, and part of the model card. They are used
with --weights. From 50 labels to 50,000 it takes minutes."""

FINETUNE_EXAMPLES = """\
examples:
  astromosaic finetune spectroscopic.fits --labels z_spec --output mine.safetensors
  astromosaic predict galaxies.fits --query redshift --weights mine.safetensors --output z.fits
  astromosaic finetune cat.ecsv --labels redshift=zspec,stellar_mass=mass --output m.safetensors"""

EVALUATE_PHOTOZ = """\
Compare predicted redshifts with the spectroscopic redshifts of the same table: NMAD, bias, outlier
fraction, CDE loss, PIT-KS and the coverage of the 68% interval, with bootstrap errors."""

EVALUATE_SIMULATED = """\
Measure every scalar query on the test set of a file of mocks: from LSST, from SPHEREx and from
both, without noise and with survey noise."""

EVALUATE_CALIBRATION = """\
Measure how often the posteriors of scalars hold the truth: PIT-KS, coverage of the 50, 68 and 95%
intervals, CRPS and CDE loss, overall and by magnitude, true redshift and number of bands. On the
test galaxies of a file of mocks, from LSST, SPHEREx and both, without noise and with survey noise,
or on a table with known properties."""

CALIBRATE = """\
Learn how the posteriors of scalars are to be corrected so that they hold the truth as often as they
say, from the training galaxies of mocks or from tables with known properties.

The weights that are written are the same but for their card, which has the calibration by its name,
and answer as before unless it is asked for: 'astromosaic predict --calibration NAME'. It is right
for galaxies and errors like those it was learned from; measure it on others."""

CALIBRATE_EXAMPLES = """\
examples:
  astromosaic calibrate mocks.h5 --output calibrated.safetensors
  astromosaic evaluate simulated --data mocks.h5 --weights calibrated.safetensors \\
      --calibration 'stated errors'
  astromosaic calibrate spectroscopic.fits --labels z_spec --name deep --output mine.safetensors"""

ZEROPOINTS = """\
Estimate how far the zero points of a table's broadband photometry are off: each band is predicted
from the others, and half of what the measured magnitudes differ by is put down to the zero point.
No redshifts are needed, but a hundred galaxies measured at 5 sigma in all bands."""

ZEROPOINTS_EXAMPLES = """\
examples:
  astromosaic zeropoints survey.fits --output zero_points.ecsv
  astromosaic predict survey.fits --query redshift --output photoz.fits \\
      --zero-points zero_points.ecsv
  astromosaic evaluate photoz --data spectroscopic.fits --zero-points own"""

EVALUATE_PAPER = """\
Run the experiments of MOSAIC (arXiv:2510.07684) on simulated galaxies, with noiseless photometry
and with survey noise, against two baselines fitted in the same run: the population mean, and
gradient-boosted trees given the same inputs.

Needs scikit-learn: pip install 'astromosaic[evaluate]'. Without --data the test set is that of the
package, 2,000 galaxies, with 1,500 others for the trees."""

EVALUATE_LATENT = """\
Draw the latent space of the test set of a file of mocks in two dimensions (t-SNE), coloured by
redshift, stellar mass and specific star formation rate, and measure how well a linear regression
reads each property from it.

Needs scikit-learn and matplotlib: pip install 'astromosaic[evaluate,plot]'."""

PLOT = """\
Draw one galaxy of a table: what is given, and what is predicted with its uncertainty. Spectrum and
photometry, redshift, histories and masses, in one figure of the width of a page."""

#: Which extra brings a package that may be missing.
EXTRAS = {
    "diffsky": "simulate",
    "jax": "simulate",
    "matplotlib": "plot",
    "qp": "qp",
    "sklearn": "evaluate",
}


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
        f"astromosaic: warning: {_as_options(str(message))}\n"
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
    except (ValueError, TypeError, OSError, ImportError) as error:
        if args.debug:
            raise
        message = _as_options(" ".join(str(error).split()))
        if extra := EXTRAS.get(getattr(error, "name", None)):
            message += f": pip install 'astromosaic[{extra}]'"
        print(f"astromosaic: error: {message}", file=sys.stderr)
        return 1
    return code or 0


def _as_options(message):
    """A message with its remedies in terms of the command line, where they are in Python's."""
    for pattern, option in _OPTIONS:
        message = re.sub(pattern, option, message)
    return message


def _parser():
    from . import __version__

    parser = argparse.ArgumentParser(
        prog="astromosaic",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"astromosaic {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_predict(commands)
    _add_inspect(commands)
    _add_plot(commands)
    _add_info(commands)
    _add_evaluate(commands)
    _add_simulate(commands)
    _add_diagnose(commands)
    _add_train(commands)
    _add_finetune(commands)
    _add_calibrate(commands)
    _add_zeropoints(commands)
    return parser


def _command(commands, name, run, help, description=None, epilog=None):
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


def _add_predict(commands):
    from .properties import PROPERTIES, VECTORS

    parser = _command(
        commands,
        "predict",
        _predict,
        "predict properties of the galaxies of a table",
        PREDICT,
        PREDICT_EXAMPLES.format(queries=", ".join(PROPERTIES), vectors=", ".join(VECTORS)),
    )
    _add_data(parser)
    parser.add_argument(
        "--query",
        required=True,
        type=_names,
        action="extend",
        metavar="Q[,Q...]",
        help="what to predict",
    )
    parser.add_argument("--output", required=True, metavar="OUT", help="the table to write")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    _add_columns(parser)
    _add_lookback_time(parser)
    parser.add_argument(
        "--samples",
        type=_whole,
        default=0,
        metavar="N",
        help="also write N draws from the posterior of each query, in columns Q_samples",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="also look for galaxies whose light, or a given property, disagrees with the rest "
        "(bit 8 of the flag) and for stars (16) and quasars (32)",
    )
    _add_calibration(parser)
    _add_zero_points(parser)
    _add_weights(parser)
    _add_device(parser)


def _predict(args):
    from . import load_model
    from .io import check_output, write_catalog

    check_output(args.output, args.overwrite)
    data, spectrum = _read_data(args)
    model = load_model(args.weights, **_given(args, "device"))
    result = model.predict(
        data,
        args.query,
        columns=args.columns,
        samples=args.samples,
        spectrum=spectrum,
        lookback_time=args.lookback_time,
        check=args.check,
        calibration=args.calibration,
        zero_points=_zero_points(args),
        progress=True,
    )
    write_catalog(result, args.output, overwrite=args.overwrite)
    print(_summary(result, args.query))
    print(f"written to {args.output}")


def _add_data(parser):
    parser.add_argument("input", nargs="?", metavar="IN", help="the table of galaxies")
    parser.add_argument(
        "--spectrum",
        metavar="FILE",
        help="spectra in a file that specutils reads: one for each row of IN, or in its place",
    )


def _read_data(args):
    """The table or spectra that are given, and the spectra beside a table."""
    if not (args.input or args.spectrum):
        raise ValueError("nothing is given: name a table, or a file of spectra with --spectrum")
    from .io import read_catalog

    spectrum = _read_spectrum(args.spectrum) if args.spectrum else None
    return (read_catalog(args.input), spectrum) if args.input else (spectrum, None)


def _read_spectrum(path):
    _check_inputs(path)
    from astropy.io.registry import IORegistryError
    from specutils import Spectrum

    try:
        return Spectrum.read(path)
    except (IORegistryError, ValueError, OSError) as error:
        raise ValueError(
            f"{path} is no file of spectra that specutils recognises ({error}); read it in Python "
            "and give it to astromosaic.predict"
        ) from None


def _summary(result, queries):
    """What was predicted, on one screen."""
    import numpy as np

    meta = result.meta
    lines = [f"{len(result)} galaxies; columns read as {meta['input']['convention']}"]
    lines += _wrapped(f"filter curves: {', '.join(result.meta['filters']) or 'none'}")
    for note in meta["input"]["notes"]:
        lines += _wrapped(f"note: {_as_options(note)}")
    flag = np.asarray(result["flag"])
    lines.append(f"flagged: {np.count_nonzero(flag)}")
    for bit, meaning in meta["flags"].items():
        if number := np.count_nonzero(flag & int(bit)):
            lines.append(f"  {number} with flag {bit} ({meaning})")
    lines += ["", f"{'percentiles over the galaxies':30s}{'16':>10s}{'50':>12s}{'84':>12s}"]
    for query in queries:
        if result[query].ndim > 1:
            lines.append(f"{query:28s}  {result[query].shape[1]} elements for each galaxy")
            continue
        values = np.ma.masked_invalid(_masked(result[query])).compressed()
        unit = result[query].info.unit
        if len(values):
            low, middle, high = np.percentile(values, [16, 50, 84])
            lines.append(f"{query:28s}{low:12.4g}{middle:12.4g}{high:12.4g}  {unit or ''}".rstrip())
        else:
            lines.append(f"{query:28s}{'no answer':>12s}")
    return "\n".join(lines)


def _wrapped(text):
    return textwrap.wrap(text, 98, subsequent_indent="  ")


def _masked(column):
    """The numbers of a column as a numpy masked array."""
    import numpy as np

    mask = np.broadcast_to(getattr(column, "mask", False), column.shape)
    values = getattr(column, "unmasked", column)
    return np.ma.array(np.asarray(values, dtype=float), mask=mask)


def _add_inspect(commands):
    parser = _command(
        commands,
        "inspect",
        _inspect,
        "show what would be read from each column of a table",
        INSPECT,
        INSPECT_EXAMPLES,
    )
    parser.add_argument("input", metavar="FILE", help="the table of galaxies")
    _add_columns(parser)
    _add_lookback_time(parser)


def _inspect(args):
    from .catalog.inspection import format_inspection, inspect_table, is_refused
    from .io import read_catalog

    inspection = inspect_table(read_catalog(args.input), args.columns, args.lookback_time)
    print(_as_options(format_inspection(inspection, command_line=True)))
    return int(is_refused(inspection))


def _add_plot(commands):
    parser = _command(
        commands, "plot", _plot, "plot what is given and predicted of one galaxy", PLOT
    )
    _add_data(parser)
    parser.add_argument(
        "--row", type=_whole, default=0, metavar="N", help="which galaxy, from 0 (default: 0)"
    )
    parser.add_argument(
        "--output", required=True, metavar="FIGURE", help="the figure to write (.png, .pdf, .svg)"
    )
    parser.add_argument(
        "--truth",
        type=_label_names,
        metavar="COLUMN",
        help="column of true redshifts, which is drawn but not given to the model, or "
        "PROPERTY=COLUMN[,...]",
    )
    _add_columns(parser)
    _add_lookback_time(parser)
    _add_weights(parser)
    _add_device(parser)


def _true_values(table, labels, row, columns):
    """What columns hold in one row, by property, where they hold anything."""
    from .catalog import read_property
    from .galaxies import MEASURED
    from .properties import PROPERTIES

    truth = {}
    for name, column in labels.items():
        if name not in PROPERTIES:
            raise ValueError(f"--truth names {name!r}; there are {', '.join(PROPERTIES)}")
        if column not in getattr(table, "colnames", ()):
            raise ValueError(f"there is no column {column!r} for the truth; name another")
        # By itself, so that it is read as any input would be, with its unit.
        told = columns.get(column) or name
        if told.split("[")[0] != name:
            raise ValueError(f"--truth has {column!r} for {name}, but --columns says {told!r}")
        scalar = read_property(table, column, told)[row : row + 1]
        if MEASURED in scalar.state:
            truth[name] = float(PROPERTIES[name].to_physical(scalar.value[0]))
    return truth


def _plot(args):
    import matplotlib

    matplotlib.use("Agg")
    from . import load_model
    from .plotting import check_figure, plot_galaxy

    check_figure(args.output)
    data, spectrum = _read_data(args)
    labels = {"redshift": args.truth} if isinstance(args.truth, str) else args.truth or {}
    truth = _true_values(data, labels, args.row, args.columns or {})
    model = load_model(args.weights, **_given(args, "device"))
    columns = {**(args.columns or {}), **dict.fromkeys(labels.values())}  # which are not given
    figure = plot_galaxy(
        data, args.row, model, columns=columns, spectrum=spectrum,
        lookback_time=args.lookback_time, truth=truth,
    )  # fmt: skip
    figure.savefig(args.output)
    print(f"written to {args.output}")


def _add_info(commands):
    parser = _command(
        commands,
        "info",
        _info,
        "print the model card: what the model knows, how it was trained, how good it is",
    )
    _add_weights(parser)


def _info(args):
    from . import load_model
    from .calibration import CALIBRATIONS
    from .outsiders import CARD_KEY, LIGHT

    model = load_model(args.weights)
    card = dict(model.card)
    if CALIBRATIONS in card:
        card[CALIBRATIONS] = {
            name: {k: v for k, v in entry.items() if k != "maps"} | {"inputs": list(entry["maps"])}
            for name, entry in card[CALIBRATIONS].items()
        }
    if CARD_KEY in card:
        # Thousands of coefficients tell nobody anything.
        card[CARD_KEY] = {
            light: f"flagged below P(galaxy) = {card[CARD_KEY][light]['threshold']}"
            for light in LIGHT
            if light in card[CARD_KEY]
        }
    print("\n".join([*_card_lines(card), f"checksum: {model.checksum}"]))


def _card_lines(value, name=None, depth=0):
    """A model card, with its nested dicts, as lines of text."""
    indent = "  " * depth
    if isinstance(value, dict):
        lines = [f"{indent}{name}:"] if name is not None else []
        for key, item in value.items():
            lines += _card_lines(item, str(key).replace("_", " "), depth + (name is not None))
        return lines
    if isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value):
        numbered = enumerate(value, start=1)
        return [line for i, item in numbered for line in _card_lines(item, f"{name} {i}", depth)]
    if isinstance(value, list | tuple):
        value = ", ".join(str(item) for item in value)
    return textwrap.wrap(
        f"{name}: {value}", 98, initial_indent=indent, subsequent_indent=indent + "    "
    )


def _add_evaluate(commands):
    parser = commands.add_parser(
        "evaluate",
        help="measure how good the answers are",
        description="Measure how good the answers are; every published figure comes from here.",
    )
    tasks = parser.add_subparsers(title="tasks", metavar="TASK", required=True)

    photoz = _command(
        tasks,
        "photoz",
        _evaluate_photoz,
        "redshifts against the spectroscopic redshifts of a table",
        EVALUATE_PHOTOZ,
    )
    _add_evaluation(photoz, "table with photometry and spectroscopic redshifts")
    _add_columns(photoz)
    photoz.add_argument(
        "--truth",
        metavar="COLUMN",
        help="column of spectroscopic redshifts (default: z_spec, zspec, specz, redshift_true or "
        "redshift, whichever is there)",
    )
    _add_zero_points(photoz)

    simulated = _command(
        tasks,
        "simulated",
        _evaluate_simulated,
        "every scalar query on a simulated test set",
        EVALUATE_SIMULATED,
    )
    _add_evaluation(simulated, "file of mocks made by 'astromosaic simulate'")
    _add_calibration(simulated)

    calibration = _command(
        tasks,
        "calibration",
        _evaluate_calibration,
        "how often posteriors hold the truth",
        EVALUATE_CALIBRATION,
    )
    _add_evaluation(calibration, "file of mocks, or table with known properties")
    _add_columns(calibration)
    calibration.add_argument(
        "--truth",
        type=_label_names,
        metavar="COLUMN",
        help="of a table: the column of true redshifts, found as by 'evaluate photoz' without it, "
        "or PROPERTY=COLUMN[,...]",
    )
    calibration.add_argument("--figures", metavar="FOLDER", help="also draw figures in this folder")
    _add_calibration(calibration)

    paper = _command(
        tasks, "paper", _evaluate_paper, "the experiments of the MOSAIC paper", EVALUATE_PAPER
    )
    _add_evaluation(paper, "file of mocks (default: galaxies of the package)", required=False)
    paper.add_argument(
        "--trees", type=_whole, metavar="N", help="training galaxies for the trees (default: 10000)"
    )
    paper.add_argument(
        "--mixture",
        nargs="+",
        default=(),
        metavar="MOCKS",
        help="mocks that the model was trained on, for trees that learn from the same mixture",
    )
    paper.add_argument("--figures", metavar="FOLDER", help="also draw figures in this folder")

    latent = _command(
        tasks, "latent", _evaluate_latent, "what the latent space holds, and a map", EVALUATE_LATENT
    )
    _add_evaluation(latent, "file of mocks made by 'astromosaic simulate'")
    latent.add_argument(
        "--output", required=True, metavar="FIGURE", help="the figure to write (.png, .pdf, .svg)"
    )


def _add_evaluation(parser, data, required=True):
    parser.add_argument("--data", required=required, metavar="FILE", help=data)
    parser.add_argument("--json", metavar="OUT", help="also write the figures to this JSON file")
    parser.add_argument("--limit", type=_whole, metavar="N", help="use the first N galaxies only")
    parser.add_argument("--seed", type=int, default=0, help="seed of what is random (default: 0)")
    _add_weights(parser)


def _evaluate_photoz(args):
    from .evaluation import photoz

    report = photoz.run(
        args.data,
        columns=args.columns,
        truth=args.truth,
        limit=args.limit,
        weights=args.weights,
        seed=args.seed,
        progress=True,
        zero_points=_zero_points(args),
    )
    _print_report(photoz, report, args.json)


def _evaluate_simulated(args):
    _check_inputs(args.data)
    from .evaluation import simulated

    report = simulated.run(
        args.data, limit=args.limit, weights=args.weights, seed=args.seed, progress=True,
        calibration=args.calibration,
    )  # fmt: skip
    _print_report(simulated, report, args.json)


def _evaluate_calibration(args):
    _check_inputs(args.data)
    from .evaluation import calibration

    report = calibration.run(
        args.data, args.truth, args.columns, args.calibration, limit=args.limit,
        weights=args.weights, seed=args.seed, figures=args.figures, progress=True,
    )  # fmt: skip
    _print_report(calibration, report, args.json)


def _evaluate_paper(args):
    _check_inputs(*filter(None, [args.data]), *args.mixture)
    from .evaluation import paper

    report = paper.run(
        args.data, limit=args.limit, weights=args.weights, seed=args.seed, figures=args.figures,
        progress=True, mixture=args.mixture, **_given(args, "trees"),
    )  # fmt: skip
    _print_report(paper, report, args.json)


def _evaluate_latent(args):
    _check_inputs(args.data)
    from .evaluation import latent
    from .plotting import check_figure

    check_figure(args.output)
    report = latent.run(
        args.data, args.output, limit=args.limit, weights=args.weights, seed=args.seed,
        progress=True,
    )  # fmt: skip
    _print_report(latent, report, args.json)
    print(f"map written to {args.output}")


def _print_report(evaluation, report, path):
    print(evaluation.format_report(report))
    if path:
        with open(path, "w") as file:
            json.dump(report, file, indent=1)
            file.write("\n")


def _add_simulate(commands):
    parser = _command(
        commands, "simulate", _simulate, "simulate galaxies to train and test on", SIMULATE
    )
    parser.add_argument("--output", required=True, metavar="MOCKS", help="HDF5 file to write")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same galaxies (default: 1)")
    parser.add_argument(
        "--n-train", type=_whole, metavar="N", help="galaxies to train on (default: 185247)"
    )
    parser.add_argument(
        "--n-test", type=_whole, metavar="N", help="galaxies to test on (default: 20583)"
    )
    parser.add_argument(
        "--sample",
        choices=["paper", "survey"],
        default="paper",
        help="which galaxies: distributed as in the MOSAIC paper, or down to the depth of a survey "
        "(default: paper)",
    )
    parser.add_argument(
        "--ssp", metavar="FILE", help="another grid of stellar populations, in the DSPS convention"
    )
    parser.add_argument(
        "--ingredients",
        nargs="*",
        metavar="NAME",
        help="changes to diffsky's galaxies, by name; one that is not known shows all (default: "
        "weak_lines, thin_dust, some_grey_dust and some_few_young)",
    )
    parser.add_argument(
        "--packed",
        action="store_true",
        help="only galaxies to train on, in a small file (0.3 kB a galaxy) of which 'astromosaic "
        "train' makes the light when it reads it, best on a GPU",
    )
    _add_device(parser)


def _simulate(args):
    if args.packed:
        if args.n_test or args.ssp:
            raise ValueError("--packed has neither a test set nor other stellar populations")
        from .simulation.mocks import N_TRAIN
        from .simulation.packed import simulate_packed

        simulate_packed(
            args.output, args.n_train or N_TRAIN, args.seed, args.sample,
            ingredients=args.ingredients,
        )  # fmt: skip
        print(f"written to {args.output}")
        return
    from .simulation.mocks import simulate

    options = _given(args, "n_train", "n_test", "ssp", "device", "ingredients")
    simulate(args.output, seed=args.seed, sample=args.sample, progress=True, **options)
    print(f"written to {args.output}")


def _add_diagnose(commands):
    parser = _command(
        commands,
        "diagnose",
        _diagnose,
        "plot number counts, N(z), colours and stellar-to-halo masses of mocks",
    )
    parser.add_argument("mocks", metavar="MOCKS", help="file made by 'astromosaic simulate'")
    parser.add_argument("--output", required=True, metavar="PNG", help="figure to write")
    parser.add_argument(
        "--compare",
        metavar="HSC",
        help="'hsc_ratios_and_specz.hdf5' of pz-rail-astro-tools: adds p(z) at given i and g-z",
    )


def _diagnose(args):
    _check_inputs(args.mocks)
    from .simulation.diagnostics import plot_diagnostics

    plot_diagnostics(args.mocks, args.output, args.compare)
    print(f"written to {args.output}")


def _add_train(commands):
    parser = _command(
        commands, "train", _train, "train a model on mocks or tables of galaxies", TRAIN
    )
    parser.add_argument(
        "mocks", nargs="+", metavar="DATA", help="mocks, or HDF5, Parquet or OpenCosmo files"
    )
    parser.add_argument(
        "--output", required=True, metavar="WEIGHTS", help="the weights to write (.safetensors)"
    )
    parser.add_argument("--steps", type=_whole, metavar="N", help="number of steps")
    parser.add_argument("--initial", metavar="WEIGHTS", help="weights to start from")
    parser.add_argument(
        "--layers",
        type=_whole,
        metavar="N",
        help="blocks of the network; to those of --initial some are added",
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="PART",
        help="train this part of the network only, as 'redshifted_features', all else stays; may "
        "be repeated",
    )
    parser.add_argument(
        "--masking",
        action="append",
        default=[],
        metavar="RATE=VALUE",
        help="another rate of the masking scheme, such as 'spectrum=0.3'; may be repeated",
    )
    parser.add_argument("--learning-rate", type=float, metavar="R", help="peak learning rate")
    parser.add_argument("--batch-size", type=_whole, metavar="N", help="galaxies per step")
    parser.add_argument(
        "--validation",
        type=_whole,
        metavar="N",
        help="galaxies kept for validation, never trained on (default: a tenth, at most 4000)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of what is random (default: 0)")
    _add_device(parser)


def _train(args):
    _check_inputs(*args.mocks)
    from .training.loop import train
    from .training.masking import MaskingModel

    names = ("steps", "batch_size", "device", "initial", "learning_rate", "validation", "only")
    options = _given(args, *names, "layers")
    masking = MaskingModel.of_rates(args.masking)
    train(args.mocks, args.output, seed=args.seed, progress=True, masking=masking, **options)
    print(f"written to {args.output}")


def _add_finetune(commands):
    parser = _command(
        commands,
        "finetune",
        _finetune,
        "adapt the model to galaxies with known redshifts",
        FINETUNE,
        FINETUNE_EXAMPLES,
    )
    parser.add_argument("input", metavar="TABLE", help="the table of labelled galaxies")
    parser.add_argument(
        "--row-weights", metavar="COLUMN", help="column of how many galaxies each row stands for"
    )
    parser.add_argument(
        "--held-out",
        type=float,
        metavar="F",
        help="fraction of the galaxies that decide when to stop (default: 0.2, at most 1000)",
    )
    _add_labelled(parser)


def _finetune(args):
    from . import load_model
    from .io import read_catalog
    from .model.weights import check_path

    check_path(args.output, args.overwrite)
    table = read_catalog(args.input)
    model = load_model(args.weights, **_given(args, "device"))
    new = model.fine_tune(
        table, args.labels, columns=args.columns, seed=args.seed, progress=True,
        lookback_time=args.lookback_time, **_given(args, "row_weights", "held_out"),
    )  # fmt: skip
    new.save(args.output, args.overwrite)
    print("\n".join(_card_lines({"fine-tuning": new.card["fine_tuning"]})))
    print(f"written to {args.output}")


def _add_zeropoints(commands):
    parser = _command(
        commands,
        "zeropoints",
        _zeropoints,
        "estimate how far the zero points of a table's photometry are off",
        ZEROPOINTS,
        ZEROPOINTS_EXAMPLES,
    )
    parser.add_argument("input", metavar="IN", help="the table of galaxies")
    parser.add_argument("--output", metavar="OUT", help="also write them to this table")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.add_argument(
        "--most", type=_whole, metavar="N", help="use at most N galaxies (default: 1000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="which galaxies (default: 0)")
    _add_columns(parser)
    _add_weights(parser)
    _add_device(parser)


def _zeropoints(args):
    from . import load_model
    from .io import check_output, read_catalog, write_catalog

    if args.output:
        check_output(args.output, args.overwrite)
    table = read_catalog(args.input)
    model = load_model(args.weights, **_given(args, "device"))
    result = model.zero_points(
        table, columns=args.columns, seed=args.seed, progress=True, **_given(args, "most")
    )
    print(f"from {result.meta['galaxies']} galaxies; positive means that magnitudes are too faint")
    print(f"{'filter':24s}{'offset (mag)':>14s}{'error':>10s}")
    for name, offset, error in result.iterrows("filter", "offset", "error"):
        print(f"{name:24s}{offset.value:+14.3f}{error.value:10.3f}")
    if args.output:
        write_catalog(result, args.output, overwrite=args.overwrite)
        print(f"written to {args.output}")


def _add_calibrate(commands):
    parser = _command(
        commands,
        "calibrate",
        _calibrate,
        "learn how posteriors are to be corrected to hold the truth as often as they say",
        CALIBRATE,
        CALIBRATE_EXAMPLES,
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="DATA", help="files of mocks, or one table with labels"
    )
    parser.add_argument(
        "--name", metavar="NAME", help="of the calibration (default for mocks: 'stated errors')"
    )
    parser.add_argument(
        "--limit", type=_whole, metavar="N", help="use the first N galaxies of each file only"
    )
    _add_labelled(parser)


def _calibrate(args):
    _check_inputs(*args.inputs)
    from . import load_model
    from .evaluation.calibration import calibrate_on_mocks, is_mocks
    from .io import read_catalog
    from .model.weights import check_path

    check_path(args.output, args.overwrite)
    model = load_model(args.weights, **_given(args, "device"))
    options = {"seed": args.seed, "progress": True}
    if all(map(is_mocks, args.inputs)):
        new = calibrate_on_mocks(model, args.inputs, limit=args.limit, **_given(args, "name"),
                                 **options)  # fmt: skip
    elif len(args.inputs) > 1:
        raise ValueError("several files are given, not all of which are mocks: give one table")
    elif args.name is None:
        raise ValueError("give the calibration a name with --name")
    else:
        table = read_catalog(args.inputs[0])[: args.limit]
        new = model.calibrate(
            table, args.labels, name=args.name, columns=args.columns,
            lookback_time=args.lookback_time, **options,
        )  # fmt: skip
    new.save(args.output, args.overwrite)
    print(f"written to {args.output}")


def _add_labelled(parser):
    """Options of what learns from labelled galaxies and writes weights."""
    parser.add_argument(
        "--labels",
        type=_label_names,
        default="z_spec",
        metavar="COLUMN",
        help="column of true redshifts in a table (default: z_spec), or PROPERTY=COLUMN[,...]",
    )
    parser.add_argument(
        "--output", required=True, metavar="WEIGHTS", help="the weights to write (.safetensors)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace WEIGHTS if it exists")
    parser.add_argument("--seed", type=int, default=0, help="seed of what is random (default: 0)")
    _add_columns(parser)
    _add_lookback_time(parser)
    _add_weights(parser)
    _add_device(parser)


def _add_calibration(parser):
    parser.add_argument(
        "--calibration",
        metavar="NAME",
        help="correct the posteriors of scalars by this calibration of the weights' card (default: "
        "as trained)",
    )


def _add_zero_points(parser):
    parser.add_argument(
        "--zero-points",
        metavar="FILE",
        help="correct the photometry by the table of zero points that 'astromosaic zeropoints' "
        "wrote, or with 'own' by those of this table itself (default: as it is)",
    )


def _zero_points(args):
    if args.zero_points in (None, "own"):
        return args.zero_points
    from .io import read_catalog

    return read_catalog(args.zero_points)


def _label_names(text):
    """'z_spec' as it is, 'a=x,b=y' as a dict."""
    if "=" not in text:
        return text
    pairs = [[part.strip() for part in item.partition("=")] for item in text.split(",")]
    if not all(name and equals and column for name, equals, column in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form PROPERTY=COLUMN")
    return {name: column for name, _, column in pairs}


def _add_columns(parser):
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


def _add_lookback_time(parser):
    parser.add_argument(
        "--lookback-time",
        type=_times,
        metavar="T[,T...]UNIT",
        help="edges of the bins of the table's histories, or their middles, counted back from the "
        "galaxy's own redshift, with their unit at the end: 0,0.1,1,3Gyr",
    )


class _Together(argparse.Action):
    """Dicts of an option that is given several times, as one."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, {**(getattr(namespace, self.dest) or {}), **values})


def _add_weights(parser):
    parser.add_argument(
        "--weights", metavar="PATH", help="other weights than those of the package (.safetensors)"
    )


def _add_device(parser):
    parser.add_argument("--device", help="'cpu' or 'cuda', as PyTorch calls its devices")


def _check_inputs(*paths):
    """Raise FileNotFoundError unless all files are there."""
    for path in paths:
        if not os.path.exists(path):
            raise FileNotFoundError(f"there is no file {path}")


def _given(args, *names):
    """Those of the options that were given: the functions have the defaults."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def _names(text):
    """'a,b' as a list of names."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of names separated by commas")
    return names


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


def _whole(text):
    """A whole number that is not negative."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)
