"""Fine-tuning: a model adapted to galaxies of which some properties are known for true.

The network learns the labels with the loss of its training, the cross entropy of the histograms.
All that is not labelled is to stay as it was: on the same galaxies, and on simulated ones that come
with the package, the answers are held to those of the old model by their Kullback-Leibler
divergence (learning without forgetting, Li & Hoiem 2016). A part of the labelled galaxies is held
out. It says which of the weights met on the way are kept, those of the start among them, and how
much the other answers have moved. This is done a few times, each with other galaxies held out, and
the weights found are averaged (Wortsman et al. 2022, ICML 162, 23965): so all labels are learned
from, and what one run has by chance is gone.
"""

import logging
from collections import Counter
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
import torch
from torch.nn import functional

from .. import __version__
from ..calibration import CALIBRATIONS
from ..galaxies import LIMIT, MEASURED
from ..labels import read_labels
from ..model.heads import scalar_bin
from ..model.weights import checksum
from ..outsiders import CARD_KEY as OUTSIDERS
from ..properties import PROPERTIES, VECTORS
from ..tokens import shape_features, tokens_from_arrays
from .divergence import answers, divergences, moments
from .loop import TrainingData, make_optimizers, observe_batch, rows_of_step, schedule
from .masking import MaskingModel, draw_pattern
from .noise import NoiseModel

__all__ = ["Settings", "fine_tune"]

log = logging.getLogger("astromosaic")

# Fewer labels than this, and the held-out part says nothing.
_FEWEST = 20
# More held-out galaxies than this tell little more.
_MOST_HELD_OUT = 1000
# Held-out galaxies on which the other answers are compared, at the end and on the way.
_MEASURED_ROWS, _QUICK_ROWS = 512, 128
# Galaxies in one forward pass where there is nothing to learn.
_BLOCK = 256
# Relative width of the prior of temperatures: a few labels do not move them.
_TEMPERATURE_PRIOR = 0.2


@dataclass(frozen=True)
class Settings:
    """How `fine_tune` learns; the defaults are good from 50 labels to 50,000.

    Attributes
    ----------
    learning_rate : float
        At its peak; it falls to zero as a cosine.
    batch_size : int
        Labelled galaxies in a step.
    steps : int or None
        Longest run; by default 24 times the root of the number of labels, 200 at least.
    measurements : int
        How often the held-out galaxies are looked at in a run.
    patience : int
        It ends when they got no better in so many of them.
    keep : float
        Weight of the divergence of the other answers in the loss, to begin with; it grows where
        they come near the bound, and falls where they do not.
    bound : float
        Largest mean divergence, in nats, that any other answer may have on the held-out
        galaxies for weights to be kept.
    lost_bands : float
        In a third of the galaxies each band is lost at a rate drawn from 0 to this.
    added_noise : float
        Half of the galaxies are made fainter: noise is added to their fluxes, and to the errors
        that they state, of up to so many times what they have.
    smoothing : float
        Width in bins of the Gaussian that stands for a label, where 1,000 are learned from; it
        goes as the inverse fourth root of their number, up to 5 bins.
    average : float
        Decay of the running mean of the weights.
    runs : int
        How many runs, each with other galaxies held out, are averaged.
    """

    learning_rate: float = 3e-4
    batch_size: int = 128
    steps: int | None = None
    measurements: int = 20
    patience: int = 6
    keep: float = 1.0
    bound: float = 0.1
    lost_bands: float = 0.6
    added_noise: float = 1.0
    smoothing: float = 3.5
    average: float = 0.98
    runs: int = 3

    def run_length(self, n):
        """Steps for so many labels."""
        return self.steps or max(200, int(24 * n**0.5))

    def width(self, n):
        """Width in bins of so many labels."""
        return min(self.smoothing * (1000 / n) ** 0.25, 5.0)


def fine_tune(
    model, data, labels="z_spec", columns=None, row_weights=None, held_out=None, seed=0,
    progress=False, spectrum=None, lookback_time=None, settings=None,
):  # fmt: skip
    """Adapt a model to labelled galaxies; see `astromosaic.inference.Model.fine_tune`.

    Parameters
    ----------
    model : astromosaic.inference.Model
        The old one, which stays as it is.
    data, labels, columns, row_weights, held_out, seed, progress, spectrum, lookback_time
        As of `astromosaic.inference.Model.fine_tune`.
    settings : Settings, optional

    Returns
    -------
    astromosaic.inference.Model

    Raises
    ------
    TypeError, ValueError
        As of `read_labels`; if ``held_out`` is no fraction, or too few labels are left.
    """
    from ..inference import Model

    settings = settings or Settings()
    if held_out is not None and not 0 < held_out < 1:
        raise ValueError(f"held_out must be a fraction between 0 and 1, not {held_out}")
    sample = read_labels(data, labels, columns, row_weights, spectrum, lookback_time)
    n = len(sample.galaxies)
    if n < _FEWEST:
        left_out = ", ".join(f"{k} {what}" for what, k in sample.left_out.items())
        raise ValueError(
            f"{n} galaxies are left to learn from, {_FEWEST} at least are needed"
            + (f"; left out: {left_out}" if left_out else "")
        )
    order = np.random.default_rng([seed, 1]).permutation(n)
    n_held_out = min(0.2 * n, _MOST_HELD_OUT) if held_out is None else held_out * n
    n_held_out = min(max(round(n_held_out), 5), n - 5)
    if settings.runs < 1:
        raise ValueError(f"runs must be one or more, not {settings.runs}")
    tunings, runs = [], []
    step = min(n_held_out, n // settings.runs)
    for k in range(settings.runs):
        # In random order: the first of the held-out galaxies stand for all.
        test, train = np.split(np.roll(order, -k * step), [n_held_out])
        tunings.append(_Tuning(model, sample, train, test, settings, seed + k))
        title = f"run {k + 1} of {settings.runs}"
        runs.append(tunings[-1].run(title if progress else None))
    network, averaged = _mean_network([tuning.best for tuning in tunings]), True
    after = [run["held_out_loss"]["after"] for run in runs]
    # What one run holds out others have learned from, so that the mean should do better than they.
    worse = np.mean([tuning.held_out_loss(network) for tuning in tunings]) > np.mean(after)
    if worse or tunings[0].moved(network) > settings.bound:
        network, averaged = tunings[int(np.argmin(after))].best, False
    fine_tuning = {
        "parent": model.checksum,
        "labels": {p: sample.columns[p] for p in sample.truth},
        "galaxies": len(train), "held_out": len(test), "left_out": dict(sample.left_out),
        "effective": round(float(sample.weight.sum() ** 2 / (sample.weight**2).sum()), 1),
        "weighted": row_weights is not None,
        "filters": list(sample.galaxies.filters), "vectors": list(sample.galaxies.vectors),
        "scalars": list(sample.galaxies.scalars),
        "columns": sample.reading.to_meta()["columns"],
        "seed": seed, "settings": asdict(settings),
        "held_out_loss": {
            when: round(float(np.mean([run["held_out_loss"][when] for run in runs])), 4)
            for when in ("before", "after")
        },
        "averaged": averaged, "runs": runs, "others": tunings[0].changes(network),
        "versions": f"astromosaic {__version__}, torch {torch.__version__}",
    }  # fmt: skip
    if "fine_tuning" in model.card:
        fine_tuning["before"] = model.card["fine_tuning"]
    new = checksum(network.state_dict())
    if new == model.checksum:
        log.warning("nothing was better on the held-out galaxies: the weights are as they were")
        stale = ()
    else:
        # States and answers have moved: what was fitted to the old ones is not for the new.
        stale = (OUTSIDERS, CALIBRATIONS)
    kept = {k: v for k, v in model.card.items() if k not in stale}
    return Model(network, {**kept, "fine_tuning": fine_tuning}, new, model.batch_size)


class _Tuning:
    """One run, with all that it needs at hand."""

    def __init__(self, model, sample, train, test, settings, seed):
        self.settings, self.keep, self.seed = settings, settings.keep, seed
        self.device = model.device
        self.parent, self.network = model.network, deepcopy(model.network)
        self.best = model.network
        self.train, self.test = train, test
        galaxies = sample.galaxies
        self.shape = shape_features(galaxies.filters).to(self.device)
        self.photometry = self._tensors(galaxies.photometry)
        self.vectors = {k: self._tensors(v) for k, v in galaxies.vectors.items()}
        names = list(PROPERTIES)
        self.scalars = {names.index(k): self._tensors(v) for k, v in galaxies.scalars.items()}
        self.truth = {p: self._tensor(t) for p, t in sample.truth.items()}
        self.weight = self._tensor(sample.weight)
        self.targets = {
            p: _smoothed(PROPERTIES[p], t, settings.width(len(train)))
            for p, t in self.truth.items()
        }
        # Simulated galaxies: what they are given and asked is drawn as in training.
        self.simulated = _simulated(str(self.device))
        self.masking, self.noise = MaskingModel(), NoiseModel()

    def _tensor(self, x):
        return torch.as_tensor(np.asarray(x, np.float32), device=self.device)

    def _tensors(self, measurement):
        return (
            self._tensor(measurement.value), self._tensor(measurement.error),
            torch.as_tensor(measurement.state, device=self.device),
        )  # fmt: skip

    def run(self, title=None):
        """Learn; `best` is what is found. The losses, by name, for the card.

        With a title progress is shown.
        """
        from tqdm import tqdm

        settings, network = self.settings, self.network
        network.train()
        n = len(self.train)
        steps = settings.run_length(n)
        every = max(steps // settings.measurements, 1)
        average = {k: v.detach().clone() for k, v in network.named_parameters()}
        averaged = deepcopy(network).eval()
        optimizers = make_optimizers(network, settings.learning_rate)
        before, best_step, stale = self.held_out_loss(self.parent), 0, 0
        best, least, done = before, before, 0
        with tqdm(total=steps, desc=title, unit="step", disable=title is None) as bar:
            for step in range(steps):
                for group in (g for o in optimizers for g in o.param_groups):
                    group["lr"] = settings.learning_rate * schedule(step, steps, 50)
                network.zero_grad()
                self._step(step, n)
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                for optimizer in optimizers:
                    optimizer.step()
                decay = min(settings.average, (1 + step) / (10 + step))
                with torch.no_grad():
                    parameters = dict(network.named_parameters())
                    torch._foreach_lerp_(
                        list(average.values()), [parameters[k] for k in average], 1 - decay
                    )
                bar.update()
                done = step + 1
                if done % every and done < steps:
                    continue
                averaged.load_state_dict(average, strict=False)
                loss = self.held_out_loss(averaged)
                stale = 0 if loss < least else stale + 1
                least = min(loss, least)
                moved = self.moved(averaged) if loss < best else 0.0
                log.debug(f"step {done}: held out {loss:.4f}; others moved by {moved:.3f}")
                if loss < best:
                    self.keep *= 1.5 if moved > 0.6 * settings.bound else 1 / 1.2
                if loss < best and moved > settings.bound:
                    # Between these weights and the parent's, the divergence goes as the square.
                    self._blend(averaged, 0.9 * (settings.bound / moved) ** 0.5)
                    loss, moved = self.held_out_loss(averaged), self.moved(averaged)
                if loss < best and moved <= settings.bound:
                    best, best_step = loss, done
                    self.best = deepcopy(averaged)
                bar.set_postfix({"held out": f"{loss:.3f}", "kept": f"{best:.3f}"})
                if stale >= settings.patience:
                    break
        if self.best is self.parent:
            self.best = deepcopy(self.parent)
        temperature = self._recalibrate(self.best, before)
        after = self.held_out_loss(self.best)
        return {
            "steps": done, "best_step": best_step,
            "held_out_loss": {"before": round(before, 4), "after": round(after, 4)},
            "temperature": temperature,
        }  # fmt: skip

    @torch.no_grad()
    def _blend(self, network, share):
        """Move the weights of a network towards the parent's (Wortsman et al. 2022)."""
        for new, old in zip(network.parameters(), self.parent.parameters(), strict=True):
            new.lerp_(old, 1.0 - share)

    def moved(self, network):
        """Largest divergence of any other answer, on a few held-out galaxies."""
        changes = self.changes(network, _QUICK_ROWS).values()
        return max((change["divergence"] for change in changes), default=0.0)

    def _step(self, step, n):
        """Gradients of one step."""
        rng = np.random.default_rng([self.seed, 3, step])
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**62)))
        rows = self.train[rows_of_step(step, self.settings.batch_size, n, self.seed)]
        cut = len(rows) * 2 // 3
        # What must stay moves slowly, and is looked at in turn: in all that is known, with bands
        # lost, in simulated galaxies, and not at all.
        turn = step % 4
        for k, part in enumerate((rows[:cut], rows[cut:])):
            tokens = self._observe(part, rng, generator, lose=k == 1)
            share = len(part) / len(rows)
            keep = 2.0 * self.keep if k == turn else 0.0
            queries, vectors = self._draw_queries(rng) if keep else (None, ())
            states = self.network(tokens, queries, vectors)
            loss = share * self._label_loss(states, part)
            if keep:
                loss = loss + keep * self._divergence(tokens, queries, vectors, states, generator)
            loss.backward()
        if self.keep and turn == 2:
            (2.0 * self.keep * self._simulated_loss(rng)).backward()

    def _observe(self, rows, rng=None, generator=None, lose=False):
        """Tokens of labelled galaxies; with a generator, fainter and with less known."""
        rows = torch.as_tensor(rows, device=self.device)
        photometry = tuple(x[rows] for x in self.photometry)
        shape = self.shape
        vectors = {k: tuple(x[rows] for x in v) for k, v in self.vectors.items()}
        scalars = {k: tuple(x[rows] for x in v) for k, v in self.scalars.items()}
        if generator is not None:
            photometry = _fainter(photometry, self.settings.added_noise, generator)
        if lose:
            if len(shape) > 2:
                left = rng.random(len(shape)) >= rng.uniform(0, self.settings.lost_bands)
                left[rng.choice(len(shape), 2, replace=False)] = True
                index = torch.as_tensor(np.flatnonzero(left), device=self.device)
                photometry, shape = tuple(x[:, index] for x in photometry), shape[index]
            if len(shape):
                vectors = {k: v for k, v in vectors.items() if rng.random() < 0.5}
                scalars = {k: v for k, v in scalars.items() if rng.random() < 0.5}
        return tokens_from_arrays(photometry, shape, vectors, scalars)

    def _draw_queries(self, rng):
        """Fluxes that are asked, in given filters and any others, and a vector."""
        pool = torch.cat([self.shape, self.simulated.shape])
        most = len(self.shape) or len(pool)
        asked = [*rng.integers(most, size=2), rng.integers(len(pool))]
        names = list(VECTORS)
        vectors = (names[rng.integers(len(names))],)
        return pool[torch.as_tensor(np.array(asked), device=self.device)], vectors

    def _label_loss(self, states, rows):
        rows = torch.as_tensor(rows, device=self.device)
        logits = self.network.scalar_logits(states)
        total = 0.0
        for name, target in self.targets.items():
            target = target[rows]  # all zero where there is no label
            nll = functional.cross_entropy(logits[name], target, reduction="none")
            total = total + (self.weight[rows] * nll).sum() / target.sum().clamp(min=1.0)
        return total / len(self.targets)

    def _divergence(self, tokens, queries, vectors, states, generator, keep_labelled=False):
        """Sum over the other queries of the mean divergence from the parent's answers."""
        with torch.no_grad():
            old = answers(self.parent, self.parent(tokens, queries, vectors))
        scalars = [p for p in PROPERTIES if keep_labelled or p not in self.truth]
        new = answers(self.network, states, old[0]["redshift"])
        return sum(divergences(old, new, scalars, generator).values())

    def _simulated_batch(self, rows, rng):
        """Tokens and queries of simulated galaxies, and whether the labelled scalars are kept."""
        data = self.simulated
        pattern = draw_pattern(data.groups, len(data.filters), data.vectors, self.masking, rng)
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**62)))
        tokens = observe_batch(
            data, torch.as_tensor(rows, device=self.device), pattern, self.masking, self.noise,
            rng, generator,
        )  # fmt: skip
        queries = data.shape[torch.as_tensor(pattern.queries, device=self.device)]
        # Of what is like the labelled galaxies, the labels have the say.
        alike = (len(self.shape) and len(pattern.filters)) or set(self.vectors) & set(
            pattern.vectors
        )
        return tokens, queries, pattern.ask_vectors, generator, not alike

    def _simulated_loss(self, rng):
        rows = rng.choice(len(self.simulated), 32, replace=False)
        tokens, queries, vectors, generator, keep = self._simulated_batch(rows, rng)
        states = self.network(tokens, queries, vectors)
        return self._divergence(tokens, queries, vectors, states, generator, keep)

    @torch.no_grad()
    def _held_out_logits(self, network):
        """Logits of the labelled scalars, and what spectra add to those of the redshift."""
        parts = []
        for first in range(0, len(self.test), _BLOCK):
            states = network(self._observe(self.test[first : first + _BLOCK]))
            logits = network.scalar_heads(states.galaxy)
            scores = states.redshift_scores
            parts.append({p: (logits[p], scores if p == "redshift" else None) for p in self.truth})
        return {
            p: tuple(
                None if parts[0][p][i] is None else torch.cat([x[p][i] for x in parts])
                for i in (0, 1)
            )
            for p in self.truth
        }

    def _losses(self, logits, scores, name):
        """Sum over the held-out galaxies of weight times cross entropy, and of the weights."""
        truth, weight = self.truth[name][self.test], self.weight[self.test]
        known = torch.isfinite(truth)
        logits = logits + (0.0 if scores is None else scores)
        target = scalar_bin(PROPERTIES[name], truth[known])
        nll = functional.cross_entropy(logits[known], target, reduction="none")
        return float((weight[known] * nll).sum()), float(weight[known].sum())

    def held_out_loss(self, network):
        """Mean cross entropy of the labels of the held-out galaxies, in nats."""
        logits = self._held_out_logits(network)
        parts = [self._losses(*logits[p], p) for p in self.truth]
        return float(np.mean([loss / max(weight, 1e-9) for loss, weight in parts]))

    @torch.no_grad()
    def changes(self, network, most=_MEASURED_ROWS):
        """How far the other answers are from the parent's on held-out galaxies.

        Returns
        -------
        dict of str to dict
            By query: ``divergence``, the mean over galaxies in nats; ``shift``, the median of the
            difference of the means over the parent's standard deviation.
        """
        generator = torch.Generator(self.device).manual_seed(self.seed)
        queries = torch.cat([self.shape, self.simulated.shape[:: len(self.simulated.shape) // 8]])
        scalars = [p for p in PROPERTIES if p not in self.truth]
        rows, sums, shifts = self.test[:most], Counter(), {}
        for first in range(0, len(rows), _BLOCK):
            part = rows[first : first + _BLOCK]
            tokens = self._observe(part)
            before, after = (net(tokens, queries, tuple(VECTORS)) for net in (self.parent, network))
            old = answers(self.parent, before)
            new = answers(network, after, old[0]["redshift"])
            for name, value in divergences(old, new, scalars, generator).items():
                sums[name] += float(value) * len(part) / len(rows)
                (before, sigma), (after, _) = (moments(name, x) for x in (old, new))
                shifts.setdefault(name, []).append(((after - before).abs() / sigma).flatten())
        return {
            name: {
                "divergence": round(max(sums[name], 0.0), 4),
                "shift": round(float(torch.cat(shifts[name]).median()), 4),
            }
            for name in sums
        }

    @torch.no_grad()
    def _recalibrate(self, network, before):
        """Divide the logits of each labelled scalar by a temperature; by property.

        It is the one with which the held-out labels lie at all quantiles alike, by the distance of
        Cramer and von Mises. Their likelihood would be ruled by a few outliers.
        """
        from scipy.optimize import minimize_scalar

        names, found = list(PROPERTIES), {}
        bins = np.cumsum([0, *(p.bins for p in PROPERTIES.values())])
        for name, (logits, scores) in self._held_out_logits(network).items():

            def distance(x, name=name, logits=logits, scores=scores):
                pit, weight = self._pit(name, logits, scores, np.exp(x))
                return 6 * _cramer(pit, weight) + 0.5 * (x / _TEMPERATURE_PRIOR) ** 2

            x = float(minimize_scalar(distance, bounds=(-0.7, 0.7), method="bounded").x)
            out, i = network.scalar_heads.out, names.index(name)
            rows = slice(bins[i], bins[i + 1])
            kept = [parameter[rows].clone() for parameter in (out.weight, out.bias)]
            for parameter in (out.weight, out.bias):
                parameter[rows] /= np.exp(x)
            if self.held_out_loss(network) > before:
                x, out.weight[rows], out.bias[rows] = 0.0, *kept
            found[name] = round(float(np.exp(x)), 4)
        return found

    def _pit(self, name, logits, scores, temperature):
        """Probability below the label of each held-out galaxy that has one, and its weight."""
        prop, truth = PROPERTIES[name], self.truth[name][self.test]
        known = torch.isfinite(truth)
        probability = torch.softmax(
            logits / temperature + (0.0 if scores is None else scores), dim=1
        )[known]
        x = (truth[known] - prop.low) / (prop.high - prop.low) * prop.bins
        i = x.long().clamp(0, prop.bins - 1)[:, None]
        here = probability.gather(1, i)[:, 0]
        below = probability.cumsum(dim=1).gather(1, i)[:, 0] - here
        pit = below + here * (x - i[:, 0]).clamp(0.0, 1.0)
        return pit.cpu().numpy(), self.weight[self.test][known].cpu().numpy()


def _cramer(pit, weight):
    """Cramer-von Mises statistic of weighted values against the uniform distribution."""
    if not len(pit):
        return 0.0
    order = np.argsort(pit)
    pit, weight = pit[order].astype(float), weight[order].astype(float)
    number = weight.sum() ** 2 / (weight**2).sum()
    middle = (np.cumsum(weight) - 0.5 * weight) / weight.sum()
    return number * np.average((pit - middle) ** 2, weights=weight)


def _mean_network(networks):
    """The mean of networks in their weights, exact where these are the same."""
    mean, (first, *others) = deepcopy(networks[0]), [x.state_dict() for x in networks]
    mean.load_state_dict(
        {k: x + sum(other[k] - x for other in others) / len(networks) for k, x in first.items()}
    )
    return mean


@lru_cache(maxsize=1)
def _simulated(device):
    from ..evaluation.paper import bundled_subset

    return TrainingData([str(bundled_subset())], device)


def _fainter(photometry, most, generator):
    """Photometry with noise added to half of the galaxies; their errors say so."""
    value, error, state = photometry
    n = len(value)
    draw = torch.rand(2, n, 1, generator=generator, device=value.device)
    factor = most * draw[0] * (draw[1] < 0.5)
    scatter = torch.randn(value.shape, generator=generator, device=value.device)
    known = (state == MEASURED) & torch.isfinite(error)
    added = torch.where(known, factor * error, 0.0)
    return (
        value + torch.where(known, added * scatter, 0.0),
        torch.where(state == LIMIT, error, torch.sqrt(error**2 + added**2)),
        state,
    )


def _smoothed(prop, truth, width):
    """Labels as probabilities of bins, (n, bins): Gaussians of a width in bins; zero without."""
    known = torch.isfinite(truth)
    x = (torch.nan_to_num(truth) - prop.low) / (prop.high - prop.low) * prop.bins - 0.5
    centers = torch.arange(prop.bins, device=truth.device)
    target = torch.exp(-0.5 * ((centers - x[:, None]) / max(width, 0.3)) ** 2)
    return target / target.sum(dim=1, keepdim=True) * known[:, None]
