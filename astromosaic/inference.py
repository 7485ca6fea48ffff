"""`Model`: the network with everything around it; tables in, tables out.

Rows are sorted by which values they have, and handed to the network in batches: columns that no row
of a batch has are left out, and only where rows of a batch differ are tokens masked. What a row is
told depends on nothing but the row.
"""

import numpy as np
import torch

from . import __version__
from .galaxies import MISSING, Galaxies
from .model.weights import load_weights
from .posterior import FluxCoordinate, MagnitudeCoordinate, Posterior
from .properties import PROPERTIES, WAVELENGTH_RANGE
from .results import FLAGS, result_table
from .tokens import Tokens, shape_features, tokenize

__all__ = ["Model", "load"]

_CHUNK = 16_384


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

    def predict(self, table, query="redshift", columns=None, samples=0, seed=0, progress=False):
        """Predict properties; see `astromosaic.predict`.

        Parameters
        ----------
        table : Table or QTable
        query : str or list of str
            Properties, filters (fluxes in nJy) or ``mag_`` and a filter (AB magnitudes).
        columns : dict, optional
            What columns are, see `astromosaic.predict`.
        samples : int
            Number of draws for each answer, in a column ``q_samples``.
        seed : int
            Seed of the draws.
        progress : bool
            Show a progress bar.

        Returns
        -------
        QTable
        """
        galaxies, reading = self._read(table, columns)
        names = _query_names(query)
        posteriors = self.posterior_of(galaxies, names, progress)
        meta = {
            "model": self.card["name"],
            "weights": self.checksum,
            "astromosaic": __version__,
            "input": reading.to_meta(),
            "filters": _filter_versions(galaxies, names),
            "flags": {str(bit): meaning for bit, meaning in FLAGS.items()},
        }
        ids = table[reading.id_columns] if reading.id_columns else None
        return result_table(posteriors, self.flags(galaxies), ids, meta, samples, seed)

    def posterior(self, table, query="redshift", columns=None, progress=False):
        """The posterior of one query, or a dict of them for a list of queries."""
        galaxies, _ = self._read(table, columns)
        names = _query_names(query)
        posteriors = self.posterior_of(galaxies, names, progress)
        return posteriors[query] if isinstance(query, str) else posteriors

    def embed(self, table, columns=None, progress=False):
        """The place of each galaxy in latent space: the final state of its galaxy token; (n, d).

        Rows of which nothing is known are NaN.
        """
        galaxies, _ = self._read(table, columns)
        out = self._run(galaxies, [], torch.zeros(0, 1), progress, keep_state=True)
        return np.where(galaxies.known()[:, None] > 0, out["state"], np.nan)

    def posterior_of(self, galaxies: Galaxies, queries, progress=False):
        """Posteriors of `Galaxies`, by query; rows of which nothing is known are NaN."""
        coordinates = {q: _coordinate(q) for q in queries}
        fluxes = [q for q, c in coordinates.items() if c is not None]
        shape = shape_features([q.removeprefix("mag_") for q in fluxes])
        scalars = [q for q, c in coordinates.items() if c is None]
        out = self._run(galaxies, scalars, shape, progress)
        unknown = galaxies.known() == 0
        posteriors = {}
        for query, coordinate in coordinates.items():
            if coordinate is None:
                out[query][unknown] = np.nan
                posteriors[query] = Posterior.from_logits(query, out[query])
            else:
                weight, mean, sigma = (x[:, fluxes.index(query)] for x in out["mixture"])
                weight[unknown] = np.nan
                posteriors[query] = Posterior.from_mixture(coordinate, weight, mean, sigma)
        return posteriors

    def flags(self, galaxies: Galaxies):
        """Bits of `FLAGS` for each galaxy; int (n,)."""
        known = galaxies.known()
        flag = np.where(known == 0, 1, 0) | np.where((known > 0) & (known < 3), 2, 0)
        low, high = self.card["flux_range"]
        chunks = [galaxies[i : i + _CHUNK] for i in range(0, len(galaxies), _CHUNK)]
        reference = np.concatenate([tokenize(c).reference.numpy() for c in chunks])
        # The range is that of noiseless fluxes in all filters: half a magnitude is left to noise
        # and to the choice of bands.
        outside = (reference > high + 0.5) | (reference < low - 0.5)
        for name, scalar in galaxies.scalars.items():
            prop, given = PROPERTIES[name], scalar.state != MISSING
            outside |= given & ((scalar.value < prop.low - 0.01) | (scalar.value > prop.high))
        return flag | np.where(outside & (known > 0), 4, 0)

    def _read(self, table, columns):
        from .catalog import read_table

        return read_table(table, columns)

    @torch.no_grad()
    def _run(self, galaxies, scalars, query_shape, progress=False, keep_state=False):
        """Raw answers for all rows, and states where asked: a dict of arrays."""
        from tqdm import tqdm

        if not len(galaxies):
            raise ValueError("there are no galaxies to predict for")
        parts, orders = [], []
        query_shape = query_shape.to(self.device)
        with tqdm(total=len(galaxies), unit="galaxy", disable=not progress) as bar:
            for start in range(0, len(galaxies), _CHUNK):
                tokens = tokenize(galaxies[start : start + _CHUNK])
                known = tokens.known().numpy()
                order = np.lexsort(known.T) if known.shape[1] else np.arange(len(known))
                for first in range(0, len(order), self.batch_size):
                    rows = order[first : first + self.batch_size]
                    batch = _take(tokens, rows, self.device)
                    parts.append(self._forward(batch, scalars, query_shape, keep_state))
                    orders.append(start + rows)
                    bar.update(len(rows))
        place = np.argsort(np.concatenate(orders))
        out = {k: np.concatenate([p[k] for p in parts])[place] for k in parts[0] if k != "mixture"}
        if "mixture" in parts[0]:
            stacked = zip(*(p["mixture"] for p in parts), strict=True)
            out["mixture"] = [np.concatenate(x)[place] for x in stacked]
        return out

    def _forward(self, tokens, scalars, query_shape, keep_state):
        state, queries = self.network(tokens, query_shape if query_shape.numel() else None)
        logits = self.network.scalar_heads(state)
        out = {name: logits[name].cpu().numpy() for name in scalars}
        if keep_state:
            out["state"] = state.cpu().numpy()
        if queries.shape[1]:
            weight, mean, log_sigma = self.network.flux_head(queries)
            mean = mean + tokens.reference[:, None, None]
            out["mixture"] = [x.double().cpu().numpy() for x in (weight, mean, log_sigma.exp())]
        return out


def _take(tokens, rows, device):
    """Some rows of tokens, without the columns that none of them has."""
    rows = torch.as_tensor(rows)

    def columns(x, known):
        known = known[rows]
        any_row = known.any(dim=0)
        return x[rows][:, any_row].to(device), known[:, any_row].to(device), any_row

    flux, flux_known, filters = columns(tokens.flux, tokens.flux_known)
    scalar, scalar_known, scalars = columns(tokens.scalar, tokens.scalar_known)
    # Patches have a place each, so that they stay if any row has any.
    some = bool(tokens.patch_known[rows].any())
    return Tokens(
        reference=tokens.reference[rows].to(device),
        flux=flux,
        flux_known=flux_known,
        filter_shape=tokens.filter_shape[filters].to(device),
        patch=tokens.patch[rows][:, : None if some else 0].to(device),
        patch_known=tokens.patch_known[rows][:, : None if some else 0].to(device),
        scalar=scalar,
        scalar_known=scalar_known,
        scalar_index=tokens.scalar_index[scalars].to(device),
    )


def _query_names(query):
    names = [query] if isinstance(query, str) else list(query)
    if not names:
        raise ValueError("the query is empty; ask for a property such as 'redshift'")
    if len(set(names)) != len(names):
        raise ValueError(f"a query is asked twice: {', '.join(names)}")
    for name in names:
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
            f"unknown query {query!r}: ask for {', '.join(PROPERTIES)}, for a filter such as "
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

    asked = [q.removeprefix("mag_") for q in queries if q not in PROPERTIES]
    versions = {name: load_filter(name).version for name in [*galaxies.filters, *asked]}
    if "spherex" in galaxies.vectors:
        versions["spherex"] = load_filter("spherex_001").version
    return versions
