"""Commands of the simulator: ``simulate`` and ``diagnose``."""

from .options import add_device, check_inputs, command, given, whole

__all__ = ["add"]

SIMULATE = """\
Simulate a training and a test set of galaxies, with noiseless fluxes in many filters.

Needs the simulation packages: pip install 'astromosaic[simulate]'. A run that was stopped goes on
where it was when the same command is given again."""


def add(commands):
    """Add the commands to a parser."""
    _add_simulate(commands)
    _add_diagnose(commands)


def _add_simulate(commands):
    parser = command(
        commands, "simulate", _simulate, "simulate galaxies to train and test on", SIMULATE
    )
    parser.add_argument("--output", required=True, metavar="MOCKS", help="HDF5 file to write")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same galaxies (default: 1)")
    parser.add_argument(
        "--n-train", type=whole, metavar="N", help="galaxies to train on (default: 185247)"
    )
    parser.add_argument(
        "--n-test", type=whole, metavar="N", help="galaxies to test on (default: 20583)"
    )
    parser.add_argument(
        "--sample",
        choices=["paper", "survey"],
        default="paper",
        help="which galaxies: distributed as in the MOSAIC paper, or down to the depth of a survey "
        "(default: paper)",
    )
    parser.add_argument(
        "--ssp", metavar="FILE", help="another grid of stellar populations, in the DSPS convention"
    )
    parser.add_argument(
        "--ingredients",
        nargs="*",
        metavar="NAME",
        help="changes to diffsky's galaxies, by name; one that is not known shows all (default: "
        "weak_lines, thin_dust, some_grey_dust and some_few_young)",
    )
    parser.add_argument(
        "--packed",
        action="store_true",
        help="only galaxies to train on, in a small file (0.3 kB a galaxy) of which 'astromosaic "
        "train' makes the light when it reads it, best on a GPU",
    )
    add_device(parser)


def _simulate(args):
    if args.packed:
        if args.n_test or args.ssp:
            raise ValueError("--packed has neither a test set nor other stellar populations")
        from ..simulation.mocks import N_TRAIN
        from ..simulation.packed import simulate_packed

        simulate_packed(
            args.output, args.n_train or N_TRAIN, args.seed, args.sample,
            ingredients=args.ingredients,
        )  # fmt: skip
        print(f"written to {args.output}")
        return
    from ..simulation.mocks import simulate

    options = given(args, "n_train", "n_test", "ssp", "device", "ingredients")
    simulate(args.output, seed=args.seed, sample=args.sample, progress=True, **options)
    print(f"written to {args.output}")


def _add_diagnose(commands):
    parser = command(
        commands,
        "diagnose",
        _diagnose,
        "plot number counts, N(z), colours and stellar-to-halo masses of mocks",
    )
    parser.add_argument("mocks", metavar="MOCKS", help="file made by 'astromosaic simulate'")
    parser.add_argument("--output", required=True, metavar="PNG", help="figure to write")
    parser.add_argument(
        "--compare",
        metavar="HSC",
        help="'hsc_ratios_and_specz.hdf5' of pz-rail-astro-tools: adds p(z) at given i and g-z",
    )


def _diagnose(args):
    check_inputs(args.mocks)
    from ..simulation.diagnostics import plot_diagnostics

    plot_diagnostics(args.mocks, args.output, args.compare)
    print(f"written to {args.output}")
