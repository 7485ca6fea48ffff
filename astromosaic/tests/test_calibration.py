"""Calibration: posteriors that are wrong in a known way become right, others stay as they are."""

import json

import h5py
import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable
from scipy import stats

import astromosaic
from astromosaic.calibration import (
    CALIBRATIONS,
    KNOTS,
    PitMap,
    apply_calibration,
    calibrate,
    conditions,
    kinds,
)
from astromosaic.cli import main
from astromosaic.evaluation import calibration as evaluation
from astromosaic.evaluation.metrics import (
    coverage,
    crps_terms,
    histogram_cde_loss_terms,
    pit_ks,
)
from astromosaic.galaxies import MEASURED, MISSING, Galaxies, Measurement
from astromosaic.posterior import Posterior
from astromosaic.properties import PROPERTIES

NAME = "test"
PROP = PROPERTIES["redshift"]
EDGES = np.linspace(PROP.low, PROP.high, PROP.bins + 1)


class FakeModel:
    """Gaussian posteriors in ln(1+z), whose mean and width are the given fluxes."""

    def __init__(self, card=None):
        self.card = {"name": "fake", "parameters": 0} | (card or {})
        self.checksum = "0" * 64

    def posterior_of(self, galaxies, queries, progress=False, calibration=None):
        mean, sigma = galaxies.photometry.value.T[:2].astype(float)
        sigma = np.maximum(sigma, 1e-3)
        probability = np.diff(stats.norm.cdf(EDGES, mean[:, None], sigma[:, None]), axis=1)
        probability[galaxies.known() == 0] = np.nan
        posteriors = {"redshift": Posterior(PROP, EDGES, probability)}
        if calibration is not None:
            posteriors = apply_calibration(self.card, calibration, galaxies, posteriors)
        return posteriors


def sample(n, factor, seed, faint_factor=None):
    """Galaxies and truths: posteriors are so many times as wide as truths scatter around them.

    Half of the galaxies have a low signal to noise, and another factor if it is given.
    """
    rng = np.random.default_rng(seed)
    mean = rng.uniform(0.5, 1.3, n)
    sigma = rng.uniform(0.02, 0.08, n)
    faint = rng.random(n) < 0.5
    scatter = sigma / np.where(faint, faint_factor or factor, factor)
    truth = mean + scatter * rng.normal(size=n)
    value = np.stack([mean, sigma], axis=1)
    error = np.where(faint[:, None], value, 0.01 * value)
    galaxies = Galaxies(
        n, ("lsst_g", "lsst_r"), Measurement(value, error, np.full((n, 2), MEASURED))
    )
    return galaxies, {"redshift": truth}


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    """Models that `calibrate` makes of the fake one are fake, too."""
    import astromosaic.inference as inference

    real = inference.Model

    def model(network, card, checksum, batch_size=256):
        return real(network, card, checksum, batch_size) if network else FakeModel(card)

    monkeypatch.setattr(inference, "Model", model)
    monkeypatch.setattr(FakeModel, "network", None, raising=False)
    monkeypatch.setattr(FakeModel, "batch_size", 1, raising=False)


def learned(*arguments, **options):
    return calibrate(FakeModel(), [sample(*arguments, **options)], NAME)


def pits(model, galaxies, truths, calibration=NAME):
    posterior = model.posterior_of(galaxies, ["redshift"], calibration=calibration)["redshift"]
    return posterior, posterior.cdf(PROP.to_physical(truths["redshift"]))


@pytest.mark.parametrize("factor", [0.75, 1.6])
def test_wrong_widths_are_put_right_on_other_galaxies(factor):
    model = learned(6000, factor, seed=1)
    galaxies, truths = sample(4000, factor, seed=2)
    _, before = pits(model, galaxies, truths, None)
    _, after = pits(model, galaxies, truths)
    assert pit_ks(before) > 0.05
    assert pit_ks(after) < 0.03
    for level in (0.5, 0.68, 0.95):
        assert coverage(after, level) == pytest.approx(level, abs=0.025)


def test_each_brightness_is_put_right_by_itself():
    model = learned(8000, 0.75, seed=1, faint_factor=1.6)
    galaxies, truths = sample(6000, 0.75, seed=2, faint_factor=1.6)
    signal = conditions(galaxies)[:, 1]
    _, after = pits(model, galaxies, truths)
    for part in (signal < np.log(10), signal > np.log(10)):
        assert coverage(after[part]) == pytest.approx(0.68, abs=0.03)


def test_what_is_calibrated_stays_as_it_is():
    model = learned(4000, 1.0, seed=1)
    galaxies, truths = sample(500, 1.0, seed=2)
    (_, before), (_, after) = pits(model, galaxies, truths, None), pits(model, galaxies, truths)
    assert np.abs(after - before).max() < 0.04


def test_few_labels_change_little():
    model = learned(30, 1.15, seed=1)
    galaxies, truths = sample(500, 1.15, seed=2)
    (_, before), (_, after) = pits(model, galaxies, truths, None), pits(model, galaxies, truths)
    assert np.abs(after - before).max() < 0.1
    learned(20, 1.0, seed=1)
    with pytest.raises(ValueError, match="too few galaxies to calibrate on: 20 or more"):
        learned(19, 1.0, seed=1)


def test_maps_rise_from_zero_to_one_wherever_they_are_asked():
    rng = np.random.default_rng(0)
    theta = rng.normal(0, 0.3, (126, 8))
    pit_map = PitMap(np.zeros(5), np.ones(5), theta, 100)
    mapped = pit_map.cumulative(rng.normal(0, 100, (50, 5)))
    assert np.all(mapped[:, 0] == 0)
    np.testing.assert_allclose(mapped[:, -1], 1)
    assert np.all(np.diff(mapped, axis=1) >= 0)
    again = PitMap.from_dict(json.loads(json.dumps(pit_map.to_dict())))
    np.testing.assert_allclose(again.theta, theta, atol=6e-4)
    short = pit_map.to_dict() | {"low": [0.0] * 4, "high": [1.0] * 4}
    with pytest.raises(ValueError, match="learned by another version"):
        PitMap.from_dict(short)
    zero = PitMap(np.zeros(5), np.ones(5), np.zeros((126, 8)), 1)
    np.testing.assert_allclose(zero.cumulative(rng.normal(size=(3, 5))), np.tile(KNOTS, (3, 1)))


@pytest.fixture
def remapped():
    """A posterior, what becomes of it by u -> u^2, and rows without an answer."""
    probability = np.random.default_rng(0).dirichlet(np.full(PROP.bins, 0.1), size=4)
    probability[2] = np.nan
    posterior = Posterior(PROP, EDGES, probability)
    return posterior, posterior.remapped(KNOTS, np.tile(KNOTS**2, (4, 1)))


def test_a_remapped_posterior_is_one(remapped):
    before, after = remapped
    assert list(after.defined) == [True, True, False, True]
    rows = after.defined
    np.testing.assert_allclose(after.probability[rows].sum(axis=1), 1)
    assert (after.probability[rows] >= 0).all()
    for p in (0.03, 0.2, 0.5, 0.77, 0.99):
        value = after.quantile(p)
        mapped = [np.interp(before.cdf(value)[k], KNOTS, KNOTS**2) for k in np.flatnonzero(rows)]
        np.testing.assert_allclose(mapped, p, atol=1e-6)
        np.testing.assert_allclose(after.cdf(value)[rows], p, atol=1e-6)
    grid = np.linspace(0, 6, 60_001)
    np.testing.assert_allclose(np.trapezoid(after.pdf(grid)[rows], grid), 1, atol=5e-3)
    for value in (after.mean(), after.std(), after.mode(), after.median()):
        assert list(np.isfinite(value)) == list(rows)
    assert (after.median()[rows] > before.median()[rows]).all()
    assert len(after.to_table(samples=3)) == 4


def test_rows_do_not_depend_on_their_company():
    model = learned(3000, 0.7, seed=1)
    galaxies, _ = sample(20, 0.7, seed=3)
    photometry = galaxies.photometry
    state = photometry.state.copy()
    state[4] = MISSING
    galaxies = Galaxies(
        20, galaxies.filters, Measurement(photometry.value, photometry.error, state)
    )
    whole = model.posterior_of(galaxies, ["redshift"], calibration=NAME)["redshift"]
    assert list(np.flatnonzero(~whole.defined)) == [4]
    for row in (0, 4, 7):
        alone = model.posterior_of(galaxies[row : row + 1], ["redshift"], calibration=NAME)
        np.testing.assert_allclose(alone["redshift"].probability[0], whole.probability[row])


def test_kinds_of_input():
    n = 3
    state = np.array([[1, 0], [0, 0], [0, 0]])
    spherex = Measurement(np.ones((n, 102)), np.ones((n, 102)), np.repeat([[1], [1], [0]], 102, 1))
    galaxies = Galaxies(
        n, ("lsst_g", "lsst_r"), Measurement(np.ones((n, 2)), np.ones((n, 2)), state),
        vectors={"spherex": spherex},
    )  # fmt: skip
    assert list(kinds(galaxies)) == ["broadband+spherex", "spherex", ""]


def test_other_kinds_of_input_are_left_alone_with_a_warning():
    model = learned(300, 0.7, seed=1)
    galaxies, truths = sample(20, 0.7, seed=2)
    redshift = Measurement(truths["redshift"], np.full(20, np.nan), np.full(20, MEASURED))
    known = Galaxies(20, galaxies.filters, galaxies.photometry, scalars={"redshift": redshift})
    with pytest.warns(UserWarning, match=r"not learned for .* broadband\+redshift"):
        after, _ = pits(model, known, truths)
    before, _ = pits(model, known, truths, None)
    np.testing.assert_allclose(after.median(), before.median())


@pytest.fixture(scope="module")
def model():
    return astromosaic.load_model()


def table(n, seed=0):
    rng = np.random.default_rng(seed)
    table = QTable({"z_spec": rng.uniform(0.01, 0.1, n)})
    for k, band in enumerate("grizy"):
        flux = 10 ** rng.uniform(3, 4, n) * (1 + k * table["z_spec"])
        table[f"lsst_{band}"] = flux * u.nJy
        table[f"lsst_{band}_err"] = 0.02 * flux * u.nJy
    return table


def test_a_calibrated_model_of_a_table(model, tmp_path):
    calibrated = model.calibrate(table(200), "z_spec", name="mine")
    assert CALIBRATIONS not in model.card or "mine" not in model.card[CALIBRATIONS]
    assert calibrated.card[CALIBRATIONS]["mine"]["labels"] == {"redshift": "z_spec"}
    calibrated.save(tmp_path / "mine.safetensors")
    read = astromosaic.load_model(tmp_path / "mine.safetensors")
    given = table(10, seed=1)[
        "lsst_g", "lsst_g_err", "lsst_r", "lsst_r_err", "lsst_i", "lsst_i_err"
    ]
    plain = model.predict(given, ["redshift", "stellar_mass", "lsst_y"])
    with pytest.warns(UserWarning, match="not learned for stellar_mass of galaxies given by broad"):
        result = read.predict(given, ["redshift", "stellar_mass", "lsst_y"], calibration="mine")
    assert result.meta["calibration"] == "mine"
    assert np.abs(result["redshift"] - plain["redshift"]).max() > 1e-6
    for name in ("stellar_mass", "lsst_y"):
        np.testing.assert_allclose(result[name].value, plain[name].value, rtol=1e-5)
    np.testing.assert_allclose(
        result["redshift"], calibrated.posterior(given, calibration="mine").median(), rtol=1e-5
    )
    np.testing.assert_allclose(read.predict(given)["redshift"], plain["redshift"], rtol=1e-5)
    with pytest.raises(ValueError, match=r"no calibration 'stated': there are .*'mine'"):
        read.predict(given, calibration="stated")
    with pytest.raises(ValueError, match="draws cannot be calibrated"):
        read.predict(given, samples=3, calibration="mine")
    with pytest.warns(UserWarning, match="not learned for sfr"):
        joint = read.posterior(given, ["redshift", "sfr"], calibration="mine")
    for use in (lambda: joint.sample(2), lambda: joint.condition(redshift=0.5)):
        with pytest.raises(ValueError, match="'mine' is one of single queries"):
            use()


def test_scores_of_histograms():
    edges, probability = np.array([[0.0, 1.0, 3.0]] * 4), np.array([[0.25, 0.75]] * 4)
    truth = np.array([0.4, 2.0, -1.0, 4.5])
    x = np.linspace(-3, 7, 1_000_001)
    cumulative = np.interp(x, edges[0], [0, 0.25, 1])
    expected = [np.trapezoid((cumulative - (x >= t)) ** 2, x) for t in truth]
    np.testing.assert_allclose(crps_terms(edges, probability, truth), expected, atol=2e-5)
    square = 0.25**2 + 2 * 0.375**2
    np.testing.assert_allclose(
        histogram_cde_loss_terms(edges, probability, truth),
        [square - 0.5, square - 0.75, square, square],
    )


def test_the_commands(toy_mocks, tmp_path, capsys):
    output, data = str(tmp_path / "w.safetensors"), str(toy_mocks)
    with h5py.File(toy_mocks) as file:
        assert len(file["train/redshift"]) > 600
    assert main(["calibrate", data, "--output", output, "--limit", "600"]) == 0
    assert main(["info", "--weights", output]) == 0
    assert "theta" not in capsys.readouterr().out
    arguments = ["--data", data, "--weights", output, "--calibration", evaluation.STATED_ERRORS]
    folder, figures = tmp_path / "figures", tmp_path / "figures.json"
    extra = ["--figures", str(folder), "--json", str(figures)]
    assert main(["evaluate", "calibration", *arguments, *extra]) == 0
    text = capsys.readouterr().out
    assert "LSST+SPHEREx, survey" in text
    report = json.loads(figures.read_text())
    assert len(list(folder.glob("*.png"))) == len(PROPERTIES)
    after = report["inputs"]["LSST, survey"]["redshift"]["all"]
    plain = evaluation.run(toy_mocks)["inputs"]["LSST, survey"]["redshift"]["all"]
    # The bundled model knows nothing of power laws, and its posteriors are far too narrow.
    assert after["pit_ks"]["value"] < plain["pit_ks"]["value"]
    assert main(["evaluate", "simulated", *arguments[:4], "--calibration", "no"]) == 1
    assert "no calibration 'no'" in capsys.readouterr().err
