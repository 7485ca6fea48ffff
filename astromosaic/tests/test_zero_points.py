"""Zero points from photometry alone."""

from importlib.resources import files

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, QTable, Table

from astromosaic import load_model
from astromosaic.cli import main
from astromosaic.evaluation import photoz
from astromosaic.galaxies import LIMIT, MEASURED, Galaxies, Measurement
from astromosaic.io import read_catalog, write_catalog
from astromosaic.simulation.mocks import load_mocks
from astromosaic.zero_points import corrected, estimate_zero_points, read_zero_points

BANDS = [f"lsst_{b}" for b in "ugrizy"]


@pytest.fixture(scope="module")
def model():
    return load_model()


@pytest.fixture(scope="module")
def galaxies():
    """Bright simulated galaxies with errors of two per cent."""
    mocks = load_mocks(files("astromosaic") / "data" / "paper_subset.h5", "test", ["flux"])
    flux = mocks["flux"][:, [mocks["filters"].index(name) for name in BANDS]]
    flux = flux[(flux > 100).all(axis=1)][:150]
    rng = np.random.default_rng(1)
    value = flux * (1 + 0.02 * rng.normal(size=flux.shape))
    return Galaxies(
        len(flux), BANDS, Measurement(value, 0.02 * flux, np.full(flux.shape, MEASURED))
    )


def test_a_zero_point_that_is_off_is_found(model, galaxies):
    # Fluxes that are too low by 0.2 mag are those corrected by -0.2.
    before, after = (
        estimate_zero_points(model, corrected(galaxies, {"lsst_g": off})) for off in (0.0, -0.2)
    )
    # Of what is right nothing is changed but by the accuracy of colours.
    assert np.abs(before["offset"].to_value(u.mag)).max() < 0.03
    # Half of what is off is found in its band; the one beside it is suspected too.
    found = (after["offset"] - before["offset"]).to_value(u.mag)
    assert np.argmax(found) == BANDS.index("lsst_g")
    assert 0.05 < found.max() < 0.1
    assert np.abs(np.delete(found, [0, 1])).max() < 0.03
    assert list(after["filter"]) == BANDS
    assert (after["error"] < 0.01 * u.mag).all()
    np.testing.assert_allclose(after["offset"].sum().value, 0.0, atol=1e-6)
    assert after.meta["galaxies"] == 150
    assert after.meta["weights"] == model.checksum


def test_corrections_keep_what_is_no_broadband_flux(galaxies):
    state = galaxies.photometry.state.copy()
    state[0, 1], state[1, 1] = LIMIT, 0
    photometry = galaxies.photometry
    some = Galaxies(150, BANDS, Measurement(photometry.value, photometry.error, state))
    new = corrected(some, {"lsst_g": 0.1}).photometry
    factor = 10**0.04
    np.testing.assert_allclose(new.value[2:, 1], factor * photometry.value[2:, 1], rtol=1e-6)
    np.testing.assert_allclose(new.error[2:, 1], factor * photometry.error[2:, 1], rtol=1e-6)
    np.testing.assert_allclose(new.value[0, 1], factor * photometry.value[0, 1], rtol=1e-6)
    np.testing.assert_array_equal(new.state, state)
    np.testing.assert_array_equal(new.value[:, 0], photometry.value[:, 0])


def test_what_zero_points_may_be():
    table = QTable({"filter": ["lsst_u"], "offset": [0.1] * u.mag})
    assert read_zero_points(table) == {"lsst_u": 0.1}
    assert read_zero_points(Table({"filter": ["lsst_u"], "offset": [0.1]})) == {"lsst_u": 0.1}
    assert read_zero_points({"lsst_u": -0.1 * u.mag, "lsst_g": 0.2}) == {
        "lsst_u": -0.1, "lsst_g": 0.2,
    }  # fmt: skip
    table = Table({"filter": ["lsst_u"], "offset": Column([100.0], unit="mmag")})
    assert read_zero_points(table) == {"lsst_u": pytest.approx(0.1)}
    assert read_zero_points({"lsst_u": 50 * u.mmag}) == {"lsst_u": pytest.approx(0.05)}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Table({"band": ["u"]}), "no column filter, offset"),
        ({"lsst_u": 0.1 * u.Jy}, "lsst_u is in Jy"),
        ({"lsst_u": np.nan}, "lsst_u is nan"),
        ({"lsst_u": None}, "lsst_u is None"),
        (Table({"filter": ["lsst_u"], "offset": np.ma.array([9.0], mask=True)}), "lsst_u is nan"),
        ({"lsst_q": 0.1}, "lsst_q"),
        ([0.1], "a table or a dict"),
    ],
)
def test_wrong_zero_points_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        read_zero_points(wrong)


def test_what_cannot_be_estimated_is_refused(model, galaxies):
    with pytest.raises(ValueError, match="100 galaxies measured at 5 sigma.*not 99"):
        estimate_zero_points(model, galaxies[:99])
    two = Galaxies(150, BANDS[:2], galaxies.photometry[:, :2])
    with pytest.raises(ValueError, match="three bands"):
        estimate_zero_points(model, two)


def test_predictions_use_them(model):
    path = files("astromosaic") / "data" / "sdss_mgs.ecsv"
    table = read_catalog(path)[:40]
    table.remove_columns([name for name in ("z_spec", "z") if name in table.colnames])
    shifted = table.copy()
    shifted["dered_u"] = table["dered_u"] + 0.1
    as_it_is = model.predict(table)
    right = model.predict(shifted, zero_points={"sdss_u": 0.1})
    wrong = model.predict(shifted)
    off = [np.abs(r["redshift"] - as_it_is["redshift"]).max() for r in (right, wrong)]
    assert off[0] < 0.002  # asinh magnitudes and errors move a little
    assert off[1] > 0.01
    assert right.meta["zero_points_mag"] == {"sdss_u": 0.1}
    assert "zero_points_mag" not in wrong.meta
    posterior = model.posterior(shifted, zero_points={"sdss_u": 0.1})
    np.testing.assert_allclose(posterior.median(), right["redshift"], rtol=1e-5)
    with pytest.raises(ValueError, match="lsst_u, but the photometry is in sdss_u"):
        model.predict(table, zero_points={"lsst_u": 0.1})
    with pytest.raises(ValueError, match="'mine'.*'own'"):
        model.predict(table, zero_points="mine")


def test_command_line(tmp_path, capsys):
    data = tmp_path / "sdss.ecsv"
    table = read_catalog(files("astromosaic") / "data" / "sdss_mgs.ecsv")
    write_catalog(table, data)
    output = tmp_path / "zp.ecsv"
    main(["zeropoints", str(data), "--most", "100", "--output", str(output)])
    printed = capsys.readouterr().out
    assert "from 100 galaxies" in printed
    offsets = read_zero_points(read_catalog(output))
    assert f"{offsets['sdss_g']:+.3f}" in printed
    report = photoz.run(str(data), limit=50, zero_points=read_catalog(output))
    assert report["zero_points_mag"] == offsets
    assert "Zero points (mag): sdss_u" in photoz.format_report(report)
    out = tmp_path / "out.ecsv"
    main(["predict", str(data), "--query", "redshift", "--output", str(out), "--zero-points",
          str(output)])  # fmt: skip
    assert read_catalog(out).meta["zero_points_mag"] == offsets
