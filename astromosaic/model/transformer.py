"""The transformer: reads the known tokens of a galaxy and answers queries.

One extra token, the galaxy token, gathers what is known of the galaxy; all scalar properties are
read from its final state, which is also the galaxy's place in latent space. A flux in any filter is
asked with a query token made of the filter's shape, a vector with one query token for each of its
patches. Queries look at the known tokens and at nothing else, and no known token looks at a query:
an answer does not depend on what else is asked.

A spectrum is compared with learned templates at every redshift as well (`RedshiftScores`), which
enters as one more token and is added to the logits of the redshift. A spectrum that is asked is
continuum from its patches and learned features at rest that are moved to the redshifts which the
galaxy may have (`RedshiftedFeatures`): lines are sharp where the redshift is known.
"""

from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from ..properties import PROPERTIES, VECTORS
from ..tokens import ELEMENT_FEATURES, FLUX_FEATURES, SCALAR_FEATURES, SHAPE_FEATURES
from .heads import FluxHead, ScalarHeads, VectorHead

__all__ = ["ModelConfig", "States", "Transformer"]

# Channels and width in pixels of the convolutions through which a spectrum is seen.
_CHANNELS, _KERNEL = 16, 9
# Learned templates, and how many channels of a spectrum they are compared with.
_TEMPLATES, _TEMPLATE_CHANNELS = 4, 8
# Above the pixels of a spectrum and of a template together, with small prime factors.
_FFT_LENGTH = 3072
# Features at rest of which predicted spectra are made, and in how many parts of a pixel.
_FEATURES, _PARTS = 8, 4
# Templates learn so much faster than everything else: they are seen only where there are spectra.
_PACE = 4.0


@dataclass(frozen=True)
class ModelConfig:
    """The shape of the network."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    expansion: int = 3
    mixture: int = 3
    vector_mixture: int = 2

    def to_dict(self):
        return asdict(self)


class States(NamedTuple):
    """What `Transformer` returns of n galaxies.

    Attributes
    ----------
    galaxy : Tensor (n, d)
        Final state of the galaxy token.
    flux : Tensor (n, q, d)
        Those of the filters asked.
    vectors : dict of str to Tensor (n, patches, d)
        Those of the vectors asked.
    redshift_scores : Tensor (n, bins) or None
        What spectra say of the redshift; None where no galaxy has one.
    known_redshift : Tensor (n,)
        Redshifts that are known exactly, as fractions of the range; NaN where none is.
    """

    galaxy: torch.Tensor
    flux: torch.Tensor
    vectors: dict
    redshift_scores: torch.Tensor | None
    known_redshift: torch.Tensor


class Transformer(nn.Module):
    """The encoder with its heads.

    ``forward(tokens, query_shape, vectors)`` takes `Tokens` of n galaxies, the shape features of q
    filters, (q, SHAPE_FEATURES), and names of vectors that are asked; it returns `States`.
    `scalar_logits`, `flux_head` and `vector_mixtures` turn them into distributions.
    """

    def __init__(self, config=ModelConfig()):
        super().__init__()
        self.config = config
        d = config.width
        self.galaxy = nn.Parameter(torch.randn(d) * 0.02)
        self.embed_brightness = nn.Linear(1, d)
        self.embed_flux = _mlp(FLUX_FEATURES + SHAPE_FEATURES, d, d)
        self.embed_vector = nn.ModuleDict({name: _embed_patches(name, d) for name in VECTORS})
        self.vector_position = _positions(d)
        self.redshift_scores = RedshiftScores()
        self.embed_scores = nn.Linear(PROPERTIES["redshift"].bins, d)
        self.embed_scalar = _mlp(SCALAR_FEATURES, d, d)
        self.scalar_kind = nn.Embedding(len(PROPERTIES), d)
        self.embed_query = _mlp(SHAPE_FEATURES + 1, d, d)
        self.vector_query = _positions(d)
        self.vector_query_brightness = nn.Linear(1, d)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(d)
        self.scalar_heads = ScalarHeads(d)
        self.flux_head = FluxHead(d, config.mixture)
        self.vector_heads = nn.ModuleDict(
            {name: VectorHead(name, d, config.vector_mixture) for name in VECTORS}
        )
        self.redshifted_features = RedshiftedFeatures(d)

    def forward(self, tokens, query_shape=None, vectors=()):
        brightness = (tokens.reference[:, None] - 5.3) / 3.0
        known, mask, scores = self._embed(tokens, brightness)  # (n, 1 + t, d), (n, 1, 1, 1 + t)
        queries = self._embed_queries(brightness, query_shape, vectors)  # (n, q, d)
        for block in self.blocks[:-1]:
            known, queries = block(known, known, mask), block(queries, known, mask)
        # In the last layer only those states are made that are read.
        asked = torch.cat([known[:, :1], queries], dim=1)
        states = self.norm(self.blocks[-1](asked, known, mask))
        patches = [VECTORS[name].n_patches for name in vectors]
        n_flux = states.shape[1] - 1 - sum(patches)
        galaxy, flux, *of_vectors = states.split([1, n_flux, *patches], dim=1)
        of_vectors = dict(zip(vectors, of_vectors, strict=True))
        return States(galaxy[:, 0], flux, of_vectors, scores, _known_redshift(tokens))

    def scalar_logits(self, states):
        """`States` to a dict of logits (n, bins) by property."""
        logits = self.scalar_heads(states.galaxy)
        if states.redshift_scores is not None:
            logits["redshift"] = logits["redshift"] + states.redshift_scores
        return logits

    def vector_mixtures(self, states, redshift=None):
        """`States` to log weights, means and log sigmas (n, length, components) by vector asked.

        Spectra have their features at the redshift that is known, or else at those of the given
        logits (n, bins), by default those of the states themselves.
        """
        mixtures = {name: self.vector_heads[name](x) for name, x in states.vectors.items()}
        if "spectrum" in mixtures:
            # What is said of the spectrum does not teach the redshift.
            redshift = self.scalar_logits(states)["redshift"] if redshift is None else redshift
            redshift = torch.softmax(redshift.detach(), dim=1)
            log_weight, mean, log_sigma = mixtures["spectrum"]
            line, scatter = self.redshifted_features(states.galaxy, redshift, states.known_redshift)
            variance = torch.exp(2 * log_sigma) + scatter[:, :, None] ** 2
            mixtures["spectrum"] = log_weight, mean + line[:, :, None], 0.5 * variance.log()
        return mixtures

    def deepened(self, layers):
        """A network of more blocks that answers as this one does.

        The new blocks come before the last: copies of the one there that add nothing to its
        states, until training has them do so.
        """
        if layers < len(self.blocks):
            raise ValueError(f"{len(self.blocks)} blocks cannot be made {layers}")
        deeper = deepcopy(self)
        deeper.config = replace(self.config, layers=layers)
        while len(deeper.blocks) < layers:
            block = deepcopy(self.blocks[max(len(self.blocks) - 2, 0)])
            for silent in (block.project, block.mlp[-1]):
                nn.init.zeros_(silent.weight)
                nn.init.zeros_(silent.bias)
            deeper.blocks.insert(len(deeper.blocks) - 1, block)
        return deeper

    def _embed(self, tokens, brightness):
        """The known tokens, which of them may be looked at, and the redshift scores of spectra."""
        n, f = tokens.flux_known.shape
        first = (self.galaxy + self.embed_brightness(brightness))[:, None]
        shape = tokens.filter_shape.expand(n, f, -1)
        parts = [first, self.embed_flux(torch.cat([tokens.flux, shape], dim=2))]
        known = [tokens.flux_known.new_ones(n, 1), tokens.flux_known]
        scores = None
        for name, (features, patch_known) in tokens.vectors.items():
            if name == "spectrum":
                embedded, seen = self.embed_vector[name](features)
                has_spectrum = patch_known.any(dim=1, keepdim=True)
                scores = self.redshift_scores(seen) * has_spectrum
                token = self.embed_scores(torch.softmax(scores, dim=1))
                parts.append(token[:, None])
                known.append(has_spectrum)
            else:
                embedded = self.embed_vector[name](features)
            # Patches of which no galaxy has anything are left out.
            some = patch_known.any(dim=0)
            parts.append((embedded + self.vector_position[name])[:, some])
            known.append(patch_known[:, some])
        if tokens.scalar.shape[1]:
            parts.append(self.embed_scalar(tokens.scalar) + self.scalar_kind(tokens.scalar_index))
            known.append(tokens.scalar_known)
        known = torch.cat(known, dim=1)
        mask = None if bool(known.all()) else known[:, None, None, :]
        return torch.cat(parts, dim=1), mask, scores

    def _embed_queries(self, brightness, query_shape, vectors):
        n = len(brightness)
        parts = [brightness.new_zeros(n, 0, self.config.width)]
        if query_shape is not None and len(query_shape):
            q = len(query_shape)
            features = [query_shape.expand(n, q, -1), brightness[:, None].expand(n, q, 1)]
            parts.append(self.embed_query(torch.cat(features, dim=2)))
        for name in vectors:
            parts.append(
                self.vector_query[name] + self.vector_query_brightness(brightness)[:, None]
            )
        return torch.cat(parts, dim=1)


def _known_redshift(tokens):
    """Redshifts that are known exactly, as fractions of their range; (n,), NaN where none is."""
    known = tokens.reference.new_full(tokens.reference.shape, torch.nan)
    for column in (tokens.scalar_index == list(PROPERTIES).index("redshift")).nonzero()[:, 0]:
        features = tokens.scalar[:, column]
        # The first features say of an error and of a limit, the next is the value itself.
        exact = tokens.scalar_known[:, column] & (features[:, 1:3] == 0).all(dim=1)
        known = torch.where(exact, features[:, 3].clamp(0.0, 1.0 - 1e-6), known)
    return known


class SpectrumEmbedding(nn.Module):
    """Patches of a spectrum to tokens, through convolutions that look across their borders.

    The grid is even in ln(wavelength), in which a redshift is a shift: a line looks the same to a
    convolution wherever it falls. Returns the tokens, (n, patches, d), and what the convolutions
    see, (n, channels, pixels), zero where nothing is known.
    """

    def __init__(self, width):
        super().__init__()
        self.vector = VECTORS["spectrum"]
        features = ELEMENT_FEATURES["spectrum"]
        self.convolve = nn.Sequential(
            nn.Conv1d(features, _CHANNELS, _KERNEL, padding="same"),
            nn.GELU(),
            nn.Conv1d(_CHANNELS, _CHANNELS, _KERNEL, padding="same"),
            nn.GELU(),
        )
        self.out = nn.Linear(self.vector.patch * _CHANNELS, width)

    def forward(self, patches):
        n, p, _ = patches.shape
        pixels = patches.reshape(n, p * self.vector.patch, -1).transpose(1, 2)  # (n, 5, pixels)
        # The last feature of a pixel is whether it is known.
        seen = self.convolve(pixels) * pixels[:, -1:]
        patches = seen.reshape(n, _CHANNELS, p, self.vector.patch).transpose(1, 2)
        return self.out(patches.reshape(n, p, -1)), seen


class RedshiftScores(nn.Module):
    """How well a spectrum agrees with learned templates at each redshift.

    A template is defined at rest, on the spectrum's grid in ln(wavelength) continued to the blue.
    To redshift it by one bin is to shift it by one pixel, so that the comparison at all redshifts
    is a cross-correlation (Tonry & Davis 1979), done by fast Fourier transform; what the templates
    say of a redshift is then weighed by a small network, the same for all redshifts.
    """

    def __init__(self):
        super().__init__()
        self.bins, self.pixels = PROPERTIES["redshift"].bins, VECTORS["spectrum"].length
        size = self.pixels + self.bins - 1
        self.reduce = nn.Conv1d(_CHANNELS, _TEMPLATE_CHANNELS, 1)
        self.templates = nn.Parameter(torch.randn(_TEMPLATES, _TEMPLATE_CHANNELS, size) * 0.005)
        self.weigh = _mlp(_TEMPLATES, 16, 1)

    def forward(self, seen):
        """What convolutions see of spectra, (n, channels, pixels), to scores (n, bins)."""
        # At bin k the pixel j is at rest pixel j - k + bins - 1.
        spectrum = torch.fft.rfft(self.reduce(seen), _FFT_LENGTH)
        template = torch.fft.rfft(self.templates.flip(-1), _FFT_LENGTH)
        product = torch.einsum("ncf,tcf->ntf", spectrum, template)
        correlation = torch.fft.irfft(product, _FFT_LENGTH)[..., self.pixels - 1 :]
        correlation = correlation[..., : self.bins].transpose(1, 2) * (_PACE / self.pixels**0.5)
        return _PACE * self.weigh(correlation)[:, :, 0]


class RedshiftedFeatures(nn.Module):
    """Lines and breaks of a predicted spectrum, where the redshift puts them.

    Learned features at rest are laid on the grid of the templates of `RedshiftScores`, in parts of
    a pixel, since a line is narrower than one. They are mixed by the state of the galaxy and moved
    to the redshift: to the one that is known, or to all that it may have, each with its
    probability, which is a convolution. A known redshift gives sharp lines, an uncertain one
    blurred ones. They are added to the arcsinh of the flux: for a bright galaxy, factors. Their own
    scatter is learned beside them (`spread`) and is added in quadrature to that of the continuum:
    a line remains uncertain where the continuum is known well.

    The features, though not how they are mixed, are learned only where the redshift is known.
    Elsewhere the likelihood would have none of them: wherever there is a line, nearly all pixels in
    which it might be are without it.
    """

    def __init__(self, width):
        super().__init__()
        self.bins = PROPERTIES["redshift"].bins * _PARTS
        self.pixels = VECTORS["spectrum"].length * _PARTS
        self.mix = nn.Linear(width, _FEATURES)
        # All galaxies begin with the first feature.
        with torch.no_grad():
            self.mix.bias.copy_(torch.eye(_FEATURES)[0])
        self.bend = _mlp(width, width, _FEATURES)
        self.features = nn.Parameter(torch.zeros(_FEATURES, self.pixels + self.bins - 1))
        self.spread = nn.Parameter(torch.zeros_like(self.features))

    def forward(self, galaxy, probability, known):
        """What is added to the means of spectra, and their sigmas of its own; each (n, pixels).

        Takes states (n, d), probabilities of redshift bins (n, bins), and the redshifts that are
        known, (n,), as fractions of the range of the bins, NaN where none is.
        """
        sharp = functional.one_hot((known.nan_to_num() * self.bins).long(), self.bins)
        blurred = probability.repeat_interleave(_PARTS, dim=1) / _PARTS
        unknown = known.isnan()[:, None]
        redshift = torch.where(unknown, blurred, sharp.to(blurred.dtype))
        length = _PARTS * _FFT_LENGTH
        mixed = self.mix(galaxy) + self.bend(galaxy)
        features = torch.stack([self.features, self.spread])
        at_rest = _PACE * torch.where(unknown, mixed @ features.detach(), mixed @ features)
        moved = torch.fft.rfft(at_rest, length) * torch.fft.rfft(redshift, length)
        moved = torch.fft.irfft(moved, length)[:, :, self.bins - 1 :][:, :, : self.pixels]
        return moved.unflatten(2, (-1, _PARTS)).mean(dim=3).unbind()


def _embed_patches(name, width):
    if name == "spectrum":
        return SpectrumEmbedding(width)
    return _mlp(VECTORS[name].patch * ELEMENT_FEATURES[name], 2 * width, width)


def _positions(width):
    """One learned vector for each patch of each vector property."""
    return nn.ParameterDict(
        {name: nn.Parameter(torch.randn(v.n_patches, width) * 0.02) for name, v in VECTORS.items()}
    )


class Block(nn.Module):
    """A pre-norm block: `x` attends to `known`, which may be `x` itself."""

    def __init__(self, config):
        super().__init__()
        d = config.width
        self.n_heads = config.heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(d), nn.LayerNorm(d)
        self.query, self.key_value = nn.Linear(d, d), nn.Linear(d, 2 * d)
        self.project = nn.Linear(d, d)
        self.mlp = _mlp(d, config.expansion * d, d)

    def forward(self, x, known, mask=None):
        if x.shape[1] == 0:
            return x
        x = x + self._attend(self.norm_attention(x), self.norm_attention(known), mask)
        return x + self.mlp(self.norm_mlp(x))

    def _attend(self, x, known, mask):
        n, t, d = x.shape

        def split(y):  # (n, t, d) -> (n, heads, t, d / heads)
            return y.view(n, -1, self.n_heads, d // self.n_heads).transpose(1, 2)

        key, value = self.key_value(known).chunk(2, dim=2)
        out = functional.scaled_dot_product_attention(
            split(self.query(x)), split(key), split(value), attn_mask=mask
        )
        return self.project(out.transpose(1, 2).reshape(n, t, d))


def _mlp(n_in, n_hidden, n_out):
    return nn.Sequential(nn.Linear(n_in, n_hidden), nn.GELU(), nn.Linear(n_hidden, n_out))
