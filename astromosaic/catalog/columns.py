"""What surveys call their columns, as data. Adding a survey is adding rows to the tables here.

`SURVEYS` says which filters a survey's bands are, and by which words a description of a column
gives the survey away. `CONVENTIONS` says which column names belong to which survey, with their
errors, units and sentinels.

Of each survey one kind of magnitude is taken for all bands: the kind that most bands have, and of
those with equally many the one that comes first in `CONVENTIONS`. Where several columns of that
kind hold the same filter, or several surveys do, the row that comes first wins.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from ..filters.names import find_name
from ..properties import PROPERTIES, VECTORS

__all__ = [
    "CONVENTIONS",
    "SURVEYS",
    "Convention",
    "Survey",
    "is_extinction",
    "is_identifier",
    "is_inverse_variance",
    "is_reddening",
    "limited_filter",
    "recognise",
    "surveys_named_in",
]


@dataclass(frozen=True)
class Survey:
    """A survey's photometric system.

    Parameters
    ----------
    name : str
        How it is called in messages.
    filters : dict of str to str
        Band, in lower case, to the filter's name. Of some there is no curve in the package; they
        are read once a curve is registered under that name.
    words : str
        Regular expression that finds the survey in a description; empty if none does.
    softening : dict of str to float
        Where magnitudes are asinh magnitudes, the softening parameter b of each band.
    to_ab : dict of str to float
        What to add to a magnitude of the band to have it on the AB system. Fluxes have the factor
        that belongs to it.
    vega : bool
        Whether magnitudes are on the Vega system where nothing else is said.
    note : str
        What the user should know where columns of the survey are read.
    """

    name: str
    filters: dict
    words: str = ""
    softening: dict = field(default_factory=dict)
    to_ab: dict = field(default_factory=dict)
    vega: bool = False
    note: str = ""


def _filters(pattern, bands):
    return {band.lower(): pattern.format(band) for band in bands}


_VISTA = {**_filters("vista_vircam_{}", ["Z", "Y", "J", "H", "Ks"]), "k": "vista_vircam_Ks"}
_UKIDSS = _filters("ukirt_wfcam_{}", "ZYJHK")
_TWOMASS = {**_filters("twomass_{}", ["J", "H", "Ks"]), "k": "twomass_Ks"}
_WISE = _filters("wise_{}", ["w1", "w2", "w3", "w4"])
_IRAC = _filters("spitzer_irac_{}", ["ch1", "ch2", "ch3", "ch4"])
# The letters before the wavelength are those of RAIL and of the simulations behind it.
_ROMAN = {
    letter + number: f"roman_wfi_f{number}"
    for number, letters in (
        ("062", "rf"), ("087", "zf"), ("106", "yf"), ("129", "jf"), ("146", "wf"),
        ("158", "hf"), ("184", "f"), ("213", "kf"),
    )
    for letter in letters
}  # fmt: skip
_MEGACAM = {
    "u": "cfht_megacam_us_9301",
    "g": "cfht_megacam_gs_9401",
    "r": "cfht_megacam_rs_9601",
    "i": "cfht_megacam_is_9701",
    "z": "cfht_megacam_zs_9801",
}
# UNIONS' u and r are newer filters of MegaCam than those in use before.
_EUCLID = {
    **_filters("euclid_{}", ["vis", "Y", "J", "H"]),
    **{f"{b}_ext_decam": f"decam_{b}" for b in "ugriz"},
    **{f"{b}_ext_lsst": f"lsst_{b}" for b in "ugriz"},
    **{f"{b}_ext_hsc": f"hsc_{b}" for b in "gz"},
    **{f"{b}_ext_panstarrs": f"panstarrs_{b}" for b in "iz"},
    **{f"{b}_ext_omegacam": f"omegacam_{b}" for b in "ugri"},
    "u_ext_megacam": "cfht_megacam_u_9302",
    "r_ext_megacam": "cfht_megacam_r_9602",
    "g_ext_jpcam": "jpcam_g",
}
# Laigle et al. 2016 and Weaver et al. 2022 name the instrument before the band. CFHT's u is the
# filter of 2014, ustar the one before.
_SUPRIMECAM = "427 464 484 505 527 574 624 679 709 738 767 827".split()
_COSMOS = {
    **{f"galex_{b.lower()}": f"galex_{b}" for b in ("FUV", "NUV")},
    "cfht_u": "cfht_megacam_u_9302",
    "cfht_ustar": "cfht_megacam_us_9301",
    "acs_f814w": "acs_wfc_f814w",
    **{f"hsc_{b}": f"hsc_{b}" for b in "grizy"},
    **{f"uvista_{b.lower()}": f"vista_vircam_{b}" for b in ("Y", "J", "H", "Ks")},
    **{
        f"sc_{b.lower()}": f"subaru_suprimecam_{b}"
        for b in ("B", "V", "gp", "rp", "ip", "zp", "zpp")
    },
    **{f"sc_i{x}{b}": f"subaru_suprimecam_ia{b}" for x in "ab" for b in _SUPRIMECAM},
    **{f"irac_{b}": name for b, name in _IRAC.items()},
    **{f"sc_nb{b}": f"subaru_suprimecam_nb{b}" for b in ("711", "816")},
    "uvista_nb118": "vista_vircam_NB118",
}

SURVEYS = {
    survey.name: survey
    for survey in (
        Survey("LSST", _filters("lsst_{}", "ugrizy"), r"\bLSST\b|\bRubin\b"),
        # Softening: Stoughton et al. 2002, table 21. Offsets: SDSS, "Photometric flux
        # calibration", conversion from SDSS magnitudes to AB.
        Survey(
            "SDSS",
            _filters("sdss_{}", "ugriz"),
            r"\bSDSS\b|\bSloan\b",
            softening={"u": 1.4e-10, "g": 0.9e-10, "r": 1.2e-10, "i": 1.8e-10, "z": 7.4e-10},
            to_ab={"u": -0.04, "z": 0.02},
        ),
        # Neither asinh magnitudes nor offsets.
        Survey("simulated SDSS", _filters("sdss_{}", "ugriz")),
        Survey("HSC", _filters("hsc_{}", "grizy"), r"\bHSC\b|Hyper[ -]?Suprime"),
        Survey(
            "DECam", _filters("decam_{}", "ugrizY"), r"\bDES\b|\bDECam\b|Dark Energy (?:Surv|Cam)"
        ),
        Survey(
            "Legacy Surveys",
            {**_filters("decam_{}", "griz"), **_WISE},
            r"\bDECaLS\b|\bDESI Legacy\b|Legacy Imaging|\bDR(?:9|10) Tractor\b",
            note="g, r and z of the Legacy Surveys are taken as DECam's; north of declination +32 "
            "they are bass_g, bass_r and mzls_z",
        ),
        Survey("Pan-STARRS", _filters("panstarrs_{}", "grizy"), r"Pan-?STARRS|\bPS1\b"),
        Survey("CFHT MegaCam", _MEGACAM, r"\bCFHT(?:LS)?\b|\bMega(?:Cam|Prime)\b"),
        Survey("COSMOS", _COSMOS),
        # DR5 has i twice, observed at two times; z to Ks are VIKING's.
        Survey(
            "KiDS",
            {**_filters("omegacam_{}", "ugri"), "i1": "omegacam_i", "i2": "omegacam_i2", **_VISTA},
            r"\bKiDS\b|\bOmegaCAM\b",
        ),
        Survey("VISTA", _VISTA, r"\bVISTA\b|\bVIKING\b|\bVHS\b|\bUltraVISTA\b", vega=True),
        Survey("UKIDSS", _UKIDSS, r"\bUKIDSS\b|\bWFCAM\b|\bUHS\b", vega=True),
        Survey("2MASS", _TWOMASS, r"\b2MASS\b|Two Micron All[ -]Sky", vega=True),
        Survey("WISE", _WISE, r"\b(?:All|Cat|un)?WISE\b", vega=True),
        # Vega nanomaggies: Jarrett et al. 2011, as the Legacy Surveys bring them to AB.
        Survey(
            "unWISE", _filters("wise_{}", ["w1", "w2"]), to_ab={"w1": 2.699, "w2": 3.339}
        ),
        Survey("IRAC", {**_IRAC, **{f"i{n}": _IRAC[f"ch{n}"] for n in "1234"},
                        "36": _IRAC["ch1"], "45": _IRAC["ch2"], "58": _IRAC["ch3"],
                        "80": _IRAC["ch4"]},
               r"\bIRAC\b|\bSpitzer\b"),
        Survey("Euclid", _EUCLID, r"\bEuclid\b"),
        Survey("Roman", _ROMAN, r"\bRoman\b"),
    )
}  # fmt: skip

#: Bands of columns that do not tell the survey.
_BANDS = r"[ugrizyjhk]|ks|w[1-4]|ch[1-4]|vis|f(?:062|087|106|129|146|158|184|213)"
#: Those by one letter alone: lower-case j, h and k are too often something else.
_LETTERS = r"[ugrizy]|(?-i:[JHK]|Ks)"


@dataclass(frozen=True)
class Convention:
    """A way of naming columns. ``{b}`` stands for the band.

    Parameters
    ----------
    survey : str or None
        Name of the survey; None if the column names do not tell.
    value : str
        Name of the column with the flux or magnitude, whatever its case.
    errors : tuple of str
        Names that the column with its error may have, best first.
    unit : str or None
        Unit of columns that do not carry one; None if they must. Of magnitudes in plain ``mag``
        it tells the system.
    sentinels : dict of float to str
        What special values mean: ``"not detected"``, or another reason to be missing. Where a
        magnitude is "not detected", the column of depths, or else that of errors, holds the
        magnitude of one sigma of the sky.
    depths: tuple of str
        Names that the column with the depth, the magnitude of one sigma, may have.
    inverse_variance : bool
        Whether the column of errors holds inverse variances.
    dereddened : bool
        Whether Galactic extinction has been corrected for.
    extinctions : tuple of str
        Names that the column with the Galactic extinction of the band in magnitudes may have.
    limit_sigma : float or None
        Where the error is missing the value is an upper limit of so many sigma; None if not.
    kind : str
        The kind of flux or magnitude, such as ``"cModel"``: one is taken for all bands.
    requires : tuple of str
        Columns of which the table must have one for the convention to hold, where the name alone
        could be that of another survey.
    """

    survey: str | None
    value: str
    errors: tuple = ()
    unit: str | None = None
    sentinels: dict = field(default_factory=dict)
    depths: tuple = ()
    inverse_variance: bool = False
    dereddened: bool = False
    extinctions: tuple = ()
    limit_sigma: float | None = None
    kind: str = ""
    requires: tuple = ()

    @cached_property
    def _pattern(self):
        bands = _LETTERS if self.value == "{b}" else _BANDS
        if self.survey is not None:
            bands = "|".join(sorted(SURVEYS[self.survey].filters, key=len, reverse=True))
        return re.compile(re.escape(self.value).replace(r"\{b\}", f"(?P<b>{bands})"), re.I)

    def band(self, column):
        """The band, in lower case, if the column is named in this way; otherwise None."""
        found = self._pattern.fullmatch(column)
        return found["b"].lower() if found else None

    def holds(self, band, columns):
        """Whether a table with these columns, in lower case, has what the convention requires."""
        names = {name.format(b=band).lower() for name in self.requires}
        return not names or not names.isdisjoint(columns)


AB, VEGA = "mag(AB)", "mag(Vega)"
#: BPZ's sentinels, which RAIL and DC2 have taken over.
_BPZ = {99.0: "not detected", -99.0: "not observed"}
_SDSS = {-9999.0: "not observed", -1000.0: "not observed"}
_PS1 = {-999.0: "not observed"}
_COSMOS_SENTINELS = {-99.0: "not observed", -999.0: "not observed"}
_SEXTRACTOR = {99.0: "no positive flux", -99.0: "not observed"}


def _rubin(kind, name=None):
    """Rubin's fluxes and magnitudes of one kind."""
    name = name or kind
    return (
        Convention("LSST", f"{{b}}_{name}Flux", (f"{{b}}_{name}FluxErr",), "nJy", kind=kind),
        Convention("LSST", f"{{b}}_{name}Mag", (f"{{b}}_{name}MagErr",), AB, kind=kind),
    )


def _sdss(kind, *more):
    """SDSS' asinh magnitudes and nanomaggies of one kind, both as observed."""
    reddened = {"extinctions": ("extinction_{b}",), "kind": kind}
    errors = (f"{kind}MagErr_{{b}}", *more)
    return (
        Convention("SDSS", f"{kind}Mag_{{b}}", errors, "mag", _SDSS, **reddened),
        Convention("SDSS", f"{kind}Flux_{{b}}", (f"{kind}FluxIvar_{{b}}",), "nmgy", _SDSS,
                   inverse_variance=True, **reddened,
                   requires=(f"{kind}FluxIvar_{{b}}", "extinction_{b}", "objID", "specObjID")),
    )  # fmt: skip


def _hsc(kind, stem):
    """HSC's fluxes and magnitudes of one kind, of PDR2 and later (errors: PDR3, PDR2)."""
    reddened = {"extinctions": ("a_{b}",), "kind": kind}
    return (
        Convention("HSC", stem + "flux", (stem + "fluxerr", stem + "fluxsigma"), "nJy", **reddened),
        Convention("HSC", stem + "mag", (stem + "magerr", stem + "magsigma"), AB, **reddened),
    )


def _des(kind, value, errors, requires=()):
    """DES' magnitudes of one kind, with Galactic extinction or, where the name says so, without."""
    dereddened = "_DERED" in value or "CORRECTED" in value
    names = () if dereddened else ("A_FIDUCIAL_{b}", "EXTINCTION_{b}")
    return Convention("DECam", value, (errors,), AB, _SEXTRACTOR, dereddened=dereddened,
                      extinctions=names, kind=kind, requires=requires)  # fmt: skip


def _ps1(kind, stem):
    """Pan-STARRS' fluxes and magnitudes of one kind."""
    return (
        Convention("Pan-STARRS", f"{{b}}{stem}Mag", (f"{{b}}{stem}MagErr",), AB, _PS1, kind=kind),
        Convention("Pan-STARRS", f"{{b}}{stem}Flux", (f"{{b}}{stem}FluxErr",), "Jy", _PS1,
                   kind=kind),
    )  # fmt: skip


def _cosmos(kind, suffix):
    """COSMOS' fluxes and magnitudes of one kind."""
    # Other surveys' magnitudes in the same filters may be on the Vega system.
    beside = tuple(
        f"{column}{suffix}"
        for column in ("{b}_FLUX", "HSC_i_MAG", "UVISTA_Ks_MAG", "SC_ip_MAG", "SC_IB427_MAG")
    )
    return (
        Convention("COSMOS", "{b}_FLUX" + suffix, ("{b}_FLUXERR" + suffix,), "uJy",
                   _COSMOS_SENTINELS, kind=kind),
        Convention("COSMOS", "{b}_MAG" + suffix, ("{b}_MAGERR" + suffix,), AB, _COSMOS_SENTINELS,
                   kind=kind, requires=beside),
    )  # fmt: skip


def _euclid(kind, suffix=None):
    """Euclid's fluxes of one kind."""
    suffix = suffix or kind
    return Convention("Euclid", f"flux_{{b}}_{suffix}", (f"fluxerr_{{b}}_{suffix}",), "uJy",
                      kind=kind)  # fmt: skip


def _vega(survey, kind, value, *errors, **more):
    """Vega magnitudes of one kind; without an error they are limits of 95% confidence."""
    return Convention(survey, value, errors, VEGA, kind=kind, limit_sigma=2.0, **more)


_DES_ONLY = ("COADD_OBJECT_ID", "QUICK_OBJECT_ID", "MAG_AUTO_{b}_DERED", "WAVG_MAG_PSF_{b}")
_TRACTOR = ("flux_ivar_{b}", "snr_{b}", "ls_id", "brickid", "brickname")
_GAAP = tuple(f"gaap{size}" for size in ("1p0", "Optimal", "0p7", "1p5", "2p5", "3p0", "0p5"))
_APERTURES = tuple(f"ap{size}" for size in ("12", "17", "25", "09", "35", "06", "50", "70", "03"))

CONVENTIONS = (
    # RAIL and cosmoDC2: observed magnitudes first, true ones after.
    Convention("LSST", "mag_{b}_lsst", ("mag_err_{b}_lsst", "mag_{b}_lsst_err"), AB, _BPZ,
               kind="observed"),
    Convention("LSST", "LSST_obs_{b}", ("LSST_obs_{b}_err",), AB, _BPZ, kind="observed"),
    Convention("LSST", "mag_true_{b}_lsst", (), AB, _BPZ, kind="true"),
    Convention("Roman", "ROMAN_obs_{b}", ("ROMAN_obs_{b}_err",), AB, _BPZ, kind="observed"),
    # The source catalogues of Roman's pipeline, not yet tried on one.
    Convention("Roman", "kron_{b}_flux", ("kron_{b}_flux_err",), "nJy", kind="Kron"),
    Convention("Roman", "segment_{b}_flux", ("segment_{b}_flux_err",), "nJy", kind="segment"),
    Convention("DECam", "DES_{b}_mag", ("DES_{b}_mag_err",), AB, _BPZ, kind="observed"),
    Convention("HSC", "HSC{b}_cmodel_dered", ("{b}_cmodel_magerr",), AB, _BPZ, dereddened=True,
               kind="cModel"),
    Convention("simulated SDSS", "mag_{b}_sdss", (), AB, _BPZ, kind="observed"),
    Convention("simulated SDSS", "mag_true_{b}_sdss", (), AB, _BPZ, kind="true"),
    Convention("DECam", "mag_{b}_des", ("mag_err_{b}_des",), AB, _BPZ, kind="observed"),
    Convention("DECam", "mag_true_{b}_des", (), AB, _BPZ, kind="true"),
    # Rubin's Object tables (DP0.2, DP1, DP2): model fluxes of galaxies before aperture and PSF
    # fluxes, fluxes before magnitudes.
    *_rubin("cModel"),
    *_rubin("sersic"),
    *_rubin("free_cModel"),
    *_rubin("kron"),
    *(row for kind in _GAAP for row in _rubin(kind)),
    *(row for kind in _APERTURES for row in _rubin(kind)),
    *(row for kind in ("calib", "psf", "free_psf", "gaapPsf") for row in _rubin(kind)),
    # The DC2 Object table, and RAIL's extract of it.
    Convention("LSST", "mag_{b}_cModel_obj_dered", ("magerr_{b}_cModel_obj",), AB, _BPZ,
               dereddened=True, kind="cModel"),
    Convention("LSST", "cModelFlux_{b}", ("cModelFluxErr_{b}",), "nJy", kind="cModel",
               requires=("cModelFluxErr_{b}", "psFlux_{b}", "objectId", "tract")),
    Convention("LSST", "mag_{b}_cModel", ("magerr_{b}_cModel",), AB, kind="cModel"),
    Convention("LSST", "mag_{b}_cModel_obj", ("magerr_{b}_cModel_obj",), AB, kind="cModel"),
    Convention("LSST", "psFlux_{b}", ("psFluxErr_{b}",), "nJy", kind="psf"),
    # SDSS: model magnitudes have the best colours; dered_ are those without Galactic extinction.
    Convention("SDSS", "dered_{b}", ("modelMagErr_{b}", "err_{b}"), "mag", _SDSS, dereddened=True,
               kind="model"),
    *_sdss("model"),
    *_sdss("cModel"),
    *_sdss("petro"),
    *_sdss("psf"),
    *_sdss("fiber2"),
    *_sdss("fiber"),
    # HSC: PDR2 and later, and PDR1.
    *_hsc("cModel", "{b}_cmodel_"),
    Convention("HSC", "{b}cmodel_mag", ("{b}cmodel_mag_err",), AB, extinctions=("a_{b}",),
               kind="cModel"),
    *_hsc("kron", "{b}_kronflux_"),
    *_hsc("aperture of 20 pixels", "{b}_apertureflux_20_"),
    *_hsc("psf", "{b}_psfflux_"),
    # DES: Y6 Gold, Y3 Gold, DR2 and DR1.
    _des("BDF", "BDF_MAG_{b}_CORRECTED", "BDF_MAG_ERR_{b}"),
    _des("BDF", "BDF_MAG_{b}", "BDF_MAG_ERR_{b}"),
    _des("SOF", "SOF_BDF_MAG_{b}_CORRECTED", "SOF_BDF_MAG_ERR_{b}"),
    _des("SOF", "SOF_CM_MAG_CORRECTED_{b}", "SOF_CM_MAG_ERR_{b}"),
    _des("SOF", "SOF_CM_MAG_{b}", "SOF_CM_MAG_ERR_{b}"),
    _des("MOF", "MOF_BDF_MAG_{b}_CORRECTED", "MOF_BDF_MAG_ERR_{b}"),
    _des("MOF", "MOF_CM_MAG_CORRECTED_{b}", "MOF_CM_MAG_ERR_{b}"),
    _des("MOF", "MOF_CM_MAG_{b}", "MOF_CM_MAG_ERR_{b}"),
    _des("GAp", "GAP_MAG_{b}", "GAP_MAG_ERR_{b}"),
    _des("auto", "MAG_AUTO_{b}_DERED", "MAGERR_AUTO_{b}"),
    _des("auto", "MAG_AUTO_{b}", "MAGERR_AUTO_{b}", _DES_ONLY),
    _des("detmodel", "MAG_DETMODEL_{b}", "MAGERR_DETMODEL_{b}"),
    _des("psf", "PSF_MAG_APER_8_{b}_CORRECTED", "PSF_MAG_ERR_APER_8_{b}"),
    _des("psf", "WAVG_MAG_PSF_{b}_DERED", "WAVG_MAGERR_PSF_{b}"),
    _des("psf", "WAVG_MAG_PSF_{b}", "WAVG_MAGERR_PSF_{b}"),
    # The Legacy Surveys' Tractor catalogues; W1 to W4 are on the AB system as well.
    Convention("Legacy Surveys", "dered_flux_{b}", ("flux_ivar_{b}",), "nmgy",
               inverse_variance=True, dereddened=True, kind="model", requires=_TRACTOR),
    Convention("Legacy Surveys", "flux_{b}", ("flux_ivar_{b}",), "nmgy", inverse_variance=True,
               kind="model", requires=("flux_ivar_{b}",)),
    Convention("Legacy Surveys", "dered_mag_{b}", (), AB, dereddened=True, kind="model",
               requires=_TRACTOR),
    # Pan-STARRS: stacks are deeper than the mean of the exposures.
    *_ps1("stack Kron", "Kron"),
    *_ps1("mean Kron", "MeanKron"),
    *_ps1("stack aperture", "Ap"),
    *_ps1("mean aperture", "MeanAp"),
    *_ps1("stack PSF", "PSF"),
    *_ps1("mean PSF", "MeanPSF"),
    # As VizieR names them.
    Convention("Pan-STARRS", "{b}Kmag", ("e_{b}Kmag",), AB, kind="mean Kron",
               requires=("e_{b}Kmag",)),
    # COSMOS2020 and 2015. Farmer's model fluxes are total; those of Classic in apertures are not,
    # and its IRAC and GALEX fluxes are.
    *_cosmos("total", ""),
    *_cosmos("3 arcsec", "_APER3"),
    *_cosmos("2 arcsec", "_APER2"),
    *_cosmos("auto", "_AUTO"),
    # KiDS with VIKING: all on the AB system and without Galactic extinction; limits are those of
    # THELI, of one sigma.
    Convention("KiDS", "MAG_GAAP_{b}", ("MAGERR_GAAP_{b}",), AB, _BPZ, ("MAG_LIM_{b}",),
               dereddened=True, kind="GAaP"),
    # Euclid's MER catalogue: the fluxes fitted with the shape that VIS sees, in VIS the PSF flux.
    _euclid("templfit"),
    Convention("Euclid", "flux_{b}_psf", ("fluxerr_{b}_psf",), "uJy", kind="templfit"),
    _euclid("sersic"),
    *(_euclid(f"{n} FWHM", f"{n}fwhm_aper") for n in "2341"),
    Convention("Euclid", "euclid_{b}_psfMag", ("euclid_{b}_psfMagErr",), AB, kind="RAIL"),
    Convention("Euclid", "euclid_{b}_unifMag", ("euclid_{b}_unifMagErr",), AB, kind="RAIL"),
    # WISE: CatWISE, AllWISE, both as VizieR names them, and unWISE.
    _vega("WISE", "profile with motion", "{b}mpro_pm", "{b}sigmpro_pm"),
    _vega("WISE", "profile with motion", "{b}mproPM", "e_{b}mproPM"),
    _vega("WISE", "profile", "{b}mpro", "{b}sigmpro"),
    _vega("WISE", "profile", "{b}mag", "e_{b}mag", requires=("e_{b}mag",)),
    _vega("WISE", "aperture", "{b}mag", "{b}sigm", requires=("{b}sigm",)),
    _vega("WISE", "elliptical aperture", "{b}gmag", "{b}gerr"),
    Convention("WISE", "{b}mag", (), VEGA, kind="profile"),
    Convention("unWISE", "flux_{b}", ("dflux_{b}",), "nmgy", kind="profile",
               requires=("dflux_{b}",)),
    # Spitzer: the source list of the Enhanced Imaging Products, apertures of 3.8 and 5.8 arcsec.
    Convention("IRAC", "{b}_f_ap1", ("{b}_df_ap1",), "uJy", kind="3.8 arcsec"),
    Convention("IRAC", "{b}_f_ap2", ("{b}_df_ap2",), "uJy", kind="5.8 arcsec"),
    # SWIRE: apertures of 3.8 arcsec, and Kron fluxes.
    Convention("IRAC", "flux_ap2_{b}", ("uncf_ap2_{b}",), "uJy", kind="SWIRE 3.8 arcsec"),
    Convention("IRAC", "flux_kr_{b}", ("uncf_kr_{b}",), "uJy", kind="SWIRE Kron"),
    # 2MASS: extended sources in the isophote of K = 20 and extrapolated, then point sources.
    _vega("2MASS", "isophotal", "{b}_m_k20fe", "{b}_msig_k20fe"),
    _vega("2MASS", "extrapolated", "{b}_m_ext", "{b}_msig_ext"),
    # Errors of everything before those of the measurement alone.
    _vega("2MASS", "point source", "{b}_m", "{b}_msigcom", "{b}_msig", "{b}_cmsig"),
    _vega("2MASS", "point source", "{b}_m_2mass", "{b}_msig_2mass"),
    _vega("2MASS", "point source", "{b}mag", "e_{b}mag",
          requires=("2mass", "_2mass", "2mkey", "AllWISE")),
    # VISTA's archive: of surveys with such names it alone has a Ks.
    Convention("VISTA", "{b}AperMag3", ("{b}AperMag3Err",), VEGA, kind="aperture",
               requires=("ksAperMag3",)),
    Convention("VISTA", "{b}PetroMag", ("{b}PetroMagErr",), VEGA, kind="petro",
               requires=("ksPetroMag",)),
    # Names that do not tell the survey: a description of the column or of the table must.
    Convention(None, "mag_{b}", ("magerr_{b}", "mag_err_{b}", "mag_{b}_err", "mag_{b}err"),
               extinctions=("extinction_{b}", "a_{b}")),
    Convention(None, "{b}_mag", ("{b}_magerr", "{b}_mag_err", "{b}_err"),
               extinctions=("extinction_{b}", "a_{b}")),
    Convention(None, "{b}mag", ("e_{b}mag", "{b}magerr", "{b}mag_err"),
               extinctions=("extinction_{b}", "a_{b}")),
    Convention(None, "mag_auto_{b}", ("magerr_auto_{b}",), sentinels=_SEXTRACTOR),
    Convention(None, "{b}AperMag3", ("{b}AperMag3Err",), VEGA, kind="aperture"),
    Convention(None, "{b}PetroMag", ("{b}PetroMagErr",), VEGA, kind="petro"),
    Convention(None, "flux_{b}", ("fluxerr_{b}", "flux_err_{b}", "flux_{b}_err")),
    Convention(None, "{b}_flux", ("{b}_fluxerr", "{b}_flux_err", "{b}_err")),
    Convention(None, "{b}", ("{b}_err", "{b}err", "err_{b}", "e_{b}"),
               extinctions=("extinction_{b}", "a_{b}")),
)  # fmt: skip

#: Other names of vectors.
ALIASES = {"star_formation_history": "sfh", "mass_accretion_history": "mah"}

#: Names that the error of a column ``{c}`` may have, whatever the convention, and those that its
#: inverse variance may have.
ERRORS = (
    "{c}_err", "{c}_error", "{c}err", "{c}_e", "e_{c}", "err_{c}", "{c}_unc", "{c}_uncertainty",
    "{c}_sigma", "{c}_std", "magerr_{c}", "fluxerr_{c}",
)  # fmt: skip
INVERSE_VARIANCES = ("{c}_ivar", "ivar_{c}")
#: What the names of the ends of the 68% interval of a column add to its own, in results.
INTERVAL = ("lo", "hi")

_IDENTIFIER = re.compile(
    r"(.*_)?(id|ra|dec|decl|number|name)|id_.*|.*[a-z]Id|uid|recno|seqnr|designation|iauname|"
    r"(spec|obj|source|gal|galaxy|object|target|cata)+id|plate|mjd|fiberid|"
    r"_?(ra|dec?)j2000|(ra|dec)_icrs|(alpha|delta)_j2000|coord|skycoord|tract|patch|"
    r"right_ascension|declination|(ra|dec)(mean|stack)|_?2mass|allwise|brickid|brickname|tileid|hpix_\d+"
)

_EXTINCTION = re.compile(rf"(extinction|a|a_fiducial|mw_transmission)_(?:{_BANDS})", re.I)
_REDDENING = re.compile(
    r"e_?\(?b_?-?v\)?|(gal|mw|sfd|galactic)_?e_?bv|mwebv|e_?bv_?(sfd(98|11)?|sf11|gal|mw)", re.I
)
_INVERSE_VARIANCE = re.compile(r"ivar(?!i)|inv(erse)?_?var(?!i)", re.I)
_LIMIT = re.compile(r"(?P<name>.+)_limit(?:_(?P<sigma>\d+(?:[.p]\d+)?)_?sigma)?", re.I)


def is_extinction(column):
    """Whether a column of that name holds the Galactic extinction."""
    return bool(_EXTINCTION.fullmatch(column)) or is_reddening(column)


def is_reddening(column):
    """Whether a column of that name holds the Galactic reddening E(B-V)."""
    return bool(_REDDENING.fullmatch(column))


def is_inverse_variance(column):
    """Whether a column of that name holds inverse variances."""
    return bool(_INVERSE_VARIANCE.search(column))


def limited_filter(name):
    """The filter of which a name such as ``lsst_u_limit_3sigma`` says that it is limited.

    Parameters
    ----------
    name : str

    Returns
    -------
    filter_name : str or None
        None if the name is none of limits.
    sigma : float or None
        The level; None if it is not told.
    """
    found = _LIMIT.fullmatch(name)
    filter_name = find_name(found["name"]) if found else None
    if filter_name is None:
        return None, None
    sigma = found["sigma"]
    return filter_name, float(sigma.lower().replace("p", ".")) if sigma else None


def is_identifier(column):
    """Whether a column of that name says which object a row is, and is carried to the result."""
    return bool(_IDENTIFIER.fullmatch(column) or _IDENTIFIER.fullmatch(column.lower()))


def surveys_named_in(text):
    """The surveys of which a description speaks."""
    return [s for s in SURVEYS.values() if s.words and re.search(s.words, text)]


@lru_cache(maxsize=8192)
def _conventions_of(column):
    """Indices of the conventions in which a column has that name, with its band."""
    bands = ((index, convention.band(column)) for index, convention in enumerate(CONVENTIONS))
    return [(index, band) for index, band in bands if band is not None]


def recognise(column, columns=frozenset()):
    """What a column is by its name alone.

    Parameters
    ----------
    column : str
    columns : set of str, optional
        All columns of the table, in lower case: some names belong to a survey only if others are
        there.

    Returns
    -------
    target : str or None
        The filter, property or vector that it holds; None if that is not known.
    convention : int or None
        Index in `CONVENTIONS`; None for a column named by what it holds.
    """
    name = ALIASES.get(column.lower(), column.lower())
    if name in {**PROPERTIES, **VECTORS}:
        return name, None
    if (filter_name := find_name(column)) is not None:
        return filter_name, None
    for index, band in _conventions_of(column):
        convention = CONVENTIONS[index]
        if convention.holds(band, columns):
            survey = SURVEYS.get(convention.survey)
            return (find_name(survey.filters[band]) if survey else None), index
    return None, None
