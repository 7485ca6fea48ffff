"""The experiments of the paper: what is given and what counts, the baselines, the figures."""

import json

import numpy as np
import pytest

from astromosaic.cosmology import age_gyr
from astromosaic.evaluation import baselines, inputs, paper
from astromosaic.galaxies import MEASURED, MISSING, Galaxies, Measurement
from astromosaic.model.transformer import ModelConfig, Transformer
from astromosaic.model.weights import save_weights
from astromosaic.properties import (
    LOOKBACK_EDGES,
    LOOKBACK_MIDDLES,
    PROPERTIES,
    SPECTRUM_WAVELENGTH,
    VECTORS,
)
from astromosaic.simulation.mocks import compact, load_mocks
from astromosaic.training.data import read_training_set


@pytest.fixture(scope="module")
def truths():
    return inputs.load_truths(paper.bundled_subset(), "test", 60)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small network that knows nothing."""
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    card = {"name": "test", "parameters": 0, "flux_range": [-1, 14]}
    save_weights(path, Transformer(ModelConfig(width=32, layers=1, heads=2)), card)
    return path


def test_what_is_given_is_what_was_named(truths):
    z = np.expm1(truths["redshift"])
    begins_after_big_bang = LOOKBACK_EDGES[:-1] < age_gyr(z)[:, None]
    for suffix in ("", " (ln a)"):
        early, late = (
            inputs.give(truths, (f"{part} SFH{suffix}",), "noiseless").vectors["sfh"].state
            for part in ("early", "late")
        )
        assert not np.any((early != MISSING) & (late != MISSING))
        np.testing.assert_array_equal((early != MISSING) | (late != MISSING), begins_after_big_bang)
        # Late is what is near to the observation.
        assert np.all(late[:, 0] == MEASURED)
    gap = inputs.give(truths, ("SFH with a gap",), "noiseless").vectors["sfh"].state
    hidden = begins_after_big_bang & (gap == MISSING)
    assert 1 <= np.median(hidden.sum(axis=1)) <= 10
    blue = inputs.give(truths, ("blue half of spectrum",), "survey").vectors["spectrum"].state
    assert np.all(blue[:, SPECTRUM_WAVELENGTH > 1.5] == MISSING)
    assert np.all(blue[:, SPECTRUM_WAVELENGTH < 1.2] == MEASURED)
    rest = inputs.give(truths, ("LSST", "SPHEREx", "SFH", "redshift"), "survey")
    assert set(rest.vectors) == {"spherex", "sfh"}
    assert set(rest.scalars) == {"redshift"}
    assert len(rest.filters) == 6


def test_noise_is_what_it_says(truths):
    seen = inputs.spectra(truths["spectrum"], 0.36, 0.98, 5.0, np.random.default_rng(0))
    known = seen.state[0] == MEASURED
    pull = ((seen.value - truths["spectrum"]) / seen.error)[:, known]
    assert abs(pull.std() - 1) < 0.05
    ratio = np.median(np.abs(truths["spectrum"][:, known]) / seen.error[:, known], axis=1)
    np.testing.assert_allclose(np.median(ratio), 5.0, rtol=0.1)
    clean = inputs.give(truths, ("LSST",), "noiseless").photometry
    columns = [truths["filters"].index(f"lsst_{b}") for b in "ugrizy"]
    np.testing.assert_allclose(clean.value, truths["flux"][:, columns], rtol=1e-6)


def test_only_what_was_hidden_is_scored(truths):
    experiments = {e.name: e for e in paper.EXPERIMENTS}
    experiment = experiments["missing half of a spectrum"]
    given = inputs.give(truths, experiment.given, "noiseless")
    elements = np.arange(0, 1071, 50)
    _, counted = paper._truth(truths, experiment, given, elements)
    assert not counted[:, SPECTRUM_WAVELENGTH[elements] < 1.2].any()
    assert counted[:, SPECTRUM_WAVELENGTH[elements] > 1.5].all()
    age = age_gyr(np.expm1(truths["redshift"]))[:, None]
    for name, times in (
        ("SFH from LSST", LOOKBACK_EDGES[:-1]), ("MAH from LSST+redshift+mass", LOOKBACK_MIDDLES)
    ):  # fmt: skip
        truth, counted = paper._truth(truths, experiments[name], Galaxies(60), np.arange(31))
        np.testing.assert_array_equal(counted, times < age)
        assert np.isfinite(truth).all()


def test_truths_are_what_training_sees():
    path = paper.bundled_subset()
    truths, seen = inputs.load_truths(path, "train", 60), read_training_set(path, 60)
    counts = LOOKBACK_MIDDLES < age_gyr(np.expm1(truths["redshift"]))[:, None]
    np.testing.assert_allclose(truths["mah"][counts], seen.vectors["mah"][counts], rtol=1e-5)
    # Halos grow, to the mass that is their peak.
    assert np.all(np.diff(truths["mah"], axis=1) <= 0)
    assert np.abs(np.log10(truths["mah"][:, 0]) - truths["halo_mass"]).max() < 0.05
    mixture = inputs.load_mixture([path], 60)
    assert {*VECTORS, *PROPERTIES, "filters", "flux"} == set(mixture)
    assert set(mixture) | {"mag_i"} == set(truths)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.00081234, 0.0000234, "0.000812±0.000023"),
        (0.0123, 0.001, "0.0123±0.0010"),
        (123.4, 23.0, "123±23"),
        (0.5, 0.0, "0.5000±0.0000"),
    ],
)
def test_errors_have_two_digits(value, error, text):
    assert paper._with_error({"value": value, "error": error}) == text


def test_a_perfect_estimate_has_no_error(truths):
    for query in ("redshift", "stellar_mass", "spectrum", "sfh", "mah"):
        truth = np.abs(np.random.default_rng(0).normal(size=(60, 4)))
        deviation = paper._deviation(query, truth, truth, truths)
        scores = paper._scores(deviation, deviation, np.ones((60, 4), bool), seed=0)
        assert all(score["value"] == 0 for score in scores.values())


def test_features_are_missing_where_values_are():
    value = np.array([[10.0, 20.0, 40.0]])
    state = np.array([[MEASURED, MISSING, MEASURED]])
    bands = Measurement(value, 0.1 * value, state)
    x = baselines.features(Galaxies(1, ("lsst_u", "lsst_g", "lsst_r"), bands))
    fluxes, colours, errors = x[0, :3], x[0, 3:5], x[0, 5:]
    assert list(np.isnan(fluxes)) == list(np.isnan(errors)) == [False, True, False]
    assert np.isnan(colours).all()
    assert fluxes[0] == pytest.approx(np.arcsinh(10 / 20))


def test_baselines_learn():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 3)).astype(np.float32)
    x[:, 1] = np.nan
    y = x[:, 0] + 0.1 * rng.normal(size=800)
    for kind, predict in baselines.fit_trees(x, y).items():
        assert np.std(predict(x[:200]) - y[:200]) < 0.3, kind
    population = baselines.fit_population(y)
    assert population["mean"](x[:2])[0] == pytest.approx(y.mean())
    assert population["median"](x[:2])[0] == pytest.approx(np.median(y))


@pytest.mark.parametrize("trees", [0, 200])
def test_a_run_from_end_to_end(weights, tmp_path, monkeypatch, trees):
    chosen = {"redshift from LSST", "redshift from LSST+SPHEREx", "missing SFH bins",
              "spectrum from redshift+mass"}  # fmt: skip
    if trees:  # a few are enough: trees take their time
        few = [e for e in paper.EXPERIMENTS if e.name in chosen]
        monkeypatch.setattr(paper, "EXPERIMENTS", few)
        monkeypatch.setattr(paper, "_PAIRS", dict(list(paper._PAIRS.items())[:1]))
        monkeypatch.setattr(paper, "_ELEMENTS", 2)
    report = paper.run(limit=200, trees=trees, weights=weights)
    json.dumps(report)
    text = paper.format_report(report)
    for line in report["by_magnitude"]:
        first, second = (line[name]["survey"]["nmad"]["value"] for name in paper._ADDED)
        assert line["gain"]["survey"]["nmad"]["value"] == pytest.approx(1 - second / first)
    for experiment in paper.EXPERIMENTS:
        assert experiment.name in text
        for scores in report["experiments"][experiment.name].values():
            assert ("trees" in scores) == bool(trees)
            assert scores["model"]["rmse"]["value"] > 0
            assert 0 <= scores["model"]["coverage_68"]["value"] <= 1
    if trees:
        # An untrained network knows less than trees.
        behind = report["experiments"]["redshift from LSST"]["noiseless"]["model - trees"]
        assert behind["mae"]["value"] > 2 * behind["mae"]["error"]
        assert "*" in text
    else:
        figures = tmp_path / "figures"
        paper.run(limit=60, trees=0, weights=weights, figures=figures)
        assert len(list(figures.glob("*.png"))) == 5


def test_trees_of_the_mixture_stand_beside_the_others(weights, toy_mocks, monkeypatch):
    monkeypatch.setattr(paper, "EXPERIMENTS", paper.EXPERIMENTS[:2])
    monkeypatch.setattr(paper, "_PAIRS", dict(list(paper._PAIRS.items())[:1]))
    report = paper.run(limit=100, trees=150, weights=weights, mixture=[toy_mocks, toy_mocks])
    scores = report["experiments"]["redshift from LSST"]["noiseless"]
    # Those of galaxies unlike the test set are worse.
    assert scores["trees of the mixture"]["rmse"]["value"] > scores["trees"]["rmse"]["value"]
    assert scores["model - trees of the mixture"]["rmse"]["error"] > 0
    assert "mixed" in paper.format_report(report)


def test_compact_keeps_what_it_is_given(toy_mocks, tmp_path):
    path = tmp_path / "small.h5"
    compact(toy_mocks, path, 30, 20)
    whole, small = load_mocks(toy_mocks, "test", limit=20), load_mocks(path, "test")
    assert small["filters"] == whole["filters"]
    for name in ("flux", "spherex", "sed", "sfh", "redshift", "mah"):
        np.testing.assert_allclose(small[name], whole[name], rtol=6e-4)
    assert len(load_mocks(path)["redshift"]) == 30


def test_the_bundled_galaxies_are_of_both_groups():
    for group, n in (("train", 1500), ("test", 2000)):
        arrays = load_mocks(paper.bundled_subset(), group, ["redshift"])
        assert len(arrays["redshift"]) == n
    assert set(PROPERTIES) <= set(inputs.load_truths(paper.bundled_subset(), "test", 5))
