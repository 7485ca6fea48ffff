"""Measure all that the documentation tells of the bundled weights, and write it there.

    python benchmarks/measure.py DATA                 # everything, about an hour of two cores
    python benchmarks/measure.py DATA --only vvds dc2 readme

runs the commands of `TASKS` in the folder DATA. What they print goes to ``docs/measured``, and the
tables of ``README.md`` are made anew from their JSON. To be run after new weights. DATA holds

- ``survey_test.h5``, ``survey_large.h5``, ``paper_test.h5`` and ``bpass_mocks.h5``, mocks made as
  docs/calibration, docs/evaluation and docs/paper tell, ``survey_e.h5`` and ``paper_d.h5`` as
  docs/training does, and ``colours.h5`` (`simulate --packed --sample survey --seed 301 --n-train
  30000`);
- ``vvds_deep_half.ecsv``, ``sdss_mgs_test.ecsv`` and ``sdss_mgs_train.ecsv``
  (``benchmarks/make_sdss_sample.py``), ``test_dc2_training_9816.hdf5`` and
  ``test_dc2_validation_9816.hdf5`` (of pz-rail-base), ``hsc_ratios_and_specz.hdf5`` (of
  pz-rail-astro-tools);
- ``stars.whl`` (EXOSIMS, any version with the library of Pickles) and ``qso_template_001.dat`` (of
  the tests of synphot).
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "docs" / "measured"

_PHOTOZ = "evaluate photoz --json {json} --data "
_TABLES = {
    "vvds": "vvds_deep_half.ecsv",
    "sdss": "sdss_mgs_test.ecsv",
    "dc2": "test_dc2_validation_9816.hdf5",
}
_CALIBRATED = "--calibration 'stated errors'"
#: Command of each file in docs/measured: of astromosaic, or a script of benchmarks.
TASKS = {
    **{name: _PHOTOZ + file for name, file in _TABLES.items()},
    **{
        f"{name}_zero_points": _PHOTOZ + f"{file} --zero-points own"
        for name, file in _TABLES.items()
    },
    "paper": "evaluate paper --data paper_test.h5 --json {json} --figures {measured}/paper "
    "--mixture survey_e.h5 paper_d.h5",
    "simulated": "evaluate simulated --data survey_large.h5 --json {json}",
    "calibrated": f"evaluate simulated --data survey_large.h5 --json {{json}} {_CALIBRATED}",
    "calibration": "evaluate calibration --data survey_large.h5 --figures {measured}/calibration "
    + _CALIBRATED,
    "calibration_as_trained": "evaluate calibration --data survey_large.h5",
    **{
        f"calibration_{name}": "evaluate calibration --figures {measured}/calibration_"
        f"{name} --data {file}"
        for name, file in _TABLES.items()
    },
    "bpass": "evaluate simulated --data bpass_mocks.h5",
    "finetune_dc2": "finetune.py --train test_dc2_training_9816.hdf5 --test "
    "test_dc2_validation_9816.hdf5 --labels redshift --sizes 0 50 100 1000 4000 10225",
    "finetune_vvds": "finetune.py --train vvds_deep_half.ecsv --labels z_spec --folds 5",
    "line_heights": "line_heights.py --data paper_test.h5",
    "latent": "evaluate latent --data paper_test.h5 --output {measured}/latent.png",
    "flags": "flags.py --data survey_test.h5 --stars stars.whl --quasars qso_template_001.dat "
    "--photoz vvds_deep_half.ecsv test_dc2_validation_9816.hdf5",
    "tomography": "tomography.py --figure {measured}/tomography.png",
    "colours": "colours.py colours.h5 --photoz sdss_mgs_train.ecsv vvds_deep_half.ecsv "
    "test_dc2_training_9816.hdf5",
    "colour_residuals": "colour_residuals.py colours.h5 --photoz sdss_mgs_train.ecsv "
    "vvds_deep_half.ecsv test_dc2_training_9816.hdf5",
    "ingredients": "ingredients.py --galaxies 15000 --photoz sdss_mgs_train.ecsv "
    "test_dc2_training_9816.hdf5 vvds_deep_half.ecsv --hsc hsc_ratios_and_specz.hdf5",
}  # fmt: skip

_PHOTOZ_ROWS = {
    "vvds": "VVDS-Deep, half, real, CFHT MegaCam ugriz",
    "sdss": "SDSS main sample of MLZ, real, ugriz",
    "dc2": "DC2 of pz-rail-base, simulated by others, LSST ugrizy",
}
_PHOTOZ_CELLS = (
    "{nmad:.4f} | {bias:+.4f} | {outlier_fraction:.2%} | {cde_loss:.2f} | {pit_ks:.4f} "
    "| {coverage_68:.1%}"
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder with what is measured on")
    parser.add_argument("--only", nargs="+", choices=[*TASKS, "readme"], metavar="TASK",
                        help=f"of {', '.join(TASKS)}, readme")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=2, help="tasks at a time (default: 2)")
    parser.add_argument("--json", default="measured", help="folder for JSON (default: measured)")
    args = parser.parse_args()
    folder = Path(args.json).resolve()
    folder.mkdir(exist_ok=True)
    names = [name for name in TASKS if args.only is None or name in args.only]
    with ThreadPoolExecutor(args.jobs) as pool:
        failed = [name for name, good in zip(
            names, pool.map(lambda n: measure(n, args.data, folder), names), strict=True
        ) if not good]  # fmt: skip
    if args.only is None or "readme" in args.only:
        fill_readme(folder)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def measure(name, data, folder):
    """Run one task; whether it went well."""
    command = TASKS[name].format(json=folder / f"{name}.json", measured=MEASURED)
    script, _, rest = command.partition(" ")
    first = f"-m astromosaic {script}" if ".py" not in script else ROOT / "benchmarks" / script
    done = subprocess.run(
        f"{sys.executable} {first} {rest}", shell=True, cwd=data, text=True, capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    print(f"{name}: {'done' if done.returncode == 0 else done.stderr[-2000:]}", flush=True)
    if done.returncode == 0:
        (MEASURED / f"{name}.txt").write_text(done.stdout.replace(f"{MEASURED}/", ""))
    return done.returncode == 0


def fill_readme(folder):
    """Make the tables of the README from what was written to the folder."""
    path = ROOT / "README.md"
    text = path.read_text()
    for name, table in (
        ("photoz", photoz_table), ("simulated", simulated_table), ("paper", paper_table)
    ):  # fmt: skip
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, rest = text.split(start)
        old, after = rest.split(end)
        below = old[old.rindex("|\n") + 2 :]  # what is said below the table stays
        text = before + start + "\n".join(table(folder)) + "\n" + below + end + after
    path.write_text(text)


def read(folder, name):
    return json.loads((folder / f"{name}.json").read_text())


def photoz_table(folder):
    lines = ["| galaxies | NMAD | bias | outliers | CDE loss | PIT-KS | 68% interval holds |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, label in _PHOTOZ_ROWS.items():
        for task, said in ((name, label), (f"{name}_zero_points", "- its own zero points")):
            report = read(folder, task)
            figures = {k: v["value"] for k, v in (report["median"] | report["posterior"]).items()}
            lines.append(f"| {said} | {_PHOTOZ_CELLS.format(**figures)} |")
    return lines


def simulated_table(folder):
    columns = {
        f"{inputs}, {noise}": queries
        for noise, by_inputs in read(folder, "simulated")["figures"].items()
        for inputs, queries in by_inputs.items()
    }
    lines = [f"| scatter (NMAD) of | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for query in next(iter(columns.values())):
        cells = [f"{queries[query]['nmad']['value']:.4f}" for queries in columns.values()]
        lines.append(f"| {query} | {' | '.join(cells)} |")
    return lines


def paper_table(folder):
    report = read(folder, "paper")
    lines = ["| | RMSE | MAE | NMAD | the paper |", "|---|---|---|---|---|"]
    for pair, by_noise in report["gains"].items():
        for noise, gain in by_noise.items():
            cells = [f"{100 * gain[k]['value']:.0f}%" for k in ("rmse", "mae", "nmad")]
            paper = ("50%" if "redshift" in pair else "63%") if noise == "noiseless" else ""
            lines.append(f"| {pair}, {noise}: better by | {' | '.join(cells)} | {paper} |")
    spectra = report["experiments"]["redshift from an optical spectrum"]["survey"]["model"]
    cells = [f"{spectra[k]['value']:.4f}" for k in ("rmse", "mae", "nmad")]
    return [*lines, f"| redshift from an optical spectrum of S/N 5 | {' | '.join(cells)} | |"]


if __name__ == "__main__":
    main()
