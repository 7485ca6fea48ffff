"""Results of vectors: columns and spectra that can be written, read, and given back."""

from collections import Counter

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from astromosaic.catalog import read_input, read_spectrum
from astromosaic.galaxies import MEASURED, MISSING
from astromosaic.io import read_catalog, write_catalog
from astromosaic.posterior import Posterior, VectorPosterior
from astromosaic.properties import LOOKBACK_EDGES, PROPERTIES, SPECTRUM_WAVELENGTH, VECTORS
from astromosaic.results import result_spectrum, result_table

N = 4
ANSWERED = np.array([True, True, False, True])
FORMATS = ["ecsv", "fits", "hdf5", "parquet", "vot"]


def vector(name, answered=ANSWERED, seed=3):
    """A posterior with answers for some galaxies."""
    rng = np.random.default_rng(seed)
    shape = (len(answered), VECTORS[name].length, 2)
    weight, mean, sigma = (
        np.full(shape, 0.5),
        rng.uniform(1, 8, shape),
        rng.uniform(0.05, 0.2, shape),
    )
    weight[~answered] = np.nan
    return VectorPosterior(name, weight, mean, sigma)


@pytest.fixture(scope="module")
def posteriors():
    logits = np.zeros((N, PROPERTIES["redshift"].bins))
    logits[~ANSWERED] = np.nan
    return {"redshift": Posterior.from_logits("redshift", logits)} | {v: vector(v) for v in VECTORS}


@pytest.fixture(scope="module")
def table(posteriors):
    ids = Table({"id": np.arange(N)})
    return result_table(posteriors, np.zeros(N), ids, {"model": "toy"})


@pytest.mark.parametrize("name", VECTORS)
def test_columns_of_vectors(table, posteriors, name):
    definition = VECTORS[name]
    for column in (name, f"{name}_lo", f"{name}_hi"):
        assert table[column].shape == (N, definition.length)
        assert table[column].unit == u.Unit(definition.unit)
        assert table[column].info.meta["ucd"] == definition.ucd
        assert table[column].mask[~ANSWERED].all()
        assert not table[column].mask[ANSWERED].any()
    assert definition.definition in table[name].info.description
    good = table[ANSWERED]
    assert np.all(good[f"{name}_lo"] < good[name])
    assert np.all(good[name] < good[f"{name}_hi"])
    np.testing.assert_array_equal(
        good[name].unmasked.value, posteriors[name].median().value[ANSWERED]
    )


def test_axes(table):
    for name, definition in VECTORS.items():
        meta = table[name].info.meta
        key = "wavelength" if definition.is_flux else "lookback_time_edges"
        assert len(meta[key]) == definition.length + (not definition.is_flux)
        assert meta[f"{definition.axis}_unit"] == ("um" if definition.is_flux else "Gyr")
        assert np.all(np.diff(meta[key]) > 0)
        assert table.meta[f"{name}_{key}"] == meta[key]
        assert table.meta[f"{name}_{definition.axis}_unit"] == meta[f"{definition.axis}_unit"]
    np.testing.assert_array_equal(table["mah"].info.meta["lookback_time_edges"], LOOKBACK_EDGES)
    np.testing.assert_array_equal(table["spectrum"].info.meta["wavelength"], SPECTRUM_WAVELENGTH)
    spherex = table["spherex"].info.meta["wavelength"]
    assert (spherex[0], spherex[-1]) == pytest.approx((0.75, 5.0), abs=0.05)
    assert "redshift_wavelength" not in table.meta


def test_a_result_is_an_input(table):
    galaxies, reading = read_input(table)
    assert galaxies.vectors.keys() == VECTORS.keys()
    assert reading.id_columns == ["id"]
    for name, measured in galaxies.vectors.items():
        np.testing.assert_array_equal(measured.state[~ANSWERED], MISSING)
        np.testing.assert_array_equal(measured.state[ANSWERED], MEASURED)
        np.testing.assert_allclose(
            measured.value[ANSWERED], table[name][ANSWERED].unmasked.value, rtol=1e-4
        )
    assert not any("no times" in note or "no wavelengths" in note for note in reading.notes)


@pytest.mark.parametrize("ending", FORMATS)
def test_files(table, tmp_path, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
        pytest.importorskip("pandas")
    path = tmp_path / f"result.{ending}"
    write_catalog(table, path)
    back = read_catalog(path)
    assert back.colnames == table.colnames
    galaxies, reading = read_input(back)
    expected, _ = read_input(table)
    for name in VECTORS:
        assert back[name].unit == table[name].unit
        got, own = galaxies.vectors[name], expected.vectors[name]
        np.testing.assert_array_equal(got.state, own.state)
        np.testing.assert_allclose(got.value, own.value, rtol=1e-5)
    # The axes have come along: nothing is taken to be on the model's own.
    assert not any("no times" in note or "no wavelengths" in note for note in reading.notes)


def test_vectors_have_no_draws(posteriors):
    drawn = result_table(
        {name: posteriors[name] for name in ("redshift", "sfh")}, np.zeros(N), samples=3
    )
    assert drawn["redshift_samples"].shape == (N, 3)
    assert "sfh_samples" not in drawn.colnames


def test_spectrum(posteriors):
    posterior = posteriors["spectrum"]
    spectrum = result_spectrum(posterior, {"model": "toy"})
    assert spectrum.shape == (N, len(SPECTRUM_WAVELENGTH))
    assert spectrum.meta["model"] == "toy"
    np.testing.assert_array_equal(spectrum.spectral_axis.to_value(u.um), SPECTRUM_WAVELENGTH)
    np.testing.assert_array_equal(np.all(spectrum.mask, axis=1), ~ANSWERED)
    back = read_spectrum(spectrum, Counter())
    np.testing.assert_array_equal(
        back.state == MEASURED, np.broadcast_to(ANSWERED[:, None], back.state.shape)
    )
    for got, given in ((back.value, posterior.mean()), (back.error, posterior.std())):
        np.testing.assert_allclose(got[ANSWERED], given.to_value("nJy")[ANSWERED], rtol=1e-5)


def test_one_spectrum(posteriors):
    spectrum = result_spectrum(posteriors["spectrum"][:1], single=True)
    assert spectrum.shape == SPECTRUM_WAVELENGTH.shape
    many = read_spectrum(result_spectrum(posteriors["spectrum"]), Counter())
    one = read_spectrum(spectrum, Counter())
    np.testing.assert_array_equal(one.value[0], many.value[0])
    with pytest.raises(ValueError, match="4 galaxies, not of one"):
        result_spectrum(posteriors["spectrum"], single=True)
    with pytest.raises(ValueError, match="not of 'sfh'"):
        result_spectrum(posteriors["sfh"])
