"""What is given and what is asked: the hierarchical masking scheme, on one page.

A step of training sees several small batches, each masked in its own way from the top down. All
that is drawn on levels 1 to 3 is drawn once for the batch, so that it is rectangular and needs no
padding; level 4 differs from galaxy to galaxy.

1. *Modalities.* First the light: broadband photometry, SPHEREx, a spectrum, two of them, or none (a
   "dark" galaxy). Beside it each history is given with a chance of its own, and scalars mostly not
   at all or several together; dark galaxies have more of both, since they have nothing else.
2. *Parts of a modality.* Of the broadband photometry, which cameras: mostly one, often with a
   near-infrared companion, sometimes a free mixture of filters. Of a vector, which stretch: the
   whole, or what a spectrograph covers, or one half, or any contiguous segment, or all but one.
3. *Elements lost to all.* Of each camera some bands, now and then as many as half.
4. *Elements lost to one.* Of each vector, in some batches, single elements of single galaxies, at a
   rate that is drawn for the batch (`noise.drop_elements`).

Then it is drawn what is asked. All scalars always are: their answers cost one token together.
Fluxes are asked in a few filters, given ones among them; each vector in a part of the batches,
whether it was given or not, and always as a whole, so that what was hidden has to be recovered.

The scheme ``"random"`` has none of the hierarchy: every modality is there, and each element, be it
band, pixel, bin or scalar, is hidden by itself at one rate for the batch. It exists to measure what
the hierarchy buys (``benchmarks/masking_ablation.py``).
"""

from dataclasses import dataclass, fields

import numpy as np

from ..properties import LOOKBACK_EDGES, PROPERTIES, SPECTRUM_WAVELENGTH, VECTORS

__all__ = ["SPECTROGRAPHS", "MaskingModel", "Pattern", "cameras", "draw_pattern"]

# How often an optical camera is drawn, in relative terms.
_OPTICAL = {
    "lsst": 6, "sdss": 3, "hsc": 2, "cfht_megacam": 3, "decam": 2, "panstarrs": 2, "bass": 1,
    "subaru_suprimecam": 1, "bessell": 0.5, "acs_wfc": 1, "gaia": 0.3,
}  # fmt: skip
_INFRARED = (
    "vista_vircam", "ukirt_wfcam", "cfht_wircam", "twomass", "wise", "spitzer_irac", "wfc3_ir",
    "jwst", "roman_wfi",
)  # fmt: skip
# The kinds of light of which a galaxy has one; without any it is dark.
_LIGHT = ("broadband", "broadband_spherex", "spherex", "spectrum", "broadband_spectrum")
_ALIASES = {"mzls": "bass"}

#: What spectrographs cover, in micron.
SPECTROGRAPHS = ((0.36, 0.98), (0.38, 0.92), (0.36, 1.03), (0.55, 0.97), (0.35, 0.70), (0.9, 2.4))
# Half of the histories' time: the early and the late half are parted somewhere between these.
_PARTING_GYR = (0.5, 7.0)


@dataclass(frozen=True)
class MaskingModel:
    """Rates of the scheme; the defaults are those of the bundled weights.

    Attributes
    ----------
    scheme : {"hierarchical", "random"}
    broadband, broadband_spherex, spherex, spectrum, broadband_spectrum : float
        Chances of each kind of light; what is left of 1 are dark galaxies.
    sfh, mah : float
        Chances that a history is given beside light.
    scalars : float
        Chance that scalars are given beside light.
    redshift, scalar : float
        Where they are, the chances of the redshift and of each other scalar.
    dark_sfh, dark_mah, dark_redshift, dark_scalar : float
        The same for dark galaxies, which may have scalars always.
    infrared, ultraviolet, mixture : float
        Chance that an optical camera has a near-infrared and an ultraviolet companion, and that
        the photometry is a free mixture of filters in place of a camera.
    lost_band : float
        Chance that a band is lost.
    few_bands : float
        Chance that a band is lost with a chance of one half, so that few are left.
    whole : float
        Chance that a vector is given as a whole.
    lost_elements : float
        Chance that single elements of a vector are lost too.
    queries : int
        Number of fluxes asked.
    ask_vector, dark_ask_vector : float
        Chance that a vector is asked, and the same of dark galaxies.
    """

    scheme: str = "hierarchical"
    broadband: float = 0.42
    broadband_spherex: float = 0.12
    spherex: float = 0.05
    spectrum: float = 0.11
    broadband_spectrum: float = 0.06
    sfh: float = 0.33
    mah: float = 0.12
    scalars: float = 0.4
    redshift: float = 0.5
    scalar: float = 0.35
    dark_sfh: float = 0.45
    dark_mah: float = 0.2
    dark_redshift: float = 0.65
    dark_scalar: float = 0.35
    infrared: float = 0.3
    ultraviolet: float = 0.05
    mixture: float = 0.08
    lost_band: float = 0.08
    few_bands: float = 0.2
    whole: float = 0.4
    lost_elements: float = 0.3
    queries: int = 3
    ask_vector: float = 0.35
    dark_ask_vector: float = 0.5

    @classmethod
    def of_rates(cls, texts):
        """Of the default rates and others, such as ``["spectrum=0.3", "queries=5"]``."""
        kinds = {f.name: type(f.default) for f in fields(cls)}
        rates = {}
        for text in texts:
            name, _, value = text.partition("=")
            if name not in kinds:
                raise ValueError(f"no rate {name!r} of the masking scheme: {', '.join(kinds)}")
            try:
                rates[name] = kinds[name](value)
            except ValueError:
                raise ValueError(f"{text!r} is no rate: give it as {name}=NUMBER") from None
        return cls(**rates)

    def __post_init__(self):
        chances = {
            f.name: getattr(self, f.name) for f in fields(self) if isinstance(f.default, float)
        }
        if wrong := [f"{name}={value}" for name, value in chances.items() if not 0 <= value <= 1]:
            raise ValueError(f"rates of the masking scheme are chances, 0 to 1: {wrong[0]}")
        light = sum(chances[name] for name in _LIGHT)
        if light > 1 + 1e-9:
            raise ValueError(f"the chances of {', '.join(_LIGHT)} add up to {light:g}, above 1")


@dataclass(frozen=True)
class Pattern:
    """What a batch is given and asked.

    Attributes
    ----------
    filters : ndarray of int
        Indices of the given filters.
    vectors : dict of str to ndarray of bool (length,)
        The given vectors, and which of their elements are given.
    scalars : tuple of str
    lost : float
        Largest fraction of elements lost to single galaxies; of vectors alone in the hierarchical
        scheme, of everything in the random one, which loses that fraction exactly.
    queries : ndarray of int
        Indices of the filters asked, SPHEREx channels counted after the filters.
    ask_vectors : tuple of str
    """

    filters: np.ndarray
    vectors: dict
    scalars: tuple
    lost: float
    queries: np.ndarray
    ask_vectors: tuple


def cameras(filters):
    """Indices of filters by camera: what stands before the band in their names."""
    groups = {}
    for index, name in enumerate(filters):
        camera = name.rsplit("_", 1)[0]
        for known in (*_OPTICAL, *_INFRARED, "galex"):
            if name.startswith(known + "_"):
                camera = known
        groups.setdefault(_ALIASES.get(camera, camera), []).append(index)
    return groups


def draw_pattern(groups, n_filters, available, model, rng):
    """Draw what one batch is given and asked.

    Parameters
    ----------
    groups : dict
        From `cameras`.
    n_filters : int
        Number of filters; 102 SPHEREx channels follow.
    available : sequence of str
        The vectors that the training data have.
    model : MaskingModel
    rng : numpy.random.Generator

    Returns
    -------
    Pattern
    """
    names = [name for name in VECTORS if name in available]
    if model.scheme == "random":
        return Pattern(
            np.arange(n_filters), {name: np.ones(VECTORS[name].length, bool) for name in names},
            tuple(PROPERTIES), rng.random(), _draw_queries((), n_filters, names, model, rng),
            _draw_asked(names, model.ask_vector, rng),
        )  # fmt: skip
    broadband, vectors = _draw_light(n_filters, names, model, rng)
    dark = not (broadband or vectors)
    chance = {
        "sfh": model.dark_sfh if dark else model.sfh,
        "mah": model.dark_mah if dark else model.mah,
    }
    vectors += [name for name in chance if name in names and rng.random() < chance[name]]
    scalar = model.dark_scalar if dark else model.scalar
    redshift = model.dark_redshift if dark else model.redshift
    scalars = ()
    if dark or rng.random() < model.scalars:
        chances = {name: redshift if name == "redshift" else scalar for name in PROPERTIES}
        scalars = tuple(name for name, chance in chances.items() if rng.random() < chance)
    if not (broadband or vectors or scalars):
        scalars = ("redshift",)
    given = _draw_filters(groups, n_filters, model, rng) if broadband else np.zeros(0, int)
    return Pattern(
        filters=given,
        vectors={name: _draw_stretch(name, model, rng) for name in vectors},
        scalars=scalars,
        lost=0.7 * rng.random() if rng.random() < model.lost_elements else 0.0,
        queries=_draw_queries(given, n_filters, names, model, rng),
        ask_vectors=_draw_asked(names, model.dark_ask_vector if dark else model.ask_vector, rng),
    )


def _draw_light(n_filters, available, model, rng):
    """Whether there is broadband photometry, and which flux vectors are given."""
    kinds = {
        (True, ()): model.broadband,
        (True, ("spherex",)): model.broadband_spherex,
        (False, ("spherex",)): model.spherex,
        (False, ("spectrum",)): model.spectrum,
        (True, ("spectrum",)): model.broadband_spectrum,
    }
    # What the data do not have cannot be given; the chance of dark galaxies stays what it is.
    light = sum(kinds.values())
    kinds = {
        (broadband, vectors): chance
        for (broadband, vectors), chance in kinds.items()
        if (n_filters or not broadband) and set(vectors) <= set(available)
    }
    scale = light / sum(kinds.values()) if kinds else 0.0
    u = rng.random()
    for (broadband, vectors), chance in kinds.items():
        u -= scale * chance
        if u < 0:
            return broadband, list(vectors)
    return False, []


def _draw_stretch(name, model, rng):
    """Which elements of a vector are given to the batch."""
    length = VECTORS[name].length
    if rng.random() < model.whole:
        return np.ones(length, bool)
    index = np.arange(length)
    kind = rng.integers(4)
    if kind == 0 and name == "spectrum":
        low, high = SPECTROGRAPHS[rng.integers(len(SPECTROGRAPHS))]
        return (SPECTRUM_WAVELENGTH > low) & (SPECTRUM_WAVELENGTH < high)
    if kind <= 1:
        if VECTORS[name].axis == "lookback_time":
            low, high = np.log(_PARTING_GYR)
            parting = np.searchsorted(LOOKBACK_EDGES, np.exp(rng.uniform(low, high)))
        else:
            parting = int(rng.uniform(0.3, 0.7) * length)
        return index < parting if rng.random() < 0.5 else index >= parting
    # Segments of all sizes, down to a few elements.
    size = max(int(length * 10 ** rng.uniform(-1.3, 0.0)), 3)
    first = rng.integers(length - size + 1)
    segment = (index >= first) & (index < first + size)
    return ~segment if kind == 3 and size < length else segment


def _draw_queries(given, n_filters, available, model, rng):
    """Indices of the filters asked."""
    channels = 102 if "spherex" in available else 0
    if not n_filters + channels:
        return np.zeros(0, int)
    most = n_filters + channels if rng.random() < 0.5 or not n_filters else n_filters
    asked = rng.integers(most, size=model.queries)
    if len(given) and model.queries > 1:
        asked[0] = rng.choice(given)
    return asked


def _draw_asked(available, chance, rng):
    return tuple(name for name in available if rng.random() < chance)


def _draw_filters(groups, n_filters, model, rng):
    if rng.random() < model.mixture:
        size = min(rng.integers(2, 12), n_filters)
        return np.sort(rng.choice(n_filters, size=size, replace=False))
    optical = [c for c in _OPTICAL if c in groups] or list(groups)
    chance = np.array([_OPTICAL.get(c, 1.0) for c in optical], float)
    chosen = [rng.choice(optical, p=chance / chance.sum())]
    if rng.random() < model.infrared:
        infrared = [c for c in _INFRARED if c in groups and c not in chosen]
        chosen += list(
            rng.choice(infrared, size=min(rng.integers(1, 3), len(infrared)), replace=False)
        )
    if rng.random() < model.ultraviolet and "galex" in groups:
        chosen.append("galex")
    bands = np.concatenate([groups[c] for c in chosen])
    lost = 0.5 if rng.random() < model.few_bands else model.lost_band
    kept = bands[rng.random(len(bands)) >= lost]
    return kept if len(kept) >= 2 else bands
