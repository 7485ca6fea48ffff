"""The main job on the bundled weights: tables in, tables out."""

import warnings
from importlib.resources import files

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table

import astromosaic
from astromosaic.catalog import read_table
from astromosaic.cli import main
from astromosaic.evaluation.metrics import point_metrics, redshift_deviation
from astromosaic.galaxies import MEASURED, MISSING

SDSS = files("astromosaic") / "data" / "sdss_mgs.ecsv"


@pytest.fixture(scope="module")
def model():
    return astromosaic.load_model()


@pytest.fixture(scope="module")
def sdss():
    return Table.read(SDSS)


def lsst_table(n=30, seed=0):
    """Made-up fluxes in LSST's bands, in nJy."""
    rng = np.random.default_rng(seed)
    table = QTable({"objectId": np.arange(n) + 1000})
    brightness = 10 ** rng.uniform(2.5, 4.5, n)
    for band, shape in zip("ugrizy", (0.2, 0.4, 0.8, 1.2, 1.5, 1.6), strict=True):
        table[f"lsst_{band}"] = brightness * shape * rng.lognormal(0, 0.2, n) * u.nJy
        table[f"lsst_{band}_err"] = 0.02 * table[f"lsst_{band}"] + 10 * u.nJy
    return table


def values(result, *names):
    return np.stack([np.asarray(result[name], float) for name in names])


def test_redshifts_of_real_galaxies(model, sdss):
    result = model.predict(sdss, ["redshift", "stellar_mass"])
    assert len(result) == len(sdss)
    assert list(result["id"]) == list(sdss["id"])
    figures = point_metrics(redshift_deviation(result["redshift"], sdss["z_spec"]))
    assert figures["nmad"] < 0.03
    assert abs(figures["bias"]) < 0.02
    assert figures["outlier_fraction"] < 0.01
    assert result["stellar_mass"].unit == u.solMass
    assert 10 < np.log10(np.median(result["stellar_mass"].value)) < 11.5


def test_the_result_table(model):
    table = lsst_table()
    result = model.predict(table, ["redshift", "sfr", "hsc_y", "mag_vista_J"], samples=7)
    assert list(result["objectId"]) == list(table["objectId"])
    for name, unit in (("redshift", None), ("sfr", u.solMass / u.yr), ("hsc_y", u.nJy),
                       ("mag_vista_J", u.ABmag)):  # fmt: skip
        low, middle, high = values(result, f"{name}_lo", name, f"{name}_hi")
        assert np.all(low < middle)
        assert np.all(middle < high)
        assert result[f"{name}_samples"].shape == (len(table), 7)
        assert (result[name].unit or None) == unit
    assert {"model", "weights", "astromosaic", "input", "filters", "flags"} <= set(result.meta)
    assert result.meta["weights"] == model.checksum
    assert result.meta["filters"]["lsst_r"]
    assert result["flag"].dtype.kind == "i"


def test_draws_of_different_queries_belong_together(model):
    result = model.predict(lsst_table(), ["redshift", "mag_lsst_r", "dust_av"], samples=100)
    joint = model.posterior(lsst_table(), ["redshift", "mag_lsst_r", "dust_av"]).sample(100)
    for query, drawn in joint.items():
        np.testing.assert_allclose(values(result, f"{query}_samples")[0], np.asarray(drawn))


def test_fluxes_and_magnitudes_give_the_same_answer(model):
    fluxes = lsst_table()
    magnitudes = fluxes.copy()
    micro = fluxes.copy()
    for band in "ugrizy":
        name = f"lsst_{band}"
        error = 2.5 / np.log(10) * (fluxes[f"{name}_err"] / fluxes[name]).to_value(u.one)
        magnitudes[name] = fluxes[name].to(u.ABmag)
        magnitudes[f"{name}_err"] = error * u.mag
        micro[name] = fluxes[name].to(u.uJy)
        micro[f"{name}_err"] = fluxes[f"{name}_err"].to(u.uJy)
    expected = model.predict(fluxes, "redshift")["redshift"]
    for table in (magnitudes, micro):
        answer = model.predict(table, "redshift")["redshift"]
        np.testing.assert_allclose(answer, expected, rtol=1e-3)


def test_order_of_rows_and_columns_does_not_matter(model):
    table = lsst_table()
    expected = model.predict(table, "redshift")["redshift"]
    columns = table[table.colnames[::-1]]
    np.testing.assert_allclose(model.predict(columns, "redshift")["redshift"], expected, rtol=1e-4)
    np.testing.assert_allclose(
        model.predict(table[::-1], "redshift")["redshift"][::-1], expected, rtol=1e-4
    )


def test_a_masked_band_is_an_absent_column(model):
    table = lsst_table()
    masked = Table(table, masked=True)
    masked["lsst_u"].mask = True
    absent = table.copy()
    absent.remove_columns(["lsst_u", "lsst_u_err"])
    np.testing.assert_allclose(
        model.predict(masked, "redshift")["redshift"],
        model.predict(absent, "redshift")["redshift"], rtol=1e-4,
    )  # fmt: skip


def test_a_row_without_input_is_masked_and_flagged(model):
    table = Table(lsst_table(), masked=True)
    for band in "ugrizy":
        table[f"lsst_{band}"].mask[4] = True
    result = model.predict(table, ["redshift", "stellar_mass", "hsc_y", "mag_hsc_y"], samples=3)
    good = model.predict(lsst_table(), ["redshift", "stellar_mass"])
    assert result["flag"][4] == 1
    for name in ("redshift", "stellar_mass", "hsc_y", "mag_hsc_y", "redshift_samples"):
        mask = np.asarray(result[name].mask)
        assert mask[4].all()
        assert not mask[np.arange(len(table)) != 4].any()
    rest = np.arange(len(table)) != 4
    np.testing.assert_allclose(
        np.asarray(result["redshift"])[rest], good["redshift"][rest], rtol=1e-4
    )


def test_a_known_redshift_is_used_and_narrows_the_mass(model, sdss):
    blind = model.posterior(sdss, "stellar_mass")
    table = sdss.copy()
    table["redshift"] = table["z_spec"]
    told = model.posterior(table, ["stellar_mass", "redshift"])

    def width(posterior):
        low, high = posterior.interval()
        return np.median(np.log10(high / low))

    assert width(told["stellar_mass"]) < width(blind)


def test_what_is_known_exactly_is_not_overruled(model, sdss):
    table = sdss[:20].copy()
    # One that the light speaks against, and one of which nothing is known but this.
    table["redshift"] = np.where(np.arange(20) % 2, 0.6, table["z_spec"])
    for name in table.colnames[1:-2]:
        table[name] = MaskedColumn(table[name], mask=np.arange(20) == 0)
    posterior = model.posterior(table, "redshift")
    np.testing.assert_allclose(posterior.median(), table["redshift"], atol=1e-5)
    low, high = posterior.interval()
    assert np.all((low <= table["redshift"]) & (table["redshift"] <= high))
    assert np.all(posterior.std() < 1e-5)
    table["stellar_mass"] = 1e10 * u.solMass
    mass = model.predict(table, "stellar_mass")["stellar_mass"]
    np.testing.assert_allclose(mass.to_value(u.solMass), 1e10, rtol=1e-3)
    table.remove_column("stellar_mass")

    # With an error it is evidence like any other.
    table["redshift_err"] = 0.1
    told = model.posterior(table, "redshift")
    assert np.all(told.std() > 0.005)
    assert np.median(np.abs(told.median()[1::2] - 0.6)) > 0.1


def test_a_given_band_comes_back_denoised(model):
    table = lsst_table()
    posterior = model.posterior(table, "lsst_r")
    ratio = (posterior.median() / table["lsst_r"]).to_value(u.one)
    assert abs(np.median(ratio) - 1) < 0.05


def test_less_known_means_wider(model):
    table = lsst_table()
    full = model.posterior(table, "redshift").std()
    two = model.posterior(table["objectId", "lsst_g", "lsst_g_err", "lsst_i", "lsst_i_err"])
    assert np.median(two.std()) > np.median(full)


def test_spherex_alone_and_in_pieces(model):
    rng = np.random.default_rng(3)
    flux = 3e4 * rng.lognormal(0, 0.05, (5, 102))
    array = QTable({"spherex": flux * u.nJy, "spherex_err": 0.05 * flux * u.nJy})
    single = QTable()
    for i in range(102):
        single[f"spherex_{i + 1:03d}"] = flux[:, i] * u.nJy
        single[f"spherex_{i + 1:03d}_err"] = 0.05 * flux[:, i] * u.nJy
    np.testing.assert_allclose(
        model.predict(array, "redshift")["redshift"],
        model.predict(single, "redshift")["redshift"], rtol=1e-4,
    )  # fmt: skip
    half = single[[c for c in single.colnames if int(c[8:11]) <= 40]]
    assert np.isfinite(model.predict(half, "redshift")["redshift"]).all()


def test_filters_beyond_the_model_are_not_used(model):
    table = lsst_table()
    expected = model.predict(table, "redshift")
    table["wise_w4"] = np.full(len(table), 1e6) * u.nJy
    result = model.predict(table, "redshift")
    np.testing.assert_allclose(result["redshift"], expected["redshift"], rtol=1e-4)
    assert any("wise_w4" in note for note in result.meta["input"]["notes"])
    with pytest.raises(ValueError, match="micron"):
        model.predict(lsst_table(), "wise_w4")


def test_galaxies_outside_the_training_range_are_flagged(model):
    table = lsst_table(3)
    for band in "ugrizy":
        table[f"lsst_{band}"][0] = 1e9 * u.nJy
        table[f"lsst_{band}"][1] = 1e-2 * u.nJy
        table[f"lsst_{band}_err"][1] = 1e-3 * u.nJy
    assert list(model.predict(table)["flag"]) == [4, 4, 0]
    table["redshift"] = [0.5, 0.5, 9.0]
    assert model.predict(table, "stellar_mass")["flag"][2] == 4


def test_the_truth_is_not_shown_in_an_evaluation(sdss):
    from astromosaic.evaluation import photoz

    table = sdss[:100].copy()
    expected = photoz.run(table)["median"]
    table["redshift"] = table["z_spec"]
    assert photoz.run(table)["median"] == expected


def test_embedding(model, sdss):
    vectors = model.embed(sdss)
    assert vectors.shape == (len(sdss), model.network.config.width)
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(vectors[10:20], model.embed(sdss[10:20]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace_column("lsst_r", np.asarray(t["lsst_r"])), "lsst_r"),
        (lambda t: t.replace_column("lsst_r", t["lsst_r"].value * u.m / u.s), "lsst_r"),
        (lambda t: t.remove_rows(slice(None)), "no rows"),
        (lambda t: t.keep_columns(["objectId"]), "objectId"),
    ],
)
def test_bad_tables_are_refused_with_a_reason(model, change, message):
    table = lsst_table()
    change(table)
    with pytest.raises(ValueError, match=message):
        model.predict(table)


@pytest.mark.parametrize("query", ["redshfit", "lsst_q", [], ["redshift", "redshift"], ""])
def test_bad_queries_are_refused(model, query):
    with pytest.raises(ValueError, match="query|asked"):
        model.predict(lsst_table(), query)


def test_queries_and_draws_of_a_wrong_kind(model):
    with pytest.raises(ValueError, match=r"query=\['redshift', 'sfr'\]"):
        model.predict(lsst_table(), "redshift, sfr")
    with pytest.raises(TypeError, match="NoneType: give a name"):
        model.predict(lsst_table(), None)
    with pytest.raises(ValueError, match="whole number of draws"):
        model.predict(lsst_table(), samples=10.0)


def test_a_prediction_given_back_is_known_to_within_its_interval(model):
    table = lsst_table(5)
    result = model.predict(table, ["redshift"])
    exact, loose = table.copy(), table.copy()
    exact["redshift"] = result["redshift"]
    for name in ("redshift", "redshift_lo", "redshift_hi"):
        loose[name] = result[name]
    width = [
        np.log(r["stellar_mass_hi"] / r["stellar_mass_lo"]).value.mean()
        for r in (model.predict(t, "stellar_mass") for t in (exact, loose))
    ]
    assert width[1] > 1.02 * width[0]


def test_not_a_table(model):
    with pytest.raises(TypeError, match="Table"):
        model.predict(np.zeros((3, 6)))


@pytest.mark.parametrize("extension", ["ecsv", "fits", "vot", "hdf5", "parquet"])
def test_command_line(extension, tmp_path, capsys):
    from astromosaic.io import read_catalog

    output = tmp_path / f"out.{extension}"
    arguments = ["predict", str(SDSS), "--query", "redshift,stellar_mass,mag_lsst_r", "--output"]
    assert main([*arguments, str(output)]) == 0
    captured = capsys.readouterr()
    assert "400 galaxies" in captured.out
    result = read_catalog(output)
    expected = astromosaic.predict(Table.read(SDSS), ["redshift", "stellar_mass"])
    np.testing.assert_allclose(result["redshift"], expected["redshift"], rtol=1e-4)
    assert u.Unit(result["stellar_mass"].unit) == u.solMass
    assert main([*arguments, str(output)]) == 1
    assert "exists" in capsys.readouterr().err


def test_info(capsys):
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    assert "checksum" in printed
    assert "survey" in printed


def test_a_spectroscopic_redshift_may_have_a_tiny_error(model):
    """Errors smaller than any of the training are no reason to leave it."""
    table = lsst_table()
    table["redshift"] = 0.5 * np.ones(len(table))
    exact = model.posterior(table, "redshift").median()
    table["redshift_err"] = 1e-5
    np.testing.assert_allclose(model.posterior(table, "redshift").median(), exact, atol=1e-3)


def test_what_is_asked_and_given_is_warned_of(model):
    table = lsst_table()
    table["redshift"] = 0.5 * np.ones(len(table))
    with pytest.warns(UserWarning, match="asked and given"):
        model.predict(table, ["redshift", "sfr"])


def test_identifiers_in_half_precision_and_errors_that_overflow():
    """What random tables brought to light: no warning, and the error is taken for what it is."""
    table = Table(masked=True)
    table["source_id"] = MaskedColumn(np.array([3.0, 4.0], np.float16))
    table["lsst_r"] = MaskedColumn([100.0, 100.0], unit="nJy")
    table["halo_mass"] = MaskedColumn([1e-300, 1e12], unit="solMass")
    table["halo_mass_err"] = MaskedColumn([1e10, 1e11], unit="solMass")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = astromosaic.predict(table)
    assert list(result["source_id"]) == [3.0, 4.0]
    galaxies, _ = read_table(table)
    assert list(galaxies.scalars["halo_mass"].state) == [MISSING, MEASURED]
