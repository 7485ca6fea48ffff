"""Training data: the same galaxies, however their file is laid out, give the same training set."""

import json
import logging

import h5py
import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table

from astromosaic.cosmology import age_gyr
from astromosaic.properties import (
    LOOKBACK_EDGES,
    LOOKBACK_MIDDLES,
    PROPERTIES,
    SPECTRUM_EDGES,
    SPECTRUM_WAVELENGTH,
    VECTORS,
)
from astromosaic.simulation.mocks import load_mocks
from astromosaic.training.data import TrainingSet, combine, read_training_set

N = 7


@pytest.fixture
def truth():
    """Columns of a table in the model's own units."""
    rng = np.random.default_rng(1)
    age = LOOKBACK_EDGES[1:] < 9
    return {
        "lsst_g": rng.uniform(50, 5000, N) * u.nJy,
        "lsst_r": rng.uniform(50, 5000, N) * u.nJy,
        "redshift": rng.uniform(0.1, 3, N) * u.one,
        "stellar_mass": 10 ** rng.uniform(8, 11, N) * u.solMass,
        "spherex": rng.uniform(50, 5000, (N, 102)) * u.nJy,
        "spectrum": rng.uniform(50, 5000, (N, len(SPECTRUM_WAVELENGTH))) * u.nJy,
        "sfh": rng.uniform(0, 30, (N, 31)) * age * (u.solMass / u.yr),
        "mah": 10 ** rng.uniform(10, 12, (N, 31)) * age * u.solMass,
    }


def write_hdf5(path, columns, group="", axes=()):
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            values = u.Quantity(values) if not hasattr(values, "unit") else values
            where = name if name in axes else f"{group}/{name}"
            file[where] = values.value
            if values.unit != u.one:
                file[where].attrs["unit"] = str(values.unit)
    return path


def assert_same(a, b, rtol=2e-6):
    assert a.filters == b.filters
    np.testing.assert_allclose(a.flux, b.flux, rtol=rtol)
    for kind in ("scalars", "vectors"):
        x, y = getattr(a, kind), getattr(b, kind)
        assert list(x) == list(y)
        for name in x:
            np.testing.assert_allclose(x[name], y[name], rtol=rtol, err_msg=name)


def assert_is_truth(data, truth):
    assert data.filters == ("lsst_g", "lsst_r")
    assert len(data) == N
    assert data.flux.dtype == np.float32
    np.testing.assert_allclose(data.flux[:, 1], truth["lsst_r"].value, rtol=1e-6)
    assert set(data.scalars) == {"redshift", "stellar_mass"}
    for name, values in data.scalars.items():
        own = PROPERTIES[name].to_physical(values)
        np.testing.assert_allclose(own, truth[name].value, rtol=2e-5)
    assert list(data.vectors) == list(VECTORS)
    for name, values in data.vectors.items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, truth[name].value, rtol=1e-6)


# Files of our own simulator


def test_mocks_are_read_as_they_are(toy_mocks):
    data = read_training_set(toy_mocks)
    arrays = load_mocks(toy_mocks)
    assert data.filters == arrays["filters"]
    np.testing.assert_array_equal(data.flux, arrays["flux"])
    np.testing.assert_array_equal(data.vectors["spherex"], arrays["spherex"])
    np.testing.assert_allclose(np.expm1(data.scalars["redshift"]), arrays["redshift"], rtol=1e-5)
    np.testing.assert_array_equal(data.scalars["sfr"], arrays["log_sfr"])
    assert set(data.scalars) == set(PROPERTIES)
    assert set(data.vectors) == set(VECTORS)
    np.testing.assert_array_equal(data.vectors["spectrum"], arrays["sed"])
    # There is no halo before the Big Bang, whatever the file says.
    after = LOOKBACK_MIDDLES < age_gyr(arrays["redshift"])[:, None]
    assert not data.vectors["mah"][~after].any()
    np.testing.assert_allclose(
        np.log10(data.vectors["mah"][after]), arrays["mah"][after], rtol=1e-5
    )
    assert data.provenance["galaxies"] == len(data) == 4000
    assert data.provenance["sample"] == "toy"
    json.dumps(data.provenance)


def test_vectors_of_mocks_come_in_the_units_of_the_model(tmp_path):
    path = tmp_path / "mocks.h5"
    log_mah = np.linspace(3, 13, 31, dtype=np.float32)[None].repeat(4, axis=0)
    sed = np.arange(4 * 1071, dtype=np.float32).reshape(4, 1071)
    with h5py.File(path, "w") as file:
        file.attrs["filters"], file.attrs["provenance"] = "[]", "{}"
        file["train/mah"], file["train/sed"] = log_mah, sed
        file["sed_wavelength"] = 1e4 * SPECTRUM_WAVELENGTH
    data = read_training_set(path, limit=3)
    np.testing.assert_array_equal(data.vectors["spectrum"], sed[:3])
    mah = data.vectors["mah"]
    assert (mah[log_mah[:3] < 7] == 0).all()
    np.testing.assert_allclose(np.log10(mah[mah > 0]), log_mah[:3][log_mah[:3] >= 7], rtol=1e-6)
    with h5py.File(path, "a") as file:
        file["sed_wavelength"][:] *= 1.01
    with pytest.raises(ValueError, match=r"mocks\.h5.*sed_wavelength"):
        read_training_set(path)


# Files of users


@pytest.mark.parametrize("group", ["", "train", "data"])
def test_hdf5_with_columns_as_datasets(tmp_path, truth, group):
    data = read_training_set(write_hdf5(tmp_path / "my.h5", truth, group))
    assert_is_truth(data, truth)
    assert data.provenance["file"] == "my.h5"
    json.dumps(data.provenance)


@pytest.mark.parametrize("name", ["t.h5", "t.parquet", "t.fits"])
def test_tables_of_astropy(tmp_path, truth, name):
    options = {"path": "train", "serialize_meta": True} if name == "t.h5" else {}
    QTable(truth).write(tmp_path / name, **options)
    assert_is_truth(read_training_set(tmp_path / name), truth)


def test_group_train_is_taken_and_test_is_not(tmp_path, truth):
    path = write_hdf5(tmp_path / "my.h5", truth, "train")
    with h5py.File(path, "a") as file:
        file["test/lsst_r"] = np.ones(3)
    assert_is_truth(read_training_set(path), truth)


def test_table_of_astropy_called_train_is_taken(tmp_path, truth):
    for name, rows in (("test", slice(0, 2)), ("train", slice(None))):
        QTable(truth)[rows].write(tmp_path / "t.h5", path=name, serialize_meta=True, append=True)
    assert_is_truth(read_training_set(tmp_path / "t.h5"), truth)


def test_parquet_without_units_has_those_of_the_model_and_says_so(tmp_path, truth, caplog):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({name: list(values.value) for name, values in truth.items()})
    frame.to_parquet(tmp_path / "t.parquet")
    with caplog.at_level(logging.WARNING, "astromosaic"):
        data = read_training_set(tmp_path / "t.parquet")
    assert_is_truth(data, truth)
    assert "stellar_mass in solMass" in caplog.text
    assert "lsst_r in nJy" in caplog.text
    assert "redshift" not in caplog.text


def test_units_of_parquet_fields_are_read(tmp_path, truth):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    fields = [
        pyarrow.field("lsst_r", pyarrow.float64(), metadata={"unit": "uJy"}),
        pyarrow.field("spectrum", pyarrow.list_(pyarrow.float32()), metadata={"unit": "uJy"}),
    ]
    arrays = [
        pyarrow.array(truth["lsst_r"].to_value("uJy")),
        pyarrow.array(list(truth["spectrum"].to_value("uJy")), fields[1].type),
    ]
    table = pyarrow.table(arrays, schema=pyarrow.schema(fields))
    parquet.write_table(table, tmp_path / "t.parquet")
    data = read_training_set(tmp_path / "t.parquet")
    np.testing.assert_allclose(data.flux[:, 0], truth["lsst_r"].value, rtol=1e-6)
    np.testing.assert_allclose(data.vectors["spectrum"], truth["spectrum"].value, rtol=1e-6)


def test_units_do_not_matter(tmp_path, truth):
    other = truth | {
        "lsst_g": truth["lsst_g"].to(u.ABmag),
        "lsst_r": truth["lsst_r"].to("erg / (s cm2 Hz)"),
        "stellar_mass": np.log10(truth["stellar_mass"].value) * u.dex(u.solMass),
        "spherex": truth["spherex"].to(u.ABmag),
        "spectrum": truth["spectrum"].to(
            "W / (m2 um)", u.spectral_density(SPECTRUM_WAVELENGTH * u.um)
        ),
        "sfh": truth["sfh"].to("solMass / Gyr"),
        "mah": truth["mah"].to("kg"),
    }
    a = read_training_set(write_hdf5(tmp_path / "a.h5", truth))
    b = read_training_set(write_hdf5(tmp_path / "b.h5", other))
    assert_same(a, b, rtol=2e-5)


@pytest.mark.parametrize("name", ["t.h5", "t.parquet", "t.fits"])
def test_limit_is_the_first_galaxies(tmp_path, truth, name):
    options = {"path": "train", "serialize_meta": True} if name == "t.h5" else {}
    QTable(truth).write(tmp_path / name, **options)
    whole, part = read_training_set(tmp_path / name), read_training_set(tmp_path / name, limit=3)
    assert len(part) == part.provenance["galaxies"] == 3
    np.testing.assert_array_equal(part.flux, whole.flux[:3])
    for vector in VECTORS:
        np.testing.assert_array_equal(part.vectors[vector], whole.vectors[vector][:3])


@pytest.mark.parametrize("name", ["t.h5", "t.parquet"])
def test_what_is_masked_or_not_finite_is_unknown(tmp_path, truth, name):
    table = Table(QTable(truth))
    mask = np.arange(N) == 2
    table["lsst_r"] = MaskedColumn(table["lsst_r"], mask=mask)
    table["redshift"][3] = np.nan
    table["stellar_mass"][4] = -1
    table["sfh"][5, 3] = np.inf
    options = {"path": "t", "serialize_meta": True} if name == "t.h5" else {}
    table.write(tmp_path / name, **options)
    data = read_training_set(tmp_path / name)
    assert np.flatnonzero(np.isnan(data.flux[:, 1])).tolist() == [2]
    assert np.flatnonzero(np.isnan(data.scalars["redshift"])).tolist() == [3]
    assert np.flatnonzero(np.isnan(data.scalars["stellar_mass"])).tolist() == [4]
    assert np.argwhere(np.isnan(data.vectors["sfh"])).tolist() == [[5, 3]]


def test_truths_that_the_model_cannot_say_are_unknown_and_told(tmp_path, truth, caplog):
    truth["redshift"][2] = 6.4
    truth["stellar_mass"][4] = 10**4.5 * u.solMass
    truth["sfr"] = np.full(N, 1e-9) * u.solMass / u.yr  # which is 1e-5 by definition
    data = read_training_set(write_hdf5(tmp_path / "a.h5", truth))
    assert np.flatnonzero(np.isnan(data.scalars["redshift"])).tolist() == [2]
    assert np.flatnonzero(np.isnan(data.scalars["stellar_mass"])).tolist() == [4]
    assert (data.scalars["sfr"] == PROPERTIES["sfr"].low).all()
    assert len(data.provenance["notes"]) == 2
    assert "redshift is beyond what the model can say in 1 rows" in caplog.text


def test_errors_are_ignored_and_the_log_says_so(tmp_path, truth, caplog):
    plain = read_training_set(write_hdf5(tmp_path / "a.h5", truth))
    with_errors = truth | {
        # An error of zero would make a measurement invalid.
        "lsst_r_err": np.zeros(N) * u.nJy,
        "redshift_err": -np.ones(N),
        "spectrum_err": np.ones((N, 1071)) * u.nJy,
    }
    with caplog.at_level(logging.INFO, "astromosaic"):
        data = read_training_set(write_hdf5(tmp_path / "b.h5", with_errors))
    assert_same(plain, data)
    assert "lsst_r_err" in caplog.text


def test_only_vectors_or_only_photometry(tmp_path, truth):
    only = read_training_set(write_hdf5(tmp_path / "a.h5", {"spectrum": truth["spectrum"]}))
    assert only.filters == ()
    assert only.flux.shape == (N, 0)
    assert only.scalars == {}
    only = read_training_set(write_hdf5(tmp_path / "b.h5", {"lsst_r": truth["lsst_r"]}))
    assert only.vectors == {}
    assert only.flux.shape == (N, 1)


# Axes


def test_spectrum_on_its_own_axis_keeps_its_flux(tmp_path, truth):
    """Finer pixels in another unit, descending in wavelength: flux is kept, shape recovered."""
    edges = np.geomspace(0.34, 5.2, 9001)
    wave = np.sqrt(edges[1:] * edges[:-1])
    flux = (100 + 50 * np.sin(3 * wave)) * np.arange(1, N + 1)[:, None]
    columns = {
        "spectrum": flux[:, ::-1] * u.nJy,
        "spectrum_wavelength": wave[::-1] * 1e4 * u.AA,
        "redshift": truth["redshift"],
    }
    path = write_hdf5(tmp_path / "a.h5", columns, "train", axes=("spectrum_wavelength",))
    got = read_training_set(path).vectors["spectrum"]
    expected = (100 + 50 * np.sin(3 * SPECTRUM_WAVELENGTH)) * np.arange(1, N + 1)[:, None]
    np.testing.assert_allclose(got, expected, rtol=2e-4)
    inside = (wave > SPECTRUM_EDGES[0]) & (wave < SPECTRUM_EDGES[-1])
    np.testing.assert_allclose(
        got @ np.diff(SPECTRUM_EDGES), flux[:, inside] @ np.diff(edges)[inside], rtol=1e-3
    )
    # The same by frequency.
    columns["spectrum_wavelength"] = columns["spectrum_wavelength"].to("THz", u.spectral())
    again = read_training_set(write_hdf5(tmp_path / "b.h5", columns)).vectors["spectrum"]
    np.testing.assert_allclose(again, got, rtol=1e-6)


def test_spectrum_is_unknown_beyond_its_axis(tmp_path):
    wave = np.linspace(0.5, 1.0, 400)
    columns = {"spectrum": np.ones((2, 400)) * u.nJy, "spectrum_wavelength": wave * u.um}
    got = read_training_set(write_hdf5(tmp_path / "a.h5", columns)).vectors["spectrum"]
    covered = (SPECTRUM_EDGES[1:] > 0.502) & (SPECTRUM_EDGES[:-1] < 0.998)
    assert np.isfinite(got[:, covered]).all()
    beyond = (SPECTRUM_EDGES[1:] < 0.499) | (SPECTRUM_EDGES[:-1] > 1.002)
    assert np.isnan(got[:, beyond]).all()


def test_histories_on_the_axis_of_the_model_do_not_change(tmp_path, truth):
    axes = {f"{name}_lookback_time_edges": LOOKBACK_EDGES * u.Gyr for name in ("sfh", "mah")}
    a = read_training_set(write_hdf5(tmp_path / "a.h5", truth))
    b = read_training_set(write_hdf5(tmp_path / "b.h5", truth | axes))
    assert_same(a, b, rtol=1e-5)
    # The same in the meta of a table, descending and in another unit.
    table = QTable(truth)
    for name, edges in axes.items():
        table.meta[name] = edges[::-1].to_value("Myr").tolist()
        table.meta[f"{name}_unit"] = "Myr"
    for name in ("sfh", "mah"):
        table[name] = table[name][:, ::-1]
    table.write(tmp_path / "t.parquet")
    assert_same(a, read_training_set(tmp_path / "t.parquet"), rtol=1e-5)


@pytest.mark.parametrize("name", ["t.h5", "t.parquet"])
def test_axis_in_the_meta_of_a_column(tmp_path, truth, name):
    """31 bins that are not those of the model: the axis must not be overlooked."""
    table = QTable({"sfh": truth["sfh"]})
    table["sfh"].info.meta = {"lookback_time_edges": np.linspace(0, 3.1, 32).tolist()}
    table["sfh"].info.meta["lookback_time_unit"] = "Gyr"
    options = {"path": "t", "serialize_meta": True} if name == "t.h5" else {}
    table.write(tmp_path / name, **options)
    got = read_training_set(tmp_path / name).vectors["sfh"]
    np.testing.assert_allclose(got[:, 0], truth["sfh"][:, 0].value, rtol=1e-6)
    assert np.isnan(got[:, -1]).all()


def test_rebinned_history_keeps_the_mass_formed(tmp_path):
    edges = np.linspace(0, 14, 2801)
    rate = np.random.default_rng(0).uniform(0, 20, (N, 2800))
    columns = {"sfh": rate * u.solMass / u.yr, "sfh_lookback_time_edges": edges * u.Gyr}
    got = read_training_set(write_hdf5(tmp_path / "a.h5", columns)).vectors["sfh"]
    formed = rate[:, edges[1:] <= 13.8 + 1e-9].sum(axis=1) * 0.005
    np.testing.assert_allclose(got @ np.diff(LOOKBACK_EDGES), formed, rtol=1e-5)


# Together


def test_combined_sets_know_what_each_knew(tmp_path, truth):
    first = {k: truth[k] for k in ("lsst_g", "lsst_r", "redshift", "sfh")}
    second = {k: truth[k] for k in ("lsst_r", "stellar_mass", "spherex")}
    a = read_training_set(write_hdf5(tmp_path / "a.h5", first))
    b = read_training_set(write_hdf5(tmp_path / "b.h5", second))
    both = combine([a, b])
    assert len(both) == 2 * N
    assert both.filters == ("lsst_g", "lsst_r")
    np.testing.assert_array_equal(both.flux[:N], a.flux)
    np.testing.assert_array_equal(both.flux[N:, 1], b.flux[:, 0])
    assert np.isnan(both.flux[N:, 0]).all()
    np.testing.assert_array_equal(both.vectors["sfh"][:N], a.vectors["sfh"])
    assert np.isnan(both.vectors["sfh"][N:]).all()
    assert np.isnan(both.scalars["stellar_mass"][:N]).all()
    np.testing.assert_array_equal(both.scalars["stellar_mass"][N:], b.scalars["stellar_mass"])
    assert [s["file"] for s in both.provenance["sets"]] == ["a.h5", "b.h5"]
    assert combine([a]) is a
    with pytest.raises(ValueError, match="no training sets"):
        combine([])


# What cannot be


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lsst_r": np.full(N, 23.0)}, r"'lsst_r' has no unit.*mag\(AB\)"),
        ({"stellar_mass": np.full(N, 10.5)}, r"'stellar_mass' has no unit.*dex\(solMass\)"),
        ({"sfh": np.full((N, 31), -1.0)}, r"'sfh' has no unit.*dex"),
        ({"mah": np.full((N, 31), 12.0)}, r"'mah' has no unit.*dex\(solMass\)"),
        ({"mah": np.full((N, 31), -1.0) * u.solMass}, "'mah' has negative values"),
        ({"lsst_r": np.ones(N) * u.K}, "'lsst_r' has unit 'K'"),
        ({"sfh": np.ones((N, 31)) * u.K}, "'sfh' has unit 'K'"),
        ({"spectrum": np.ones((N, 31)) * u.nJy}, r"'spectrum' has shape.*spectrum_wavelength"),
        ({"spherex": np.ones((N, 31)) * u.nJy}, "'spherex' has shape"),
        ({"lsst_r": np.ones(N + 1) * u.nJy}, "differ in length: .*lsst_r 8"),
        ({"spectrum_wavelength": np.ones(1071) * u.um}, "'spectrum' has the same wavelength twice"),
        ({"spectrum_wavelength": np.arange(1, 1072) * u.s}, "'spectrum' has an axis in 's'"),
        ({"spectrum_wavelength": np.arange(9, 1080) * u.um}, "all outside of"),
    ],
)
def test_errors_name_file_and_column(tmp_path, truth, change, message):
    path = write_hdf5(tmp_path / "my.h5", truth | change)
    with pytest.raises(ValueError, match=r"my\.h5.*" + message):
        read_training_set(path)


def test_files_with_nothing_to_train_on(tmp_path, truth):
    path = write_hdf5(tmp_path / "a.h5", {"redshift": truth["redshift"]})
    with pytest.raises(ValueError, match=r"a\.h5: there is no photometry and no vector"):
        read_training_set(path)
    path = write_hdf5(tmp_path / "b.h5", {k: v[:0] for k, v in truth.items()})
    with pytest.raises(ValueError, match=r"b\.h5: the table has no rows"):
        read_training_set(path)
    path = write_hdf5(tmp_path / "c.h5", {"x": truth["redshift"]})
    with pytest.raises(ValueError, match=r"c\.h5"):
        read_training_set(path)
    with pytest.raises(FileNotFoundError, match="none.h5"):
        read_training_set(tmp_path / "none.h5")
    (tmp_path / "t.txt").write_text("no table")
    with pytest.raises(ValueError, match=r"t\.txt"):
        read_training_set(tmp_path / "t.txt")


def test_lists_of_different_lengths(tmp_path):
    pandas = pytest.importorskip("pandas")
    lists = [np.ones(1071), np.ones(1070), np.ones(1072), np.ones(1071)]
    pandas.DataFrame({"spectrum": lists}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"t\.parquet.*'spectrum'.*lengths"):
        read_training_set(tmp_path / "t.parquet")


def test_training_set_checks_its_arrays():
    flux = np.ones((3, 1))
    with pytest.raises(ValueError, match=r"redshift has shape \(4,\)"):
        TrainingSet(("lsst_r",), flux, scalars={"redshift": np.ones(4)})
    with pytest.raises(ValueError, match="unknown vector 'sed'"):
        TrainingSet(("lsst_r",), flux, vectors={"sed": np.ones((3, 2))})
    with pytest.raises(ValueError, match="given twice"):
        TrainingSet(("lsst_r", "lsst_r"), np.ones((3, 2)))
