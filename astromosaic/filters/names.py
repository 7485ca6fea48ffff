"""The names of filters: which sets there are, what they are called here and in sedpy, aliases.

Every filter of sedpy goes by sedpy's own name, except the sets of `RENAMED`, which have a shorter
one. Adding a nickname is adding a row to `ALIASES`.
"""

import difflib
import re
from functools import lru_cache

from ..properties import PROPERTIES, VECTORS
from .curves import read_curve, sedpy_names, spherex_channels

__all__ = ["canonical_name", "list_filters", "list_sets"]

#: Sets whose filters have a name of their own here: pattern of sedpy's name, our name.
RENAMED = [
    (r"lsst_baseline_([ugrizy])", r"lsst_\1"),
    (r"sdss_([ugriz])0", r"sdss_\1"),
]

#: Sets that are not simply the filter's name up to its last underscore: pattern of our name, set.
SETS = [
    (r"gaia_.*_dr2rev", "gaia_dr2rev"),
    (r"vista_vircam_.*_FILTER", "vista_vircam_FILTER"),
    (r"spitzer_mips_.*", "spitzer_mips"),
    (r"cfht_megacam_.*", "cfht_megacam"),
    (r"cfht_wircam_.*", "cfht_wircam"),
    (r"mayall_mosaic_.*", "mayall_mosaic"),
    (r"mpgeso_wfi_.*", "mpgeso_wfi"),
]

#: Nicknames: alias, our name. ``{}`` stands for each of the bands that follow.
ALIASES = [
    ("rubin_{}", "lsst_{}", "u g r i z y"),
    ("ps1_{}", "panstarrs_{}", "g r i z y"),
    ("des_{}", "decam_{}", "u g r i z Y"),
    ("cfht_{}", "cfht_megacam_{}s_9301", "u"),
    ("cfht_{}", "cfht_megacam_{}s_9401", "g"),
    ("cfht_{}", "cfht_megacam_{}s_9601", "r"),
    ("cfht_{}", "cfht_megacam_{}s_9701", "i"),
    ("cfht_{}", "cfht_megacam_{}s_9801", "z"),
    ("cfht_{}", "cfht_wircam_{}_8101", "J"),
    ("cfht_{}", "cfht_wircam_{}_8201", "H"),
    ("cfht_{}", "cfht_wircam_{}_8302", "Ks"),
    ("vista_{}", "vista_vircam_{}", "Z Y J H Ks"),
    ("viking_{}", "vista_vircam_{}", "Z Y J H Ks"),
    ("uvista_{}", "vista_vircam_{}", "Y J H Ks"),
    ("ukidss_{}", "ukirt_wfcam_{}", "J H K"),
    ("2mass_{}", "twomass_{}", "J H Ks"),
    ("2mass_{}", "twomass_{}s", "K"),
    ("allwise_{}", "wise_{}", "w1 w2 w3 w4"),
    ("catwise_{}", "wise_{}", "w1 w2"),
    ("unwise_{}", "wise_{}", "w1 w2"),
    ("irac_ch{}", "spitzer_irac_ch{}", "1 2 3 4"),
    ("irac{}", "spitzer_irac_ch{}", "1 2 3 4"),
    ("roman_{}", "roman_wfi_{}", "f062 f087 f106 f129 f146 f158 f184 f213"),
]


#: Filters by name that `astromosaic.filters.register_filter` has added.
REGISTERED = {}


@lru_cache(maxsize=1)
def sources():
    """Where each filter comes from: our name to (name of sedpy's file, its column or None)."""
    table = {}
    for sedpy_name in sedpy_names():
        name = sedpy_name
        for pattern, ours in RENAMED:
            name = re.sub(f"^{pattern}$", ours, name)
        table[name] = (sedpy_name, None)
    for number, (sedpy_name, column) in enumerate(spherex_channels(), start=1):
        table[f"spherex_{number:03d}"] = (sedpy_name, column)
    return table


@lru_cache(maxsize=1)
def _aliases():
    """All spellings other than our own: aliases and sedpy's names, to our name."""
    table = {}
    for name, (sedpy_name, column) in sources().items():
        theirs = sedpy_name if column is None else f"{sedpy_name}_{column}"
        if theirs != name:
            table[theirs] = name
    for alias, name, bands in ALIASES:
        table.update((alias.format(b), name.format(b)) for b in bands.split())
    return {alias: name for alias, name in table.items() if name in sources()}


@lru_cache(maxsize=1)
def _lowercase():
    """Lower-case spellings to the set of our names that they may stand for."""
    table = {}
    for name in sources():
        table.setdefault(name.lower(), set()).add(name)
    for alias, name in _aliases().items():
        table.setdefault(alias.lower(), set()).add(name)
    return table


def find_name(name):
    """The canonical name of a filter, or None if there is no such filter."""
    if name in sources() or name in REGISTERED:
        return name
    if name in _aliases():
        return _aliases()[name]
    found = _lowercase().get(name.lower(), set())
    return next(iter(found)) if len(found) == 1 else None


@lru_cache(maxsize=4096)
def canonical_name(name):
    """The name by which a filter is known and reported.

    Parameters
    ----------
    name : str
        Our name, sedpy's name or an alias. Taken as it is spelt if that is known, otherwise
        without regard to case if that leaves one filter.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is no such filter; the message has the names that come close.
    """
    found = find_name(str(name))
    if found is not None:
        return found
    close = sorted(_lowercase().get(str(name).lower(), ())) or difflib.get_close_matches(
        str(name), [*sources(), *_aliases(), *REGISTERED], n=4, cutoff=0.6
    )
    hint = f"did you mean {', '.join(close)}? " if close else ""
    raise ValueError(
        f"unknown filter {name!r}: {hint}astromosaic.filters.list_filters() lists all names"
    )


def check_new_name(name):
    """Raise ValueError if a filter cannot be given that name."""
    taken = name.lower() in {*PROPERTIES, *VECTORS} or find_set(name) is not None
    if taken or not re.fullmatch(r"(?!mag_)[A-Za-z][\w.:/+-]*(?<!_err)", name):
        raise ValueError(
            f"a filter cannot be called {name!r}"
            + (", which means something else" if taken else "")
            + ": give a name that begins with a letter, has no spaces, does not begin with 'mag_' "
            "nor end with '_err', and is no property, vector or filter set"
        )


def filter_set(name):
    """The set to which the filter of that canonical name belongs."""
    for pattern, ours in SETS:
        if re.fullmatch(pattern, name):
            return ours
    return name.rpartition("_")[0]


def list_sets():
    """Names of the filter sets, sorted: ``["acs_wfc", ..., "lsst", "sdss", "spherex", ...]``."""
    return list(_sets())


@lru_cache(maxsize=1)
def _sets():
    return tuple(sorted({filter_set(name) for name in sources()}))


def find_set(name):
    """The filter set of that name, without regard to case, or None if there is no such set."""
    return {known.lower(): known for known in _sets()}.get(name.lower())


def list_filters(set=None):
    """Canonical names of all filters, or of those of one set.

    Parameters
    ----------
    set : str, optional
        One of `list_sets`; capitals do not matter.

    Returns
    -------
    list of str
        Sorted by set; within a set in order of wavelength.

    Raises
    ------
    ValueError
        If there is no such set.
    """
    if set is None:
        return [name for s in list_sets() for name in list_filters(s)]
    known = find_set(set)
    if known is None:
        raise ValueError(f"unknown filter set {set!r}; known are {', '.join(list_sets())}")
    found = [name for name in sources() if filter_set(name) == known]
    return sorted(found, key=lambda name: read_curve(*sources()[name]).wave_effective)
