"""Training: one command on CPU and GPU that goes on after a kill as if nothing had happened.

What a step sees depends on the seed and the number of the step alone, so that a run resumed from a
checkpoint ends with the weights of an unbroken one.
"""

import json
import math
import os
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from .. import __version__
from ..filters import list_filters
from ..galaxies import MEASURED, MISSING
from ..model.heads import mixture_nll, scalar_bin
from ..model.transformer import ModelConfig, Transformer
from ..model.weights import load_weights, save_weights
from ..properties import EXACT, PROPERTIES, VECTORS
from ..tokens import flux_to_internal, shape_features, tokens_from_arrays
from .data import combine, read_training_set
from .masking import MaskingModel, cameras, draw_pattern
from .muon import Muon
from .noise import (
    NoiseModel,
    depth_nanojansky,
    drop_elements,
    observe,
    observe_history,
    observe_spectrum,
    spherex_depth,
)
from .processes import Processes

__all__ = [
    "TrainingData",
    "make_optimizers",
    "observe_batch",
    "rows_of_step",
    "schedule",
    "train",
    "validate",
    "validation_size",
]

_SCALAR_WEIGHT = {"redshift": 1.0}
_OTHER_WEIGHT = 0.5
_FLUX_WEIGHT = 0.15
# Of all that is asked, trees come nearest to the model in assembly histories.
_VECTOR_WEIGHT = {"spherex": 1.0, "spectrum": 1.0, "sfh": 1.0, "mah": 2.0}
# The likelihood hardly moves the mean of a wide component, such as that of quenched galaxies.
_SQUARED_WEIGHT = 0.4
_EMA_DECAY = 0.999
# Patterns of masking in a step, each for its share of the galaxies. The gradients of patterns
# differ more than those of galaxies do: with one pattern in a step far more steps are needed.
_PATTERNS = 8
_VALIDATION_BATCHES, _VALIDATION_ROWS = 48, 256
_MOST_VALIDATION = 4_000
# How the tensors of the optimizers are called in a checkpoint.
_OPTIMIZERS = ("muon", "adam")


class TrainingData:
    """Noiseless galaxies on the device where training runs.

    Parameters
    ----------
    paths : sequence of str or Path
        Files that `astromosaic.training.data.read_training_set` reads.
    device : str
    limit : int, optional
        Only the first so many galaxies of each file.
    progress : bool
        Show a progress bar where reading takes long.

    Attributes
    ----------
    flux : Tensor (n, n_filters + 102)
        Noiseless fluxes in nJy, SPHEREx channels last; NaN where unknown, here as everywhere.
    vectors : dict of str to Tensor (n, length)
        Of those of `VECTORS` that the files have.
    scalars : Tensor (n, n_properties)
        Internal coordinates.
    order : ndarray of int (n,)
        The galaxies in a random order that is always the same; the last are for validation.
    provenance : list of dict
    """

    def __init__(self, paths, device="cpu", limit=None, progress=False):
        sets = [read_training_set(path, limit, progress) for path in paths]
        self.provenance = [s.provenance for s in sets]
        whole = combine(sets)
        del sets
        unknown = np.full(len(whole), np.nan, np.float32)
        channels = whole.vectors.get("spherex")
        if channels is None:
            channels = np.broadcast_to(unknown[:, None], (len(whole), VECTORS["spherex"].length))
        flux = np.concatenate([whole.flux, channels], axis=1)
        scalars = np.stack([whole.scalars.get(p, unknown) for p in PROPERTIES], axis=1)
        self.filters = whole.filters
        self.flux = torch.as_tensor(flux, device=device)
        self.scalars = torch.as_tensor(scalars, device=device)
        self.vectors = {k: torch.as_tensor(v, device=device) for k, v in whole.vectors.items()}
        if "spherex" in self.vectors:  # once in memory
            self.vectors["spherex"] = self.flux[:, len(self.filters) :]
        self.shape = shape_features([*self.filters, *list_filters("spherex")]).to(device)
        self.sky = torch.as_tensor(depth_nanojansky(self.filters), device=device)
        self.sky_spherex = torch.as_tensor(spherex_depth(), device=device)
        self.groups = cameras(self.filters)
        self.order = np.random.default_rng(0).permutation(len(whole))

    def __len__(self):
        return len(self.flux)


def train(
    mocks, output, steps=20_000, batch_size=256, learning_rate=1e-3, seed=0, device="cpu",
    config=None, masking=None, noise=None, initial=None, checkpoint_every=1000, validation=None,
    limit=None, stop_after=None, progress=True, only=None, layers=None,
):  # fmt: skip
    """Train a model and write its weights.

    Parameters
    ----------
    mocks : sequence of str or Path
        Files to train on, see `astromosaic.training.data.read_training_set`.
    output : str or Path
        Safetensors file to write; ``output + ".checkpoint"`` is kept beside it until the end, and
        ``output + ".log"`` has one line of JSON for each checkpoint.
    steps, batch_size, learning_rate, seed
        Length, and the usual meanings; the rate falls to zero as a cosine. A step masks its
        galaxies in eight ways, an equal share in each.
    device : str
        ``cpu`` or ``cuda``. Under ``torchrun`` each process has a device of its own.
    config, masking, noise : ModelConfig, MaskingModel, NoiseModel, optional
    initial : str or Path, optional
        Weights to start from, in place of random ones; the model card will tell of both trainings.
    checkpoint_every : int
        Steps between checkpoints and validations.
    validation : int, optional
        Galaxies of the training set, of all files alike, kept for validation, never trained on;
        by default a tenth of them, at most 4,000.
    limit : int, optional
        Only the first so many galaxies of each file.
    stop_after : int, optional
        Stop after this many steps of this call, at a checkpoint, to be resumed by another call.
    progress : bool
        Show a progress bar, and how many galaxies are trained on.
    only : str or sequence of str, optional
        The parts of the network that are trained, such as ``"redshifted_features"``; all else
        stays as it is.
    layers : int, optional
        Blocks of the network, if they are to be other than those of `config`; or more than those of
        the initial weights, to which such are added as change nothing to begin with.

    Returns
    -------
    Path or None
        The weights; None where `stop_after` ended it early.
    """
    from tqdm import tqdm

    output, checkpoint = Path(output), Path(f"{output}.checkpoint")
    if output.exists():
        raise FileExistsError(f"{output} exists already; choose another name or remove it")
    if not output.resolve().parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {output.resolve().parent} to write {output} to"
        )
    processes = Processes.join(device)
    device = processes.device
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32
    config, masking = config or ModelConfig(), masking or MaskingModel()
    if layers is not None and layers < 1:
        raise ValueError(f"a network has one block or more, not {layers}")
    config = config if layers is None else replace(config, layers=layers)
    noise = noise or NoiseModel()
    quiet = not (progress and processes.first)
    data = TrainingData(mocks, device, limit, not quiet)
    if not (data.filters or "spherex" in data.vectors or torch.isfinite(data.scalars).any()):
        raise ValueError(
            "the galaxies have neither photometry nor known properties: there is nothing to ask"
        )
    if validation is None:
        validation = validation_size(len(data))
    if validation < 1:
        raise ValueError("validation must be 1 or more: without any none can tell how good it is")
    n_train = len(data) - validation
    if batch_size < _PATTERNS:
        raise ValueError(f"batch_size must be {_PATTERNS} or more, one galaxy for each masking")
    if n_train < batch_size:
        raise ValueError(
            f"{len(data)} galaxies are too few: {validation} are kept for validation, and a step "
            f"takes {batch_size} of the others; give more, or choose a smaller batch_size"
        )
    settings = {
        "mocks": data.provenance, "galaxies": n_train, "steps": steps,
        "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed,
        "masking": asdict(masking), "noise": asdict(noise), "model": config.to_dict(),
    }  # fmt: skip

    torch.manual_seed(seed)
    if initial is None:
        network = Transformer(config).to(device)
    else:
        network, before, start_checksum = load_weights(initial, device)
        network = network if layers is None else network.deepened(layers)
        network.train()
        config = network.config  # that of the weights
        settings |= {
            "model": config.to_dict(), "initial": start_checksum, "before": before["training"],
        }  # fmt: skip
    if only is not None:
        settings["only"] = only = [only] if isinstance(only, str) else list(only)
        parts = dict(network.named_children())
        if stray := set(only) - set(parts):
            raise ValueError(
                f"there is no part {min(stray)!r} to train; there are {', '.join(parts)}"
            )
        network.requires_grad_(False)
        for name in only:
            parts[name].requires_grad_(True)
    average = {k: v.detach().clone() for k, v in network.named_parameters()}
    optimizers = make_optimizers(network, learning_rate)
    start = _resume(checkpoint, network, average, optimizers, settings, device)
    end = steps if stop_after is None else min(steps, start + stop_after)
    began, losses, validated = time.monotonic(), {}, None
    with tqdm(total=steps, initial=start, unit="step", disable=quiet) as bar:
        if not quiet:
            told = f"training on {n_train} galaxies, {validation} are kept for validation"
            bar.write(told, file=sys.stderr)
        for step in range(start, end):
            for group in (g for o in optimizers for g in o.param_groups):
                group["lr"] = learning_rate * schedule(step, steps)
            rows = data.order[rows_of_step(step, batch_size, n_train, seed)]
            streams = np.random.default_rng([seed, step]).spawn(_PATTERNS)
            shares = list(zip(np.array_split(rows, _PATTERNS), streams, strict=True))
            network.zero_grad()
            for share, rng in shares[processes.rank :: processes.number]:
                loss, parts = _loss(network, data, share, masking, noise, rng)
                if loss.requires_grad:  # which it does not if nothing trained was asked
                    (loss * (len(share) / len(rows))).backward()
                for name, value in parts.items() if processes.first else ():
                    losses.setdefault(name, []).append(value)
            processes.sum_gradients(network)
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
            decay = min(_EMA_DECAY, (1 + step) / (10 + step))
            with torch.no_grad():
                parameters = dict(network.named_parameters())
                torch._foreach_lerp_(
                    list(average.values()), [parameters[k] for k in average], 1 - decay
                )
            bar.update()
            done = step + 1
            if processes.first and (done % checkpoint_every == 0 or done == end):
                _checkpoint(checkpoint, done, network, average, optimizers, settings)
                line = {"step": done, "seconds": round(time.monotonic() - began, 1)}
                means = {k: float(torch.stack(v).mean()) for k, v in losses.items()}
                line["train"] = {k: round(v, 4) for k, v in means.items()}
                validated = validate(config, average, data, n_train, masking, noise, device)
                line["validation"] = validated
                losses = {}
                _log(f"{output}.log", line)
                bar.set_postfix(validated | {"train": line["train"]["total"]})
    processes.wait()
    if end < steps:
        return None
    if processes.first:
        _finish(output, checkpoint, config, average, data, n_train, settings, validated)
    processes.wait()
    return output


def _finish(output, checkpoint, config, average, data, n_train, settings, validated):
    """Write the weights, with their model card, in place of the checkpoint."""
    if validated is None:  # killed between the last checkpoint and the end
        masking, noise = MaskingModel(**settings["masking"]), NoiseModel(**settings["noise"])
        validated = validate(config, average, data, n_train, masking, noise, data.flux.device)
    final = Transformer(config)
    final.load_state_dict({k: v.cpu() for k, v in average.items()})
    mean_flux = flux_to_internal(data.flux[data.order[:n_train]].nanmean(dim=1)).cpu().numpy()
    mean_flux = mean_flux[np.isfinite(mean_flux)]
    span = None  # of no light at all
    if len(mean_flux):
        span = [round(float(x), 2) for x in np.percentile(mean_flux, [0.1, 99.9])]
    versions = f"astromosaic {__version__}, torch {torch.__version__}"
    card = {
        "name": "astromosaic", "trained_with": versions,
        "parameters": sum(p.numel() for p in final.parameters()), "training": settings,
        "filters": list(data.filters), "flux_range": span, "validation": validated,
    }  # fmt: skip
    save_weights(output, final, card)
    checkpoint.unlink()


def validation_size(n):
    """How many of n galaxies are kept for validation where nothing else is said."""
    return min(math.ceil(n / 10), _MOST_VALIDATION)


def make_optimizers(network, learning_rate):
    """Muon (Jordan 2024) for the matrices of the blocks, AdamW for everything else."""
    matrices = [p for p in network.blocks.parameters() if p.ndim == 2]
    taken = {id(p) for p in matrices}
    others = [p for p in network.parameters() if id(p) not in taken]
    decay = {"lr": learning_rate, "weight_decay": 0.01}
    return (
        Muon(matrices, **decay),
        torch.optim.AdamW(others, betas=(0.9, 0.98), **decay),
    )


def schedule(step, steps, warmup=400):
    warm = min(1.0, (step + 1) / min(warmup, max(steps // 10, 1)))
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def rows_of_step(step, batch_size, n, seed):
    """Rows of a step: a new random order for each pass through the data."""
    first = step * batch_size
    epochs = range(first // n, (first + batch_size - 1) // n + 1)
    order = np.concatenate([_permutation(n, seed, e) for e in epochs])
    offset = first - epochs[0] * n
    return order[offset : offset + batch_size]


_permutations = {}


def _permutation(n, seed, epoch):
    key = (n, seed, epoch)
    if key not in _permutations:
        for old in [k for k in _permutations if k[2] < epoch - 1]:
            del _permutations[old]
        _permutations[key] = np.random.default_rng([seed, 7, epoch]).permutation(n)
    return _permutations[key]


def _loss(network, data, rows, masking, noise, rng):
    """The loss of one batch; its parts by query."""
    device = data.flux.device
    # Streams of their own, so that the noise does not depend on the masking.
    rng, noise_rng = rng.spawn(2)
    pattern = draw_pattern(data.groups, len(data.filters), data.vectors, masking, rng)
    generator = torch.Generator(device).manual_seed(int(noise_rng.integers(2**62)))
    rows = torch.as_tensor(rows, device=device)
    tokens = observe_batch(data, rows, pattern, masking, noise, noise_rng, generator)
    queries = torch.as_tensor(pattern.queries, device=device)
    states = network(tokens, data.shape[queries], pattern.ask_vectors)
    # Of a share of which nothing that is asked is known the loss is zero, and so is its gradient.
    parts, total = {}, 0.0 * states.galaxy.sum()
    for i, (name, logits) in enumerate(network.scalar_logits(states).items()):
        truth = data.scalars[rows, i]
        known = torch.isfinite(truth)
        if not known.any():
            continue
        target = scalar_bin(PROPERTIES[name], truth[known])
        parts[name] = functional.cross_entropy(logits[known], target)
        total = total + _SCALAR_WEIGHT.get(name, _OTHER_WEIGHT) * parts[name]
    reference = tokens.reference[:, None]
    if len(queries):
        target = flux_to_internal(data.flux[rows][:, queries]) - reference
        parts["flux"] = _mean_nll(network.flux_head(states.flux), target)
        total = total + _FLUX_WEIGHT * parts["flux"]
    for name, mixture in network.vector_mixtures(states).items():
        target = torch.asinh(data.vectors[name][rows] / VECTORS[name].scale)
        if VECTORS[name].is_flux:
            target = target - reference
        parts[name] = _mean_nll(mixture, target)
        squared = _mean_squared_error(mixture, target)
        total = total + _VECTOR_WEIGHT[name] * (parts[name] + _SQUARED_WEIGHT * squared)
    parts["total"] = total
    return total, {k: v.detach() for k, v in parts.items()}


def _mean_nll(mixture, target):
    """Mean negative log likelihood of the targets that are known."""
    known = torch.isfinite(target)
    nll = mixture_nll(mixture, torch.where(known, target, torch.zeros_like(target)))
    # Where a galaxy is far fainter in the filter asked than the likelihood resolves, one such
    # galaxy must not outweigh the batch.
    return (nll.clamp(max=20.0) * known).sum() / known.sum().clamp(min=1)


def _mean_squared_error(mixture, target):
    """Mean squared error of the mixtures' means, over the targets that are known."""
    log_weight, mean, _ = mixture
    known = torch.isfinite(target)
    error = (log_weight.exp() * mean).sum(dim=-1) - torch.where(known, target, 0.0)
    return (error**2 * known).sum() / known.sum().clamp(min=1)


def observe_batch(data, rows, pattern, masking, noise, rng, generator):
    """Tokens of a batch observed with the noise of a survey."""
    kinds = ("clean", "no_error", "limits", "noisy")
    chances = np.array([noise.clean, noise.no_error, noise.limits, 0.0])
    chances[3] = 1 - chances.sum()
    kind = rng.choice(kinds, p=chances)
    exact = rng.random() < noise.exact
    device = data.flux.device
    index = torch.as_tensor(pattern.filters, device=device)
    truth = data.flux[rows][:, index]
    if len(index):
        known = bool(pattern.scalars) or not {"sfh", "mah"}.isdisjoint(pattern.vectors)
        seen = observe(
            torch.nan_to_num(truth), data.sky[index], noise, kind, generator, known=known
        )
        photometry = _known_only(truth, seen)
    else:
        photometry = truth, truth, truth.to(torch.int8)
    vectors = {}
    for name, stretch in pattern.vectors.items():
        truth = data.vectors[name][rows]
        filled = torch.nan_to_num(truth)
        given = torch.as_tensor(stretch, device=device)
        if name == "spherex":
            value, error, state = observe(
                filled, data.sky_spherex, noise, "noisy" if kind == "limits" else kind,
                generator, spherex=True,
            )  # fmt: skip
            seen = value, error, torch.where(given, state, MISSING).to(torch.int8)
        elif name == "spectrum":
            seen = observe_spectrum(
                filled, given, noise, "noisy" if kind == "limits" else kind, generator
            )
        else:
            seen = observe_history(filled, given, name, noise, exact, generator)
        vectors[name] = _known_only(truth, seen)
        if pattern.lost:
            vectors[name] = drop_elements(
                vectors[name], pattern.lost, generator, exactly=masking.scheme == "random"
            )
    names = list(PROPERTIES)
    scalars = {
        i: _observe_scalar(data.scalars[rows], i, exact, generator)
        for i in (names.index(s) for s in pattern.scalars)
    }
    if masking.scheme == "random":
        photometry = drop_elements(photometry, pattern.lost, generator, exactly=True)
        scalars = {
            i: tuple(
                x[:, 0]
                for x in drop_elements(
                    tuple(x[:, None] for x in scalar), pattern.lost, generator, exactly=True
                )
            )
            for i, scalar in scalars.items()
        }
    return tokens_from_arrays(photometry, data.shape[index], vectors, scalars)


def _known_only(truth, measurement):
    """The measurement without those values of which the truth is not known."""
    known = torch.isfinite(truth)
    value, error, state = measurement
    return (
        torch.where(known, value, torch.zeros_like(value)),
        error,
        torch.where(known, state, MISSING).to(torch.int8),
    )


def _observe_scalar(scalars, index, exact, generator):
    """A known scalar: exact with unknown error, or with an error of 0.1 to 10% of the range."""
    value = scalars[:, index]
    state = torch.full(value.shape, MEASURED, dtype=torch.int8, device=value.device)
    if exact:
        return _known_only(value, (value, torch.full_like(value, float("nan")), state))
    prop = list(PROPERTIES.values())[index]
    u = torch.rand(value.shape, generator=generator, device=value.device)
    error = (prop.high - prop.low) * EXACT * 10 ** (2.0 * u)
    scatter = torch.randn(value.shape, generator=generator, device=value.device)
    return _known_only(value, (value + error * scatter, error, state))


@torch.no_grad()
def validate(config, average, data, n_train, masking, noise, device):
    """Losses on galaxies never trained on, of the averaged weights, on batches always the same."""
    network = Transformer(config).to(device)
    network.load_state_dict(average)
    network.eval()
    rows = data.order[n_train:]
    parts = {}
    for k in range(_VALIDATION_BATCHES):
        batch = np.roll(rows, -k * _VALIDATION_ROWS)[:_VALIDATION_ROWS]
        _, losses = _loss(network, data, batch, masking, noise, np.random.default_rng([2718, k]))
        for name, value in losses.items():
            parts.setdefault(name, []).append(float(value))
    return {name: round(float(np.mean(v)), 4) for name, v in parts.items()}


def _checkpoint(path, step, network, average, optimizers, settings):
    from safetensors.torch import save_file

    tensors = {f"network.{k}": v.detach() for k, v in network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.items()}
    for name, optimizer in zip(_OPTIMIZERS, optimizers, strict=True):
        for i, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}.{i}.{k}": v for k, v in state.items()}
    temporary = Path(f"{path}.tmp")
    save_file(
        {k: v.contiguous() for k, v in tensors.items()}, temporary,
        metadata={"step": str(step), "settings": json.dumps(settings)},
    )  # fmt: skip
    os.replace(temporary, path)


def _resume(path, network, average, optimizers, settings, device):
    """Load a checkpoint, if there is one; the number of steps done."""
    from safetensors import safe_open
    from safetensors.torch import load_file

    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    if metadata["settings"] != json.dumps(settings):
        raise ValueError(
            f"{path} is the checkpoint of a run with other settings; remove it or name another "
            "output"
        )
    tensors = load_file(path, device=str(device))
    network.load_state_dict(_under(tensors, "network."))
    for name, value in _under(tensors, "average.").items():
        average[name].copy_(value)
    for optimizer_name, optimizer in zip(_OPTIMIZERS, optimizers, strict=True):
        state = {}
        for name, value in _under(tensors, f"{optimizer_name}.").items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    return int(metadata["step"])


def _under(tensors, prefix):
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _log(path, line):
    with open(path, "a") as file:
        file.write(json.dumps(line) + "\n")
