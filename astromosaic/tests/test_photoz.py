"""The comparison with spectroscopic redshifts, with a model whose answers are known."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable
from scipy.stats import norm

from astromosaic.evaluation import photoz
from astromosaic.posterior import Posterior
from astromosaic.properties import PROPERTIES

SIGMA = 0.03
N = 400


class FakeModel:
    """Gaussian posteriors in ln(1+z), right by construction."""

    checksum = "0" * 64

    def __init__(self, redshift, seed=1):
        rng = np.random.default_rng(seed)
        self.mean = np.log1p(redshift) + rng.normal(0.0, SIGMA, len(redshift))

    def with_zero_points(self, galaxies, zero_points, progress=False):
        assert zero_points is None
        return galaxies, {}

    def posterior_of(self, galaxies, queries, progress=False):
        self.galaxies = galaxies
        prop = PROPERTIES["redshift"]
        edges = np.linspace(prop.low, prop.high, prop.bins + 1)
        probability = np.diff(norm.cdf(edges, self.mean[: len(galaxies), None], SIGMA), axis=1)
        probability[galaxies.known() == 0] = np.nan
        return {"redshift": Posterior(prop, edges, probability)}

    def flags(self, galaxies):
        return np.where(galaxies.known() == 0, 1, 0)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    table = QTable()
    table["lsst_i"] = rng.uniform(20.0, 24.0, N) * u.ABmag
    table["lsst_r"] = table["lsst_i"] + 0.5 * u.mag
    table["z_spec"] = rng.uniform(0.3, 1.5, N)
    return table


@pytest.fixture
def model(table, monkeypatch):
    model = FakeModel(np.asarray(table["z_spec"]))
    monkeypatch.setattr("astromosaic.load_model", lambda path=None: model)
    return model


def test_figures(table, model):
    report = photoz.run(table)
    assert report["galaxies"] == report["rows"] == N
    assert report["best"]["nmad"]["value"] == pytest.approx(SIGMA, rel=0.3)
    assert report["median"]["nmad"]["value"] == pytest.approx(SIGMA, rel=0.2)
    assert report["median"]["outlier_fraction"]["value"] == 0
    assert report["posterior"]["pit_ks"]["value"] < 0.1
    assert report["posterior"]["coverage_68"]["value"] == pytest.approx(0.68, abs=0.08)
    assert report["posterior"]["cde_loss"]["value"] < -3
    assert sum(row["galaxies"] for row in report["by_magnitude"]) == N
    assert {row["band"] for row in report["by_magnitude"]} == {"lsst_i"}
    assert all(figure["error"] >= 0 for figure in report["median"].values())


def test_rows_that_cannot_be_compared_are_counted(table, model):
    table["z_spec"] = MaskedColumn(table["z_spec"], mask=np.arange(N) < 5)
    table["z_spec"][5:8] = -9.0
    for name in ("lsst_i", "lsst_r"):
        table[name][10:14] = np.nan * u.ABmag
    report = photoz.run(table)
    assert report["without_truth"] == 8
    assert report["without_answer"] == 4
    assert report["galaxies"] == N - 12
    assert "8 left out for lack of a redshift" in photoz.format_report(report)


def test_what_is_beyond_the_model_is_no_truth(table, model):
    table["z_spec"][:40] = 99.0
    report = photoz.run(table)
    assert report["without_truth"] == 40
    assert report["median"]["outlier_fraction"]["value"] == 0


def test_what_else_is_given_is_said(table, model):
    report = photoz.run(table)
    assert report["also_given"] == []
    assert photoz.format_report(report).startswith("Photometric redshifts of")
    table["stellar_mass"] = np.full(N, 1e10) * u.solMass
    text = photoz.format_report(photoz.run(table))
    assert text.startswith("Redshifts of")
    assert "beside photometry: stellar_mass" in text


def test_the_truth_is_not_shown_to_the_model(table, model):
    table.rename_column("z_spec", "redshift")
    report = photoz.run(table)
    assert report["truth"] == "redshift"
    assert model.galaxies.scalars == {}


def test_truth_by_name(table, model):
    table["other"] = table["z_spec"]
    assert photoz.run(table, truth="other", limit=50)["rows"] == 50
    with pytest.raises(ValueError, match="no column 'none'"):
        photoz.run(table, truth="none")
    table.remove_columns(["z_spec", "other"])
    with pytest.raises(ValueError, match="name it"):
        photoz.run(table)


def test_nothing_to_compare(table, model):
    table["z_spec"] = np.nan
    with pytest.raises(ValueError, match="has no label"):
        photoz.run(table)


def test_same_seed_same_report(table, model):
    assert photoz.run(table, seed=3) == photoz.run(table, seed=3)
