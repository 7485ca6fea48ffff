"""Weights in safetensors, with the model card and a checksum in the file's metadata."""

import hashlib
import json
import os
from importlib.resources import files
from pathlib import Path

import torch

from .transformer import ModelConfig, Transformer

__all__ = [
    "bundled_weights",
    "check_path",
    "checksum",
    "find_device",
    "load_weights",
    "save_weights",
]


def bundled_weights():
    """Path of the weights that come with the package."""
    return Path(str(files("astromosaic") / "data" / "astromosaic.safetensors"))


def checksum(tensors):
    """SHA-256 over names, shapes and values of a dict of tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def check_path(path, overwrite=False):
    """Raise unless weights can be written there; meant to be called before a long computation."""
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path} to")
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} exists already: choose another name, or allow it to be overwritten "
            "(overwrite=True, on the command line --overwrite)"
        )


def save_weights(path, network, card):
    """Write weights and model card; the file appears whole or not at all."""
    from safetensors.torch import save_file

    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    metadata = {
        "card": json.dumps(card),
        "config": json.dumps(network.config.to_dict()),
        "checksum": checksum(tensors),
    }
    temporary = Path(f"{path}.tmp")
    save_file(tensors, temporary, metadata=metadata)
    os.replace(temporary, path)


def find_device(name):
    """The torch device of a name; ValueError if this machine has none such."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device {name!r} cannot be used here ({str(error).splitlines()[0]}); 'cpu' always can"
        ) from None
    return device


def load_weights(path=None, device="cpu"):
    """Load a network.

    Parameters
    ----------
    path : str or Path, optional
        The bundled weights without it.
    device : str

    Returns
    -------
    tuple of (Transformer, dict, str)
        The network in evaluation mode, its model card, its checksum.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a file of astromosaic weights, if the checksum does not match, or if it is of
        another version of the network.
    """
    from safetensors.torch import load_file

    path = Path(path) if path else bundled_weights()
    metadata = _metadata(path)
    tensors = load_file(path)
    if checksum(tensors) != metadata["checksum"]:
        raise ValueError(f"{path} is damaged: its checksum does not match; get the file again")
    network = Transformer(ModelConfig(**json.loads(metadata["config"])))
    try:
        network.load_state_dict({k: v.to(torch.float32) for k, v in tensors.items()})
    except RuntimeError as error:
        raise ValueError(
            f"{path} is of another version of the network: use the astromosaic that it was made "
            f"with (its model card tells), or train anew: {error}"
        ) from error
    return (
        network.to(find_device(device)).eval(),
        json.loads(metadata["card"]),
        metadata["checksum"],
    )


def _metadata(path):
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        raise FileNotFoundError(f"no file of weights at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError:
        metadata = {}
    if not {"card", "config", "checksum"} <= set(metadata):
        raise ValueError(f"{path} is not a file of astromosaic weights")
    return metadata
