"""astromosaic: whatever is known of a galaxy in, whatever is asked out."""

try:
    from ._version import __version__
except ImportError:  # run from a source tree that was never installed
    __version__ = "0.1.dev0"

__all__ = ["Posterior", "__version__", "inspect", "load_model", "predict"]


def predict(
    data, query="redshift", columns=None, samples=0, spectrum=None, lookback_time=None, **options
):
    """Predict properties of galaxies with the bundled model.

    Parameters
    ----------
    data : `~astropy.table.Table`, `~astropy.table.QTable` or `~specutils.Spectrum`
        What is known, one row per galaxy. Of a table: photometry (a column named by a filter, such
        as ``lsst_r``, with ``lsst_r_err`` beside it and a unit, or a survey's own column names),
        known scalars (such as ``redshift``) and array columns ``spherex``, ``sfh`` and ``mah``. A
        spectrum of one or many rows, or a list of spectra, may stand in its place.
    query : str or list of str
        What to predict: ``redshift``, ``stellar_mass``, ``halo_mass``, ``sfr``, ``metallicity``,
        ``dust_av``; the vectors ``spectrum``, ``sfh`` (star formation history), ``mah`` (mass
        accretion history of the halo) and ``spherex``; the name of any filter for the flux in it,
        or ``mag_`` and that name for the AB magnitude.
    columns : dict, optional
        What a column is, where its name does not say so: ``{"mag_u": "cfht_megacam_us_9301"}``;
        None as the value leaves a column out.
    samples : int
        With ``samples=n`` the result has a column ``q_samples`` of n draws for each query; the k-th
        draws of all queries belong together.
    spectrum : `~specutils.Spectrum`, optional
        Spectra of the galaxies of a table, one for each row.
    lookback_time : `~astropy.units.Quantity` or dict of them, optional
        Time axis of histories in the table, edges or centres of their bins, counted back from each
        galaxy's own redshift; a dict gives one for each column. Not needed where the column's or
        the table's meta has it.
    **options
        ``seed``, ``check``, ``calibration``, ``zero_points`` and ``progress``: see
        `astromosaic.inference.Model.predict`.

    Returns
    -------
    `~astromosaic.results.ResultTable`, which is a QTable, or `~specutils.Spectrum`
        For each query q its median ``q``, the 68% interval ``q_lo`` to ``q_hi``, and ``flag``; one
        row for each row of the input, in the same order. The query ``"spectrum"`` alone gives a
        Spectrum with its uncertainty, one object for all rows.

    Raises
    ------
    ValueError
        If a column lacks a unit or has a wrong one, if the table is empty or has nothing the model
        can use, or if the query is unknown. The message names the column and the remedy.
    """
    return load_model().predict(
        data, query, columns=columns, samples=samples, spectrum=spectrum,
        lookback_time=lookback_time, **options,
    )  # fmt: skip


def load_model(path=None, device="cpu"):
    """Load the bundled model, or weights from a file.

    Parameters
    ----------
    path : str or Path, optional
        A file written by ``astromosaic train``; the bundled weights without it.
    device : str
        ``cpu``, ``cuda``, or any other of torch's devices.

    Returns
    -------
    `astromosaic.inference.Model`
        With ``predict``, ``posterior`` and ``embed``.
    """
    from .inference import load

    return load(path, device)


def __getattr__(name):
    # Seldom needed by name: looked up when asked for.
    if name == "Posterior":
        from .posterior import Posterior

        return Posterior
    if name == "inspect":
        from .catalog.inspection import inspect_table

        return inspect_table
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
