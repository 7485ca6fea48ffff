"""Muon: steps whose matrices are orthogonal."""

import torch

__all__ = ["Muon"]

# Of the quintic that takes all singular values near to one in a few iterations.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal, for the matrices of a network.

    It does what `torch.optim.Muon` does with ``adjust_lr_fn="match_rms_adamw"``, and in single
    precision, with matrices of a shape together: half precision is emulated on most CPUs, where it
    would take most of the time of a step.

    Parameters
    ----------
    matrices : iterable of Tensor
        Parameters of two dimensions.
    lr : float
        Learning rate, for steps as large as those of Adam.
    momentum : float
        Decay of the running mean of gradients; Nesterov's form.
    weight_decay : float
        Share of the learning rate by which weights shrink in a step.

    Notes
    -----
    Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; the size of steps is that of
    Liu et al. 2025, arXiv:2502.16982.
    """

    def __init__(self, matrices, lr, momentum=0.95, weight_decay=0.01):
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        """Move the parameters that have a gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            by_shape = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in by_shape.items():
                size = 0.2 * max(shape) ** 0.5 * group["lr"]
                steps = [self._momentum(matrix, group["momentum"]) for matrix in matrices]
                steps = orthogonal(torch.stack(steps)).unbind()
                torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(matrices, steps, alpha=-size)
        return loss

    def _momentum(self, matrix, decay):
        state = self.state[matrix]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        mean = state["momentum_buffer"].lerp_(matrix.grad, 1 - decay)
        return matrix.grad.lerp(mean, decay)


def orthogonal(x):
    """Matrices (n, a, b) with all singular values brought near to 1, between 0.7 and 1.2."""
    if x.shape[1] > x.shape[2]:
        return orthogonal(x.mT).mT
    a, b, c = _QUINTIC
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x
