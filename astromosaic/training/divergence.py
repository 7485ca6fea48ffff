"""How far the answers of one network are from those of another."""

import torch

from ..model.heads import mixture_nll
from ..properties import PROPERTIES

__all__ = ["answers", "divergences", "moments"]

# Relative error with which fluxes and vectors are compared.
_RESOLUTION = 0.05
# Draws by which the divergence of fluxes is estimated.
_DRAWS = 4


def answers(network, states, redshift=None):
    """Logits by scalar, and mixtures by what else was asked.

    The lines of a spectrum go with its redshift. Who learns redshifts compares spectra at the same
    ones: those of the logits given.
    """
    mixtures = {"flux": network.flux_head(states.flux)} if states.flux.shape[1] else {}
    return network.scalar_logits(states), mixtures | network.vector_mixtures(states, redshift)


def divergences(old, new, scalars, generator):
    """Mean Kullback-Leibler divergence of new answers from old ones by query, in nats."""
    parts = {name: _kl_of_logits(old[0][name], new[0][name]) for name in scalars}
    for name, mixture in old[1].items():
        # A vector has many elements, over which the mean is taken.
        draws = _DRAWS if name == "flux" else 1
        parts[name] = _kl_of_mixtures(mixture, new[1][name], generator, draws)
    return parts


def moments(name, said):
    """Mean and standard deviation of `answers` to a query in their internal coordinate."""
    logits, mixtures = said
    if name in mixtures:
        log_weight, mean, log_sigma = mixtures[name]
        weight, square = log_weight.exp(), mean**2 + torch.exp(2 * log_sigma)
    else:
        prop, weight = PROPERTIES[name], torch.softmax(logits[name], dim=1)
        centers = torch.arange(prop.bins, device=weight.device) + 0.5
        mean = prop.low + centers * (prop.high - prop.low) / prop.bins
        square = mean**2
    first, second = ((weight * x).sum(dim=-1) for x in (mean, square))
    return first, (second - first**2).clamp(min=1e-8).sqrt()


def _kl_of_logits(old, new):
    old, new = torch.log_softmax(old, dim=1), torch.log_softmax(new, dim=1)
    return (old.exp() * (old - new)).sum(dim=1).mean()


def _kl_of_mixtures(old, new, generator, draws):
    """Mean over draws from the old ones of the difference of their log densities.

    Both are seen with an error of `_RESOLUTION`: that a history is zero before the Big Bang is
    known so well that the least of changes would count for more than all else.
    """
    old, new = _blurred(old), _blurred(new)
    log_weight, mean, log_sigma = old
    cumulative, total = log_weight.exp().cumsum(dim=-1), 0.0
    for _ in range(draws):
        u = torch.rand(mean.shape[:-1], generator=generator, device=mean.device)
        component = (u[..., None] > cumulative[..., :-1]).sum(dim=-1, keepdim=True)
        m, s = (torch.gather(x, -1, component)[..., 0] for x in (mean, log_sigma))
        x = m + s.exp() * torch.randn(m.shape, generator=generator, device=m.device)
        total = total + (mixture_nll(new, x) - mixture_nll(old, x)).clamp(max=20.0).mean()
    return total / draws


def _blurred(mixture):
    log_weight, mean, log_sigma = mixture
    return log_weight, mean, 0.5 * torch.log(torch.exp(2 * log_sigma) + _RESOLUTION**2)
