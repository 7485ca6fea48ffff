"""The transformer: reads the known tokens of a galaxy and answers queries.

One extra token, the galaxy token, gathers what is known of the galaxy; all scalar properties are
read from its final state, which is also the galaxy's place in latent space. A flux in any filter is
asked with a query token made of the filter's shape. Queries look at the known tokens and at nothing
else, and no known token looks at a query: an answer does not depend on what else is asked.
"""

from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional

from ..properties import PROPERTIES
from ..tokens import FLUX_FEATURES, PATCH_SIZE, SCALAR_FEATURES, SHAPE_FEATURES
from .heads import FluxHead, ScalarHeads

__all__ = ["ModelConfig", "Transformer"]

_N_PATCHES = 6


@dataclass(frozen=True)
class ModelConfig:
    """The shape of the network."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    expansion: int = 3
    mixture: int = 3

    def to_dict(self):
        return asdict(self)


class Transformer(nn.Module):
    """The encoder with its heads.

    ``forward(tokens, query_shape)`` takes `Tokens` of n galaxies and the shape features of q
    filters, (q, SHAPE_FEATURES), and returns the state of the galaxy token, (n, d), and those of
    the queries, (n, q, d). `scalar_heads` and `flux_head` turn states into distributions.
    """

    def __init__(self, config=ModelConfig()):
        super().__init__()
        self.config = config
        d = config.width
        self.galaxy = nn.Parameter(torch.randn(d) * 0.02)
        self.embed_brightness = nn.Linear(1, d)
        self.embed_flux = _mlp(FLUX_FEATURES + SHAPE_FEATURES, d, d)
        self.embed_patch = _mlp(PATCH_SIZE * FLUX_FEATURES, 2 * d, d)
        self.patch_position = nn.Parameter(torch.randn(_N_PATCHES, d) * 0.02)
        self.embed_scalar = _mlp(SCALAR_FEATURES, d, d)
        self.scalar_kind = nn.Embedding(len(PROPERTIES), d)
        self.embed_query = _mlp(SHAPE_FEATURES + 1, d, d)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(d)
        self.scalar_heads = ScalarHeads(d)
        self.flux_head = FluxHead(d, config.mixture)

    def forward(self, tokens, query_shape=None):
        brightness = (tokens.reference[:, None] - 5.3) / 3.0
        known = self._embed(tokens, brightness)  # (n, 1 + t, d)
        mask = _mask(tokens)
        queries = self._embed_queries(brightness, query_shape)  # (n, q, d)
        for block in self.blocks[:-1]:
            known, queries = block(known, known, mask), block(queries, known, mask)
        # In the last layer only those states are made that are read.
        asked = torch.cat([known[:, :1], queries], dim=1)
        states = self.norm(self.blocks[-1](asked, known, mask))
        return states[:, 0], states[:, 1:]

    def _embed(self, tokens, brightness):
        n, f = tokens.flux_known.shape
        shape = tokens.filter_shape.expand(n, f, -1)
        first = (self.galaxy + self.embed_brightness(brightness))[:, None]
        parts = [first, self.embed_flux(torch.cat([tokens.flux, shape], dim=2))]
        if tokens.patch.shape[1]:
            parts.append(self.embed_patch(tokens.patch) + self.patch_position)
        if tokens.scalar.shape[1]:
            parts.append(self.embed_scalar(tokens.scalar) + self.scalar_kind(tokens.scalar_index))
        return torch.cat(parts, dim=1)

    def _embed_queries(self, brightness, query_shape):
        n = len(brightness)
        if query_shape is None or not len(query_shape):
            return brightness.new_zeros(n, 0, self.config.width)
        q = len(query_shape)
        features = [query_shape.expand(n, q, -1), brightness[:, None].expand(n, q, 1)]
        return self.embed_query(torch.cat(features, dim=2))


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


def _mask(tokens):
    """Which tokens may be looked at, (n, 1, 1, 1 + t); None if all may."""
    known = tokens.known()
    if bool(known.all()):
        return None
    return functional.pad(known, (1, 0), value=True)[:, None, None, :]


def _mlp(n_in, n_hidden, n_out):
    return nn.Sequential(nn.Linear(n_in, n_hidden), nn.GELU(), nn.Linear(n_hidden, n_out))
