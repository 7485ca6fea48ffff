"""Commands that show something: ``inspect``, ``plot`` and ``info``."""

from .options import (
    add_columns,
    add_data,
    add_device,
    add_lookback_time,
    add_weights,
    as_options,
    card_lines,
    command,
    given,
    label_names,
    read_data,
    whole,
)

__all__ = ["add"]

INSPECT = """\
Show how 'astromosaic predict' would read a table: what each column holds, its unit and who says
so, its errors, how many values are measured, upper limits or missing; which columns are not read,
and why; and what to give as --columns where names do not tell. What is wrong with a column is
shown beside it; nothing is predicted."""


INSPECT_EXAMPLES = """\
examples:
  astromosaic inspect galaxies.fits
  astromosaic inspect cat.ecsv --columns mag_u=cfht_u,magerr_u=cfht_u_err,zphot_old=none"""


PLOT = """\
Draw one galaxy of a table: what is given, and what is predicted with its uncertainty. Spectrum and
photometry, redshift, histories and masses, in one figure of the width of a page."""


def add(commands):
    """Add the commands to a parser."""
    _add_inspect(commands)
    _add_plot(commands)
    _add_info(commands)


def _add_inspect(commands):
    parser = command(
        commands,
        "inspect",
        _inspect,
        "show what would be read from each column of a table",
        INSPECT,
        INSPECT_EXAMPLES,
    )
    parser.add_argument("input", metavar="FILE", help="the table of galaxies")
    add_columns(parser)
    add_lookback_time(parser)


def _inspect(args):
    from ..catalog.inspection import format_inspection, inspect_table, is_refused
    from ..io import read_catalog

    inspection = inspect_table(read_catalog(args.input), args.columns, args.lookback_time)
    print(as_options(format_inspection(inspection, command_line=True)))
    return int(is_refused(inspection))


def _add_plot(commands):
    parser = command(
        commands, "plot", _plot, "plot what is given and predicted of one galaxy", PLOT
    )
    add_data(parser)
    parser.add_argument(
        "--row", type=whole, default=0, metavar="N", help="which galaxy, from 0 (default: 0)"
    )
    parser.add_argument(
        "--output", required=True, metavar="FIGURE", help="the figure to write (.png, .pdf, .svg)"
    )
    parser.add_argument(
        "--truth",
        type=label_names,
        metavar="COLUMN",
        help="column of true redshifts, which is drawn but not given to the model, or "
        "PROPERTY=COLUMN[,...]",
    )
    add_columns(parser)
    add_lookback_time(parser)
    add_weights(parser)
    add_device(parser)


def _true_values(table, labels, row, columns):
    """What columns hold in one row, by property, where they hold anything."""
    from ..catalog import read_property
    from ..galaxies import MEASURED
    from ..properties import PROPERTIES

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
    from .. import load_model
    from ..plotting import check_figure, plot_galaxy

    check_figure(args.output)
    data, spectrum = read_data(args)
    labels = {"redshift": args.truth} if isinstance(args.truth, str) else args.truth or {}
    truth = _true_values(data, labels, args.row, args.columns or {})
    model = load_model(args.weights, **given(args, "device"))
    columns = {**(args.columns or {}), **dict.fromkeys(labels.values())}  # which are not given
    figure = plot_galaxy(
        data, args.row, model, columns=columns, spectrum=spectrum,
        lookback_time=args.lookback_time, truth=truth,
    )  # fmt: skip
    figure.savefig(args.output)
    print(f"written to {args.output}")


def _add_info(commands):
    parser = command(
        commands,
        "info",
        _info,
        "print the model card: what the model knows, how it was trained, how good it is",
    )
    add_weights(parser)


def _info(args):
    from .. import load_model
    from ..calibration import CALIBRATIONS
    from ..outsiders import CARD_KEY, LIGHT

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
    print("\n".join([*card_lines(card), f"checksum: {model.checksum}"]))
