"""Surveys' own tables: each read as the plain table it was made from, in every format of file.

What the tables look like is typed here from the surveys' documentation, and not taken from the
conventions that read them; so are the zero points.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, MaskedColumn, QTable, Table

from astromosaic import load_model
from astromosaic.catalog import assign, columns, read_table
from astromosaic.catalog.columns import (
    CONVENTIONS,
    SURVEYS,
    Convention,
    Survey,
    is_identifier,
    is_reddening,
    limited_filter,
    recognise,
)
from astromosaic.cli import _parser
from astromosaic.filters import canonical_name, load_filter, register_filter, within_range
from astromosaic.filters.names import REGISTERED, find_name
from astromosaic.galaxies import LIMIT, MEASURED, MISSING
from astromosaic.io import read_catalog, write_catalog

N = 30
MISSING_ROW, LIMIT_ROW = 3, 7
FORMATS = (".fits", ".ecsv", ".vot", ".h5", ".parquet", ".csv")
AB_ZERO = 3630.7805477010  # Jy

#: Magnitudes of Vega on the AB system: Jarrett et al. 2011 and Blanton & Roweis 2007.
VEGA = {"wise_w1": 2.699, "wise_w2": 3.339, "twomass_J": 0.91, "twomass_H": 1.39,
        "twomass_Ks": 1.85}  # fmt: skip


def ab(flux):
    """AB magnitudes of fluxes in nJy."""
    return -2.5 * np.log10(1e-9 * flux / AB_ZERO)


@dataclass
class Layout:
    """A survey's table, as its documentation has it.

    ``missing`` is how it writes what was not observed. ``limit`` says how it writes an upper limit
    of so many sigma; None if it has no way.
    """

    value: str
    error: str
    filters: str
    bands: str
    unit: str
    missing: float = np.nan
    limit: float | None = None
    depth: str | None = None
    others: dict = field(default_factory=dict)

    @property
    def names(self):
        """Filter to the band as the survey's columns spell it."""
        filters = self.filters.split()
        if "{" in self.filters:
            filters = [self.filters.format(band) for band in self.bands.split()]
        return dict(zip(filters, self.bands.split(), strict=True))


UGRIZY = "u g r i z y"
TABLES = {
    "DP1": Layout("{}_cModelFlux", "{}_cModelFluxErr", "lsst_{}", UGRIZY, "nJy",
                  others={"objectId": "id", "coord_ra": "deg"}),
    "DP1 sersic": Layout("{}_sersicFlux", "{}_sersicFluxErr", "lsst_{}", UGRIZY, "nJy"),
    "DP2 gaap": Layout("{}_gaap1p0Flux", "{}_gaap1p0FluxErr", "lsst_{}", UGRIZY, "nJy"),
    "DP0.2 psf": Layout("{}_psfFlux", "{}_psfFluxErr", "lsst_{}", UGRIZY, "nJy"),
    "DP1 of RAIL": Layout("{}_gaap1p0Mag", "{}_gaap1p0MagErr", "lsst_{}", UGRIZY, "mag"),
    "cosmoDC2": Layout("mag_{}_lsst", "", "lsst_u lsst_g lsst_r lsst_i lsst_z lsst_y",
                       "u g r i z Y", "mag"),
    "DC2": Layout("cModelFlux_{}", "cModelFluxErr_{}", "lsst_{}", UGRIZY, "nJy"),
    "RAIL": Layout("mag_{}_lsst", "mag_err_{}_lsst", "lsst_{}", UGRIZY, "mag", -99.0, 1.0),
    "RAIL of Rubin": Layout("LSST_obs_{}", "LSST_obs_{}_err", "lsst_{}", UGRIZY, "mag", -99.0, 1.0),
    "RAIL of Roman": Layout(
        "ROMAN_obs_{}", "ROMAN_obs_{}_err",
        "roman_wfi_f087 roman_wfi_f106 roman_wfi_f129 roman_wfi_f158 roman_wfi_f184",
        "Z087 Y106 J129 H158 F184", "mag"),
    "RAIL of DC2": Layout("mag_{}_cModel_obj_dered", "magerr_{}_cModel_obj", "lsst_{}", UGRIZY,
                          "mag"),
    "RAIL of HSC": Layout("HSC{}_cmodel_dered", "{}_cmodel_magerr", "hsc_{}", "g r i z y", "mag"),
    "RAIL of DES": Layout("DES_{}_mag", "DES_{}_mag_err", "decam_{}", "g r i z", "mag"),
    "SDSS": Layout("modelMag_{}", "modelMagErr_{}", "sdss_{}", "u g r i z", "SDSS mag", -9999.0),
    "SDSS dered": Layout("dered_{}", "err_{}", "sdss_{}", "u g r i z", "SDSS mag", -9999.0),
    "SDSS nanomaggies": Layout("modelFlux_{}", "modelFluxIvar_{}", "sdss_{}", "u g r i z",
                               "SDSS nmgy", others={"objID": "id"}),
    "HSC": Layout("{}_cmodel_flux", "{}_cmodel_fluxerr", "hsc_{}", "g r i z y", "nJy"),
    "HSC PDR2": Layout("{}_cmodel_mag", "{}_cmodel_magsigma", "hsc_{}", "g r i z y", "mag"),
    "DES DR2": Layout("MAG_AUTO_{}_DERED", "MAGERR_AUTO_{}",
                      "decam_g decam_r decam_i decam_z decam_Y", "G R I Z Y", "mag", 99.0,
                      others={"COADD_OBJECT_ID": "id"}),
    "DES Y3": Layout("SOF_CM_MAG_CORRECTED_{}", "SOF_CM_MAG_ERR_{}",
                     "decam_g decam_r decam_i decam_z", "G R I Z", "mag", -9999.0),
    "DES Y6": Layout("BDF_MAG_{}_CORRECTED", "BDF_MAG_ERR_{}",
                     "decam_g decam_r decam_i decam_z decam_Y", "G R I Z Y", "mag", -9.999e9),
    "Legacy Surveys": Layout("flux_{}", "flux_ivar_{}",
                             "decam_g decam_r decam_i decam_z wise_w1 wise_w2", "g r i z w1 w2",
                             "nmgy", others={"brickid": "id"}),
    "Pan-STARRS stack": Layout("{}KronMag", "{}KronMagErr", "panstarrs_{}", "g r i z y", "mag",
                               -999.0),
    "Pan-STARRS mean": Layout("{}MeanKronMag", "{}MeanKronMagErr", "panstarrs_{}", "g r i z y",
                              "mag", -999.0),
    "COSMOS2020 Farmer": Layout(
        "{}_FLUX", "{}_FLUXERR",
        "cfht_megacam_us_9301 hsc_g hsc_r hsc_i hsc_z hsc_y subaru_suprimecam_ia427 "
        "subaru_suprimecam_ia484 vista_vircam_Y vista_vircam_J vista_vircam_H vista_vircam_Ks "
        "spitzer_irac_ch1 spitzer_irac_ch2",
        "CFHT_ustar HSC_g HSC_r HSC_i HSC_z HSC_y SC_IB427 SC_IA484 UVISTA_Y UVISTA_J UVISTA_H "
        "UVISTA_Ks IRAC_CH1 IRAC_CH2", "uJy"),
    "COSMOS2020 Classic": Layout(
        "{}_FLUX_APER3", "{}_FLUXERR_APER3",
        "hsc_g hsc_r hsc_i hsc_z hsc_y acs_wfc_f814w vista_vircam_J vista_vircam_H vista_vircam_Ks",
        "HSC_g HSC_r HSC_i HSC_z HSC_y ACS_F814W UVISTA_J UVISTA_H UVISTA_Ks", "uJy", -99.0),
    "VIKING of KiDS": Layout(
        "MAG_GAAP_{}", "MAGERR_GAAP_{}",
        "vista_vircam_Z vista_vircam_Y vista_vircam_J vista_vircam_H vista_vircam_Ks",
        "Z Y J H Ks", "mag", -99.0, 1.0, "MAG_LIM_{}"),
    "Euclid": Layout("flux_{}_ext_decam_templfit", "fluxerr_{}_ext_decam_templfit", "decam_{}",
                     "g r i z", "uJy"),
    "AllWISE": Layout("{}mpro", "{}sigmpro", "wise_w1 wise_w2", "w1 w2", "Vega", limit=2.0,
                      others={"designation": "id"}),
    "AllWISE of VizieR": Layout("{}mag", "e_{}mag", "wise_w1 wise_w2", "W1 W2", "Vega", limit=2.0),
    "CatWISE": Layout("{}mpro_pm", "{}sigmpro_pm", "wise_w1 wise_w2", "w1 w2", "Vega", limit=2.0),
    "unWISE": Layout("flux_{}", "dflux_{}", "wise_w1 wise_w2", "w1 w2", "Vega nmgy"),
    "Spitzer": Layout("{}_f_ap1", "{}_df_ap1", "spitzer_irac_ch1 spitzer_irac_ch2", "i1 i2", "uJy"),
    "2MASS PSC": Layout("{}_m", "{}_msig", "twomass_J twomass_H twomass_Ks", "j h k", "Vega",
                        limit=2.0),
    "SWIRE": Layout("flux_ap2_{}", "uncf_ap2_{}", "spitzer_irac_ch1 spitzer_irac_ch2", "36 45",
                    "uJy"),
    "VISTA's archive": Layout(
        "{}AperMag3", "{}AperMag3Err",
        "vista_vircam_Z vista_vircam_Y vista_vircam_J vista_vircam_H vista_vircam_Ks",
        "z y j h ks", "Vega", -9.99995e8),
    "Pan-STARRS of VizieR": Layout("{}Kmag", "e_{}Kmag", "panstarrs_{}", "g r i z y", "mag"),
    "COSMOS2020 magnitudes": Layout(
        "{}_MAG", "{}_MAGERR", "hsc_g hsc_r hsc_i hsc_z hsc_y vista_vircam_J vista_vircam_Ks",
        "HSC_g HSC_r HSC_i HSC_z HSC_y UVISTA_J UVISTA_Ks", "mag"),
    "Roman": Layout("kron_{}_flux", "kron_{}_flux_err",
                    "roman_wfi_f087 roman_wfi_f106 roman_wfi_f129 roman_wfi_f158",
                    "f087 f106 f129 f158", "nJy"),
    "2MASS XSC": Layout("{}_m_k20fe", "{}_msig_k20fe", "twomass_J twomass_H twomass_Ks", "j h k",
                        "Vega", limit=2.0),
}  # fmt: skip

#: Units as the surveys' files spell them, by ours.
SPELT = {"mag": "mag", "SDSS mag": "mag", "Vega": "mag", "SDSS nmgy": "nmgy", "Vega nmgy": "nmgy"}
SDSS_SOFTENING = {"u": 1.4e-10, "g": 0.9e-10, "r": 1.2e-10, "i": 1.8e-10, "z": 7.4e-10}
SDSS_OFFSET = {"sdss_u": 0.04, "sdss_z": -0.02}


def seds(filters):
    """Fluxes and errors in nJy of galaxies with smooth spectra and a break that moves with z."""
    rng = np.random.default_rng(11)
    z, slope = rng.uniform(0.1, 1.2, N), rng.uniform(0.5, 1.5, N)
    amplitude = 10 ** rng.uniform(3.5, 5, N)
    values = []
    for name in filters:
        micron = 1e-4 * load_filter(name).pivot
        redward = 1 / (1 + np.exp(-(micron / 0.4 - 1 - z) / 0.1))
        values.append(amplitude * micron**slope * (0.2 + 0.8 * redward))
    values = np.array(values)
    return values, 0.05 * values * rng.uniform(0.5, 1.5, values.shape) + 10


def plain_table(survey):
    """The galaxies as a table in nJy, with what the survey's table does not know left out."""
    table = Table({"id": np.arange(N)})
    names = list(survey.names)
    for k, (name, flux, error) in enumerate(zip(names, *seds(names), strict=True)):
        if k == 0:
            flux[MISSING_ROW] = np.nan
        if k == 0 and survey.limit:
            limit = np.full(N, np.nan)
            limit[LIMIT_ROW] = flux[LIMIT_ROW]
            flux[LIMIT_ROW] = np.nan
            table[f"{name}_limit_{survey.limit:g}sigma"] = Column(limit, unit="nJy")
        table[name] = Column(flux, unit="nJy")
        if survey.error:
            table[f"{name}_err"] = Column(error, unit="nJy")
    return table


def encoded(survey, name, flux, error):
    """Fluxes and errors in nJy as the survey gives them."""
    pogson = 2.5 / np.log(10) * error / flux
    kind = survey.unit
    if kind in ("nJy", "uJy"):
        scale = (1 * u.nJy).to_value(kind)
        return flux * scale, error * scale
    if kind == "mag":
        return ab(flux), pogson
    if kind == "Vega":
        return ab(flux) - load_filter(name).vega_to_ab.value, pogson
    if kind == "SDSS mag":
        b, offset = SDSS_SOFTENING[name[-1]], SDSS_OFFSET.get(name, 0.0)
        x = flux * 10 ** (-0.4 * offset) * 1e-9 / AB_ZERO / (2 * b)
        slope = 2.5 / np.log(10) * x / np.hypot(x, 1)
        return -2.5 / np.log(10) * (np.arcsinh(x) + np.log(b)), slope * error / flux
    shift = SDSS_OFFSET.get(name, 0.0) if kind == "SDSS nmgy" else 0.0
    shift = -VEGA[name] if kind == "Vega nmgy" else shift
    scale = 1e9 * 1e-9 / AB_ZERO * 10 ** (-0.4 * shift)
    value, error = flux * scale, error * scale
    return value, error**-2 if "ivar" in survey.error.lower() else error


def survey_table(survey, units=True):
    """The galaxies as the survey would give them."""
    table = Table()
    for column, what in survey.others.items():
        values = np.arange(N) + 1000
        table[column] = values if what == "id" else Column(values * 0.1, unit=what)
    unit = SPELT.get(survey.unit, survey.unit) if units else None
    filters = survey.names
    for k, (name, band) in enumerate(filters.items()):
        flux, error = (x[k] for x in seds(filters))
        value, error = encoded(survey, name, flux, error)
        column = survey.value.format(band)
        if k == 0 and survey.limit:
            # Either the sentinel with its depth elsewhere, or the limit itself without an error.
            depth = np.full(N, value[LIMIT_ROW])
            if survey.missing == -99:
                (error if survey.depth is None else depth)[LIMIT_ROW] = value[LIMIT_ROW]
                value[LIMIT_ROW] = 99.0
            else:
                error[LIMIT_ROW] = np.nan
            if survey.depth:
                table[survey.depth.format(band)] = depth
        if k == 0:
            value[MISSING_ROW] = survey.missing
        table[column] = MaskedColumn(value, mask=np.isnan(value), unit=unit)
        if survey.error:
            table[survey.error.format(band)] = MaskedColumn(error, mask=np.isnan(error))
    return table


def assert_same(galaxies, expected, rtol):
    assert galaxies.filters == expected.filters
    a, b = galaxies.photometry, expected.photometry
    np.testing.assert_array_equal(a.state, b.state)
    np.testing.assert_allclose(a.value, b.value, rtol=rtol)
    np.testing.assert_allclose(a.error, b.error, rtol=rtol)


def saved(table, path):
    """A table after a journey through a file."""
    if path.suffix == ".csv":
        for column in table.itercols():
            column.unit = None
        table.write(path, format="ascii.csv")
    else:
        write_catalog(table, path)
    return read_catalog(path)


@pytest.mark.parametrize("name", TABLES)
def test_survey_is_read_as_the_plain_table(name):
    survey = TABLES[name]
    expected, _ = read_table(plain_table(survey))
    assert expected.photometry.state[MISSING_ROW, 0] == MISSING or len(survey.names) > 1
    for units in (True, False):
        galaxies, reading = read_table(survey_table(survey, units))
        assert_same(galaxies, expected, 2e-5)
        assert reading.ignored == []
    states = set(np.unique(galaxies.photometry.state))
    assert states == {MEASURED, MISSING} | ({LIMIT} if survey.limit else set())


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("name", TABLES)
def test_survey_in_every_format(name, ending, tmp_path):
    survey = TABLES[name]
    expected, _ = read_table(plain_table(survey))
    galaxies, _ = read_table(saved(survey_table(survey), tmp_path / f"table{ending}"))
    assert_same(galaxies, expected, 2e-5)


@pytest.mark.parametrize("name", TABLES)
def test_survey_predicts_what_the_plain_table_does(name, tmp_path):
    survey = TABLES[name]
    ending = FORMATS[list(TABLES).index(name) % len(FORMATS)]
    model = load_model()
    table = saved(survey_table(survey), tmp_path / f"table{ending}")
    found = model.predict(table, "redshift")
    expected = model.predict(plain_table(survey), "redshift")
    np.testing.assert_allclose(found["redshift"], expected["redshift"], rtol=2e-3, atol=2e-3)


def test_vega_magnitudes_are_those_published():
    for name, offset in VEGA.items():
        assert load_filter(name).vega_to_ab.value == pytest.approx(offset, abs=0.06)


# The conventions themselves


def required(convention, band):
    """Columns without which a name is not taken for that of the convention."""
    return {name.format(b=band).lower() for name in convention.requires[:1]}


@pytest.mark.parametrize("index", range(len(CONVENTIONS)))
def test_every_convention_is_recognised(index):
    convention = CONVENTIONS[index]
    if convention.survey is None:
        return
    survey = SURVEYS[convention.survey]
    for band, name in survey.filters.items():
        column = convention.value.format(b=band)
        target, found = recognise(column, required(convention, band))
        assert target == find_name(name)
        # Another row may be the same but for what goes with it.
        assert CONVENTIONS[found].value.lower() == convention.value.lower()
        if found == index and convention.errors and target and within_range(target):
            table = Table({column: [20.0], convention.errors[0].format(b=band): [0.1]})
            for other in required(convention, band) - {c.lower() for c in table.colnames}:
                if recognise(other) != (None, None):
                    break
                table[other] = [1]
            else:
                galaxies, _ = read_table(table)
                assert galaxies.filters == (name,)
                assert galaxies.photometry.state[0, 0] == MEASURED
                assert np.isfinite(galaxies.photometry.error).all()


def test_every_survey_has_names_that_are_filters_or_can_be():
    for survey in SURVEYS.values():
        for band, name in survey.filters.items():
            assert band == band.lower()
            assert find_name(name) in (name, None)


@pytest.mark.parametrize(
    "column",
    ["id", "ra", "dec", "objectId", "flags", "photoz", "z_best", "mass", "w1snr", "w1rchi2",
     "weight", "r_extendedness", "refExtendedness", "i_cModel_flag", "u_psfFlux_flag",
     "FLUX_RADIUS", "class_star", "chi2_r", "nobs_g", "psfsize_g", "ch1_flag", "EXT_XGB", "jk",
     "h0", "kron_radius", "hmass", "vistaid", "j_h", "k_flag", "visit", "fwhm_vis", "zmag_cut",
     "z_phot", "zPDF", "h", "k", "j"],
)  # fmt: skip
def test_other_columns_are_not_taken_for_photometry(column):
    assert recognise(column) == (None, None)


# One kind for all bands


def rubin(kinds):
    """A table of Rubin's with some bands of each kind."""
    table = Table()
    for kind, bands in kinds.items():
        for band in bands:
            table[f"{band}_{kind}Flux"] = Column(np.full(2, 100.0), unit="nJy")
            table[f"{band}_{kind}FluxErr"] = Column(np.full(2, 1.0), unit="nJy")
    return table


@pytest.mark.parametrize(
    ("kinds", "taken"),
    [
        ({"psf": "ugrizy", "cModel": "ugrizy"}, "cModel"),
        ({"psf": "gri", "kron": "gri", "gaap1p0": "gri"}, "kron"),
        ({"cModel": "griz", "psf": "ugrizy"}, "psf"),
        ({"cModel": "griz", "psf": "ug"}, "cModel"),
    ],
)
def test_one_kind_is_taken_for_all_bands(kinds, taken):
    galaxies, reading = read_table(rubin(kinds))
    read = [c for c, what in reading.columns.items() if not what.endswith("_err")]
    assert sorted(read) == sorted(f"{b}_{taken}Flux" for b in kinds[taken])
    others = {f"{b}_{k}Flux" for k, bands in kinds.items() if k != taken for b in bands}
    assert others <= set(reading.ignored)
    notes = " ".join(reading.notes)
    for kind in kinds.keys() - {taken}:
        assert f"_{kind}Flux" in notes
    assert len(galaxies.filters) == len(kinds[taken])


def test_a_band_of_another_kind_is_read_if_the_user_says_so():
    table = rubin({"cModel": "griz", "psf": "ug"})
    _, reading = read_table(table)
    assert any("u_psfFlux" in note and "'lsst_u'" in note for note in reading.notes)
    galaxies, _ = read_table(table, {"u_psfFlux": "lsst_u"})
    assert galaxies.filters == ("lsst_u", "lsst_g", "lsst_r", "lsst_i", "lsst_z")


def test_kinds_of_bands_that_are_given_by_name_do_not_count():
    table = rubin({"cModel": "gri", "psf": "u"})
    for band in "gri":
        table[f"lsst_{band}"] = Column([1.0, 2.0], unit="nJy")
    galaxies, reading = read_table(table)
    assert galaxies.filters == ("lsst_u", "lsst_g", "lsst_r", "lsst_i")
    assert reading.columns["u_psfFlux"] == "lsst_u"
    np.testing.assert_array_equal(galaxies.photometry.value[:, 1], [1, 2])


def test_a_kind_that_another_survey_replaces():
    table = Table({"HSC_g_FLUX": [1.0], "HSC_r_FLUX_APER3": [1.0], "g_cmodel_flux": [100.0]})
    galaxies, reading = read_table(table)
    assert galaxies.filters == ("hsc_g",)
    assert reading.columns == {"g_cmodel_flux": "hsc_g"}
    assert any("HSC_r_FLUX_APER3 not read" in note for note in reading.notes)


def test_many_columns_passed_over_make_short_notes():
    table = rubin(dict.fromkeys(("cModel", "psf", "kron", "sersic", "gaap1p0", "ap12"), "ugrizy"))
    _, reading = read_table(table)
    assert any("[ugrizy]_psfFlux" in note for note in reading.notes)
    assert sum(map(len, reading.notes)) < 400


def test_dereddened_magnitudes_come_first():
    table = Table()
    for band in "griz":
        table[f"modelMag_{band}"] = Column([18.0], unit="mag")
        table[f"dered_{band}"] = Column([17.0], unit="mag")
    galaxies, _ = read_table(table)
    expected, _ = read_table(table[[c for c in table.colnames if c.startswith("dered")]])
    assert_same(galaxies, expected, 1e-6)


def test_filters_that_the_model_does_not_cover_do_not_count():
    names = [f"w{n}mpro" for n in (1, 2, 3, 4)] + ["w1mpro_pm", "w2mpro_pm"]
    table = Table({name: [15.0] for name in names})
    _, reading = read_table(table)
    assert reading.columns == {"w1mpro_pm": "wise_w1", "w2mpro_pm": "wise_w2"}


def test_surveys_are_told_apart_by_what_goes_with_a_column():
    legacy = Table({"flux_w1": Column([10.0], unit="nmgy"), "flux_ivar_w1": [4.0]})
    vega = Table({"flux_w1": Column([10.0], unit="nmgy"), "dflux_w1": Column([0.5], unit="nmgy")})
    ratio = read_table(vega)[0].photometry.value / read_table(legacy)[0].photometry.value
    np.testing.assert_allclose(ratio, 10 ** (-0.4 * 2.699), rtol=1e-5)
    np.testing.assert_allclose(read_table(legacy)[0].photometry.error, 0.5 * 3630.78, rtol=1e-4)
    sdss = Table({"cModelFlux_g": [10.0], "cModelFluxIvar_g": [4.0]})
    dc2 = Table({"cModelFlux_g": [10.0], "cModelFluxErr_g": [0.5]})
    assert read_table(sdss)[0].filters == ("sdss_g",)
    assert read_table(dc2)[0].filters == ("lsst_g",)
    with pytest.raises(ValueError, match="filters of flux_g are not known"):
        read_table(Table({"flux_g": Column([1.0], unit="nmgy")}))


def test_adding_a_survey_is_adding_rows(monkeypatch):
    filters = {"g": "hsc_g", "r": "hsc_r", "ks": "vista_vircam_Ks"}
    rows = (
        Convention("GNT", "GNT_{b}_TOT", ("GNT_{b}_TOT_ERR",), "uJy", {-99.0: "not observed"}),
        *CONVENTIONS,
    )
    monkeypatch.setitem(SURVEYS, "GNT", Survey("GNT", filters, r"\bGNT\b"))
    for module in (assign, columns):
        monkeypatch.setattr(module, "CONVENTIONS", rows)
    columns._conventions_of.cache_clear()
    table = Table({f"GNT_{b}_TOT": [1.0, -99.0] for b in ("g", "r", "Ks", "flags")})
    table["GNT_g_TOT_ERR"] = 0.1
    try:
        galaxies, reading = read_table(table)
    finally:
        columns._conventions_of.cache_clear()
    assert galaxies.filters == tuple(filters.values())
    np.testing.assert_array_equal(galaxies.photometry.state, [[MEASURED] * 3, [MISSING] * 3])
    np.testing.assert_allclose(galaxies.photometry.value[0], 1000)
    np.testing.assert_allclose(galaxies.photometry.error[0, 0], 100)
    assert reading.ignored == ["GNT_flags_TOT"]


# Filters without curves


@pytest.fixture
def kids():
    return Table({f"MAG_GAAP_{b}": [21.0] for b in ("u", "g", "Z", "Y")})


def test_filters_without_curves_are_said_and_not_replaced(kids):
    galaxies, reading = read_table(kids)
    assert galaxies.filters == ("vista_vircam_Z", "vista_vircam_Y")
    assert any("MAG_GAAP_[ug] not read" in note and "omegacam_u" in note for note in reading.notes)
    with pytest.raises(ValueError, match="no curves of these filters of KiDS"):
        read_table(kids["MAG_GAAP_u", "MAG_GAAP_g"])
    with pytest.raises(ValueError, match="euclid_vis"):
        read_table(Table({"flux_vis_psf": Column([1.0], unit="uJy")}))


def test_filters_without_curves_are_read_once_registered(kids):
    register_filter(load_filter("sdss_g"), "omegacam_g")
    try:
        galaxies, reading = read_table(kids)
        assert "omegacam_g" in galaxies.filters
        assert any("MAG_GAAP_u not read" in note for note in reading.notes)
    finally:
        del REGISTERED["omegacam_g"]
    galaxies, _ = read_table(kids, {"MAG_GAAP_g": "sdss_g"})
    assert "sdss_g" in galaxies.filters


# Units: the survey's, the column's, the user's


def test_a_unit_of_the_wrong_kind_is_an_error():
    with pytest.raises(ValueError, match="'g_psfMag' has unit 'nJy', but by its name it holds mag"):
        read_table(Table({"g_psfMag": Column([1.0], unit="nJy")}))
    with pytest.raises(ValueError, match="'g_psfFlux' has unit 'mag', but by its name it holds fl"):
        read_table(Table({"g_psfFlux": Column([1.0], unit="mag")}))


def test_a_column_keeps_its_own_unit():
    nano = read_table(Table({"g_psfFlux": Column([1000.0], unit="nJy")}))[0].photometry
    micro = read_table(QTable({"g_psfFlux": [1.0] * u.uJy}))[0].photometry
    np.testing.assert_allclose(nano.value, micro.value, rtol=1e-6)
    for unit in ("mag", None):
        vega = read_table(Table({"w1mpro": Column([15.0], unit=unit)}))[0].photometry
        flux = 10 ** (-0.4 * (15 + VEGA["wise_w1"])) * AB_ZERO * 1e9
        np.testing.assert_allclose(vega.value[0, 0], flux, rtol=0.05)
    as_ab = read_table(Table({"w1mpro": Column([15.0], unit="mag(AB)")}))[0].photometry
    np.testing.assert_allclose(as_ab.value[0, 0], 1e-6 * AB_ZERO * 1e9, rtol=1e-5)


def test_user_tells_units_in_brackets():
    table = Table({"flux": [2.0], "noise": [0.5], "jmag": [15.0], "mstar": [10.5], "bad": [1.0]})
    table["bad"].unit = "m"
    says = {
        "flux": "lsst_r[uJy]",
        "noise": "lsst_r_err [nJy]",
        "jmag": "2mass_J[mag(Vega)]",
        "mstar": "stellar_mass[dex(solMass)]",
        "bad": "lsst_i[nJy]",
    }
    galaxies, reading = read_table(table, says)
    assert galaxies.filters == ("lsst_r", "lsst_i", "twomass_J")
    flux = galaxies.photometry.value[0]
    np.testing.assert_allclose(flux[:2], [2000, 1], rtol=1e-6)
    np.testing.assert_allclose(galaxies.photometry.error[0, 0], 0.5, rtol=1e-6)
    np.testing.assert_allclose(ab(flux[2]) - 15, VEGA["twomass_J"], atol=0.06)
    np.testing.assert_allclose(galaxies.scalars["stellar_mass"].value, 10.5)
    assert reading.columns["noise"] == "lsst_r_err"


def test_a_unit_that_is_told_replaces_the_survey_s_scale():
    table = Table({"modelMag_u": Column([17.0], unit="mag")})
    told = read_table(table, {"modelMag_u": "sdss_u[mag(AB)]"})[0].photometry.value
    np.testing.assert_allclose(ab(told), 17, atol=1e-5)
    own = read_table(table)[0].photometry.value
    np.testing.assert_allclose(ab(own), 16.96, atol=1e-4)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("lsst_r[furlong]", "'a'"),
        ("lsst_r[3 sigma]", "_limit"),
        ("lsst_r]", "not understood"),
        ("", "not understood"),
        ("sfh[Msun/yr]", "table\\['a'\\].unit"),
        ("lsst_r_limit", r"lsst_r_limit\[3 sigma\]"),
    ],
)
def test_what_the_user_says_wrongly_is_said(what, message):
    with pytest.raises(ValueError, match=message):
        read_table(Table({"a": [1.0]}), {"a": what})


def test_columns_to_leave_out_must_exist():
    with pytest.raises(ValueError, match="'absent'"):
        read_table(Table({"lsst_r": Column([1.0], unit="nJy")}), {"absent": None})


def test_command_line_passes_brackets():
    arguments = ["predict", "in", "--query", "redshift", "--output", "out", "--columns"]
    text = "jmag=twomass_J[mag(Vega)], lim=lsst_u_limit[3 sigma, nJy],x=none,e(b-v)=ebv"
    columns = _parser().parse_args([*arguments, text]).columns
    assert columns == {
        "jmag": "twomass_J[mag(Vega)]",
        "lim": "lsst_u_limit[3 sigma, nJy]",
        "x": None,
        "e(b-v)": "ebv",
    }


# Upper limits


@pytest.mark.parametrize(
    ("column", "columns"),
    [
        ("lsst_u_limit_3sigma", None),
        ("lsst_u_limit_3_sigma", None),
        ("lsst_u_limit", {"lsst_u_limit": "lsst_u_limit[3 sigma]"}),
        ("depth", {"depth": "lsst_u_limit[3sigma]"}),
        ("depth", {"depth": "lsst_u_limit_3sigma[nJy]"}),
        ("depth", {"depth": "lsst_u_limit[3 sigma, nJy]"}),
    ],
)
@pytest.mark.parametrize("beside", [True, False])
def test_upper_limits_have_a_level(column, columns, beside):
    table = Table({column: Column([30.0, np.nan, 30.0], unit="nJy")})
    table["lsst_r"] = Column([5.0, 5.0, 5.0], unit="nJy")
    if beside:
        table["lsst_u"] = Column([np.nan, np.nan, 7.0], unit="nJy")
        table["lsst_u_err"] = Column([1.0, 1.0, 1.0], unit="nJy")
    photometry = read_table(table, columns)[0].photometry
    last = MEASURED if beside else LIMIT
    np.testing.assert_array_equal(photometry.state[:, 0], [LIMIT, MISSING, last])
    np.testing.assert_allclose(photometry.value[0, 0], 30)
    np.testing.assert_allclose(photometry.error[0, 0], 10)


def test_limits_of_unknown_level_are_an_error():
    table = Table({"lsst_u_limit": Column([25.0], unit="mag"), "lsst_r": Column([1.0], unit="nJy")})
    with pytest.raises(ValueError, match=r"'lsst_u_limit\[3 sigma\]'.*'lsst_u_limit_3sigma'"):
        read_table(table)
    assert read_table(table, {"lsst_u_limit": None})[0].filters == ("lsst_r",)


def test_names_of_limits():
    assert limited_filter("lsst_u_limit_3sigma") == ("lsst_u", 3.0)
    assert limited_filter("hsc_g_limit_2p5sigma") == ("hsc_g", 2.5)
    assert limited_filter("hsc_g_limit") == ("hsc_g", None)
    assert limited_filter("mag_limit") == (None, None)


def test_magnitudes_without_errors_are_no_limits():
    # Without a column of errors nothing says that magnitudes of WISE are limits.
    photometry = read_table(Table({"w1mpro": [15.0], "w2mpro": [15.0]}))[0].photometry
    np.testing.assert_array_equal(photometry.state, MEASURED)


def test_inverse_variances():
    table = Table({"lsst_r": Column([5.0, 5.0], unit="nJy"), "lsst_r_ivar": [4.0, 0.0]})
    table["lsst_r_ivar"].unit = "nJy-2"
    photometry = read_table(table)[0].photometry
    np.testing.assert_array_equal(photometry.state[:, 0], [MEASURED, MISSING])
    np.testing.assert_allclose(photometry.error[0, 0], 0.5)


@pytest.mark.parametrize("unit", [None, "nJy-2"])
@pytest.mark.parametrize("word", ["lsst_r_ivar", "lsst_r_ivar[nJy-2]", "lsst_r_ivar[1e6 uJy-2]"])
def test_inverse_variances_by_the_user_s_word(unit, word):
    table = Table({"f": Column([5.0, 5.0], unit="nJy"), "weight": Column([4.0, 0.0], unit=unit)})
    galaxies, reading = read_table(table, {"f": "lsst_r", "weight": word})
    photometry = galaxies.photometry
    np.testing.assert_array_equal(photometry.state[:, 0], [MEASURED, MISSING])
    np.testing.assert_allclose(photometry.error[0, 0], 0.5, rtol=1e-6)
    # What was read can be said again.
    assert read_table(table, reading.columns)[0].photometry.error[0] == photometry.error[0]


@pytest.mark.parametrize("name", ["FLUX_IVAR_R", "modelfluxivar_r", "lsst_r_ivar", "inv_var_r"])
def test_inverse_variances_are_not_taken_for_errors(name):
    table = Table({"f": Column([5.0], unit="nJy"), name: [4.0]})
    with pytest.raises(ValueError, match=f"'{name}'.*by its name.*'bass_r_ivar'"):
        read_table(table, {"f": "bass_r", name: "bass_r_err[nJy]"})


# Galactic extinction


@pytest.mark.parametrize(
    "name", ["ebv", "EBV", "E(B-V)", "e_bv", "E_B_V", "ebv_sfd", "EBV_SFD98", "gal_ebv", "mwebv"]
)
def test_reddening_is_recognised(name):
    assert is_reddening(name)
    table = Table({"lsst_g": Column([100.0], unit="nJy"), name: [0.1]})
    flux = read_table(table)[0].photometry.value[0, 0]
    assert flux == pytest.approx(100 * 10 ** (0.4 * 3.237 * 0.1), rel=0.02)
    assert read_table(table, {name: None})[0].photometry.value[0, 0] == pytest.approx(100)


def test_extinction_that_is_not_applied_is_said_only_where_nothing_else_is():
    table = Table({"lsst_g": Column([100.0], unit="nJy"), "mw_transmission_g": [0.9]})
    assert any("mw_transmission_g is not applied" in note for note in read_table(table)[1].notes)
    table["ebv"] = [0.02]
    assert not any("not applied" in note for note in read_table(table)[1].notes)


def test_reddening_by_the_user_s_word():
    table = Table({"lsst_g": Column([100.0], unit="nJy"), "dust": [0.1]})
    assert read_table(table)[0].photometry.value[0, 0] == pytest.approx(100)
    assert read_table(table, {"dust": "ebv"})[0].photometry.value[0, 0] > 120


@pytest.mark.parametrize(
    ("value", "extinction", "corrected"),
    [
        ("modelMag_g", "extinction_g", True),
        ("dered_g", "extinction_g", False),
        ("g_cmodel_mag", "a_g", True),
        ("BDF_MAG_G", "A_FIDUCIAL_G", True),
        ("BDF_MAG_G_CORRECTED", "A_FIDUCIAL_G", False),
        ("MAG_GAAP_J", "EXTINCTION_J", False),
    ],
)
def test_extinction_of_surveys(value, extinction, corrected):
    with_it, _ = read_table(Table({value: [20.0], extinction: [0.5]}))
    without, _ = read_table(Table({value: [20.0]}))
    ratio = with_it.photometry.value / without.photometry.value
    np.testing.assert_allclose(ratio, 10 ** (0.4 * 0.5) if corrected else 1, rtol=1e-4)


# Descriptions


def test_vega_surveys_in_descriptions():
    for text, name in (("2MASS", "twomass_J"), ("VISTA VIKING", "vista_vircam_J")):
        table = Table({"Jmag": Column([15.0], unit="mag", description=f"{text} J magnitude")})
        galaxies, _ = read_table(table)
        assert galaxies.filters == (name,)
        np.testing.assert_allclose(ab(galaxies.photometry.value[0, 0]) - 15, 0.92, atol=0.06)


def test_identifiers_are_no_photometry():
    for name in ("objectId", "coord_ra", "COADD_OBJECT_ID", "right_ascension", "raStack", "uid"):
        assert is_identifier(name)
        assert canonical_name("lsst_r") == "lsst_r"
        assert recognise(name) == (None, None)
