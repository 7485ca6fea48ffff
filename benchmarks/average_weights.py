"""Average the weights of a model before and after more training (Wortsman et al. 2022).

    python benchmarks/average_weights.py before.safetensors after.safetensors --output mean.st
    python benchmarks/average_weights.py before.safetensors after.safetensors --mocks a.h5 b.h5

The mean of the two keeps more of what the first knew than the second does. The card is that of the
second, and names both. With ``--mocks`` nothing is written: it prints the validation losses of the
first, the mean and the second on the galaxies that training on just these files keeps aside.
"""

import argparse

from astromosaic.model.weights import load_weights, save_weights


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--output", help="weights to write")
    parser.add_argument("--mocks", nargs="+", help="the files of the training")
    args = parser.parse_args()
    first, _, before = load_weights(args.before, "cpu")
    second, card, after = load_weights(args.after, "cpu")
    mean, _, _ = load_weights(args.after, "cpu")
    first = first.deepened(second.config.layers)
    tensors = first.state_dict()
    mean.load_state_dict({k: 0.5 * (tensors[k] + v) for k, v in second.state_dict().items()})
    if args.mocks:
        compare(args.mocks, {"before": first, "mean": mean, "after": second})
    if args.output:
        save_weights(args.output, mean, card | {"mean_of": [before, after]})


def compare(mocks, networks):
    """Print the validation losses of networks as training does."""
    from astromosaic.training.loop import TrainingData, validate, validation_size
    from astromosaic.training.masking import MaskingModel
    from astromosaic.training.noise import NoiseModel

    data = TrainingData(mocks)
    for name, network in networks.items():
        tensors = {k: v.detach() for k, v in network.named_parameters()}
        n_train = len(data) - validation_size(len(data))
        losses = validate(
            network.config, tensors, data, n_train, MaskingModel(), NoiseModel(), "cpu"
        )
        print(name, losses, flush=True)


if __name__ == "__main__":
    main()
