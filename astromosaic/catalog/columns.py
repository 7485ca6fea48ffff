"""What surveys call their columns, as data. Adding a survey is adding rows to the tables here.

`SURVEYS` says which filters a survey's bands are, and by which words a description of a column
gives the survey away. `CONVENTIONS` says which column names belong to which survey, with their
errors, units and sentinels. Where several columns hold the same filter, the row that comes first
wins.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property

from ..filters.names import find_name
from ..properties import PROPERTIES, VECTORS

__all__ = [
    "CONVENTIONS",
    "SURVEYS",
    "Convention",
    "Survey",
    "is_extinction",
    "is_identifier",
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
        Band, in lower case, to the filter's name.
    words : str
        Regular expression that finds the survey in a description.
    softening : dict of str to float
        For asinh magnitudes, the softening parameter b of each band; empty for ordinary ones.
    to_ab : dict of str to float
        What to add to a magnitude of the band to have it on the AB system.
    """

    name: str
    filters: dict
    words: str
    softening: dict = field(default_factory=dict)
    to_ab: dict = field(default_factory=dict)


def _filters(pattern, bands):
    return {band.lower(): pattern.format(band) for band in bands}


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
        Survey("HSC", _filters("hsc_{}", "grizy"), r"\bHSC\b|Hyper[ -]?Suprime"),
        Survey(
            "DECam", _filters("decam_{}", "ugrizY"), r"\bDES\b|\bDECam\b|Dark Energy (?:Surv|Cam)"
        ),
        Survey("Pan-STARRS", _filters("panstarrs_{}", "grizy"), r"Pan-?STARRS|\bPS1\b"),
        Survey(
            "CFHT MegaCam",
            {
                "u": "cfht_megacam_us_9301",
                "g": "cfht_megacam_gs_9401",
                "r": "cfht_megacam_rs_9601",
                "i": "cfht_megacam_is_9701",
                "z": "cfht_megacam_zs_9801",
            },
            r"\bCFHT(?:LS)?\b|\bMega(?:Cam|Prime)\b",
        ),
    )
}


@dataclass(frozen=True)
class Convention:
    """A way of naming columns. ``{b}`` stands for the band.

    Parameters
    ----------
    survey : str or None
        Name of the survey; None if the column names do not tell.
    value : str
        Name of the column with the flux or magnitude.
    errors : tuple of str
        Names that the column with its error may have, best first.
    unit : str or None
        Unit of columns that do not carry one; None if they must.
    sentinels : dict of float to str
        What special values mean: ``"not detected"`` or ``"not observed"``. Where a magnitude is
        "not detected", the column of errors holds the magnitude of one sigma of the sky.
    """

    survey: str | None
    value: str
    errors: tuple = ()
    unit: str | None = None
    sentinels: dict = field(default_factory=dict)

    @cached_property
    def _pattern(self):
        return re.compile(re.escape(self.value).replace(r"\{b\}", "(?P<b>[ugrizy])"), re.I)

    def band(self, column):
        """The band, in lower case, if the column is named in this way; otherwise None."""
        found = self._pattern.fullmatch(column)
        if not found:
            return None
        band = found["b"].lower()
        return band if self.survey is None or band in SURVEYS[self.survey].filters else None


#: BPZ's sentinels, which RAIL and DC2 have taken over.
_BPZ = {99.0: "not detected", -99.0: "not observed"}
_SDSS = {-9999.0: "not observed", -1000.0: "not observed"}

CONVENTIONS = (
    # RAIL and cosmoDC2: observed magnitudes first, true ones after.
    Convention("LSST", "mag_{b}_lsst", ("mag_err_{b}_lsst", "mag_{b}_lsst_err"), "mag(AB)", _BPZ),
    Convention("LSST", "mag_true_{b}_lsst", (), "mag(AB)", _BPZ),
    # Rubin's Object tables (DP0.2, DP1, DP2): model fluxes of galaxies before aperture and PSF
    # fluxes, fluxes before magnitudes.
    Convention("LSST", "{b}_cModelFlux", ("{b}_cModelFluxErr",), "nJy"),
    Convention("LSST", "{b}_sersicFlux", ("{b}_sersicFluxErr",), "nJy"),
    Convention("LSST", "{b}_free_cModelFlux", ("{b}_free_cModelFluxErr",), "nJy"),
    Convention("LSST", "{b}_kronFlux", ("{b}_kronFluxErr",), "nJy"),
    Convention("LSST", "{b}_gaap1p0Flux", ("{b}_gaap1p0FluxErr",), "nJy"),
    Convention("LSST", "{b}_psfFlux", ("{b}_psfFluxErr",), "nJy"),
    Convention("LSST", "{b}_cModelMag", ("{b}_cModelMagErr",), "mag(AB)"),
    Convention("LSST", "{b}_psfMag", ("{b}_psfMagErr",), "mag(AB)"),
    # The DC2 Object table.
    Convention("LSST", "cModelFlux_{b}", ("cModelFluxErr_{b}",), "nJy"),
    Convention("LSST", "mag_{b}_cModel", ("magerr_{b}_cModel",), "mag(AB)"),
    Convention("LSST", "psFlux_{b}", ("psFluxErr_{b}",), "nJy"),
    # SDSS: model magnitudes have the best colours; dered_ are those without Galactic extinction.
    Convention("SDSS", "dered_{b}", ("modelMagErr_{b}", "err_{b}"), "mag", _SDSS),
    Convention("SDSS", "modelMag_{b}", ("modelMagErr_{b}",), "mag", _SDSS),
    Convention("SDSS", "cModelMag_{b}", ("cModelMagErr_{b}",), "mag", _SDSS),
    Convention("SDSS", "petroMag_{b}", ("petroMagErr_{b}",), "mag", _SDSS),
    Convention("SDSS", "psfMag_{b}", ("psfMagErr_{b}",), "mag", _SDSS),
    # HSC, PDR2 and later.
    Convention("HSC", "{b}_cmodel_flux", ("{b}_cmodel_fluxerr", "{b}_cmodel_fluxsigma"), "nJy"),
    Convention("HSC", "{b}_cmodel_mag", ("{b}_cmodel_magerr", "{b}_cmodel_magsigma"), "mag(AB)"),
    # Names that do not tell the survey: a description of the column or of the table must.
    Convention(None, "mag_{b}", ("magerr_{b}", "mag_err_{b}", "mag_{b}_err", "mag_{b}err")),
    Convention(None, "{b}_mag", ("{b}_magerr", "{b}_mag_err", "{b}_err")),
    Convention(None, "{b}mag", ("e_{b}mag", "{b}magerr", "{b}mag_err")),
    Convention(None, "flux_{b}", ("fluxerr_{b}", "flux_err_{b}", "flux_{b}_err")),
    Convention(None, "{b}_flux", ("{b}_fluxerr", "{b}_flux_err", "{b}_err")),
    Convention(None, "{b}", ("{b}_err", "{b}err", "err_{b}", "e_{b}")),
)

#: Other names of vectors.
ALIASES = {"star_formation_history": "sfh", "mass_accretion_history": "mah"}

#: Names that the error of a column ``{c}`` may have, whatever the convention.
ERRORS = ("{c}_err", "{c}_error", "{c}err", "{c}_e", "e_{c}", "err_{c}")

_IDENTIFIER = re.compile(
    r"(.*_)?(id|ra|dec|decl|number|name)|id_.*|.*[a-z]Id|uid|recno|seqnr|designation|iauname|"
    r"(spec|obj|source|gal|galaxy|object|target|cata)+id|plate|mjd|fiberid|"
    r"_?(ra|dec?)j2000|(ra|dec)_icrs|(alpha|delta)_j2000|coord|skycoord|tract|patch"
)


_EXTINCTION = re.compile(r"extinction_[ugrizy]|a_[ugrizy]|ebv|e_?\(?b-?v\)?", re.I)


def is_extinction(column):
    """Whether a column of that name holds the Galactic extinction."""
    return bool(_EXTINCTION.fullmatch(column))


def is_identifier(column):
    """Whether a column of that name says which object a row is, and is carried to the result."""
    return bool(_IDENTIFIER.fullmatch(column) or _IDENTIFIER.fullmatch(column.lower()))


def surveys_named_in(text):
    """The surveys of which a description speaks."""
    return [survey for survey in SURVEYS.values() if re.search(survey.words, text)]


def recognise(column):
    """What a column is by its name alone.

    Parameters
    ----------
    column : str

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
    for index, convention in enumerate(CONVENTIONS):
        if (band := convention.band(column)) is not None:
            survey = SURVEYS.get(convention.survey)
            return (survey.filters[band] if survey else None), index
    return None, None
