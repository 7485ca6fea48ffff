"""Commands that learn from data: ``train``, ``finetune``, ``calibrate`` and ``zeropoints``."""

from .options import (
    add_columns,
    add_device,
    add_labelled,
    add_weights,
    card_lines,
    check_inputs,
    command,
    given,
    whole,
)

__all__ = ["add"]

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


def add(commands):
    """Add the commands to a parser."""
    _add_train(commands)
    _add_finetune(commands)
    _add_calibrate(commands)
    _add_zeropoints(commands)


def _add_train(commands):
    parser = command(
        commands, "train", _train, "train a model on mocks or tables of galaxies", TRAIN
    )
    parser.add_argument(
        "mocks", nargs="+", metavar="DATA", help="mocks, or HDF5, Parquet or OpenCosmo files"
    )
    parser.add_argument(
        "--output", required=True, metavar="WEIGHTS", help="the weights to write (.safetensors)"
    )
    parser.add_argument("--steps", type=whole, metavar="N", help="number of steps")
    parser.add_argument("--initial", metavar="WEIGHTS", help="weights to start from")
    parser.add_argument(
        "--layers",
        type=whole,
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
    parser.add_argument("--batch-size", type=whole, metavar="N", help="galaxies per step")
    parser.add_argument(
        "--validation",
        type=whole,
        metavar="N",
        help="galaxies kept for validation, never trained on (default: a tenth, at most 4000)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of what is random (default: 0)")
    add_device(parser)


def _train(args):
    check_inputs(*args.mocks)
    from ..training.loop import train
    from ..training.masking import MaskingModel

    names = ("steps", "batch_size", "device", "initial", "learning_rate", "validation", "only")
    options = given(args, *names, "layers")
    masking = MaskingModel.of_rates(args.masking)
    train(args.mocks, args.output, seed=args.seed, progress=True, masking=masking, **options)
    print(f"written to {args.output}")


def _add_finetune(commands):
    parser = command(
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
    add_labelled(parser)


def _finetune(args):
    from .. import load_model
    from ..io import read_catalog
    from ..model.weights import check_path

    check_path(args.output, args.overwrite)
    table = read_catalog(args.input)
    model = load_model(args.weights, **given(args, "device"))
    new = model.fine_tune(
        table, args.labels, columns=args.columns, seed=args.seed, progress=True,
        lookback_time=args.lookback_time, **given(args, "row_weights", "held_out"),
    )  # fmt: skip
    new.save(args.output, args.overwrite)
    print("\n".join(card_lines({"fine-tuning": new.card["fine_tuning"]})))
    print(f"written to {args.output}")


def _add_calibrate(commands):
    parser = command(
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
        "--limit", type=whole, metavar="N", help="use the first N galaxies of each file only"
    )
    add_labelled(parser)


def _calibrate(args):
    check_inputs(*args.inputs)
    from .. import load_model
    from ..evaluation.calibration import calibrate_on_mocks, is_mocks
    from ..io import read_catalog
    from ..model.weights import check_path

    check_path(args.output, args.overwrite)
    model = load_model(args.weights, **given(args, "device"))
    options = {"seed": args.seed, "progress": True}
    if all(map(is_mocks, args.inputs)):
        new = calibrate_on_mocks(model, args.inputs, limit=args.limit, **given(args, "name"),
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


def _add_zeropoints(commands):
    parser = command(
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
        "--most", type=whole, metavar="N", help="use at most N galaxies (default: 1000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="which galaxies (default: 0)")
    add_columns(parser)
    add_weights(parser)
    add_device(parser)


def _zeropoints(args):
    from .. import load_model
    from ..io import check_output, read_catalog, write_catalog

    if args.output:
        check_output(args.output, args.overwrite)
    table = read_catalog(args.input)
    model = load_model(args.weights, **given(args, "device"))
    result = model.zero_points(
        table, columns=args.columns, seed=args.seed, progress=True, **given(args, "most")
    )
    print(f"from {result.meta['galaxies']} galaxies; positive means that magnitudes are too faint")
    print(f"{'filter':24s}{'offset (mag)':>14s}{'error':>10s}")
    for name, offset, error in result.iterrows("filter", "offset", "error"):
        print(f"{name:24s}{offset.value:+14.3f}{error.value:10.3f}")
    if args.output:
        write_catalog(result, args.output, overwrite=args.overwrite)
        print(f"written to {args.output}")
