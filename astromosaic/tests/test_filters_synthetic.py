"""Filters from elsewhere, and synthetic photometry: errors, coverage, many spectra, libraries."""

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable

from astromosaic.filters import (
    Filter,
    canonical_name,
    filter_shapes,
    list_filters,
    load_filter,
    load_filters,
    plot_filters,
    projection_matrix,
    register_filter,
    synthetic_flux,
    synthetic_photometry,
    to_ab_magnitude,
    within_range,
)

WAVELENGTH = np.arange(2800.0, 12500.0, 2.0)
SVO = """<?xml version="1.0"?>
<VOTABLE version="1.1" xmlns="http://www.ivoa.net/xml/VOTable/v1.1">
 <RESOURCE type="results"><TABLE utype="photdm:PhotometryFilter.transmissionCurve.spectrum">
  <PARAM name="filterID" value="Mine/Camera.K" datatype="char" arraysize="*"/>
  <PARAM name="Description" value="one" datatype="char" arraysize="*"/>
  <PARAM name="Description" value="two" datatype="char" arraysize="*"/>
  {detector}
  <FIELD name="Wavelength" ucd="em.wl" unit="Angstrom" datatype="float"/>
  <FIELD name="Transmission" ucd="phys.transmission" unit="" datatype="float"/>
  <DATA><TABLEDATA>{rows}</TABLEDATA></DATA>
 </TABLE></RESOURCE></VOTABLE>
"""


def spectra(n=3):
    """Continua with a slope and lines, f_nu on `WAVELENGTH`, shape (n, n_wave)."""
    slope = np.linspace(-1.0, 2.0, n)[:, None]
    lines = sum(
        6.0 * np.exp(-0.5 * ((WAVELENGTH - c) / 9.0) ** 2) for c in (4100, 5200, 7100, 8600, 9900)
    )
    return (WAVELENGTH / 6000.0) ** slope + lines * np.arange(n)[:, None]


def triangle(response="photon"):
    return Filter.from_arrays(
        [5000, 6000, 7000] * u.AA, [0.0, 1.0, 0.0], "triangle", response=response
    )


def close(a, b, rtol=1e-6):
    """Whether two filters are the same curve, but for the scale."""
    x = np.union1d(a.angstrom, b.angstrom)
    curves = [np.interp(x, f.angstrom, f.transmission / f.transmission.max()) for f in (a, b)]
    return np.allclose(*curves, atol=rtol)


# From elsewhere


def test_a_curve_of_few_points_is_linear_between_them():
    f = triangle()
    # Integrals of a triangle from a to c around b, of T, T lambda and T / lambda.
    a, b, c = 5000.0, 6000.0, 7000.0
    plain, first = 0.5 * (c - a), 0.5 * (c - a) * (a + b + c) / 3
    inverse = ((b - a - a * np.log(b / a)) / (b - a)) + ((c * np.log(c / b) - (c - b)) / (c - b))
    np.testing.assert_allclose(f.mean_wavelength.to_value("AA"), first / plain, rtol=1e-5)
    np.testing.assert_allclose(f.pivot_wavelength.to_value("AA"), np.sqrt(first / inverse), 1e-5)
    np.testing.assert_allclose(f.width.to_value("AA"), plain, rtol=1e-5)


def test_units_order_and_scale_of_the_curve_do_not_matter():
    x, t = [5000.0, 5500, 6400, 7000] * u.AA, np.array([0.0, 0.7, 0.9, 0.0])
    expected = Filter.from_arrays(x, t, "f")
    for found in (
        Filter.from_arrays(x.to("um"), 7 * t, "f"),
        Filter.from_arrays(x[::-1], t[::-1], "f"),
        Filter.from_arrays(x.to("THz", u.spectral()), t, "f"),
        Filter.from_arrays(x, 100 * t * u.percent, "f"),
    ):
        assert close(found, expected)
        np.testing.assert_allclose(filter_shapes(found), filter_shapes(expected), atol=1e-6)


def test_energy_response_counts_photons_by_their_energy():
    photon, energy = triangle(), triangle("energy")
    assert (photon.response, energy.response) == ("photon", "energy")
    assert energy.pivot < photon.pivot
    # A photon response of S / lambda is the energy response S.
    x = np.arange(5000.0, 7001.0)
    same = np.interp(x, [5000, 6000, 7000], [0.0, 1.0, 0.0]) / x
    assert close(energy, Filter.from_arrays(x * u.AA, same, "f"), 1e-4)
    # The signal per energy, integrated over f_nu d(nu).
    f_nu = (WAVELENGTH / 6000.0) ** 2
    s = np.interp(WAVELENGTH, [5000, 6000, 7000], [0.0, 1.0, 0.0])
    expected = np.trapezoid(f_nu * s / WAVELENGTH**2, WAVELENGTH) / np.trapezoid(
        s / WAVELENGTH**2, WAVELENGTH
    )
    found = synthetic_flux(WAVELENGTH * u.AA, f_nu * u.nJy, energy)
    np.testing.assert_allclose(found[0].value, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("wavelength", "transmission", "message"),
    [
        ([5000, 6000] * u.AA, [1.0, 1.0, 1.0], "no curve"),
        ([5000] * u.AA, [1.0], "no curve"),
        ([5000, 5000, 6000] * u.AA, [0.0, 1.0, 0.0], "twice"),
        ([5000, 6000] * u.AA, [1.0, np.nan], "not finite"),
        ([-5000, 6000] * u.AA, [1.0, 1.0], "not positive"),
        ([5000, 6000] * u.AA, [0.0, -1.0], "no response"),
        ([5000, 6000] * u.kg, [1.0, 1.0], "mine"),
        ([5000, 6000] * u.AA, [1.0, 1.0] * u.nJy, "mine"),
    ],
)
def test_what_is_no_curve_is_refused(wavelength, transmission, message):
    with pytest.raises(ValueError, match=message):
        Filter.from_arrays(wavelength, transmission, "mine")


def test_arrays_need_units_and_a_kind_of_response():
    with pytest.raises(TypeError, match="Quantity"):
        Filter.from_arrays([5000, 6000], [1, 1], "mine")
    with pytest.raises(ValueError, match="response"):
        Filter.from_arrays([5000, 6000] * u.AA, [1, 1], "mine", response="quantum")


def test_text_files(tmp_path):
    curve = load_filter("lsst_r")
    path = tmp_path / "myband.dat"
    np.savetxt(path, np.c_[curve.angstrom, curve.transmission], header="wavelength transmission")
    found = Filter.from_file(path)
    assert (found.name, found.response, found.set) == ("myband", "photon", "user")
    assert close(found, curve)
    assert close(load_filter(path), curve)
    assert close(load_filter(str(path)), curve)
    np.savetxt(path, np.c_[curve.angstrom / 10, curve.transmission])
    with pytest.raises(ValueError, match="unit="):
        Filter.from_file(path)
    assert close(Filter.from_file(path, unit="nm"), curve)
    csv = tmp_path / "myband.csv"
    np.savetxt(csv, np.c_[curve.angstrom / 1e4, curve.transmission], delimiter=",")
    assert close(Filter.from_file(csv, unit="um"), curve)
    path.write_text("not a filter\n")
    with pytest.raises(ValueError, match=r"myband\.dat"):
        Filter.from_file(path)


@pytest.mark.parametrize("suffix", ["ecsv", "fits"])
def test_tables_with_units(tmp_path, suffix):
    curve = load_filter("lsst_r")
    path = tmp_path / f"band.{suffix}"
    table = QTable({"wavelength": curve.wavelength.to("um"), "response": curve.transmission})
    table.write(path)
    assert close(Filter.from_file(path), curve)
    table["wavelength"] = table["wavelength"].value
    table.write(path, overwrite=True)
    with pytest.raises(ValueError, match="no unit"):
        Filter.from_file(path)


def test_svo_votable(tmp_path):
    rows = "".join(
        f"<TR><TD>{x}</TD><TD>{t}</TD></TR>"
        for x, t in [(20000, 0), (21000, 0.8), (23000, 0.9), (24000, 0)]
    )
    path = tmp_path / "filter.xml"
    parts = {}
    for value, kind in (("0", "energy"), ("1", "photon")):
        param = f'<PARAM name="DetectorType" value="{value}" datatype="char" arraysize="*"/>'
        path.write_text(SVO.format(detector=param, rows=rows))
        found = parts[kind] = Filter.from_file(path)
        assert (found.name, found.response) == ("Mine/Camera.K", kind)
        expected = Filter.from_arrays(
            [20000, 21000, 23000, 24000] * u.AA, [0, 0.8, 0.9, 0], "k", response=kind
        )
        assert close(found, expected)
    assert parts["energy"].pivot < parts["photon"].pivot
    path.write_text(SVO.format(detector="", rows=rows))
    with pytest.raises(ValueError, match="DetectorType"):
        Filter.from_file(path)
    assert Filter.from_file(path, response="photon").response == "photon"


def test_objects_of_other_libraries():
    curve = load_filter("lsst_r")
    x, t = curve.angstrom, curve.transmission
    made = []
    if synphot := _library("synphot"):
        model = synphot.Empirical1D
        band = synphot.SpectralElement(model, points=x * u.AA, lookup_table=t)
        made.append(Filter.from_object(band, name="a"))
        box = synphot.SpectralElement(synphot.Box1D, amplitude=1, x_0=6000, width=1000)
        np.testing.assert_allclose(
            Filter.from_object(box, name="box").mean_wavelength.to_value("AA"), 6000, rtol=1e-4
        )
        with pytest.raises(ValueError, match="name="):
            Filter.from_object(band)
        with pytest.raises(TypeError, match="spectrum"):
            Filter.from_object(
                synphot.SourceSpectrum(model, points=x * u.AA, lookup_table=t), name="b"
            )
    if speclite := _library("speclite.filters"):
        meta = {"group_name": "mine", "band_name": "r"}
        ends = np.r_[0.0, t[1:-1], 0.0]
        made.append(Filter.from_object(speclite.FilterResponse(x, ends, meta)))
        assert made[-1].name == "mine-r"
    if sncosmo := _library("sncosmo"):
        made.append(load_filter(sncosmo.Bandpass(x, t, name="c")))
        assert made[-1].name == "c"
        assert close(
            load_filter(sncosmo.AggregateBandpass([(x, t), (x, np.ones_like(x))], name="d")), curve,
            1e-2,
        )  # fmt: skip
    if sedpy := _library("sedpy.observate"):
        made.append(load_filter(sedpy.Filter("lsst_baseline_r")))
    assert made
    for found in made:
        assert close(found, curve, 1e-4)
    with pytest.raises(TypeError, match="no filter"):
        load_filter(3.0)


def _library(name):
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        return None


# Names, sets and objects go everywhere


def test_sets_names_and_objects_mix():
    own = triangle()
    curves = load_filters(["lsst", "wise_w1", own])
    assert [c.name for c in curves] == [*list_filters("lsst"), "wise_w1", "triangle"]
    assert load_filters("rubin_r")[0] is load_filter("lsst_r")
    assert load_filter(own) is own
    assert load_filters(iter(curves)) == curves
    assert load_filters("LSST") == load_filters("lsst") == curves[:6]
    assert list_filters("VISTA_VIRCAM_filter") == list_filters("vista_vircam_FILTER")
    shapes = filter_shapes(["lsst", own])
    np.testing.assert_array_equal(shapes[-1], filter_shapes(own)[0])
    assert within_range(own)
    matrix = projection_matrix(["lsst_r", own], WAVELENGTH)
    np.testing.assert_array_equal(matrix[:, 1:], projection_matrix(own, WAVELENGTH))
    np.testing.assert_array_equal(matrix[:, 0], projection_matrix("lsst_r", WAVELENGTH)[:, 0])
    with pytest.raises(ValueError, match="unknown filter"):
        load_filters(["lsst", "lsstt"])


def test_registered_filters_are_known_by_name():
    own = register_filter(triangle(), name="mine_one")
    assert canonical_name("mine_one") == "mine_one"
    assert load_filter("mine_one") is own
    assert register_filter(triangle(), name="mine_one") is own
    assert register_filter("lsst_r") is load_filter("lsst_r")
    np.testing.assert_array_equal(filter_shapes(["mine_one"]), filter_shapes(triangle()))
    with pytest.raises(ValueError, match="another filter 'mine_one'"):
        register_filter(triangle("energy"), name="mine_one")
    with pytest.raises(ValueError, match="another filter 'lsst_r'"):
        register_filter(triangle(), name="lsst_r")
    for name in ("redshift", "spherex", "lsst", "LSST", "a b", "mag_x", "x_err", "x[nm]", "9"):
        with pytest.raises(ValueError, match="cannot be called"):
            register_filter(triangle(), name=name)


def test_versions_tell_curves_apart():
    versions = {f.version for f in (triangle(), triangle(), triangle("energy"))}
    assert len(versions) == 2


def test_the_model_is_asked_in_a_filter_of_one_s_own():
    from astromosaic import predict

    r = load_filter("lsst_r")
    same = Filter.from_arrays(r.wavelength, r.transmission, "red_of_mine")
    table = QTable({"lsst_g": [300.0, 60] * u.nJy, "lsst_r": [500.0, 90] * u.nJy,
                    "lsst_i": [700.0, 99] * u.nJy})  # fmt: skip
    result = predict(table, query=[same, "lsst_r", "mag_red_of_mine"])
    np.testing.assert_allclose(result["red_of_mine"].value, result["lsst_r"].value, rtol=1e-3)
    assert result.meta["filters"]["red_of_mine"] == same.version
    # As the name of a column, too.
    table.rename_column("lsst_r", "red_of_mine")
    again = predict(table, query="lsst_r")
    np.testing.assert_allclose(again["lsst_r"].value, result["lsst_r"].value, rtol=1e-3)


# Zero points


def test_zero_points():
    x = WAVELENGTH * u.AA
    f = load_filter("lsst_g")
    unit = u.erg / u.s / u.cm**2 / u.AA
    flat = np.full(len(x), 1.0) * f.ab_zero_point
    assert f.ab_zero_point.unit == unit
    # f_lambda of AB magnitude zero, whatever the spectrum: here one that is flat in f_lambda.
    np.testing.assert_allclose(to_ab_magnitude(synthetic_flux(x, flat, f)).value, 0, atol=1e-4)
    # Published offsets: WISE, Jarrett et al. 2011; 2MASS, Blanton & Roweis 2007. Their zero points
    # rest on other spectra of Vega.
    for name, offset in [
        ("wise_w1", 2.699), ("wise_w2", 3.339), ("wise_w3", 5.174), ("twomass_J", 0.91),
        ("twomass_H", 1.39), ("twomass_Ks", 1.85), ("bessell_V", 0.02),
    ]:  # fmt: skip
        assert abs(load_filter(name).vega_to_ab.to_value(u.mag) - offset) < 0.04
    sedpy = pytest.importorskip("sedpy.observate")
    for name in ("sdss_u", "wise_w1"):
        theirs = sedpy.Filter(name if "wise" in name else "sdss_u0").ab_to_vega
        assert abs(load_filter(name).vega_to_ab.value + theirs) < 0.002
    beyond = Filter.from_arrays([400, 500, 600] * u.mm, [0, 1, 0], "far")
    assert np.isnan(beyond.vega_to_ab)


# Errors, coverage, numbers


def test_errors_are_those_of_repeated_measurements():
    rng = np.random.default_rng(1)
    x, f_nu = WAVELENGTH[::5], spectra(1)[0, ::5]
    sigma = 0.1 + 0.2 * rng.random(len(x))
    noisy = f_nu + sigma * rng.standard_normal((4000, len(x)))
    flux, error = synthetic_flux(x * u.AA, f_nu * u.nJy, "lsst", error=sigma * u.nJy)
    many = synthetic_flux(x * u.AA, noisy * u.nJy, "lsst")
    np.testing.assert_allclose(many.std(axis=0).value, error.value, rtol=0.06)
    assert error.shape == flux.shape
    # Units of flux and error are each their own.
    again = synthetic_flux(x * u.AA, f_nu * u.nJy, "lsst", error=(sigma * u.nJy).to("uJy"))[1]
    np.testing.assert_allclose(again.value, error.value)
    f_lambda, e_lambda = (
        (v * u.nJy).to(u.erg / u.s / u.cm**2 / u.AA, u.spectral_density(x * u.AA))
        for v in (f_nu, sigma)
    )
    again = synthetic_flux(x * u.AA, f_lambda, "lsst", error=e_lambda)[1]
    np.testing.assert_allclose(again.value, error.value)


def test_magnitudes_and_their_errors():
    flux = [3631e9, 1000.0, 0.0, -5.0] * u.nJy
    magnitude, error = to_ab_magnitude(flux, 0.01 * np.abs(flux))
    np.testing.assert_allclose(magnitude[:2].value, [0, 23.9], atol=2e-4)
    np.testing.assert_allclose(error[:2].value, 0.01 * 2.5 / np.log(10))
    assert error.unit == u.mag
    assert np.isnan(error[2:]).all()


def test_magnitudes_are_no_linear_fluxes():
    x, f_nu = WAVELENGTH * u.AA, spectra(2) * u.uJy
    expected = synthetic_flux(x, f_nu, "lsst").value
    f_lambda = f_nu.to("erg / (s cm2 AA)", u.spectral_density(x))
    for magnitudes in (f_nu.to(u.ABmag), f_lambda.to(u.STmag)):
        np.testing.assert_allclose(synthetic_flux(x, magnitudes, "lsst").value, expected)
    _, error = synthetic_flux(x, f_nu.to(u.ABmag), "lsst", error=0.1 * f_nu)
    np.testing.assert_allclose(
        error.value, synthetic_flux(x, f_nu, "lsst", error=0.1 * f_nu)[1].value
    )
    for unit in (u.mag, u.ABmag):
        with pytest.raises(TypeError, match="error is in mag"):
            synthetic_flux(x, f_nu.to(u.ABmag), "lsst", error=np.ones(f_nu.shape) * unit)


def test_what_makes_no_table_is_refused():
    x, f_nu = WAVELENGTH * u.AA, spectra(4) * u.uJy
    for function in (synthetic_flux, synthetic_photometry):
        with pytest.raises(ValueError, match="no filter is given"):
            function(x, f_nu)
    with pytest.raises(ValueError, match="3 axes"):
        synthetic_photometry(x, f_nu.reshape(2, 2, -1), "lsst_r")
    for twice in (["lsst", "rubin_r"], [load_filter("lsst_r"), "lsst_r"]):
        with pytest.raises(ValueError, match="'lsst_r' is given twice"):
            synthetic_photometry(x, f_nu, twice)


def test_a_table_that_can_be_predicted_from():
    specutils = pytest.importorskip("specutils")
    from astropy.nddata import StdDevUncertainty

    f_nu = spectra(3)
    spectrum = specutils.Spectrum(
        spectral_axis=WAVELENGTH * u.AA, flux=f_nu * u.uJy,
        uncertainty=StdDevUncertainty(0.1 * f_nu),
    )  # fmt: skip
    table = synthetic_photometry(spectrum, filters=["lsst_g", triangle()])
    assert table.colnames == ["lsst_g", "lsst_g_err", "triangle", "triangle_err"]
    assert len(table) == 3
    flux, error = synthetic_flux(spectrum, filters="lsst_g", error=True)
    np.testing.assert_allclose(table["lsst_g"], flux[:, 0])
    np.testing.assert_allclose(table["lsst_g_err"], error[:, 0])
    assert table.meta["filters"]["lsst_g"] == "v1.9"
    one = synthetic_photometry(WAVELENGTH * u.AA, f_nu[1] * u.uJy, "lsst_g", magnitudes=True)
    assert one.colnames == ["lsst_g"]
    np.testing.assert_allclose(one["lsst_g"].to_value("nJy"), flux[1].value)
    with pytest.raises(ValueError, match="no uncertainty"):
        synthetic_flux(
            specutils.Spectrum(spectral_axis=WAVELENGTH * u.AA, flux=f_nu * u.uJy),
            filters="lsst_g", error=True,
        )  # fmt: skip


def test_many_spectra_are_as_one_by_one(monkeypatch):
    from astromosaic.filters import synthetic

    monkeypatch.setattr(synthetic, "_CHUNK", 3 * len(WAVELENGTH))
    f_nu = spectra(8)
    f_nu[2, 2000:2300] = np.nan
    f_nu[3, 2000:2300] = np.inf
    sigma = 0.1 * np.ones_like(f_nu)
    flux, error = synthetic_flux(WAVELENGTH * u.AA, f_nu * u.nJy, "lsst", error=sigma * u.nJy)
    assert np.isnan(flux[2]).sum() in (1, 2)
    np.testing.assert_array_equal(np.isnan(flux[2]), np.isnan(flux[3]))
    for row in range(8):
        one = synthetic_flux(WAVELENGTH * u.AA, f_nu[row] * u.nJy, "lsst", error=sigma[row] * u.nJy)
        np.testing.assert_allclose(flux[row].value, one[0].value, rtol=1e-10)
        np.testing.assert_allclose(error[row].value, one[1].value, rtol=1e-10)
    cube = synthetic_flux(WAVELENGTH * u.AA, f_nu.reshape(2, 4, -1) * u.nJy, "lsst")
    np.testing.assert_array_equal(cube.value.reshape(8, -1), flux.value)
    single = synthetic_flux(WAVELENGTH * u.AA, f_nu.astype(np.float32) * u.nJy, "lsst")
    np.testing.assert_allclose(single.value, flux.value, rtol=1e-5)


def cut(low, high):
    """The spectra between two wavelengths."""
    kept = (WAVELENGTH >= low) & (WAVELENGTH <= high)
    return WAVELENGTH[kept] * u.AA, spectra()[:, kept] * u.nJy


def test_partial_coverage_never_counts_as_zero():
    whole = synthetic_flux(WAVELENGTH * u.AA, spectra() * u.nJy, "lsst_r")
    middle = load_filter("lsst_r").pivot
    for low, high in ((middle - 300, 12000), (3000, middle + 300)):
        x, f_nu = cut(low, high)
        with pytest.raises(ValueError, match="lsst_r"):
            synthetic_flux(x, f_nu, "lsst_r")
        assert np.isnan(synthetic_flux(x, f_nu, "lsst_r", on_partial="nan")).all()
        for how in ("taper", "extrapolate"):
            found = synthetic_flux(x, f_nu, "lsst_r", on_partial=how)
            np.testing.assert_allclose(found.value, whole.value, rtol=0.15)
            flat = synthetic_flux(x, np.full(x.shape, 7.0) * u.nJy, "lsst_r", on_partial=how)
            np.testing.assert_allclose(flat.value, 7.0)
            # Of a filter of which less than asked is covered, nothing is said.
            for least, nothing in ((0.9, True), (0.1, False)):
                found = synthetic_flux(x, f_nu, "lsst_r", how, least_coverage=least)
                assert np.isnan(found).all() == nothing
            assert np.isnan(synthetic_flux(x, f_nu, "twomass_H", how, least_coverage=0)).all()


def test_taper_is_the_mean_over_what_is_covered():
    x, f_nu = cut(3000, 6000)
    # The covered half of the triangle as a filter of its own.
    half = Filter.from_arrays([5000, 6000] * u.AA, [0.0, 1.0], "half")
    found = synthetic_flux(x, f_nu, triangle(), on_partial="taper", least_coverage=0.4)
    np.testing.assert_allclose(found.value, synthetic_flux(x, f_nu, half).value, rtol=1e-4)


def test_extrapolation_is_constant_in_f_nu():
    x, f_nu = cut(3000, 6000)
    longer = np.append(x.value, [6000.01, 9000]) * u.AA
    padded = np.concatenate([f_nu, f_nu[:, -1:], f_nu[:, -1:]], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the long last pixel
        expected = synthetic_flux(longer, padded, "lsst_r")
    found = synthetic_flux(x, f_nu, "lsst_r", on_partial="extrapolate", least_coverage=0.1)
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-4)


def test_a_hole_is_left_out_if_that_is_asked():
    f_nu = spectra(2)
    f_nu[:, (WAVELENGTH > 6000) & (WAVELENGTH < 6200)] = np.nan
    x = WAVELENGTH * u.AA
    assert np.isnan(synthetic_flux(x, f_nu * u.nJy, "lsst_r")).all()
    tapered = synthetic_flux(x, f_nu * u.nJy, "lsst_r", on_partial="taper")
    whole = synthetic_flux(x, spectra(2) * u.nJy, "lsst_r")
    np.testing.assert_allclose(tapered.value, whole.value, rtol=0.05)
    strict = synthetic_flux(x, f_nu * u.nJy, "lsst_r", on_partial="taper", least_coverage=0.95)
    assert np.isnan(strict).all()


@pytest.mark.parametrize("error", [np.nan, np.inf, -0.1])
@pytest.mark.parametrize("shared", [True, False])
def test_a_pixel_without_an_error_touches_only_its_filters(error, shared):
    f_nu, sigma = spectra(2), np.full_like(spectra(2), 0.1)
    expected = synthetic_flux(WAVELENGTH * u.AA, f_nu * u.nJy, "lsst", error=sigma * u.nJy)
    sigma[1, (WAVELENGTH > 6000) & (WAVELENGTH < 6100)] = error
    sigma = sigma[1] if shared else sigma
    found = synthetic_flux(WAVELENGTH * u.AA, f_nu * u.nJy, "lsst", error=sigma * u.nJy)
    for a, b in zip(found, expected, strict=True):
        assert np.isnan(a[1, 2])
        assert np.isnan(a[0, 2]) == shared
        others = (np.delete(x, 2, axis=1).value for x in (a, b))
        np.testing.assert_allclose(*others, rtol=1e-3)


def test_choices_are_checked():
    x, f_nu = cut(3000, 12000)
    with pytest.raises(ValueError, match="on_partial"):
        synthetic_flux(x, f_nu, "lsst_r", on_partial="zero")
    with pytest.raises(ValueError, match="least_coverage"):
        synthetic_flux(x, f_nu, "lsst_r", on_partial="taper", least_coverage=50)
    with pytest.raises(ValueError, match="last axis"):
        synthetic_flux(x, f_nu.T, "lsst_r")
    with pytest.raises(TypeError, match="error"):
        synthetic_flux(x, f_nu, "lsst_r", error=0.1)


def test_a_coarse_spectrum_is_warned_about_by_filter():
    x = np.arange(2800.0, 12500.0, 200.0)
    narrow = Filter.from_arrays([6000, 6010, 6090, 6100] * u.AA, [0, 1, 1, 0], "narrow")
    with pytest.warns(UserWarning, match="narrow") as caught:
        synthetic_flux(x * u.AA, np.ones(len(x)) * u.nJy, [narrow, "lsst_r"])
    assert len(caught) == 1
    assert "lsst_r" not in str(caught[0].message)
    assert caught[0].filename == __file__
    for function in (
        lambda: projection_matrix([narrow], x),
        lambda: synthetic_photometry(x * u.AA, np.ones(len(x)) * u.nJy, narrow),
    ):
        with pytest.warns(UserWarning, match="narrow") as caught:
            function()
        assert caught[0].filename == __file__


# Other libraries


@pytest.mark.parametrize("kind", ["smooth", "lines"])
def test_agrees_with_other_libraries(kind):
    names = ["lsst_u", "lsst_r", "sdss_g", "hsc_i", "decam_z"]
    curves = load_filters(names)
    x = np.arange(2800.0, 12500.0, 1.0)
    f_nu = (x / 6000.0) ** 1.5 * (1 + 1 / (1 + np.exp(-(x - 5200.0) / 30.0)))
    if kind == "lines":
        for center in np.arange(3300.0, 12000.0, 210.0):
            f_nu += 10 * np.exp(-0.5 * ((x - center) / 4.0) ** 2)
    ours = synthetic_flux(x * u.AA, f_nu * u.nJy, curves).value
    f_lambda = f_nu * 1e-32 * 2.99792458e18 / x**2
    theirs = {}
    if sedpy := _library("sedpy.observate"):
        bands = [sedpy.Filter(c.name, data=(c.angstrom, c.transmission)) for c in curves]
        theirs["sedpy"] = sedpy.getSED(x, f_lambda, bands, linear_flux=True) * 3631e9
    ended = [
        (np.r_[c.angstrom[0] - 1e-6, c.angstrom, c.angstrom[-1] + 1e-6],
         np.r_[0.0, c.transmission, 0.0]) for c in curves
    ]  # fmt: skip
    if speclite := _library("speclite.filters"):
        meta = {"group_name": "test", "band_name": "x"}
        theirs["speclite"] = 3631e9 * np.array(
            [speclite.FilterResponse(*c, meta).get_ab_maggies(f_lambda, x) for c in ended]
        )
    if synphot := _library("synphot"):
        fnu = synphot.units.FNU
        source = synphot.SourceSpectrum(
            synphot.Empirical1D, points=x * u.AA, lookup_table=f_nu * 1e-32 * fnu
        )
        found = []
        for points, table in ended:
            band = synphot.SpectralElement(
                synphot.Empirical1D, points=points * u.AA, lookup_table=table
            )
            seen = synphot.Observation(source, band, binset=x * u.AA)
            found.append(seen.effstim(fnu).to_value("nJy"))
        theirs["synphot"] = np.array(found)
    assert theirs
    for name, flux in theirs.items():
        np.testing.assert_allclose(ours, flux, rtol=0.002, err_msg=name)


# The figure


def test_plot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ax = plot_filters(["lsst", triangle()])
    assert len(ax.lines) == 7
    assert {"u", "y", "triangle", "lsst"} <= {t.get_text() for t in ax.texts}
    _, given = plt.subplots()
    assert plot_filters("spherex", ax=given, normalize=False) is given
    assert len(given.lines) == 102
    assert [t.get_text() for t in given.texts] == ["spherex (102)"]
    assert given.get_xlim()[0] > 0.5
    plt.close("all")
    with pytest.raises(ValueError, match="no filters"):
        plot_filters([])
