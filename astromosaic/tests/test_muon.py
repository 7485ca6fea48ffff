"""Muon: what its steps are."""

import pytest
import torch

from astromosaic.training.muon import Muon, orthogonal

SHAPES = ((12, 30), (30, 12), (12, 30), (16, 16))


def matrices():
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(s, generator=generator)) for s in SHAPES]


@pytest.mark.parametrize("shape", [(3, 20, 50), (3, 50, 20)])
def test_singular_values_are_brought_near_one(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    singular = torch.linalg.svdvals(orthogonal(1e3 * x))
    assert singular.min() > 0.65
    assert singular.max() < 1.25
    # The directions are those of the matrices.
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    assert torch.einsum("nab,nab->n", orthogonal(x), u @ v).min() > 0.95 * 0.7 * 20


def test_it_does_what_that_of_torch_does():
    ours, theirs, start = matrices(), matrices(), matrices()
    steps = (
        Muon(ours, lr=0.01, weight_decay=0.1),
        torch.optim.Muon(
            theirs, lr=0.01, momentum=0.95, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
        ),
    )
    generator = torch.Generator().manual_seed(2)
    for _ in range(5):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        for optimizer in steps:
            optimizer.step()
    with torch.no_grad():
        for a, b, first in zip(ours, theirs, start, strict=True):
            assert (a - b).norm() < 0.02 * (b - first).norm()


def test_what_has_no_gradient_stays():
    moved, still, *_ = matrices()
    before = still.detach().clone()
    moved.grad = torch.ones_like(moved)
    Muon([moved, still], lr=0.1).step()
    assert torch.equal(still, before)
    assert not torch.equal(moved, matrices()[0])
