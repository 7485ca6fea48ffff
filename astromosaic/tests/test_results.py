"""Results: tables and spectra that can be written, read, turned into others, and given back."""

import json
import pickle
import sys
from collections import Counter

import numpy as np
import pytest
import yaml
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits, votable
from astropy.io.votable.ucd import check_ucd
from astropy.table import MaskedColumn, QTable, Table, vstack

from astromosaic.catalog import read_input, read_spectrum
from astromosaic.galaxies import MEASURED, MISSING
from astromosaic.io import read_catalog, write_catalog
from astromosaic.posterior import FluxCoordinate, MagnitudeCoordinate, Posterior, VectorPosterior
from astromosaic.properties import LOOKBACK_EDGES, PROPERTIES, SPECTRUM_WAVELENGTH, VECTORS
from astromosaic.results import ResultTable, result_spectrum, result_table

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


def posterior(query, answered=ANSWERED, seed=3):
    """A posterior of anything, with answers for some galaxies."""
    if query in VECTORS:
        return vector(query, answered, seed)
    rng = np.random.default_rng(seed)
    if query in PROPERTIES:
        logits = rng.normal(size=(len(answered), PROPERTIES[query].bins))
        logits[~answered] = np.nan
        return Posterior.from_logits(query, logits)
    weight = np.full((len(answered), 2), 0.5)
    weight[~answered] = np.nan
    mean, sigma = rng.uniform(2, 8, weight.shape), rng.uniform(0.05, 0.2, weight.shape)
    coordinate = (MagnitudeCoordinate if query.startswith("mag_") else FluxCoordinate)(query)
    return Posterior.from_mixture(coordinate, weight, mean, sigma)


KINDS = {
    "scalars": list(PROPERTIES),
    "fluxes": ["lsst_r", "mag_lsst_r", "mag_vista_vircam_J"],
    "vectors": ["sfh", "mah", "spherex"],
}
META = {
    "model": "toy",
    "weights": "0123abcd" * 8,
    "astromosaic": "1.0",
    "filters": {"lsst_r": "v1.9"},
    "flags": {"1": "no answer", "2": "less than known"},
    "input": {"columns": {"r": "lsst_r"}, "counts": {"masked": np.int64(2)}, "notes": ("Å", "b")},
}


def identifiers():
    """Columns that are carried to results, of all kinds."""
    ids = QTable()
    ids["objectId"] = [1, 2, 3, 2**60]
    ids["name"] = ["a", "bb", "c c", "dd"]
    ids["specid"] = MaskedColumn([7, 8, 9, 10], mask=~ANSWERED)
    ids["designation"] = MaskedColumn(["e", "f", "g", "h"], mask=ANSWERED)
    ids["ra"], ids["dec"] = [0.0, 10.0, 20.0, 359.9] * u.deg, [-90.0, 0.0, 0.1, 90.0] * u.deg
    ids["ra"].info.description = "Right ascension, as it was given"
    ids["coord"] = SkyCoord([0.0, 10.0, 20.0, 359.9], [-90.0, 0.0, 0.1, 90.0], unit="deg")
    ids["skycoord"] = ids["coord"].galactic
    return ids


def make_result(kind, answered=ANSWERED, samples=3):
    posteriors = {q: posterior(q, answered) for q in KINDS[kind]}
    return result_table(
        posteriors, [0, 2, 1, 4], identifiers(), META, draws_of(posteriors, samples)
    )


def draws_of(posteriors, samples):
    """Stand-ins for draws: quantiles."""
    if not samples:
        return None
    draws = {q: p.quantile(np.linspace(0.1, 0.9, samples)) for q, p in posteriors.items()}
    return {q: np.moveaxis(d, -1, 1) if d.ndim == 3 else d for q, d in draws.items()}


@pytest.fixture(scope="module")
def posteriors():
    return {name: posterior(name) for name in ("redshift", *VECTORS)}


@pytest.fixture(scope="module")
def table(posteriors):
    ids = Table({"id": np.arange(N)})
    return result_table(posteriors, np.zeros(N), ids, {"model": "toy"})


@pytest.fixture
def path(tmp_path, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
        pytest.importorskip("pandas")
    return tmp_path / f"result.{ending}"


def parts(column):
    """The values of a column, and where they are masked."""
    mask = np.broadcast_to(getattr(column, "mask", False), column.shape)
    values = np.asarray(getattr(column, "unmasked", column))
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    return values, mask


def assert_same_columns(got, given, votable=False):
    """Values, kinds, masks, units, descriptions, UCDs and axes are the same.

    VOTables do not tell empty from missing text.
    """
    for name in given.colnames:
        if votable and name == "designation":
            assert got[name].tolist() == ["", "", "g", ""]
            continue
        a, b = given[name], got[name]
        if isinstance(a, SkyCoord):
            assert isinstance(b, SkyCoord), name
            assert a.frame.name == b.frame.name
            assert np.all(a.separation(b) < 1e-9 * u.arcsec)
            continue
        (values, mask), (got_values, got_mask) = parts(a), parts(b)
        assert got_values.dtype.kind == values.dtype.kind, name
        assert got_values.shape == values.shape, name
        np.testing.assert_array_equal(got_mask, mask, err_msg=name)
        np.testing.assert_array_equal(got_values[~mask], values[~mask], err_msg=name)
        assert str(b.info.unit) == str(a.info.unit), name
        assert b.info.description == a.info.description, name
        assert b.info.meta == a.info.meta, name


@pytest.mark.parametrize(
    ("kind", "answered"), [*((kind, ANSWERED) for kind in KINDS), ("scalars", np.ones(N, bool))]
)
@pytest.mark.parametrize("ending", FORMATS)
def test_results_travel(kind, answered, path):
    result = make_result(kind, answered)
    write_catalog(result, path)
    back = read_catalog(path)
    assert type(back) is ResultTable
    assert back.colnames == result.colnames
    assert back.meta == result.meta
    assert_same_columns(back, result, votable=path.suffix == ".vot")
    for name in result.colnames:
        assert type(back[name]) is type(result[name]) or name == "designation", name
        assert back[name].info.unit == result[name].info.unit, name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", FORMATS)
def test_results_travel_by_astropy_alone(kind, path):
    result = make_result(kind)
    result.write(path)
    back = QTable.read(path)
    if path.suffix == ".parquet" and "sfh_samples" in result.colnames:
        # Astropy makes one list of cells with more axes; its own meta says which.
        for name, shape in back.meta.pop("astromosaic_shapes").items():
            back[name].shape = (len(back), *shape)
    if path.suffix == ".vot":
        # VOTables have no place for the meta of tables, nor for coordinates as such.
        result.remove_columns(["coord", "skycoord"])
        assert {"coord.ra", "coord.dec", "skycoord.l", "skycoord.b"} < set(back.colnames)
        for name in result.colnames:
            # Nor for the axes of columns; descriptions are wrapped.
            result[name].info.meta = {"ucd": result[name].info.meta["ucd"]}
            info = back[name].info
            info.meta.pop("_votable_string_dtype", None)
            info.description = " ".join((info.description or "").split()) or None
        assert_same_columns(back, result, votable=True)
        return
    assert_same_columns(back, result)
    for name in result.colnames:
        if isinstance(result[name], u.Quantity):
            assert back[name].unit == result[name].unit, name
            assert isinstance(back[name], u.Quantity), name
    if path.suffix != ".fits":
        assert back.meta == result.meta
        return
    meta = {key.lower(): value for key, value in back.meta.items()}
    for key, value in result.meta.items():
        assert (meta[key] if isinstance(value, str) else json.loads(meta[key])) == value


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_of_a_result_is_an_input(table, path):
    write_catalog(table, path)
    back = read_catalog(path)
    galaxies, reading = read_input(back)
    expected, _ = read_input(table)
    for name in VECTORS:
        got, own = galaxies.vectors[name], expected.vectors[name]
        np.testing.assert_array_equal(got.state, own.state)
        np.testing.assert_allclose(got.value, own.value, rtol=1e-5)
    # The axes have come along: nothing is taken to be on the model's own.
    assert not any("no times" in note or "no wavelengths" in note for note in reading.notes)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_written_result_can_be_replaced(path):
    result = make_result("scalars", samples=0)
    result.write(path)
    with pytest.raises(FileExistsError):
        result.write(path)
    result[:2].write(str(path), overwrite=True)
    assert len(read_catalog(path)) == 2


def test_other_formats_and_options_are_those_of_astropy(tmp_path):
    result = make_result("scalars", samples=0)
    path = tmp_path / "result.h5"
    result.write(path, path="other", serialize_meta=True)
    assert_same_columns(QTable.read(path, path="other"), result)
    result.write(tmp_path / "result.csv", overwrite=True)
    assert Table.read(tmp_path / "result.csv")["objectId"].tolist() == [1, 2, 3, 2**60]
    result.write(tmp_path / "text.fits", format="ascii.ecsv")
    assert (tmp_path / "text.fits").read_text().startswith("# %ECSV")


def test_other_programs_find_units_descriptions_and_ucds(tmp_path):
    result = make_result("scalars")
    result.write(tmp_path / "t.fits")
    header = fits.getheader(tmp_path / "t.fits", 1)
    numbers = {header[f"TTYPE{i}"]: i for i in range(1, header["TFIELDS"] + 1)}
    result.write(tmp_path / "t.vot")
    fields = {f.name: f for f in votable.parse_single_table(tmp_path / "t.vot").fields}
    for name in ("objectId", "ra", "stellar_mass_lo", "redshift_samples", "dust_av", "flag"):
        ucd = result[name].info.meta["ucd"]
        assert header[f"TUCD{numbers[name]}"] == fields[name].ucd == ucd
        if description := result[name].info.description:
            assert header[f"TCOMM{numbers[name]}"] == description
            assert fields[name].description.split() == description.split()
    assert u.Unit(header[f"TUNIT{numbers['sfr']}"]) == u.solMass / u.yr
    assert fields["sfr"].unit == u.solMass / u.yr
    # Outside of the standard: in words.
    assert header[f"TCOMM{numbers['metallicity']}"].endswith("[dex]")
    # Missing values are NaN and null, not columns of their own.
    assert not any(".mask" in name for name in numbers)
    assert np.isnan(fits.getdata(tmp_path / "t.fits")["redshift"]).tolist() == [*~ANSWERED]


@pytest.mark.parametrize("kind", KINDS)
def test_ucds_are_of_the_vocabulary(kind):
    result = make_result(kind)
    for name in set(result.colnames) - {"coord", "skycoord"}:
        ucd = result[name].info.meta["ucd"]
        assert check_ucd(ucd, check_controlled_vocabulary=True), (name, ucd)
    for query in KINDS[kind]:
        # The first word tells what it is, the last which end.
        main = {c: result[query + c].info.meta["ucd"].split(";") for c in ("", "_lo", "_hi")}
        assert len({words[0] for words in main.values()}) == 1
        assert [words[-1] for words in main.values()] == ["stat.median", "stat.min", "stat.max"]
    assert result["objectId"].info.meta["ucd"] == "meta.id;meta.main"
    assert result["name"].info.meta["ucd"] == "meta.id"
    assert result["dec"].info.meta["ucd"] == "pos.eq.dec;meta.main"
    assert result["flag"].info.meta["ucd"] == "meta.code.qual"


def test_ucds_of_bands():
    result = make_result("fluxes")
    assert "em.opt.R" in result["lsst_r"].info.meta["ucd"].split(";")
    assert "em.opt.R" in result["mag_lsst_r"].info.meta["ucd"].split(";")
    assert "em.IR.J" in result["mag_vista_vircam_J"].info.meta["ucd"].split(";")


def test_given_ucds_are_kept():
    ids = Table({"id": np.arange(N), "ra": np.arange(N) * 1.0})
    ids["id"].meta["ucd"] = "meta.record"
    result = result_table({"redshift": posterior("redshift")}, np.zeros(N), ids)
    assert result["id"].info.meta["ucd"] == "meta.record"
    assert result["ra"].info.meta["ucd"] == "pos.eq.ra;meta.main"
    assert "ucd" not in ids["ra"].meta  # the input is not touched


@pytest.mark.parametrize("kind", KINDS)
def test_meta_is_of_plain_types(kind):
    meta = make_result(kind).meta
    assert json.loads(json.dumps(meta)) == meta
    assert yaml.safe_load(yaml.safe_dump(meta)) == meta
    assert meta["input"]["notes"] == ["Å", "b"]
    assert type(meta["input"]["counts"]["masked"]) is int


def test_the_class_survives():
    result = make_result("vectors", samples=0)
    pieces = [
        result[1:3], result[ANSWERED], result[["objectId", "sfh", "sfh_lo"]], result.copy(),
        pickle.loads(pickle.dumps(result)), vstack([result[:2], result[2:]]),
    ]  # fmt: skip
    for piece in pieces:
        assert type(piece) is ResultTable
        assert isinstance(piece["sfh"], u.Quantity)
        assert piece["sfh"].info.meta["ucd"] == result["sfh"].info.meta["ucd"]
        np.testing.assert_array_equal(piece.axis("sfh_lo").to_value(u.Gyr), LOOKBACK_EDGES)
    assert_same_columns(pieces[4], result)
    joined = pieces[5]
    # Joined, it can still be written, read and given back.
    galaxies, _ = read_input(joined)
    expected, _ = read_input(result)
    np.testing.assert_array_equal(galaxies.vectors["mah"].value, expected.vectors["mah"].value)


def test_axis(table):
    np.testing.assert_array_equal(table.axis("spectrum_hi").to_value(u.um), SPECTRUM_WAVELENGTH)
    assert len(table.axis("spherex")) == VECTORS["spherex"].length
    with pytest.raises(ValueError, match="'redshift' has no axis"):
        table.axis("redshift")
    with pytest.raises(KeyError):
        table.axis("nothing")


@pytest.mark.parametrize("kind", KINDS)
def test_to_pandas(kind):
    pd = pytest.importorskip("pandas")
    result = make_result(kind)
    frame = result.to_pandas()
    assert len(frame) == N
    flat = [c for c in result.colnames if c not in ("coord", "skycoord")]
    assert set(frame) == {*flat, "coord.ra", "coord.dec", "skycoord.l", "skycoord.b"}
    assert [c for c in frame if c in flat] == flat
    for name in flat:
        values, mask = parts(result[name])
        if values.ndim > 1:
            cells = np.stack(frame[name].to_numpy())
            assert np.isnan(cells[mask]).all()
            np.testing.assert_array_equal(cells[~mask], values[~mask])
        else:
            assert pd.isna(frame[name]).tolist() == mask.tolist(), name
            assert frame[name][~mask].tolist() == values[~mask].tolist()
        assert frame.attrs["units"].get(name) == (result[name].info.unit and str(result[name].unit))
        assert frame.attrs["ucds"][name] == result[name].info.meta["ucd"]
    assert frame["specid"].dtype == "Int64"
    assert frame["objectId"][3] == 2**60
    assert frame.attrs["units"]["coord.ra"] == "deg"
    assert frame.attrs["meta"] == result.meta
    json.dumps(frame.attrs)
    np.testing.assert_allclose(frame["skycoord.l"], result["skycoord"].l.deg)


def test_to_pandas_in_columns_and_with_an_index():
    pytest.importorskip("pandas")
    result = make_result("vectors")["objectId", "sfh", "flag"]
    frame = result.to_pandas(index="objectId", arrays="columns")
    assert frame.index.tolist() == [1, 2, 3, 2**60]
    assert list(frame) == [*(f"sfh_{i}" for i in range(31)), "flag"]
    np.testing.assert_array_equal(frame["sfh_7"][ANSWERED], result["sfh"].value[ANSWERED, 7])
    assert frame["sfh_7"].isna().tolist() == (~ANSWERED).tolist()
    assert frame.attrs["units"]["sfh_30"] == "solMass / yr"
    with pytest.raises(ValueError, match="'cells' nor 'columns'"):
        result.to_pandas(arrays="rows")
    with pytest.raises(ValueError, match="'nothing' is no column"):
        result.to_pandas(index="nothing")


@pytest.mark.parametrize("ending", FORMATS)
def test_a_result_of_a_file_to_pandas(path):
    pd = pytest.importorskip("pandas")
    result = make_result("scalars")
    result.write(path)
    frame, expected = read_catalog(path).to_pandas(), result.to_pandas()
    if path.suffix == ".vot":  # which does not tell empty from missing text
        frame, expected = (f.drop(columns="designation") for f in (frame, expected))
    pd.testing.assert_frame_equal(frame, expected)
    assert frame.attrs == expected.attrs


def test_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="needs pandas"):
        make_result("scalars").to_pandas()


def test_answers_of_the_model_travel(tmp_path):
    import astromosaic

    table = QTable({"id": [3, 1, 2], "coord": SkyCoord([1, 2, 3] * u.deg, [4, 5, 6] * u.deg)})
    for band, flux in zip("gri", (300.0, 900.0, 1500.0), strict=True):
        table[f"lsst_{band}"] = np.array([flux, 2 * flux, np.nan]) * u.nJy
        table[f"lsst_{band}_err"] = [20.0, 20.0, 20.0] * u.nJy
    result = astromosaic.predict(table, ["redshift", "mag_lsst_y", "mah"])
    assert type(result) is ResultTable
    for ending in ("ecsv", "fits", "hdf5", "vot"):
        result.write(tmp_path / f"r.{ending}")
        back = read_catalog(tmp_path / f"r.{ending}")
        assert back.meta == result.meta
        assert_same_columns(back, result)


@pytest.mark.parametrize("name", VECTORS)
def test_columns_of_vectors(table, posteriors, name):
    definition = VECTORS[name]
    for suffix, statistic in (("", "median"), ("_lo", "min"), ("_hi", "max")):
        column = name + suffix
        assert table[column].shape == (N, definition.length)
        assert table[column].unit == u.Unit(definition.unit)
        assert table[column].info.meta["ucd"] == f"{definition.ucd};stat.{statistic}"
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


def test_vectors_have_draws(posteriors):
    two = {name: posteriors[name] for name in ("redshift", "sfh")}
    drawn = result_table(two, np.zeros(N), draws=draws_of(two, 3))
    assert drawn["redshift_samples"].shape == (N, 3)
    assert drawn["sfh_samples"].shape == (N, 3, VECTORS["sfh"].length)
    assert drawn["sfh_samples"].unit == drawn["sfh"].unit


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


@pytest.mark.filterwarnings("ignore:Keyword name")
@pytest.mark.parametrize("single", [False, True])
def test_spectra_travel(posteriors, tmp_path, single):
    from specutils import Spectrum

    posterior = posteriors["spectrum"][:1] if single else posteriors["spectrum"]
    meta = {**META, "flag": np.arange(len(posterior)), "id": identifiers()[: len(posterior)]}
    spectrum = result_spectrum(posterior, meta, single)
    path = tmp_path / "spectrum.fits"
    spectrum.write(path, format="tabular-fits", update_header=True)
    back = Spectrum.read(path)
    assert back.flux.unit == spectrum.flux.unit
    np.testing.assert_array_equal(back.spectral_axis.value, SPECTRUM_WAVELENGTH)
    np.testing.assert_array_equal(back.mask, spectrum.mask)
    good = ~spectrum.mask
    np.testing.assert_array_equal(back.flux.value[good], spectrum.flux.value[good])
    np.testing.assert_array_equal(back.uncertainty.array[good], spectrum.uncertainty.array[good])
    assert back.meta["header"]["WEIGHTS"] == META["weights"]


def test_meta_of_spectra_is_of_plain_types(posteriors):
    meta = {**META, "flag": np.arange(N), "id": identifiers()}
    spectrum = result_spectrum(posteriors["spectrum"], meta)
    assert json.loads(json.dumps(spectrum.meta)) == spectrum.meta
    assert spectrum.meta["flag"] == [0, 1, 2, 3]
    assert spectrum.meta["id"]["objectId"] == [1, 2, 3, 2**60]
    assert spectrum.meta["id"]["specid"] == [7, 8, None, 10]
    assert spectrum.meta["id"]["coord.dec"] == pytest.approx([-90, 0, 0.1, 90])
