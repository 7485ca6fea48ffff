"""Which of the simulated galaxies are kept: the samples of a training set.

Both samples keep a galaxy with a probability, so that what is kept needs no weights.
"""

from zlib import crc32

import numpy as np

from .ingredients import with_ingredients

__all__ = ["FILTERS", "SAMPLES", "draw_block", "survey_weight"]

#: The broadband filters in which every galaxy is observed, by camera.
FILTERS = (
    *(f"lsst_{b}" for b in "ugrizy"),
    *(f"sdss_{b}" for b in "ugriz"),
    *(f"hsc_{b}" for b in "grizy"),
    *(f"cfht_megacam_{b}" for b in ("us_9301", "gs_9401", "rs_9601", "is_9701", "zs_9801")),
    *(f"decam_{b}" for b in "ugrizY"),
    *(f"panstarrs_{b}" for b in "grizy"),
    *("bass_g", "bass_r", "mzls_z"),
    *(f"subaru_suprimecam_{b}" for b in ("B", "V", "rp", "ip", "zp")),
    *(f"bessell_{b}" for b in "UBVRI"),
    *("gaia_bp", "gaia_g", "gaia_rp"),
    *("galex_FUV", "galex_NUV"),
    *(f"vista_vircam_{b}" for b in ("Z", "Y", "J", "H", "Ks")),
    *(f"ukirt_wfcam_{b}" for b in "JHK"),
    *(f"cfht_wircam_{b}" for b in ("J_8101", "H_8201", "Ks_8302")),
    *(f"twomass_{b}" for b in ("J", "H", "Ks")),
    *("wise_w1", "wise_w2", "spitzer_irac_ch1", "spitzer_irac_ch2"),
    *(f"acs_wfc_{b}" for b in ("f435w", "f606w", "f775w", "f814w", "f850lp")),
    *(f"wfc3_ir_{b}" for b in ("f105w", "f125w", "f140w", "f160w")),
    *(f"jwst_f{b}w" for b in ("090", "115", "150", "200", "277", "356", "444")),
    *(f"roman_wfi_f{b}" for b in ("062", "087", "106", "129", "146", "158", "184", "213")),
)

# The published sample, arXiv:2510.07684: mean and scatter of redshift and of log10 halo mass.
_PAPER_REDSHIFT, _PAPER_LOG_HALO_MASS = (1.017, 0.550), (12.08, 0.50)
_SURVEY_MAG_I = (14.0, 26.5)
_SURVEY_SLOPE = 0.25


def keep_survey(population, shell):
    """Probability of being kept in a flux-limited sample.

    It depends on the i magnitude alone, so that the distribution of everything else at given
    brightness is the lightcone's own; bright galaxies are kept more often than faint ones, by
    10^(-0.25 i), since they are rare.
    """
    mag = population.mag_i
    inside = (mag > _SURVEY_MAG_I[0]) & (mag < _SURVEY_MAG_I[1])
    return np.where(inside, population.weight / survey_weight(mag), 0.0)


def survey_weight(mag_i):
    """Number of galaxies per square degree and round of shells that one kept stands for."""
    return _SURVEY_WEIGHT_AT_20 * 10 ** (_SURVEY_SLOPE * (np.asarray(mag_i) - 20.0))


def keep_paper(population, shell):
    """Probability of being kept in a sample like the published one.

    Normal in redshift and log10 halo mass with the published means and scatters; the ratio of
    satellites to centrals at each mass is the lightcone's own.
    """
    z, log_mass = population.redshift, population.log_halo_mass
    log_weight = np.log(np.maximum(population.weight, 1e-12))
    central = population.is_central
    # Centrals are drawn uniformly in mass and redshift: their weights are the mass function.
    terms = np.stack([np.ones_like(z), z, log_mass, log_mass**2, log_mass**3, z * log_mass], axis=1)
    fit, *_ = np.linalg.lstsq(terms[central], log_weight[central], rcond=None)
    relative = np.where(central, 1.0, np.exp(log_weight - terms @ fit))
    wanted = np.exp(
        -0.5 * ((z - _PAPER_REDSHIFT[0]) / _PAPER_REDSHIFT[1]) ** 2
        - 0.5 * ((log_mass - _PAPER_LOG_HALO_MASS[0]) / _PAPER_LOG_HALO_MASS[1]) ** 2
    )
    width = shell[1] - shell[0]
    return wanted * np.minimum(relative, 3.0) * width / _PAPER_SHELL_WIDTH


# Galaxies of greater weight are always kept, and so kept too seldom; they are a few per cent.
_SURVEY_WEIGHT_AT_20 = 2.0
_PAPER_SHELL_WIDTH = 0.35

#: Samples by name: functions of (population, shell).
SAMPLES = {"paper": keep_paper, "survey": keep_survey}


def draw_block(seed, block, sample, ssp, stream="", ingredients=()):
    """The galaxies of a sample in one block: a draw of one shell of redshift.

    The sample is part of the seed, and so is the stream: two samples must not share galaxies, or
    the test set of one would be in the training set of the other. Ingredients
    (`astromosaic.simulation.ingredients`) change the galaxies, not which are drawn.

    Returns
    -------
    Population, int, numpy.random.Generator
        The galaxies kept, the seed of the block, and what draws on after them.
    """
    from .lightcone import SHELLS, draw_population

    shell = SHELLS[block % len(SHELLS)]
    key = [seed, block, crc32(f"{stream}{sample}".encode())]
    block_seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    population = draw_population(block_seed, shell, ssp)
    rng = np.random.default_rng(block_seed)
    kept = rng.random(len(population)) < SAMPLES[sample](population, shell)
    population = population[np.flatnonzero(kept)]
    # A stream of its own, so that the same galaxies can be seen with and without an ingredient.
    apart = np.random.default_rng([block_seed, 1])
    return with_ingredients(population, ingredients, ssp, apart), block_seed, rng
