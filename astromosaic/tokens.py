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
from .properties import FLUX_SCALE, PROPERTIES, WAVELENGTH_RANGE

__all__ = [
    "FLUX_FEATURES",
    "PATCH_SIZE",
    "SCALAR_FEATURES",
    "SHAPE_FEATURES",
    "Tokens",
    "flux_from_internal",
    "flux_to_internal",
    "shape_features",
    "tokenize",
    "tokens_from_arrays",
]

#: SPHEREx channels per patch: one patch for each of its six detectors.
PATCH_SIZE = 17
#: Reference of a galaxy of which no flux is known: 23.2 mag AB.
_NO_FLUX = 5.3
_SHAPE_FREQUENCIES = 7
_FLUX_FREQUENCIES = (1.0, 2.0, 4.0, 8.0)
_SCALAR_FREQUENCIES = 6

FLUX_FEATURES = 6 + 2 * len(_FLUX_FREQUENCIES)
SHAPE_FEATURES = 4 * (1 + 2 * _SHAPE_FREQUENCIES)
SCALAR_FEATURES = 4 + 2 * _SCALAR_FREQUENCIES


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
    """What the model reads. ``n`` galaxies, ``f`` filters, ``s`` scalars, ``p`` patches.

    Attributes
    ----------
    reference : Tensor (n,)
        Weighted mean of the known fluxes, arcsinh-scaled.
    flux, flux_known : Tensor (n, f, FLUX_FEATURES), bool (n, f)
    filter_shape : Tensor (f, SHAPE_FEATURES)
    patch, patch_known : Tensor (n, p, PATCH_SIZE * FLUX_FEATURES), bool (n, p)
        SPHEREx; ``p`` is 6, or 0 where no galaxy has any.
    scalar, scalar_known : Tensor (n, s, SCALAR_FEATURES), bool (n, s)
    scalar_index : Tensor of int (s,)
        Which of `PROPERTIES` each scalar is.
    """

    reference: torch.Tensor
    flux: torch.Tensor
    flux_known: torch.Tensor
    filter_shape: torch.Tensor
    patch: torch.Tensor
    patch_known: torch.Tensor
    scalar: torch.Tensor
    scalar_known: torch.Tensor
    scalar_index: torch.Tensor

    def known(self):
        """Which of all tokens are known, in the order of the model; bool (n, f + p + s)."""
        return torch.cat([self.flux_known, self.patch_known, self.scalar_known], dim=1)


def shape_features(filters):
    """Features of the shapes of named filters; Tensor (f, SHAPE_FEATURES)."""
    if not len(filters):
        return torch.zeros(0, SHAPE_FEATURES)
    low, high = np.log(WAVELENGTH_RANGE)
    x = torch.as_tensor((filter_shapes(tuple(filters)) - low) / (high - low), dtype=torch.float32)
    return _fourier(x, _SHAPE_FREQUENCIES).flatten(1)


def tokenize(galaxies: Galaxies):
    """The tokens of galaxies, on the CPU."""
    tensors = {}
    for name, part in {"photometry": galaxies.photometry, **galaxies.vectors}.items():
        tensors[name] = tuple(torch.as_tensor(x) for x in (part.value, part.error, part.state))
    names = list(PROPERTIES)
    scalars = {
        names.index(name): tuple(torch.as_tensor(x) for x in (s.value, s.error, s.state))
        for name, s in galaxies.scalars.items()
    }
    return tokens_from_arrays(
        galaxies.n, tensors["photometry"], shape_features(galaxies.filters),
        tensors.get("spherex"), scalars,
    )  # fmt: skip


def tokens_from_arrays(n, photometry, filter_shape, spherex=None, scalars=None):
    """The tokens of values, errors and states as tensors; the one way to make them.

    Parameters
    ----------
    n : int
    photometry : tuple of Tensor (n, f)
        Value and error in nJy (NaN where the error is unknown), and state.
    filter_shape : Tensor (f, SHAPE_FEATURES)
    spherex : tuple of Tensor (n, 102), optional
        The same for the SPHEREx channels.
    scalars : dict of int to tuple of Tensor (n,), optional
        The same by index of property, in internal coordinates.
    """
    device = filter_shape.device
    parts = [photometry] + ([spherex] if spherex is not None else [])
    value, error, state = (torch.cat(x, dim=1) for x in zip(*parts, strict=True))
    reference = _reference(value, error, state)
    features = _flux_features(value, error, state, reference)
    f = photometry[0].shape[1]
    if spherex is None:
        patch = torch.zeros(n, 0, PATCH_SIZE * FLUX_FEATURES, device=device)
        patch_known = torch.zeros(n, 0, dtype=torch.bool, device=device)
    else:
        patch = features[:, f:].reshape(n, -1, PATCH_SIZE * FLUX_FEATURES)
        patch_known = (spherex[2] != MISSING).reshape(n, -1, PATCH_SIZE).any(dim=2)
    scalars = scalars or {}
    properties = list(PROPERTIES.values())
    scalar = [_scalar_features(*scalars[i], properties[i]) for i in scalars]
    known = [scalars[i][2] != MISSING for i in scalars]
    return Tokens(
        reference=reference,
        flux=features[:, :f],
        flux_known=photometry[2] != MISSING,
        filter_shape=filter_shape,
        patch=patch,
        patch_known=patch_known,
        scalar=torch.stack(scalar, 1) if scalar else patch.new_zeros(n, 0, SCALAR_FEATURES),
        scalar_known=torch.stack(known, 1) if known else patch_known[:, :0],
        scalar_index=torch.tensor(list(scalars), dtype=torch.long, device=device),
    )  # fmt: skip


def _reference(value, error, state):
    """Weighted mean flux, arcsinh-scaled; (n,)."""
    known = state != MISSING
    # An unknown error is taken for ten per cent.
    error = torch.where(torch.isfinite(error), error, 0.1 * value.abs() + FLUX_SCALE)
    # Bands well above their noise count alike, since their fluxes differ by more than their errors;
    # all others by their errors.
    secure = torch.where(state == MEASURED, value - 2 * error, torch.zeros_like(value))
    brightness = secure.clamp(min=0.0).amax(dim=1, keepdim=True) if value.shape[1] else 0.0
    weight = known / (error**2 + (0.3 * brightness) ** 2 + 1.0)
    # Limits count only where there is nothing else.
    weight = weight * torch.where(state == LIMIT, 1e-4, 1.0)
    total = weight.sum(dim=1)
    mean = (weight * value).sum(dim=1) / total.clamp(min=1e-30)
    return torch.where(total > 0, flux_to_internal(mean), torch.full_like(mean, _NO_FLUX))


def _flux_features(value, error, state, reference):
    """Features of each flux; (n, k, FLUX_FEATURES), zero where missing."""
    has_error = torch.isfinite(error)
    error = torch.where(has_error, error, torch.ones_like(error))
    softening = torch.sqrt(FLUX_SCALE**2 + torch.where(has_error, error, 0.0) ** 2)
    mean = flux_from_internal(reference)[:, None]
    a = torch.asinh(value / softening) - torch.asinh(mean / softening)
    signal_to_noise = torch.where(has_error, torch.asinh(value / error), torch.zeros_like(a))
    log_error = torch.where(has_error, torch.log(error / FLUX_SCALE), torch.zeros_like(a))
    waves = [w(k * a) for k in _FLUX_FREQUENCIES for w in (torch.sin, torch.cos)]
    features = torch.stack(
        [
            a,
            (reference[:, None] - _NO_FLUX).expand_as(a) / 3.0,
            signal_to_noise / 3.0,
            log_error / 3.0,
            has_error.to(a.dtype),
            torch.where(state == LIMIT, 1.0, torch.where(state == MEASURED, -1.0, 0.0)),
            *waves,
        ],
        dim=2,
    )
    return features * (state != MISSING)[:, :, None]


def _scalar_features(value, error, state, prop):
    """Features of one scalar; (n, SCALAR_FEATURES), zero where missing."""
    width = prop.high - prop.low
    x = (value - prop.low) / width
    has_error = torch.isfinite(error)
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
