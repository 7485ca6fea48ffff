"""From states to distributions: histograms for scalars, mixtures for fluxes and vectors."""

import math

import torch
from torch import nn
from torch.nn import functional

from ..properties import PROPERTIES, VECTORS

__all__ = ["FluxHead", "ScalarHeads", "VectorHead", "mixture_nll", "scalar_bin"]

# Noiseless input is known to a few parts in a thousand; narrower than this is not resolved.
_MIN_LOG_SIGMA = math.log(2e-3)


class ScalarHeads(nn.Module):
    """One histogram for each property, over its bins."""

    def __init__(self, width):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU())
        self.out = nn.Linear(2 * width, sum(p.bins for p in PROPERTIES.values()))

    def forward(self, state):
        """State (n, d) to a dict of logits (n, bins) by property."""
        logits = self.out(self.hidden(state)).split([p.bins for p in PROPERTIES.values()], dim=1)
        return dict(zip(PROPERTIES, logits, strict=True))


class FluxHead(nn.Module):
    """A mixture of Gaussians in the arcsinh-scaled flux relative to the galaxy's reference."""

    def __init__(self, width, components):
        super().__init__()
        self.out = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, 3 * components)
        )

    def forward(self, state):
        """State (n, q, d) to log weights, means and log sigmas, each (n, q, components)."""
        return _mixture(*self.out(state).chunk(3, dim=-1))


class VectorHead(nn.Module):
    """A mixture of Gaussians for each element of a vector.

    It is in the coordinate of `astromosaic.properties.VectorProperty.to_internal`; for flux
    densities, relative to the galaxy's reference.
    """

    def __init__(self, name, width, components):
        super().__init__()
        self.vector, self.components = VECTORS[name], components
        self.out = nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, self.vector.patch * 3 * components),
        )
        # Where an untrained head starts: histories are the arcsinh of values far above their scale.
        self.center, self.spread = (0.0, 1.0) if self.vector.is_flux else (5.0, 4.0)
        self.wider = 0.0 if self.vector.is_flux else 2.5

    def forward(self, state):
        """State (n, patches, d) to log weights, means and log sigmas, (n, length, components)."""
        out = self.out(state).reshape(len(state), -1, 3, self.components)
        weight, mean, log_sigma = out[:, : self.vector.length].unbind(dim=2)
        return _mixture(weight, self.center + self.spread * mean, self.wider + log_sigma)


def _mixture(weight, mean, log_sigma):
    return (
        torch.log_softmax(weight, dim=-1),
        mean,
        _MIN_LOG_SIGMA + functional.softplus(log_sigma + 4.0),
    )


def mixture_nll(mixture, target):
    """Negative log likelihood of targets (n, q) under the mixture; (n, q)."""
    log_weight, mean, log_sigma = mixture
    z = (target[..., None] - mean) * torch.exp(-log_sigma)
    log_normal = -0.5 * z**2 - log_sigma - 0.5 * math.log(2 * math.pi)
    return -torch.logsumexp(log_weight + log_normal, dim=-1)


def scalar_bin(prop, value):
    """Index of the bin of internal coordinates; those out of range go to the bin at the edge."""
    x = (value - prop.low) / (prop.high - prop.low) * prop.bins
    return x.long().clamp(0, prop.bins - 1)
