"""astromosaic: whatever is known of a galaxy in, whatever is asked out."""

try:
    from ._version import __version__
except ImportError:  # run from a source tree that was never installed
    __version__ = "0.1.dev0"

__all__ = ["Posterior", "__version__", "load_model", "predict"]


def predict(table, query="redshift", columns=None, samples=0, **options):
    """Predict properties of galaxies with the bundled model.

    Parameters
    ----------
    table : `~astropy.table.Table` or `~astropy.table.QTable`
        What is known, one row per galaxy: photometry (a column named by a filter, such as
        ``lsst_r``, with ``lsst_r_err`` beside it and a unit, or a survey's own column names) and
        known scalars (such as ``redshift``).
    query : str or list of str
        What to predict: ``redshift``, ``stellar_mass``, ``halo_mass``, ``sfr``, ``metallicity``,
        ``dust_av``, the name of any filter for the flux in it, or ``mag_`` and that name for the AB
        magnitude.
    columns : dict, optional
        What a column is, where its name does not say so: ``{"mag_u": "cfht_megacam_us_9301"}``;
        None as the value leaves a column out.
    samples : int
        With ``samples=n`` the result has a column ``q_samples`` of n draws for each query.
    **options
        ``seed`` and ``progress``: see `astromosaic.inference.Model.predict`.

    Returns
    -------
    `~astropy.table.QTable`
        For each query q its median ``q``, the 68% interval ``q_lo`` to ``q_hi``, and ``flag``; one
        row for each row of the table, in the same order.

    Raises
    ------
    ValueError
        If a column lacks a unit or has a wrong one, if the table is empty or has nothing the model
        can use, or if the query is unknown. The message names the column and the remedy.
    """
    return load_model().predict(table, query, columns=columns, samples=samples, **options)


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
    # The posterior needs numpy only, but is seldom needed by name.
    if name == "Posterior":
        from .posterior import Posterior

        return Posterior
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
