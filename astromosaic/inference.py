"""`Model`: the network with everything around it; tables in, tables out.

Rows are sorted by which values they have, and handed to the network in batches: columns that no row
of a batch has are left out, and only where rows of a batch differ are tokens masked. What a row is
told depends on nothing but the row.
"""

import warnings
from collections.abc import Iterable
from numbers import Integral

import numpy as np
import torch

from . import __version__
from .calibration import apply_calibration, check_calibration
from .checks import INCONSISTENT, consistency
from .filters import Filter, register_filter
from .galaxies import MEASURED, MISSING, Galaxies
from .joint import JointPosterior
from .model.weights import check_path, load_weights, save_weights
from .outsiders import CARD_KEY as OUTSIDERS
from .outsiders import LIGHT, classify
from .posterior import FluxCoordinate, MagnitudeCoordinate, Posterior, VectorPosterior
from .properties import PROPERTIES, VECTORS, WAVELENGTH_RANGE
from .results import FLAGS, result_spectrum, result_table
from .tokens import Tokens, flux_from_internal, flux_to_internal, shape_features, tokenize
from .zero_points import corrected, estimate_zero_points, read_zero_points

__all__ = ["Model", "load"]

_CHUNK = 4_096


def load(path=None, device="cpu"):
    """Load a `Model`; the bundled weights where no path is given."""
    network, card, checksum = load_weights(path, device)
    return Model(network, card, checksum)


class Model:
    """A trained model.

    Parameters
    ----------
    network : Transformer
    card : dict
        How it was made.
    checksum : str
        Of its weights.
    batch_size : int
        Galaxies per forward pass; the answers do not depend on it.
    """

    def __init__(self, network, card, checksum, batch_size=256):
        self.network, self.card, self.checksum = network, card, checksum
        self.batch_size = batch_size
        self.device = next(network.parameters()).device

    def __repr__(self):
        return f"<astromosaic Model, {self.card['parameters']:,} parameters, {self.checksum[:12]}>"

    def predict(
        self, data, query="redshift", columns=None, samples=0, seed=0, spectrum=None,
        lookback_time=None, check=False, progress=False, calibration=None, zero_points=None,
    ):  # fmt: skip
        """Predict properties; see `astromosaic.predict`.

        Parameters
        ----------
        data : Table, QTable or Spectrum
        query : str, Filter, or list of these
            Properties, vectors, filters (fluxes in nJy) or ``mag_`` and a filter (AB magnitudes).
            An `astromosaic.filters.Filter` is registered by its name and asked for its flux.
        columns : dict, optional
            What columns are, see `astromosaic.predict`.
        samples : int
            Number of draws for each query, in a column ``q_samples``; the k-th of all queries
            belong together. They cost as much as so many times more galaxies would.
        seed : int
            Seed of the draws.
        spectrum : Spectrum, optional
            Spectra of the table's galaxies, one for each row.
        lookback_time : Quantity or dict of str to Quantity, optional
            Time axis of the table's histories: edges or centres of their bins.
        check : bool
            Also look for galaxies whose bands, parts of SPHEREx or a spectrum, or known properties
            disagree (`astromosaic.checks`): they get bit 8 of ``flag``, and the table the columns
            ``consistency`` and ``odd_band``. And for what is no galaxy (`astromosaic.outsiders`):
            bits 16 and 32, columns ``p_star`` and ``p_quasar``. Costs as much as one more
            prediction for each band and known property, 6 for SPHEREx, 12 for a spectrum that
            covers all, and another one.
        progress : bool
            Show a progress bar.
        calibration : str, optional
            Name of a calibration of the model's card by which the posteriors of scalars are
            corrected (`astromosaic.calibration`); as trained without it. Not with ``samples``.
        zero_points : Table, dict of str to float, or "own", optional
            Magnitudes by which the broadband photometry is too faint, by filter, to correct it
            (`astromosaic.zero_points`); ``"own"`` estimates them from these very data first.

        Returns
        -------
        ResultTable or Spectrum
            A Spectrum where ``query`` is ``"spectrum"``.
        """
        from .catalog import read_input

        names = _query_names(query)
        if not isinstance(samples, Integral) or samples < 0:
            raise ValueError(f"samples={samples}: ask for a whole number of draws, or for none")
        as_spectrum = isinstance(query, str) and query == "spectrum"
        if samples and as_spectrum:
            raise ValueError("a Spectrum cannot hold draws: ask for a table, query=['spectrum']")
        if calibration is not None:
            check_calibration(self.card, calibration)
            if samples:
                raise ValueError(
                    "draws cannot be calibrated: ask for samples=0, or for calibration=None"
                )
        galaxies, reading = read_input(data, columns, spectrum, lookback_time)
        if known := [name for name in names if name in galaxies.scalars]:
            column = next(c for c, what in reading.columns.items() if what == known[0])
            warnings.warn(
                f"{', '.join(known)} is asked and given too, and the answer rests on what is "
                f"given: columns={{{column!r}: None}} leaves it out",
                stacklevel=3,
            )
        galaxies, offsets = self.with_zero_points(galaxies, zero_points, progress)
        posteriors = JointPosterior(self, galaxies, names, progress, calibration)
        flags, checked, classes = self.flags(galaxies), None, None
        if check:
            parts, by_part, agreement = consistency(self, galaxies, progress)
            odd = agreement < INCONSISTENT
            flags |= np.where(odd, 8, 0)
            checked = agreement, np.where(odd, _oddest(parts, by_part), "")
            classes, outside = classify(self, galaxies, progress)
            if not any(light in self.card.get(OUTSIDERS, {}) for light in LIGHT):
                warnings.warn(
                    "these weights have no classifier of stars and quasars (that of the weights "
                    "before is not right for fine-tuned ones): p_star and p_quasar are masked",
                    stacklevel=3,
                )
            flags |= outside
        meta = {
            "model": self.card["name"],
            "weights": self.checksum,
            "astromosaic": __version__,
            "input": reading.to_meta(),
            "filters": _filter_versions(galaxies, names),
            "flags": {str(bit): meaning for bit, meaning in FLAGS.items()},
        }
        if calibration is not None:
            meta["calibration"] = calibration
        if offsets:
            meta["zero_points_mag"] = offsets
        ids = reading.ids
        if as_spectrum:
            meta |= {"flag": flags} | ({} if ids is None else {"id": ids})
            return result_spectrum(posteriors["spectrum"], meta, single=_is_single(data))
        draws = posteriors.sample(samples, seed, progress=progress) if samples else None
        return result_table(posteriors, flags, ids, meta, draws, checked, classes)

    def posterior(
        self, data, query="redshift", columns=None, spectrum=None, lookback_time=None,
        progress=False, calibration=None, zero_points=None,
    ):  # fmt: skip
        """The posterior of one query, or the `JointPosterior` of a list of queries."""
        from .catalog import read_input

        names = _query_names(query)
        galaxies, _ = read_input(data, columns, spectrum, lookback_time)
        galaxies, _ = self.with_zero_points(galaxies, zero_points, progress)
        joint = JointPosterior(self, galaxies, names, progress, calibration)
        return joint[names[0]] if isinstance(query, str | Filter) else joint

    def zero_points(self, data, columns=None, most=1000, seed=0, progress=False):
        """How far the zero points of broadband photometry are off, by what the model expects.

        No redshifts are needed. See `astromosaic.zero_points` for the method, and
        ``predict(..., zero_points=...)`` for what to do with the answer.

        Parameters
        ----------
        data : Table or QTable
        columns : dict, optional
            See `astromosaic.predict`.
        most : int
            Use at most so many galaxies, drawn at random with this ``seed``.
        seed : int
        progress : bool
            Show a progress bar.

        Returns
        -------
        QTable
            ``filter``, ``offset`` (mag; too faint is positive) and its statistical ``error``.

        Raises
        ------
        ValueError
            If there are too few bands, or too few galaxies well measured in all of them.
        """
        from .catalog import read_input

        galaxies, _ = read_input(data, columns)
        return estimate_zero_points(self, galaxies, most, seed, progress)

    def with_zero_points(self, galaxies, zero_points, progress=False):
        """`Galaxies` corrected by zero points as `predict` takes them, and these as a dict."""
        if zero_points is None:
            return galaxies, {}
        if isinstance(zero_points, str):
            if zero_points != "own":
                raise ValueError(
                    f"zero_points={zero_points!r}: give a table, a dict of magnitudes by filter, "
                    "or 'own' to estimate them from the data"
                )
            zero_points = estimate_zero_points(self, galaxies, progress=progress)
        offsets = read_zero_points(zero_points)
        return corrected(galaxies, offsets), offsets

    def embed(self, data, columns=None, spectrum=None, lookback_time=None, progress=False):
        """The place of each galaxy in latent space: the final state of its galaxy token; (n, d).

        Rows of which nothing is known are NaN.
        """
        from .catalog import read_input

        galaxies, _ = read_input(data, columns, spectrum, lookback_time)
        return self.embed_of(galaxies, progress)

    def embed_of(self, galaxies: Galaxies, progress=False):
        """The same as `embed` for `Galaxies`."""
        out = self._run(galaxies, [], torch.zeros(0, 1), [], progress, keep_state=True)
        return np.where(galaxies.known()[:, None] > 0, out["state"], np.nan)

    def posterior_of(self, galaxies: Galaxies, queries, progress=False, calibration=None):
        """Posteriors of `Galaxies`, by query; rows of which nothing is known are NaN."""
        if calibration is not None:
            check_calibration(self.card, calibration)
        vectors = [q for q in queries if q in VECTORS]
        coordinates = {q: _coordinate(q) for q in queries if q not in VECTORS}
        fluxes = [q for q, c in coordinates.items() if c is not None]
        shape = shape_features([q.removeprefix("mag_") for q in fluxes])
        scalars = [q for q, c in coordinates.items() if c is None]
        out = self._run(galaxies, scalars, shape, vectors, progress)
        unknown = galaxies.known() == 0
        posteriors = {}
        for query in queries:
            if query in VECTORS:
                out[query][unknown] = np.nan
                posteriors[query] = VectorPosterior(query, *np.moveaxis(out[query], 2, 0))
            elif coordinates[query] is None:
                out[query][unknown] = np.nan
                posterior = Posterior.from_logits(query, out[query])
                posteriors[query] = _as_given(posterior, galaxies.scalars.get(query))
            else:
                mixture = out["flux"][:, fluxes.index(query)]
                mixture[unknown] = np.nan
                posteriors[query] = Posterior.from_mixture(
                    coordinates[query], *np.moveaxis(mixture, 1, 0)
                )
        if calibration is not None:
            posteriors = apply_calibration(self.card, calibration, galaxies, posteriors)
        return posteriors

    def flags(self, galaxies: Galaxies):
        """Bits of `FLAGS` for each galaxy; int (n,)."""
        known = galaxies.known()
        flag = np.where(known == 0, 1, 0) | np.where((known > 0) & (known < 3), 2, 0)
        # The range is that of noiseless fluxes in all filters: half a magnitude is left to noise
        # and to the choice of bands.
        span = self.card["flux_range"]
        low, high = (
            (np.inf, -np.inf)
            if span is None
            else flux_to_internal(flux_from_internal(np.array(span)) * 10 ** np.array([-0.2, 0.2]))
        )
        chunks = [galaxies[i : i + _CHUNK] for i in range(0, len(galaxies), _CHUNK)]
        reference = np.concatenate([tokenize(c).reference.numpy() for c in chunks])
        # Light that is lost in its noise may be of any galaxy.
        brightest = flux_to_internal(
            flux_from_internal(reference.astype(float)) + 3 * _error_of_mean_flux(galaxies)
        )
        outside = _has_light(galaxies) & ((reference > high) | (brightest < low))
        for name, scalar in galaxies.scalars.items():
            prop, given = PROPERTIES[name], scalar.state != MISSING
            outside |= given & ((scalar.value < prop.low - 0.01) | (scalar.value > prop.high))
        return flag | np.where(outside & (known > 0), 4, 0)

    def fine_tune(
        self, data, labels="z_spec", columns=None, row_weights=None, held_out=None, seed=0,
        progress=False, spectrum=None, lookback_time=None, settings=None,
    ):  # fmt: skip
        """A new model, adapted to galaxies of which some properties are known for true.

        This one stays as it is. The answers that are not labelled are held to what they are now.

        Parameters
        ----------
        data : Table or QTable
            Labelled galaxies, as `predict` takes them.
        labels : str or dict of str to str
            The column of true redshifts, or the columns of labels by property. They are read as
            inputs are, with their units, but never shown to the model, and no more are other
            columns that hold a labelled property. A row may lack some of several labels.
        columns : dict, optional
            What columns are, see `astromosaic.predict`. Columns that will not be there when the
            model is used are to be left out.
        row_weights : str or array_like (n,), optional
            Weight of each row, or the column of them: how many galaxies it stands for, where the
            labelled are not like those that the model will be used on. Rows of weight zero are as
            if they were not there.
        held_out : float, optional
            Fraction of the labelled galaxies that each of its runs does not learn from, others
            in each. They decide when to stop, and that what is found is no worse than this model.
            By default a fifth, at most 1,000.
        seed : int
            Of the split and of all that is drawn.
        progress : bool
            Show a progress bar.
        spectrum, lookback_time
            See `predict`.
        settings : astromosaic.training.finetune.Settings, optional
            How it learns.

        Returns
        -------
        Model
            Its card has, under ``fine_tuning``, where it comes from, what it learned from, the
            loss of its runs on their held-out galaxies before and after, and how much other answers
            moved. It
            has no classifier of stars and quasars and no calibrations, which are right for this
            model only.

        Raises
        ------
        TypeError
            If the data are no table.
        ValueError
            If labels or weights are not what they should be, or are too few; as of `predict`.
        """
        from .training.finetune import fine_tune

        return fine_tune(
            self, data, labels, columns, row_weights, held_out, seed, progress, spectrum,
            lookback_time, settings,
        )  # fmt: skip

    def calibrate(
        self, data, labels="z_spec", *, name, columns=None, spectrum=None, lookback_time=None,
        seed=0, progress=False,
    ):  # fmt: skip
        """A new model, with a calibration learned from galaxies with known properties.

        The weights are the same, and so are the answers unless the calibration is asked for by
        its name: ``predict(..., calibration=name)``. See `astromosaic.calibration`.

        Parameters
        ----------
        data : Table or QTable
            Labelled galaxies, as `predict` takes them: of the same kind as those that it will be
            used on, but not those on which it will be judged.
        labels : str or dict of str to str
            The column of true redshifts, or the columns of labels by property, as of `fine_tune`.
        name : str
            Of the calibration; one of that name that is there is replaced.
        columns, spectrum, lookback_time
            See `predict`.
        seed : int
            Of the split in halves, of which one tells how much of the other to believe.
        progress : bool
            Show a progress bar.

        Returns
        -------
        Model

        Raises
        ------
        TypeError
            If the data are no table.
        ValueError
            If labels are not what they should be, or are too few; as of `predict`.
        """
        from .calibration import calibrate
        from .labels import read_labels

        sample = read_labels(data, labels, columns, None, spectrum, lookback_time)
        about = {"labels": sample.columns, "galaxies": len(sample.galaxies)}
        return calibrate(self, [(sample.galaxies, sample.truth)], name, seed, progress, **about)

    def save(self, path, overwrite=False):
        """Write weights, model card and checksum to a file that `astromosaic.load_model` reads.

        Parameters
        ----------
        path : str or Path
            By custom it ends in ``.safetensors``.
        overwrite : bool
            Whether a file that is there may be replaced.

        Raises
        ------
        FileExistsError, FileNotFoundError
            If there is such a file, or no such folder.
        """
        check_path(path, overwrite)
        save_weights(path, self.network, self.card)

    @torch.no_grad()
    def _run(self, galaxies, scalars, query_shape, vectors, progress=False, keep_state=False):
        """Raw answers for all rows: logits of scalars, mixtures of fluxes and vectors."""
        from tqdm import tqdm

        if not len(galaxies):
            raise ValueError("there are no galaxies to predict for")
        out = {}
        query_shape = query_shape.to(self.device)
        with tqdm(total=len(galaxies), unit="galaxy", disable=not progress) as bar:
            for start in range(0, len(galaxies), _CHUNK):
                tokens = tokenize(galaxies[start : start + _CHUNK])
                known = tokens.known().numpy()
                order = np.lexsort(known.T) if known.shape[1] else np.arange(len(known))
                for first in range(0, len(order), self.batch_size):
                    rows = order[first : first + self.batch_size]
                    batch = _take(tokens, rows, self.device)
                    answers = self._forward(batch, scalars, query_shape, vectors, keep_state)
                    for name, answer in answers.items():
                        if name not in out:
                            shape = (len(galaxies), *answer.shape[1:])
                            out[name] = np.empty(shape, answer.dtype)
                        out[name][start + rows] = answer
                    bar.update(len(rows))
        return out

    def _forward(self, tokens, scalars, query_shape, vectors, keep_state):
        query_shape = query_shape if query_shape.numel() else None
        states = self.network(tokens, query_shape, vectors)
        logits = self.network.scalar_logits(states)
        out = {name: logits[name].cpu().numpy() for name in scalars}
        if keep_state:
            out["state"] = states.galaxy.cpu().numpy()
        reference = tokens.reference[:, None, None]
        if states.flux.shape[1]:
            out["flux"] = _mixture(self.network.flux_head(states.flux), reference)
        for name, mixture in self.network.vector_mixtures(states).items():
            out[name] = _mixture(mixture, reference if VECTORS[name].is_flux else 0.0)
        return out


def _as_given(posterior, scalar):
    """The posterior of a property that may be known: where it is exactly, there and nowhere else,
    whatever else is known of the galaxy."""
    if scalar is None:
        return posterior
    prop = posterior.coordinate
    inside = (scalar.value >= prop.low) & (scalar.value <= prop.high)
    rows = np.flatnonzero(inside & (scalar.state == MEASURED) & prop.is_exact(scalar.error))
    edges, probability = posterior.edges.copy(), posterior.probability.copy()
    # A bin that is so much narrower than all others.
    edges[rows] = scalar.value[rows, None] + 1e-3 * (edges[rows] - posterior._centers()[rows, :1])
    probability[rows] = 0.0
    probability[rows, 0] = 1.0
    return Posterior(prop, edges, probability)


def _has_light(galaxies):
    """Which galaxies have any light; bool (n,)."""
    light = [galaxies.photometry, *(v for k, v in galaxies.vectors.items() if VECTORS[k].is_flux)]
    return np.any([(part.state != MISSING).any(axis=1) for part in light], axis=0)


def _error_of_mean_flux(galaxies):
    """Error in nJy of the mean of all measured light; 0 where no error is known. (n,)"""
    light = [galaxies.photometry, *(v for k, v in galaxies.vectors.items() if VECTORS[k].is_flux)]
    inverse_variance = np.zeros(len(galaxies))
    for part in light:
        use = (part.state == MEASURED) & (part.error > 0)
        inverse_variance += np.sum(np.where(use, part.error, np.inf).astype(float) ** -2, axis=1)
    return np.where(inverse_variance > 0, inverse_variance, np.inf) ** -0.5


def _mixture(mixture, reference):
    """Weights, means and sigmas, relative to nothing, as one array (n, q, 3, components)."""
    log_weight, mean, log_sigma = mixture
    parts = [log_weight.exp(), mean + reference, log_sigma.exp()]
    return torch.stack(parts, dim=2).cpu().numpy()


def _take(tokens, rows, device):
    """Some rows of tokens, without the columns that none of them has."""
    rows = torch.as_tensor(rows)

    def columns(x, known):
        known = known[rows]
        any_row = known.any(dim=0)
        return x[rows][:, any_row].to(device), known[:, any_row].to(device), any_row

    flux, flux_known, filters = columns(tokens.flux, tokens.flux_known)
    scalar, scalar_known, scalars = columns(tokens.scalar, tokens.scalar_known)
    return Tokens(
        reference=tokens.reference[rows].to(device),
        flux=flux,
        flux_known=flux_known,
        filter_shape=tokens.filter_shape[filters].to(device),
        # Patches have a place each: the model itself leaves out those that nobody has.
        vectors={
            name: (features[rows].to(device), known[rows].to(device))
            for name, (features, known) in tokens.vectors.items()
            if known[rows].any()
        },
        scalar=scalar,
        scalar_known=scalar_known,
        scalar_index=tokens.scalar_index[scalars].to(device),
    )


def _oddest(names, by_part):
    """Names of the parts of least probability; (n,)."""
    if not names:
        return np.full(len(by_part), "")
    return np.array(names)[np.argmin(np.where(np.isnan(by_part), 2.0, by_part), axis=1)]


def _is_single(data):
    """Whether the data are one spectrum, not a table or several."""
    return getattr(getattr(data, "flux", None), "ndim", 0) == 1


def _query_names(query):
    if not isinstance(query, Iterable | Filter) or isinstance(query, bytes):
        raise TypeError(f"query is of type {type(query).__name__}: give a name, or a list of names")
    if isinstance(query, str) and "," in query:
        names = [name.strip() for name in query.split(",")]
        raise ValueError(f"query {query!r}: ask for several things by a list, query={names}")
    names = [query] if isinstance(query, str | Filter) else list(query)
    names = [register_filter(q).name if isinstance(q, Filter) else str(q) for q in names]
    if not names:
        raise ValueError("the query is empty; ask for a property such as 'redshift'")
    if len(set(names)) != len(names):
        raise ValueError(f"a query is asked twice: {', '.join(names)}")
    for name in names:
        if name not in VECTORS:
            _coordinate(name)
    return names


def _coordinate(query):
    """Coordinate of a flux or magnitude; None for a scalar property; ValueError if unknown."""
    from .filters import canonical_name, within_range

    if query in PROPERTIES:
        return None
    try:
        name = canonical_name(query.removeprefix("mag_"))
    except ValueError as error:
        raise ValueError(
            f"unknown query {query!r}: ask for {', '.join([*PROPERTIES, *VECTORS])}, for a filter "
            "such as "
            f"'lsst_r' (flux) or for 'mag_lsst_r' (AB magnitude); {error}"
        ) from None
    if not within_range(name):
        raise ValueError(
            f"query {query!r}: the filter reaches beyond {WAVELENGTH_RANGE[0]} to "
            f"{WAVELENGTH_RANGE[1]} micron, which the model covers"
        )
    return MagnitudeCoordinate(query) if query.startswith("mag_") else FluxCoordinate(query)


def _filter_versions(galaxies, queries):
    """Versions of the filter curves that were used, of SPHEREx as a whole."""
    from .filters import load_filter

    asked = [q.removeprefix("mag_") for q in queries if q not in {**PROPERTIES, **VECTORS}]
    versions = {name: load_filter(name).version for name in [*galaxies.filters, *asked]}
    if "spherex" in galaxies.vectors or "spherex" in queries:
        versions["spherex"] = load_filter("spherex_001").version
    return versions
