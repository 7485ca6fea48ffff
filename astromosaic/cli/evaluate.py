"""``astromosaic evaluate TASK``."""

import json

from .options import (
    add_calibration,
    add_columns,
    add_weights,
    add_zero_points,
    check_inputs,
    command,
    given,
    label_names,
    whole,
    zero_points,
)

__all__ = ["add"]

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


def add(commands):
    parser = commands.add_parser(
        "evaluate",
        help="measure how good the answers are",
        description="Measure how good the answers are; every published figure comes from here.",
    )
    tasks = parser.add_subparsers(title="tasks", metavar="TASK", required=True)

    photoz = command(
        tasks,
        "photoz",
        _evaluate_photoz,
        "redshifts against the spectroscopic redshifts of a table",
        EVALUATE_PHOTOZ,
    )
    _add_evaluation(photoz, "table with photometry and spectroscopic redshifts")
    add_columns(photoz)
    photoz.add_argument(
        "--truth",
        metavar="COLUMN",
        help="column of spectroscopic redshifts (default: z_spec, zspec, specz, redshift_true or "
        "redshift, whichever is there)",
    )
    add_zero_points(photoz)

    simulated = command(
        tasks,
        "simulated",
        _evaluate_simulated,
        "every scalar query on a simulated test set",
        EVALUATE_SIMULATED,
    )
    _add_evaluation(simulated, "file of mocks made by 'astromosaic simulate'")
    add_calibration(simulated)

    calibration = command(
        tasks,
        "calibration",
        _evaluate_calibration,
        "how often posteriors hold the truth",
        EVALUATE_CALIBRATION,
    )
    _add_evaluation(calibration, "file of mocks, or table with known properties")
    add_columns(calibration)
    calibration.add_argument(
        "--truth",
        type=label_names,
        metavar="COLUMN",
        help="of a table: the column of true redshifts, found as by 'evaluate photoz' without it, "
        "or PROPERTY=COLUMN[,...]",
    )
    calibration.add_argument("--figures", metavar="FOLDER", help="also draw figures in this folder")
    add_calibration(calibration)

    paper = command(
        tasks, "paper", _evaluate_paper, "the experiments of the MOSAIC paper", EVALUATE_PAPER
    )
    _add_evaluation(paper, "file of mocks (default: galaxies of the package)", required=False)
    paper.add_argument(
        "--trees", type=whole, metavar="N", help="training galaxies for the trees (default: 10000)"
    )
    paper.add_argument(
        "--mixture",
        nargs="+",
        default=(),
        metavar="MOCKS",
        help="mocks that the model was trained on, for trees that learn from the same mixture",
    )
    paper.add_argument("--figures", metavar="FOLDER", help="also draw figures in this folder")

    latent = command(
        tasks, "latent", _evaluate_latent, "what the latent space holds, and a map", EVALUATE_LATENT
    )
    _add_evaluation(latent, "file of mocks made by 'astromosaic simulate'")
    latent.add_argument(
        "--output", required=True, metavar="FIGURE", help="the figure to write (.png, .pdf, .svg)"
    )


def _add_evaluation(parser, data, required=True):
    parser.add_argument("--data", required=required, metavar="FILE", help=data)
    parser.add_argument("--json", metavar="OUT", help="also write the figures to this JSON file")
    parser.add_argument("--limit", type=whole, metavar="N", help="use the first N galaxies only")
    parser.add_argument("--seed", type=int, default=0, help="seed of what is random (default: 0)")
    add_weights(parser)


def _evaluate_photoz(args):
    from ..evaluation import photoz

    report = photoz.run(
        args.data,
        columns=args.columns,
        truth=args.truth,
        limit=args.limit,
        weights=args.weights,
        seed=args.seed,
        progress=True,
        zero_points=zero_points(args),
    )
    _print_report(photoz, report, args.json)


def _evaluate_simulated(args):
    check_inputs(args.data)
    from ..evaluation import simulated

    report = simulated.run(
        args.data, limit=args.limit, weights=args.weights, seed=args.seed, progress=True,
        calibration=args.calibration,
    )  # fmt: skip
    _print_report(simulated, report, args.json)


def _evaluate_calibration(args):
    check_inputs(args.data)
    from ..evaluation import calibration

    report = calibration.run(
        args.data, args.truth, args.columns, args.calibration, limit=args.limit,
        weights=args.weights, seed=args.seed, figures=args.figures, progress=True,
    )  # fmt: skip
    _print_report(calibration, report, args.json)


def _evaluate_paper(args):
    check_inputs(*filter(None, [args.data]), *args.mixture)
    from ..evaluation import paper

    report = paper.run(
        args.data, limit=args.limit, weights=args.weights, seed=args.seed, figures=args.figures,
        progress=True, mixture=args.mixture, **given(args, "trees"),
    )  # fmt: skip
    _print_report(paper, report, args.json)


def _evaluate_latent(args):
    check_inputs(args.data)
    from ..evaluation import latent
    from ..plotting import check_figure

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
