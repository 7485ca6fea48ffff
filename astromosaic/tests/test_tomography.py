"""Tomography: posteriors that are calibrated by construction have the right n(z), others do not."""

import numpy as np
import pytest
from astropy.table import MaskedColumn
from scipy import stats

from astromosaic.io import read_catalog, write_catalog
from astromosaic.posterior import Posterior
from astromosaic.properties import PROPERTIES
from astromosaic.tomography import (
    Calibration,
    redshift_distribution,
    tomographic_bins,
)

REDSHIFT = PROPERTIES["redshift"]
EDGES = np.linspace(REDSHIFT.low, REDSHIFT.high, REDSHIFT.bins + 1)


def posteriors(n, seed, bias=0.0):
    """Posteriors of two Gaussians in ln(1+z), and redshifts drawn from them.

    With a bias the posteriors are moved afterwards, and so are wrong by it in ln(1+z).
    """
    rng = np.random.default_rng(seed)
    mean = np.log1p(rng.gamma(4.0, 0.25, n))
    second = mean + 0.3
    sigma = rng.uniform(0.02, 0.06, n)

    def histogram(by):
        parts = [stats.norm.cdf(EDGES, (m + by)[:, None], sigma[:, None]) for m in (mean, second)]
        return Posterior(REDSHIFT, EDGES, np.diff(0.9 * parts[0] + 0.1 * parts[1], axis=1))

    truth = histogram(0.0).sample(1, seed=seed + 1)[:, 0]
    return histogram(bias), truth


@pytest.fixture(scope="module")
def calibrated():
    return posteriors(3000, 1)


@pytest.mark.parametrize("shift", [-0.2, 0.2])
def test_means_move_by_the_shift_where_a_move_meets_redshift_zero(shift):
    posterior = Posterior(
        REDSHIFT, EDGES, np.diff(stats.norm.cdf(EDGES, np.full((50, 1), 0.25), 0.1), axis=1)
    )
    plain = redshift_distribution(posterior).mean()
    truth = posterior.mean() + shift
    moved = redshift_distribution(posterior, calibration=Calibration(posterior, truth)).mean()
    np.testing.assert_allclose(moved["shift"], shift, rtol=1e-6)
    np.testing.assert_allclose(moved["z_mean"] - plain["z_mean"], shift, atol=1e-4)
    with pytest.raises(ValueError, match="cannot be moved by -0.400"):
        redshift_distribution(posterior, calibration=Calibration(posterior, truth - shift - 0.4))


@pytest.mark.parametrize("highest", [6.0, 2.2])
def test_calibration_is_of_whole_posteriors_on_any_grid(highest):
    posterior, redshift = posteriors(4000, 5)
    low = redshift < 2.0  # of which the posteriors know nothing
    posterior, redshift = posterior[low], redshift[low]
    calibration = Calibration(posterior, redshift)
    grid = np.linspace(0.0, highest, 221)
    moved = redshift_distribution(posterior, grid=grid, calibration=calibration).mean()
    assert moved["z_mean"][0] == pytest.approx(redshift.mean(), abs=1e-3)


def test_too_few_galaxies_for_bins():
    posterior = posteriors(3, 2)[0]
    with pytest.raises(ValueError, match="too few galaxies of different median for 5 bins"):
        tomographic_bins(posterior, 5)


def test_masked_values_are_none():
    posterior, truth = posteriors(6, 2)
    masked = MaskedColumn(truth, mask=np.arange(6) == 3)
    with pytest.raises(ValueError, match="no true redshift"):
        Calibration(posterior, masked).shift(1)
    with pytest.raises(ValueError, match="finite"):
        Calibration(posterior, truth, weights=masked).shift(1)


def with_a_gap():
    """Three galaxies, of which the second has no answer."""
    posterior = posteriors(3, 2)[0]
    probability = posterior.probability.copy()
    probability[1] = np.nan
    return Posterior(REDSHIFT, EDGES, probability)


def test_equal_numbers_and_edges_that_sort_the_same_again(calibrated):
    posterior, _ = calibrated
    numbers, edges = tomographic_bins(posterior, 5)
    assert np.bincount(numbers).tolist() == [600] * 5
    np.testing.assert_array_equal(tomographic_bins(posterior, edges)[0], numbers)
    for k in range(5):
        median = posterior[numbers == k].median()
        assert edges[k] <= median.min()
        assert median.max() < edges[k + 1]


@pytest.mark.parametrize("estimate", ["median", "mean", "mode"])
def test_edges_sort_by_the_estimate_and_leave_out_what_is_outside(calibrated, estimate):
    posterior, _ = calibrated
    value = getattr(posterior, estimate)()
    low, middle, high = np.sort(value)[[500, 1500, 2500]]
    numbers, edges = tomographic_bins(posterior, [low, middle, high], estimate)
    np.testing.assert_array_equal(edges, [low, middle, high])
    np.testing.assert_array_equal(numbers == -1, (value < low) | (value >= high))
    np.testing.assert_array_equal(numbers == 1, (value >= middle) & (value < high))


def test_a_galaxy_without_an_answer_is_in_no_bin():
    posterior = with_a_gap()
    assert tomographic_bins(posterior, 2)[0].tolist().count(-1) == 1
    assert tomographic_bins(posterior, [0.0, 6.0])[0].tolist() == [0, -1, 0]
    assert redshift_distribution(posterior).galaxies.tolist() == [2]
    with pytest.raises(ValueError, match="without an answer"):
        redshift_distribution(posterior, [0, 0, 0])


@pytest.mark.parametrize("grid", [None, np.linspace(0.0, 3.0, 31), np.geomspace(0.01, 5.0, 200)])
def test_everything_is_normalised(calibrated, grid):
    posterior, _ = calibrated
    numbers, _ = tomographic_bins(posterior, 3)
    nz = redshift_distribution(posterior, numbers, grid, n_bootstrap=7)
    assert nz.realisations.shape == (3, 7, len(nz.middles))
    np.testing.assert_allclose(nz.density @ np.diff(nz.grid), 1.0)
    np.testing.assert_allclose(nz.realisations @ np.diff(nz.grid), 1.0)


def test_stack_is_the_mean_of_the_posteriors(calibrated):
    posterior = calibrated[0][:50]
    weights = np.random.default_rng(0).uniform(0.0, 2.0, 50)
    nz = redshift_distribution(posterior, weights=weights)
    expected = np.average(
        [np.diff([posterior.cdf(z)[i] for z in nz.grid[50:61]]) for i in range(50)],
        axis=0, weights=weights,
    )  # fmt: skip
    np.testing.assert_allclose(nz.density[0, 50:60] * 0.01, expected, atol=1e-12)
    mean = np.average(posterior.mean(), weights=weights)
    assert nz.mean()["z_mean"][0] == pytest.approx(mean, abs=1e-4)


def test_calibrated_posteriors_have_the_true_distribution(calibrated):
    posterior, truth = calibrated
    numbers, _ = tomographic_bins(posterior, 4)
    nz = redshift_distribution(posterior, numbers)
    for k in range(4):
        z = truth[numbers == k]
        error = np.sqrt(np.sum(posterior[numbers == k].std() ** 2)) / len(z)
        assert abs(nz.mean()["z_mean"][k] - z.mean()) < 4 * error
        cumulative = np.cumsum(nz.density[k] * np.diff(nz.grid))
        found = np.searchsorted(np.sort(z), nz.grid[1:], side="right") / len(z)
        assert np.max(np.abs(cumulative - found)) < 2.0 / np.sqrt(len(z))


def test_calibration_finds_and_removes_a_common_bias():
    posterior, truth = posteriors(3000, 3, bias=0.05)
    known, redshift = posteriors(2000, 4, bias=0.05)
    numbers, edges = tomographic_bins(posterior, 3)
    calibration = Calibration(known, redshift, tomographic_bins(known, edges)[0])
    stack = redshift_distribution(posterior, numbers).mean()
    moved = redshift_distribution(posterior, numbers, calibration=calibration).mean()
    for k in range(3):
        rows = numbers == k
        true_shift = truth[rows].mean() - posterior[rows].mean().mean()
        own_error = np.std(truth[rows] - posterior[rows].mean()) / np.sqrt(rows.sum())
        error = np.hypot(own_error, moved["shift_err"][k])
        assert abs(stack["z_mean"][k] - truth[rows].mean()) > 5 * error
        assert abs(moved["z_mean"][k] - truth[rows].mean()) < 4 * error
        assert abs(moved["shift"][k] - true_shift) < 4 * error


def test_error_of_the_calibration_is_its_scatter_and_widens_the_realisations(calibrated):
    posterior, _ = calibrated
    shifts, errors = np.transpose(
        [Calibration(*posteriors(60, 1000 + s)).shift(1) for s in range(150)]
    )[0]
    assert np.mean(errors) == pytest.approx(np.std(shifts), rel=0.2)
    calibration = Calibration(*posteriors(60, 1000))
    nz = redshift_distribution(posterior, n_bootstrap=400, calibration=calibration).mean()
    plain = redshift_distribution(posterior, n_bootstrap=400).mean()
    expected = np.hypot(plain["z_mean_err"], nz["shift_err"])
    assert nz["z_mean_err"][0] == pytest.approx(expected[0], rel=0.15)
    assert nz["z_mean_err"][0] > 1.5 * plain["z_mean_err"][0]


def test_weights_of_the_calibration_count():
    posterior, truth = posteriors(200, 6)
    weights = np.repeat([1.0, 0.0], 100)
    np.testing.assert_allclose(
        Calibration(posterior, truth, weights=weights).shift(1),
        Calibration(posterior[:100], truth[:100]).shift(1),
    )


def test_errors_fall_as_one_over_the_root(calibrated):
    posterior, _ = calibrated
    few, many = (
        redshift_distribution(posterior[:n], n_bootstrap=400).mean()["z_mean_err"][0]
        for n in (188, 3000)
    )
    assert few / many == pytest.approx(4.0, rel=0.2)
    assert many == pytest.approx(np.std(posterior.mean()) / np.sqrt(3000), rel=0.15)


def test_same_seed_same_realisations(calibrated):
    posterior = calibrated[0][:100]
    first, again, other = (redshift_distribution(posterior, seed=s).realisations for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("suffix", [".ecsv", ".fits"])
def test_table_survives_a_file(calibrated, tmp_path, suffix):
    posterior, truth = calibrated
    nz = redshift_distribution(posterior, calibration=Calibration(posterior, truth))
    table = nz.to_table()
    np.testing.assert_array_equal(table["bin_0"], nz.density[0])
    assert table.meta["galaxies"] == [3000]
    write_catalog(table, tmp_path / f"nz{suffix}")
    back = read_catalog(tmp_path / f"nz{suffix}")
    assert {k.lower(): v for k, v in back.meta.items()} == table.meta
    for name in table.colnames:
        np.testing.assert_array_equal(back[name], table[name])


def test_qp(calibrated):
    pytest.importorskip("qp")
    posterior, _ = calibrated
    numbers, _ = tomographic_bins(posterior, 2)
    nz = redshift_distribution(posterior, numbers, n_bootstrap=5)
    ensemble = nz.to_qp()
    assert ensemble.npdf == 2
    np.testing.assert_allclose(ensemble.pdf(nz.middles), nz.density, atol=1e-12)
    realisations = nz.to_qp(realisations=True)
    assert realisations.ancil["bin"].tolist() == [0] * 5 + [1] * 5
    np.testing.assert_allclose(
        realisations.pdf(nz.middles), nz.realisations.reshape(10, -1), atol=1e-12
    )


def test_plot(calibrated):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    posterior, _ = calibrated
    numbers, _ = tomographic_bins(posterior, 3)
    nz = redshift_distribution(posterior, numbers, n_bootstrap=5)
    figure, ax = plt.subplots()
    assert nz.plot(ax) is ax
    for line, density in zip(ax.get_lines(), nz.density, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), density)
    plt.close(figure)


@pytest.mark.parametrize(
    ("bins", "estimate", "message"),
    [
        (0, "median", "at least 1"),
        (2.5, "median", "at least 1"),
        (4, "median", "too few galaxies"),
        ([1.0], "median", "at least two"),
        ([0.0, 2.0, 1.0], "median", "increase"),
        (2, "best", "median, mean, mode"),
    ],
)
def test_bad_bins(bins, estimate, message):
    posterior = posteriors(3, 2)[0][[0, 0, 1]]
    with pytest.raises(ValueError, match=message):
        tomographic_bins(posterior, bins, estimate)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bins": [0, 1]}, "one for each galaxy"),
        ({"bins": [0.0, 0.5, 1.0]}, "one for each galaxy"),
        ({"bins": [0, 2, 2]}, "bin 0 has 1 galaxies"),
        ({"bins": [0, 0, 2]}, "bin 1 has 0 galaxies"),
        ({"bins": [-1, -1, -1]}, "no galaxy is in a bin"),
        ({"weights": [1.0, -1.0, 1.0]}, "not negative"),
        ({"weights": [0.0, 0.0, 0.0]}, "bin 0 has 0 galaxies"),
        ({"weights": [0.0, 0.0, 1.0]}, "bin 0 has 1 galaxies"),
        ({"grid": [0.0, 1.0, 0.5]}, "increasing"),
        ({"grid": [6.5, 7.0]}, "nothing|no probability within the grid"),
        ({"n_bootstrap": 1}, "at least 2"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        redshift_distribution(posteriors(3, 2)[0], **options)


@pytest.mark.parametrize(
    ("redshift", "bins", "message"),
    [
        ([0.5, 0.6], None, "one true redshift for each"),
        ([0.5, np.nan, 0.6], None, "no true redshift"),
        ([0.5, 0.6, 0.7], [0, -1, -1], "bin 0 has 1 galaxies"),
    ],
)
def test_bad_calibrations(redshift, bins, message):
    posterior = posteriors(3, 2)[0]
    with pytest.raises(ValueError, match=message):
        redshift_distribution(posterior, calibration=Calibration(posterior, redshift, bins))


def test_only_redshifts():
    mass = PROPERTIES["stellar_mass"]
    other = Posterior(mass, np.linspace(mass.low, mass.high, 6), np.ones((3, 5)))
    with pytest.raises(ValueError, match="of the redshift"):
        tomographic_bins(other, 2)


def test_calibrated_posteriors_are_as_good(calibrated):
    posterior, _ = calibrated
    knots = np.linspace(0.0, 1.0, 17)
    mapped = posterior.remapped(knots, np.tile(knots, (len(posterior), 1)))  # changes nothing
    numbers, _ = tomographic_bins(posterior, 3)
    same, _ = tomographic_bins(mapped, 3)
    assert np.mean(numbers == same) > 0.99
    a, b = (redshift_distribution(p, numbers, n_bootstrap=3) for p in (posterior, mapped))
    np.testing.assert_allclose(a.density, b.density, atol=1e-3 * a.density.max())
