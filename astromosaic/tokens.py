"""Galaxies to token features: plain tensors that the model embeds.

Each galaxy has a reference flux, the weighted mean of its known fluxes. A flux is seen relative to
it, as ``arcsinh(f / s) - arcsinh(f_ref / s)`` with the softening ``s`` of its own error (Lupton,
Gunn & Szalay 1999): a colour where the flux is well measured, a difference in units of sigma where
it is not. The reference itself stands beside it, so that shape and brightness are told apart.

A filter is known to the model by its shape alone: Fourier features of ln(wavelength) of the pivot
and of the points where the cumulative transmission passes 5, 50 and 95%.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .filters import filter_shapes
from .galaxies import LIMIT, MEASURED, MISSING, Galaxies
from .properties import FLUX_SCALE, PROPERTIES, VECTORS, WAVELENGTH_RANGE

__all__ = [
    "ELEMENT_FEATURES",
    "FLUX_FEATURES",
    "SCALAR_FEATURES",
    "SHAPE_FEATURES",
    "Tokens",
    "flux_from_internal",
    "flux_to_internal",
    "shape_features",
    "tokenize",
    "tokens_from_arrays",
]

#: Reference of a galaxy of which no flux is known: 23.2 mag AB.
_NO_FLUX = 5.3
# A pixel of a spectrum counts so much less than a band in the reference flux.
_PIXEL_WEIGHT = 0.05
# Above how many sigma a band, and an element of a vector, is well above its noise.
_SECURE_BAND, _SECURE_ELEMENT = 2.0, 5.0
_SHAPE_FREQUENCIES = 7
_FLUX_FREQUENCIES = (1.0, 2.0, 4.0, 8.0)
_HISTORY_FREQUENCIES = (1.0, 2.0, 4.0, 8.0)
_SCALAR_FREQUENCIES = 8

FLUX_FEATURES = 6 + 2 * len(_FLUX_FREQUENCIES)
SHAPE_FEATURES = 4 * (1 + 2 * _SHAPE_FREQUENCIES)
SCALAR_FEATURES = 4 + 2 * _SCALAR_FREQUENCIES
_HISTORY_FEATURES = 4 + 2 * len(_HISTORY_FREQUENCIES)
#: Features of one element of each vector.
ELEMENT_FEATURES = {
    "spherex": FLUX_FEATURES, "spectrum": 5, "sfh": _HISTORY_FEATURES, "mah": _HISTORY_FEATURES,
}  # fmt: skip


def flux_to_internal(flux):
    """arcsinh-scaled flux of f_nu in nJy; for arrays and tensors."""
    return (
        torch.asinh(flux / FLUX_SCALE) if torch.is_tensor(flux) else np.arcsinh(flux / FLUX_SCALE)
    )


def flux_from_internal(value):
    """f_nu in nJy of an arcsinh-scaled flux; the inverse of `flux_to_internal`."""
    return FLUX_SCALE * (torch.sinh(value) if torch.is_tensor(value) else np.sinh(value))


@dataclass
class Tokens:
    """What the model reads. ``n`` galaxies, ``f`` filters, ``s`` scalars.

    Attributes
    ----------
    reference : Tensor (n,)
        Weighted mean of the known fluxes, arcsinh-scaled.
    flux, flux_known : Tensor (n, f, FLUX_FEATURES), bool (n, f)
    filter_shape : Tensor (f, SHAPE_FEATURES)
    vectors : dict of str to tuple of Tensor (n, patches, patch * features), bool (n, patches)
        Patches of each vector of which any galaxy has anything, in the order of `VECTORS`, and
        which of them have a known element.
    scalar, scalar_known : Tensor (n, s, SCALAR_FEATURES), bool (n, s)
    scalar_index : Tensor of int (s,)
        Which of `PROPERTIES` each scalar is.
    """

    reference: torch.Tensor
    flux: torch.Tensor
    flux_known: torch.Tensor
    filter_shape: torch.Tensor
    vectors: dict
    scalar: torch.Tensor
    scalar_known: torch.Tensor
    scalar_index: torch.Tensor

    def known(self):
        """Which of all tokens are known; bool (n, number of tokens)."""
        patches = [known for _, known in self.vectors.values()]
        return torch.cat([self.flux_known, *patches, self.scalar_known], dim=1)


def shape_features(filters):
    """Features of the shapes of named filters; Tensor (f, SHAPE_FEATURES)."""
    if not len(filters):
        return torch.zeros(0, SHAPE_FEATURES)
    low, high = np.log(WAVELENGTH_RANGE)
    x = torch.as_tensor((filter_shapes(tuple(filters)) - low) / (high - low), dtype=torch.float32)
    return _fourier(x, _SHAPE_FREQUENCIES).flatten(1)


def tokenize(galaxies: Galaxies):
    """The tokens of galaxies, on the CPU."""

    def tensors(part):
        return tuple(torch.as_tensor(x) for x in (part.value, part.error, part.state))

    names = list(PROPERTIES)
    return tokens_from_arrays(
        tensors(galaxies.photometry), shape_features(galaxies.filters),
        {name: tensors(vector) for name, vector in galaxies.vectors.items()},
        {names.index(name): tensors(scalar) for name, scalar in galaxies.scalars.items()},
    )  # fmt: skip


def tokens_from_arrays(photometry, filter_shape, vectors=None, scalars=None):
    """The tokens of values, errors and states as tensors; the one way to make them.

    Parameters
    ----------
    photometry : tuple of Tensor (n, f)
        Value and error in nJy (NaN where the error is unknown), and state.
    filter_shape : Tensor (f, SHAPE_FEATURES)
    vectors : dict of str to tuple of Tensor (n, length), optional
        The same for vectors, in the unit of their `astromosaic.properties.VectorProperty`.
    scalars : dict of int to tuple of Tensor (n,), optional
        The same by index of property, in internal coordinates.
    """
    n = len(photometry[0])
    vectors = {name: vectors[name] for name in VECTORS if name in (vectors or {})}
    reference = _reference(photometry, {k: v for k, v in vectors.items() if VECTORS[k].is_flux})
    scalars = scalars or {}
    properties = list(PROPERTIES.values())
    scalar = [_scalar_features(*scalars[i], properties[i]) for i in scalars]
    known = [scalars[i][2] != MISSING for i in scalars]
    return Tokens(
        reference=reference,
        flux=_flux_features(*photometry, reference),
        flux_known=photometry[2] != MISSING,
        filter_shape=filter_shape,
        vectors={name: _patches(name, *vector, reference) for name, vector in vectors.items()},
        scalar=torch.stack(scalar, 1) if scalar else reference.new_zeros(n, 0, SCALAR_FEATURES),
        scalar_known=torch.stack(known, 1) if known else photometry[2].new_zeros(n, 0).bool(),
        scalar_index=torch.tensor(list(scalars), dtype=torch.long, device=reference.device),
    )


def _reference(photometry, vectors):
    """Weighted mean flux, arcsinh-scaled; (n,)."""
    parts = [photometry, *vectors.values()]
    value, error, state = (torch.cat(x, dim=1) for x in zip(*parts, strict=True))
    known = state != MISSING
    # An unknown error is taken for ten per cent.
    error = torch.where(torch.isfinite(error), error, 0.1 * value.abs() + FLUX_SCALE)
    # Bands well above their noise count alike, since their fluxes differ by more than their errors;
    # all others by their errors. Of the many elements of a vector some are two sigma up by chance.
    level = torch.full_like(value[:1], _SECURE_ELEMENT)
    level[:, : photometry[0].shape[1]] = _SECURE_BAND
    secure = torch.where(state == MEASURED, value - level * error, torch.zeros_like(value))
    brightness = secure.clamp(min=0.0).amax(dim=1, keepdim=True) if value.shape[1] else 0.0
    weight = known / (error**2 + (0.3 * brightness) ** 2 + 1.0)
    # Limits count only where there is nothing else.
    weight = weight * torch.where(state == LIMIT, 1e-4, 1.0)
    if "spectrum" in vectors:
        weight[:, -VECTORS["spectrum"].length :] *= _PIXEL_WEIGHT
    total = weight.sum(dim=1)
    mean = (weight * value).sum(dim=1) / total.clamp(min=1e-30)
    return torch.where(total > 0, flux_to_internal(mean), torch.full_like(mean, _NO_FLUX))


def _patches(name, value, error, state, reference):
    """Features of a vector by patch, (n, patches, patch * features), and which are known."""
    vector = VECTORS[name]
    if name == "spherex":
        features = _flux_features(value, error, state, reference)
    elif name == "spectrum":
        features = _pixel_features(value, error, state, reference)
    else:
        features = _history_features(value, error, state, vector.scale)
    short = vector.n_patches * vector.patch - vector.length
    features = torch.nn.functional.pad(features, (0, 0, 0, short))
    known = torch.nn.functional.pad(state != MISSING, (0, short))
    n = len(value)
    return (
        features.reshape(n, vector.n_patches, -1),
        known.reshape(n, vector.n_patches, vector.patch).any(dim=2),
    )


def _relative(value, error, reference):
    """Flux relative to the reference, its signal to noise, log error, and if it has an error."""
    has_error = torch.isfinite(error)
    error = torch.where(has_error, error, torch.ones_like(error))
    softening = torch.sqrt(FLUX_SCALE**2 + torch.where(has_error, error, 0.0) ** 2)
    mean = flux_from_internal(reference)[:, None]
    a = torch.asinh(value / softening) - torch.asinh(mean / softening)
    zero = torch.zeros_like(a)
    signal_to_noise = torch.where(has_error, torch.asinh(value / error), zero)
    log_error = torch.where(has_error, torch.log(error / FLUX_SCALE), zero)
    return a, signal_to_noise / 3.0, log_error / 3.0, has_error.to(a.dtype)


def _flux_features(value, error, state, reference):
    """Features of each flux; (n, k, FLUX_FEATURES), zero where missing."""
    a, signal_to_noise, log_error, has_error = _relative(value, error, reference)
    waves = [w(k * a) for k in _FLUX_FREQUENCIES for w in (torch.sin, torch.cos)]
    features = torch.stack(
        [
            a,
            (reference[:, None] - _NO_FLUX).expand_as(a) / 3.0,
            signal_to_noise,
            log_error,
            has_error,
            torch.where(state == LIMIT, 1.0, torch.where(state == MEASURED, -1.0, 0.0)),
            *waves,
        ],
        dim=2,
    )
    return features * (state != MISSING)[:, :, None]


def _pixel_features(value, error, state, reference):
    """Features of each pixel of a spectrum; (n, pixels, 5), zero where missing."""
    known = (state != MISSING)[:, :, None]
    features = torch.stack(_relative(value, error, reference), dim=2)
    return torch.cat([features * known, known.to(features.dtype)], dim=2)


def _history_features(value, error, state, scale):
    """Features of each bin of a history; (n, bins, _HISTORY_FEATURES), zero where missing."""
    x = torch.asinh(value / scale)
    has_error = torch.isfinite(error)
    relative = error / torch.sqrt(value**2 + scale**2)
    log_error = torch.where(has_error, torch.log(relative + 1e-4), torch.zeros_like(x)) / 5.0
    waves = [w(k * x) for k in _HISTORY_FREQUENCIES for w in (torch.sin, torch.cos)]
    features = [x / 10.0, log_error, has_error.to(x.dtype), torch.ones_like(x), *waves]
    return torch.stack(features, dim=2) * (state != MISSING)[:, :, None]


def _scalar_features(value, error, state, prop):
    """Features of one scalar; (n, SCALAR_FEATURES), zero where missing."""
    width = prop.high - prop.low
    x = (value - prop.low) / width
    has_error = ~prop.is_exact(error)
    log_error = torch.where(has_error, torch.log(error / width + 1e-6), torch.zeros_like(x)) / 5.0
    features = torch.cat(
        [
            torch.stack(
                [log_error, has_error.to(x.dtype), (state == LIMIT).to(x.dtype)], dim=1
            ),
            _fourier(x[:, None], _SCALAR_FREQUENCIES).flatten(1),
        ],
        dim=1,
    )  # fmt: skip
    return features * (state != MISSING)[:, None]


def _fourier(x, n_frequencies):
    """x itself and sine and cosine of pi 2^k x; (..., 1 + 2 n_frequencies)."""
    angle = x[..., None] * (np.pi * 2.0 ** torch.arange(n_frequencies, device=x.device))
    return torch.cat([x[..., None], torch.sin(angle), torch.cos(angle)], dim=-1)
