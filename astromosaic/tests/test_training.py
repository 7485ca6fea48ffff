"""Training: it learns, it resumes exactly, its noise is what it says."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from astropy import units as u
from astropy.table import Table

from astromosaic import load_model
from astromosaic.catalog.axes import rebin
from astromosaic.galaxies import LIMIT, MEASURED, MISSING
from astromosaic.model.transformer import ModelConfig
from astromosaic.model.weights import load_weights
from astromosaic.properties import LOOKBACK_EDGES, PROPERTIES, VECTORS
from astromosaic.training import loop
from astromosaic.training.data import read_training_set
from astromosaic.training.loop import TrainingData, observe_batch, rows_of_step, train
from astromosaic.training.masking import MaskingModel, Pattern, cameras, draw_pattern
from astromosaic.training.noise import (
    NoiseModel,
    drop_elements,
    observe,
    observe_history,
    observe_spectrum,
)

SMALL = {
    "config": ModelConfig(width=32, layers=2, heads=2), "batch_size": 64, "validation": 100,
    "progress": False, "checkpoint_every": 50,
}  # fmt: skip


def test_training_that_was_killed_ends_with_the_same_weights(toy_mocks, tmp_path):
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    checkpoint = tmp_path / "killed.safetensors.checkpoint"
    code = (
        "from astromosaic.training.loop import train; from astromosaic.tests import test_training; "
        f"train([{str(toy_mocks)!r}], {str(killed)!r}, steps=120, **test_training.SMALL)"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    assert checkpoint.exists()
    assert not killed.exists()
    # What a kill in the middle of writing leaves behind must do no harm.
    (tmp_path / "killed.safetensors.checkpoint.tmp").write_bytes(b"half a checkpoint")
    assert train([toy_mocks], killed, steps=120, **SMALL) == killed
    train([toy_mocks], whole, steps=120, **SMALL)
    a, b = load_weights(whole)[0].state_dict(), load_weights(killed)[0].state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not checkpoint.exists()


def test_two_processes_train_as_one(toy_mocks, tmp_path):
    alone, both = tmp_path / "alone.safetensors", tmp_path / "both.safetensors"
    script = tmp_path / "run.py"
    script.write_text(
        "from astromosaic.training.loop import train\n"
        "from astromosaic.tests.test_training import SMALL\n"
        f"train([{str(toy_mocks)!r}], {str(both)!r}, steps=8, **SMALL)\n"
    )
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    root = str(Path(__file__).parents[2])  # of the package, where it is not installed
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    subprocess.run([sys.executable, "-m", *launch], check=True, timeout=300, env=environment)
    train([toy_mocks], alone, steps=8, **SMALL)
    a, b = (load_weights(path)[0].state_dict() for path in (alone, both))
    off = torch.cat([(a[name] - b[name]).abs().reshape(-1) for name in a])
    # A step moves a weight by a thousandth, and where the gradient is no more than rounding in a
    # direction of its own.
    assert off.mean() < 1e-5
    assert off.max() < 3e-3
    assert not Path(f"{both}.checkpoint").exists()


def test_a_kill_between_the_last_checkpoint_and_the_end_does_no_harm(
    toy_mocks, tmp_path, monkeypatch
):
    output = tmp_path / "w.safetensors"

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("astromosaic.training.loop.validate", killed)
        with pytest.raises(KeyboardInterrupt):
            train([toy_mocks], output, steps=10, **SMALL)
    assert not output.exists()
    assert train([toy_mocks], output, steps=10, **SMALL) == output
    assert load_weights(output)[1]["validation"]["redshift"] > 0
    with pytest.raises(FileExistsError, match="exists already"):
        train([toy_mocks], output, steps=10, **SMALL)


def test_errors_before_any_work_is_lost(toy_mocks, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        train([toy_mocks], tmp_path / "nowhere" / "w.safetensors", steps=10, **SMALL)
    with pytest.raises(ValueError, match="device"):
        train([toy_mocks], tmp_path / "w.safetensors", steps=10, device="warp", **SMALL)
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["train/redshift"] = np.zeros(3)
    with pytest.raises(ValueError, match="nothing to train on"):
        train([other], tmp_path / "w.safetensors", steps=10, **SMALL)


def test_a_checkpoint_of_other_settings_is_refused(toy_mocks, tmp_path):
    output = tmp_path / "w.safetensors"
    train([toy_mocks], output, steps=20, stop_after=5, **SMALL)
    with pytest.raises(ValueError, match="other settings"):
        train([toy_mocks], output, steps=30, **SMALL)


def test_training_learns_and_logs_every_query(toy_mocks, tmp_path):
    output = tmp_path / "w.safetensors"
    train(
        [toy_mocks], output, steps=350, learning_rate=3e-3,
        noise=NoiseModel(clean=1.0, no_error=0.0, limits=0.0),
        masking=MaskingModel(
            broadband=1.0, broadband_spherex=0.0, spherex=0.0, spectrum=0.0,
            broadband_spectrum=0.0, redshift=0.0, ask_vector=0.1,
        ),
        **(SMALL | {"checkpoint_every": 50}),
    )  # fmt: skip
    lines = [json.loads(x) for x in (tmp_path / "w.safetensors.log").read_text().splitlines()]
    last = lines[-1]["validation"]
    # Redshifts from 0 to 3 fill 71% of the 778 bins evenly; the slope of the spectrum tells which.
    assert last["redshift"] < np.log(0.71 * 778) - 0.5
    assert set(last) == {*PROPERTIES, *VECTORS, "flux", "total"}
    card = load_weights(output)[1]
    assert card["training"]["mocks"][0]["sample"] == "toy"
    assert card["training"]["steps"] == 350


def test_a_tenth_is_kept_for_validation(toy_mocks, tmp_path, capsys):
    output, some = tmp_path / "w.safetensors", SMALL | {"progress": True, "validation": None}
    n = len(read_training_set(toy_mocks))
    train([toy_mocks], output, steps=4, stop_after=2, **some)
    assert f"{n - n // 10} galaxies, {n // 10} are kept" in capsys.readouterr().err
    # The same when it is resumed; another number is refused.
    with pytest.raises(ValueError, match="other settings"):
        train([toy_mocks], output, steps=4, **(some | {"validation": n // 10 + 1}))
    assert train([toy_mocks], output, steps=4, **some) == output
    assert load_weights(output)[1]["training"]["galaxies"] == n - n // 10
    for number, message in ((n, "too few"), (0, "1 or more")):
        with pytest.raises(ValueError, match=message):
            train([toy_mocks], tmp_path / "x", steps=4, **(some | {"validation": number}))


def test_training_without_light(tmp_path):
    rng = np.random.default_rng(3)
    n = 200
    with h5py.File(tmp_path / "m.h5", "w") as file:
        for name, values, unit in (
            ("mah", 10 ** rng.uniform(10, 12, (n, 31)), "solMass"),
            ("stellar_mass", 10 ** rng.uniform(8, 11, n), "solMass"),
        ):
            file[name] = values
            file[name].attrs["unit"] = unit
    train([tmp_path / "m.h5"], tmp_path / "w.safetensors", steps=2, **SMALL)
    model = load_model(tmp_path / "w.safetensors")
    assert model.card["flux_range"] is None
    light = Table({"lsst_r": [1e3] * u.nJy, "lsst_g": [1e3] * u.nJy, "lsst_i": [1e3] * u.nJy})
    mass = Table({"stellar_mass": [1e10] * u.solMass})
    assert model.predict(light, "halo_mass")["flag"][0] & 4
    assert not model.predict(mass, "halo_mass")["flag"][0] & 4


def test_training_can_start_from_weights(toy_mocks, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    train([toy_mocks], first, steps=10, **SMALL)
    train([toy_mocks], second, steps=1, initial=first, learning_rate=1e-9, **SMALL)
    a, b = load_weights(first)[0].state_dict(), load_weights(second)[0].state_dict()
    assert all(torch.allclose(a[k], b[k], atol=1e-6) for k in a)
    card = load_weights(second)[1]
    assert card["training"]["initial"] == load_weights(first)[2]
    assert card["training"]["before"]["steps"] == 10


def test_blocks_can_be_added_to_weights(toy_mocks, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    train([toy_mocks], first, steps=10, **SMALL)
    shallow = load_weights(first)[0]
    deep = shallow.deepened(4)
    data = TrainingData([toy_mocks])
    pattern = draw_pattern(
        data.groups, len(data.filters), data.vectors, MaskingModel(), np.random.default_rng(3)
    )
    states = []
    for network in (shallow, deep):
        generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
        rows = torch.arange(50)
        tokens = observe_batch(data, rows, pattern, MaskingModel(), NoiseModel(), rng, generator)
        states.append(network(tokens, data.shape[:2], ("sfh",)).galaxy)
    assert torch.allclose(*states, atol=1e-5)
    train([toy_mocks], second, steps=2, initial=first, layers=4, **SMALL)
    trained = load_weights(second)[0]
    assert trained.config.layers == len(trained.blocks) == 4
    assert trained.blocks[2].project.weight.any()
    with pytest.raises(ValueError, match="4 blocks cannot be made 2"):
        trained.deepened(2)
    with pytest.raises(ValueError, match="one block or more, not 0"):
        train([toy_mocks], tmp_path / "none.safetensors", steps=2, layers=0, **SMALL)


def test_every_galaxy_is_seen_once_in_each_pass():
    n, batch = 103, 10
    rows = np.concatenate([rows_of_step(step, batch, n, seed=4) for step in range(31)])
    for k in range(3):
        assert sorted(rows[k * n : (k + 1) * n]) == list(range(n))
    assert list(rows[:n]) != list(rows[n : 2 * n])


def test_patterns_follow_the_rates():
    names = ("lsst_g", "lsst_r", "sdss_g", "sdss_r", "vista_vircam_J", "galex_NUV")
    groups = cameras(names)
    assert groups["lsst"] == [0, 1]
    assert groups["vista_vircam"] == [4]
    model = MaskingModel()
    rng = np.random.default_rng(0)
    patterns = [draw_pattern(groups, len(names), list(VECTORS), model, rng) for _ in range(4000)]

    def rate(condition):
        return np.mean([condition(p) for p in patterns])

    spherex = rate(lambda p: "spherex" in p.vectors)
    assert abs(spherex - model.broadband_spherex - model.spherex) < 0.02
    spectrum = rate(lambda p: "spectrum" in p.vectors)
    assert abs(spectrum - model.broadband_spectrum - model.spectrum) < 0.02
    dark = [
        p for p in patterns if not len(p.filters) and not {"spherex", "spectrum"} & {*p.vectors}
    ]
    light = [p for p in patterns if len(p.filters)]
    redshift = np.array(["redshift" in p.scalars for p in light])
    mass = np.array(["stellar_mass" in p.scalars for p in light])
    assert abs(redshift.mean() - model.scalars * model.redshift) < 0.03
    # Who knows one scalar mostly knows others.
    assert abs(mass[redshift].mean() - model.scalar) < 0.08
    assert mass[~redshift].mean() < 0.5 * model.scalar
    assert abs(np.mean(["redshift" in p.scalars for p in dark]) - model.dark_redshift) < 0.08
    assert abs(rate(lambda p: "sfh" in p.ask_vectors) - model.ask_vector) < 0.06
    assert all(len(p.filters) or p.vectors or p.scalars for p in patterns)
    assert all(len(p.queries) == model.queries for p in patterns)
    assert all(p.queries[0] in p.filters for p in light)
    # Vectors are given whole, in halves and in segments, but never so that nothing is left.
    given = [p.vectors["spectrum"] for p in patterns if "spectrum" in p.vectors]
    assert abs(np.mean([g.all() for g in given]) - model.whole) < 0.06
    assert all(g.any() for g in given)
    assert all(np.abs(np.diff(g.astype(int))).sum() <= 2 for g in given)
    # Some have a gap with something known on both sides.
    assert np.mean([g[0] and g[-1] and not g.all() for g in given]) > 0.05


def test_what_the_data_do_not_have_is_neither_given_nor_asked():
    rng = np.random.default_rng(0)
    for filters, available in ((0, ["spectrum"]), (2, [])):
        groups = cameras(("wise_w1", "wise_w2")[:filters])
        for _ in range(300):
            p = draw_pattern(groups, filters, available, MaskingModel(), rng)
            assert set(p.vectors) <= set(available)
            assert set(p.ask_vectors) <= set(available)
            assert len(p.filters) <= filters
            assert all(q < filters for q in p.queries)
            assert len(p.filters) or p.vectors or p.scalars


def test_the_random_scheme_gives_everything_but_single_elements(toy_mocks, tmp_path):
    model = MaskingModel(scheme="random")
    p = draw_pattern({}, 5, list(VECTORS), model, np.random.default_rng(0))
    assert len(p.filters) == 5
    assert all(stretch.all() for stretch in p.vectors.values())
    assert set(p.vectors) == set(VECTORS)
    assert set(p.scalars) == set(PROPERTIES)
    output = tmp_path / "w.safetensors"
    assert train([toy_mocks], output, steps=5, masking=model, **SMALL) == output


def test_spectra_have_the_signal_to_noise_that_was_drawn():
    flux = torch.full((2000, 1071), 500.0)
    given = torch.zeros(1071, dtype=torch.bool)
    given[100:600] = True
    model = NoiseModel(spectrum=(8.0, 8.0), calibration=(1e-6, 1e-6), underestimate=0.0, coarse=0.0)
    value, error, state = observe_spectrum(
        flux, given, model, "noisy", torch.Generator().manual_seed(0)
    )
    assert torch.equal(state[0] == MEASURED, given)
    pull = ((value - flux) / error)[:, given]
    assert abs(float(pull.std()) - 1.0) < 0.02
    assert 4.0 < float((flux / error)[:, given].median()) < 12.0


def test_rates_of_the_masking_can_be_changed():
    model = MaskingModel.of_rates(["scalars=1", "queries=5"])
    assert (model.scalars, model.queries) == (1.0, 5)
    assert MaskingModel.of_rates([]) == MaskingModel()
    for texts, message in (
        (["scalar_=1"], "no rate 'scalar_'"),
        (["scalars"], "scalars=NUMBER"),
        (["scalars=much"], "scalars=NUMBER"),
        (["scalars=1.2"], "0 to 1: scalars=1.2"),
        (["spectrum=0.9"], "add up to"),
    ):
        with pytest.raises(ValueError, match=message):
            MaskingModel.of_rates(texts)


@pytest.mark.parametrize("only", ["redshifted_features", ["redshifted_features", "flux_head"]])
def test_parts_alone(toy_mocks, tmp_path, only):
    first = train([toy_mocks], tmp_path / "a.st", steps=2, **SMALL)
    second = train([toy_mocks], tmp_path / "b.st", steps=8, initial=first, only=only, **SMALL)
    before, after = (load_weights(path)[0].state_dict() for path in (first, second))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in moved} == set(np.atleast_1d(only))
    with pytest.raises(ValueError, match="no part 'lines' to train"):
        train([toy_mocks], tmp_path / "c.st", steps=2, only=["flux_head", "lines"], **SMALL)


def test_coarse_histories_are_what_reading_makes_of_wide_bins():
    rng = np.random.default_rng(0)
    truth = torch.as_tensor(rng.uniform(0.1, 10.0, (2000, 31)))
    given = torch.arange(31) < 25
    width = np.diff(LOOKBACK_EDGES)
    model = NoiseModel(coarse=1.0, history=(0.1, 0.1))
    seen = set()
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        exact, _, state = observe_history(truth, given, "sfh", model, True, generator)
        generator = torch.Generator().manual_seed(seed)
        value, error, _ = observe_history(truth, given, "sfh", model, False, generator)
        ends = np.flatnonzero(np.append(np.diff(exact[0, :25].numpy()) != 0, True)) + 1
        seen.add(len(ends))
        edges = LOOKBACK_EDGES[np.append(0, ends)]
        # One relative error for each wide bin, and the same after reading.
        wide = value[:, ends - 1].numpy()
        scatter = np.log(wide / exact[:, ends - 1].numpy())
        assert abs(scatter.std() - 0.1) < 0.01
        read, spread, _ = rebin(
            wide, 0.1 * (wide + 1e-3), np.ones_like(wide, bool), edges[:-1], edges[1:],
            LOOKBACK_EDGES[:26],
        )  # fmt: skip
        np.testing.assert_allclose(value[:, :25], read, rtol=1e-5)
        np.testing.assert_allclose(error[:, :25], spread, rtol=1e-4)
        mass = (exact.numpy() * width)[:, :25].sum(axis=1)
        np.testing.assert_allclose(mass, (truth.numpy() * width)[:, :25].sum(axis=1), rtol=1e-6)
        assert torch.equal(state[0] == MEASURED, given)
    assert len(seen) > 1  # other bins in every batch


def test_coarse_spectra_are_blurred_and_keep_their_flux():
    line = torch.full((500, 1071), 100.0)
    line[:, 500] = 2000.0
    given = torch.ones(1071, dtype=torch.bool)
    model = NoiseModel(coarse=1.0)
    widths = set()
    for seed in range(6):
        value, error, _ = observe_spectrum(
            line, given, model, "clean", torch.Generator().manual_seed(seed)
        )
        assert abs((value - 100.0).sum(dim=1).mean() / 1900.0 - 1) < 0.05
        assert value.max() < 1990.0
        runs = int((torch.diff(value[0]) == 0).sum())  # wide pixels repeat their value
        widths.add(round(1071 / (1071 - runs)))
    assert 1 in widths
    assert max(widths) > 1
    # Wide pixels know no more together than one of them did.
    model = NoiseModel(coarse=1.0, spectrum=(8.0, 8.0), calibration=(1e-6, 1e-6), underestimate=0.0)
    flat = torch.full((500, 1071), 500.0)
    for seed in range(6):
        value, error, _ = observe_spectrum(
            flat, given, model, "noisy", torch.Generator().manual_seed(seed)
        )
        mean = (value - 500.0).mean(dim=1)
        expected = error.mean() / 1071**0.5
        assert 0.8 < mean.std() / expected < 1.25


def test_histories_are_exact_or_have_the_stated_errors():
    truth = torch.full((3000, 31), 5.0)
    truth[:, 25:] = 0.0
    given = torch.arange(31) < 28
    generator = torch.Generator().manual_seed(0)
    value, error, state = observe_history(truth, given, "sfh", NoiseModel(), True, generator)
    assert torch.equal(value, truth)
    assert torch.isnan(error).all()
    assert (state[:, 28:] == MISSING).all()
    assert (state[:, :25] == MEASURED).all()
    # Before the Big Bang some give zero and some give nothing.
    assert 0.4 < float((state[:, 26] == MEASURED).float().mean()) < 0.6
    model = NoiseModel(history=(0.05, 0.05))
    value, error, _ = observe_history(truth, given, "sfh", model, False, generator)
    assert abs(float(((value - truth) / error)[:, :25].std()) - 1.0) < 0.05


@pytest.fixture
def sky():
    flux = torch.full((4000, 3), 1000.0)
    return flux, torch.tensor([1.0, 10.0, 100.0])


def test_noise_has_the_stated_size_where_nothing_is_unstated(sky):
    flux, sigma = sky
    model = NoiseModel(
        depth=(0.0, 0.0), depth_scatter=0.0, min_signal_to_noise=0.0, floor=(1e-6, 1e-6),
        unstated=(1e-9, 1e-9), underestimate=0.0,
    )  # fmt: skip
    value, error, state = observe(flux, sigma, model, "noisy", torch.Generator().manual_seed(0))
    assert torch.all(state == MEASURED)
    torch.testing.assert_close(error.mean(0), sigma, rtol=1e-3, atol=1e-3)
    pull = ((value - flux) / error).std(0)
    torch.testing.assert_close(pull, torch.ones(3), rtol=0.05, atol=0.0)


def test_detected_galaxies_are_detected_but_for_those_known_from_elsewhere(sky):
    flux, _ = sky
    sigma = torch.tensor([1e3, 2e3, 3e3])

    def best(undetected, known=False):
        model = NoiseModel(
            depth=(-3.0, 3.0), depth_scatter=0.0, undetected=undetected, undetected_known=1.0
        )
        generator = torch.Generator().manual_seed(0)
        _, error, _ = observe(flux, sigma, model, "noisy", generator, known=known)
        return (flux / error).amax(1) / model.min_signal_to_noise

    assert float(best(0.0).min()) > 0.9
    torch.testing.assert_close(best(0.0, known=True), best(1.0))
    # Half of those at the reference depth would not be detected at a depth uniform around it.
    assert abs(float((best(1.0) < 0.9).float().mean()) - 0.75) < 0.1
    assert abs(float((best(0.2) < 0.9).float().mean()) - 0.15) < 0.03


@pytest.mark.parametrize(
    ("vectors", "scalars"), [((), ()), (("sfh",), ()), (("spectrum",), ()), ((), ("redshift",))]
)
def test_who_knows_a_history_or_a_scalar_need_not_have_seen_the_galaxy(
    toy_mocks, monkeypatch, vectors, scalars
):
    seen = []

    def spy(*arguments, **options):
        seen.append(options.get("known", False))
        return observe(*arguments, **options)

    monkeypatch.setattr(loop, "observe", spy)
    data = loop.TrainingData([toy_mocks])
    given = {name: np.ones(VECTORS[name].length, bool) for name in vectors}
    pattern = Pattern(np.arange(3), given, scalars, 0.0, np.zeros(0, int), ())
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    loop.observe_batch(data, torch.arange(4), pattern, MaskingModel(), NoiseModel(), rng, generator)
    assert seen == ["sfh" in vectors or "redshift" in scalars]


def test_half_of_spherex_is_as_of_bright_galaxies():
    """Whatever the flux, the signal to noise is spread over the range that was asked."""
    flux, sigma = torch.full((4000, 102), 10.0), torch.full((102,), 1e4)
    model = NoiseModel(spherex_depth=(0.0, 0.0), spherex_signal=(1.0, 10.0), depth_scatter=0.0)
    generator = torch.Generator().manual_seed(0)
    value, error, _ = observe(flux, sigma, model, "noisy", generator, spherex=True)
    signal = 10.0 / error.median(1).values
    bright = signal > 0.5
    assert abs(float(bright.float().mean()) - 0.5) < 0.03
    assert float((signal[~bright] / 1e-3 - 1).abs().max()) < 0.2
    quantiles = torch.quantile(signal[bright].log10(), torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(quantiles, torch.tensor([0.25, 0.5, 0.75]), rtol=0, atol=0.04)


def test_limits_are_limits(sky):
    flux, _ = sky
    sigma = torch.tensor([1e2, 1e3, 5e3])
    value, error, state = observe(
        flux, sigma, NoiseModel(depth=(0, 0)), "limits", torch.Generator().manual_seed(0)
    )
    limit = state == LIMIT
    assert limit.any()
    level = (value / error)[limit]
    assert torch.isclose(level[:, None], torch.tensor([1.0, 2.0, 3.0, 5.0]), rtol=1e-3).any(1).all()
    # Faint fluxes stand beside limits in some catalogues, and in others there are none.
    faint = (~limit & (value < error)).any(1)
    assert 0.02 < float((faint & limit.any(1)).float().mean()) < 0.5
    assert float((~faint & limit.any(1)).float().mean()) > 0.2


def test_errors_can_be_unknown_and_channels_lost(sky):
    flux, sigma = sky
    generator = torch.Generator().manual_seed(0)
    value, error, state = observe(flux, sigma, NoiseModel(), "no_error", generator)
    assert torch.isnan(error).all()
    _, _, lost = drop_elements((value, error, state), 0.5, generator)
    fraction = float((lost == MISSING).float().mean())
    assert 0.2 < fraction < 0.3
