"""``astromosaic predict``."""

from .options import (
    add_calibration,
    add_columns,
    add_data,
    add_device,
    add_lookback_time,
    add_weights,
    add_zero_points,
    as_options,
    command,
    given,
    names,
    read_data,
    whole,
    wrapped,
    zero_points,
)

__all__ = ["add"]

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


def add(commands):
    from ..properties import PROPERTIES, VECTORS

    parser = command(
        commands,
        "predict",
        _predict,
        "predict properties of the galaxies of a table",
        PREDICT,
        PREDICT_EXAMPLES.format(queries=", ".join(PROPERTIES), vectors=", ".join(VECTORS)),
    )
    add_data(parser)
    parser.add_argument(
        "--query",
        required=True,
        type=names,
        action="extend",
        metavar="Q[,Q...]",
        help="what to predict",
    )
    parser.add_argument("--output", required=True, metavar="OUT", help="the table to write")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    add_columns(parser)
    add_lookback_time(parser)
    parser.add_argument(
        "--samples",
        type=whole,
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
    add_calibration(parser)
    add_zero_points(parser)
    add_weights(parser)
    add_device(parser)


def _predict(args):
    from .. import load_model
    from ..io import check_output, write_catalog

    check_output(args.output, args.overwrite)
    data, spectrum = read_data(args)
    model = load_model(args.weights, **given(args, "device"))
    result = model.predict(
        data,
        args.query,
        columns=args.columns,
        samples=args.samples,
        spectrum=spectrum,
        lookback_time=args.lookback_time,
        check=args.check,
        calibration=args.calibration,
        zero_points=zero_points(args),
        progress=True,
    )
    write_catalog(result, args.output, overwrite=args.overwrite)
    print(_summary(result, args.query))
    print(f"written to {args.output}")


def _summary(result, queries):
    """What was predicted, on one screen."""
    import numpy as np

    meta = result.meta
    lines = [f"{len(result)} galaxies; columns read as {meta['input']['convention']}"]
    lines += wrapped(f"filter curves: {', '.join(result.meta['filters']) or 'none'}")
    for note in meta["input"]["notes"]:
        lines += wrapped(f"note: {as_options(note)}")
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


def _masked(column):
    """The numbers of a column as a numpy masked array."""
    import numpy as np

    mask = np.broadcast_to(getattr(column, "mask", False), column.shape)
    values = getattr(column, "unmasked", column)
    return np.ma.array(np.asarray(values, dtype=float), mask=mask)
