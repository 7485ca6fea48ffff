"""Several processes on one training, as ``torchrun`` starts them.

Each process has all galaxies and takes its share of the masking patterns of a step; gradients are
summed, so that all have the same weights at all times. The first process writes.
"""

import os
from dataclasses import dataclass

import torch

from ..model.weights import find_device

__all__ = ["Processes"]


@dataclass(frozen=True)
class Processes:
    """This process among all.

    Attributes
    ----------
    rank, number : int
    device : torch.device
        On which this one computes.
    """

    rank: int
    number: int
    device: torch.device

    @classmethod
    def join(cls, device):
        """Join the others; alone unless ``torchrun`` has started this process."""
        number = int(os.environ.get("WORLD_SIZE", 1))
        if number == 1:
            return cls(0, 1, find_device(device))
        # A small model keeps a GPU busy only if several processes share it, which NCCL refuses.
        shared = device != "cuda" or torch.cuda.device_count() < int(os.environ["LOCAL_WORLD_SIZE"])
        if device == "cuda":
            device = f"cuda:{int(os.environ['LOCAL_RANK']) % max(torch.cuda.device_count(), 1)}"
        device = find_device(device)
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo" if shared else "nccl")
        return cls(torch.distributed.get_rank(), number, device)

    @property
    def first(self):
        return self.rank == 0

    def sum_gradients(self, network):
        """Sum the gradients over all processes; what none of them has used stays without one."""
        if self.number == 1:
            return
        parameters = list(network.parameters())
        used = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        flat = torch.cat(
            [(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in parameters]
        )
        together = torch.cat([flat, used])
        torch.distributed.all_reduce(together)
        flat, used = together[: len(flat)], together[len(flat) :] > 0
        pieces = flat.split([p.numel() for p in parameters])
        for parameter, piece, is_used in zip(parameters, pieces, used.tolist(), strict=True):
            parameter.grad = piece.view_as(parameter).clone() if is_used else None

    def wait(self):
        """Until all are here."""
        if self.number > 1:
            torch.distributed.barrier()
