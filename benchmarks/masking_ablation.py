"""What the hierarchy of the masking buys: two small models, alike but for the scheme.

    python benchmarks/masking_ablation.py paper_test.h5 --json ablation.json

trains a small network twice on the same galaxies, in the same order and with the same kinds of
noise: once with the hierarchical scheme, once hiding single elements at random. Vectors are asked
as often in both. Both are then asked the experiments of ``astromosaic evaluate paper``. Both see as
many galaxies; a step of the random scheme takes longer, since every modality is always there, and
by how much is printed too. The errors are those of the test set; that another seed would train to
other weights is not in them.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from astromosaic.evaluation import paper
from astromosaic.model.transformer import ModelConfig
from astromosaic.training.loop import train
from astromosaic.training.masking import MaskingModel


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mocks", help="file made by 'astromosaic simulate'")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--limit", type=int, default=40_000, help="galaxies to train on")
    parser.add_argument("--test", type=int, default=1000, help="galaxies to test on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="also write the figures here")
    args = parser.parse_args()

    config = ModelConfig(width=64, layers=3, heads=4)
    reports, seconds = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for scheme in ("hierarchical", "random"):
            weights = Path(folder) / f"{scheme}.safetensors"
            start = time.monotonic()
            train(
                [args.mocks], weights, steps=args.steps, config=config, seed=args.seed,
                masking=MaskingModel(scheme=scheme, ask_vector=0.2, dark_ask_vector=0.2),
                limit=args.limit, checkpoint_every=args.steps, learning_rate=2e-3,
                batch_size=args.batch_size,
            )  # fmt: skip
            seconds[scheme] = time.monotonic() - start
            reports[scheme] = paper.run(
                args.mocks, limit=args.test, trees=0, weights=weights, seed=args.seed
            )
    print(
        f"{args.steps} steps of {args.batch_size} galaxies each, width {config.width}, "
        f"{config.layers} layers, seed {args.seed}; a step of the random scheme takes "
        f"{seconds['random'] / seconds['hierarchical']:.2f} times as long"
    )
    print(f"{'RMSE':36s}{'noise':10s}{'hierarchical':>16s}{'random':>16s}{'ratio':>7s}")
    for name, by_noise in reports["random"]["experiments"].items():
        for noise in by_noise:
            a, b = (
                reports[s]["experiments"][name][noise]["model"]["rmse"]
                for s in ("hierarchical", "random")
            )
            print(
                f"{name:36s}{noise:10s}{a['value']:9.4f}±{a['error']:.4f}"
                f"{b['value']:9.4f}±{b['error']:.4f}{a['value'] / b['value']:7.2f}"
            )
    if args.json:
        Path(args.json).write_text(json.dumps({"seconds": seconds, **reports}, indent=1))


if __name__ == "__main__":
    main()
