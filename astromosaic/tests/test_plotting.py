"""The figure of one galaxy: every kind of input, and that what it shows is what was given."""

import re

import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable, Table

from astromosaic import plotting
from astromosaic.cli import main
from astromosaic.cosmology import age_gyr
from astromosaic.plotting import plot_galaxy
from astromosaic.properties import (
    LOOKBACK_EDGES,
    LOOKBACK_MIDDLES,
    PROPERTIES,
    SPECTRUM_WAVELENGTH,
)

plt = pytest.importorskip("matplotlib.pyplot")
plt.switch_backend("Agg")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights that have learned nothing: enough to draw."""
    import torch

    from astromosaic.model.transformer import ModelConfig, Transformer
    from astromosaic.model.weights import save_weights

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    card = {"name": "untrained", "parameters": 0, "flux_range": [0.0, 15.0]}
    save_weights(path, Transformer(ModelConfig()), card)
    return path


@pytest.fixture(scope="module")
def model(weights):
    from astromosaic import load_model

    return load_model(weights)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def photometry(flux=(200.0, 300.0, 500.0), error=20.0):
    table = QTable({"objectId": [7]})
    for band, value in zip("gri", flux, strict=True):
        table[f"lsst_{band}"] = [value] * u.nJy
        table[f"lsst_{band}_err"] = [error] * u.nJy
    return table


def spherex(flux=1e5, error=1e4):
    return QTable({"spherex": np.full((1, 102), flux) * u.nJy,
                   "spherex_err": np.full((1, 102), error) * u.nJy})  # fmt: skip


def histories(redshift=0.5):
    age = age_gyr(redshift)
    table = QTable({"redshift": [redshift]})
    table["sfh"] = np.where(LOOKBACK_EDGES[:-1] < age, 3.0, 0.0)[None] * u.solMass / u.yr
    mass = np.where(LOOKBACK_MIDDLES < age, np.geomspace(1e12, 1e9, 31), 0.0)
    table["mah"] = mass[None] * u.solMass
    return table


def spectrum(signal_to_noise):
    from astropy.nddata import StdDevUncertainty
    from specutils import Spectrum

    wave = SPECTRUM_WAVELENGTH[100:400]
    flux = 1e4 * (1 + np.random.default_rng(0).normal(size=300) / signal_to_noise)
    error = np.full(300, 1e4 / signal_to_noise)
    return Spectrum(
        flux=flux * u.nJy, spectral_axis=wave * u.um, uncertainty=StdDevUncertainty(error)
    )


@pytest.fixture(scope="module")
def plain(model):
    """The figure of a galaxy with three bands and nothing special."""
    return plot_galaxy(photometry(), model=model)


def labels(figure):
    (legend,) = [a.get_legend() for a in figure.axes if a.get_legend()]
    return {text.get_text() for text in legend.get_texts()}


def main_axis(figure):
    return next(a for a in figure.axes if a.get_legend())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (lambda: photometry((-30.0, -1.0, 3.0), 1e4), "given photometry"),
        (lambda: spherex(-100.0), "SPHEREx"),
        (lambda: spectrum(30.0), "given spectrum"),
        (lambda: spectrum(0.5), "given spectrum, means of 9 pixels"),
        (lambda: QTable({"redshift": [2.0]}), "given value"),
        (histories, "given history"),
    ],
)
def test_kinds_of_input(model, data, expected):
    figure = plot_galaxy(data(), model=model)
    assert expected in labels(figure)
    assert "predicted photometry" in labels(figure)
    axis = main_axis(figure)
    low, high = axis.get_ylim()
    assert np.isfinite([low, high]).all()
    assert low < high
    # The numbers at the axis are readable: neither none nor one on the other.
    ticks = [(1.0, y) for y in axis.get_yticks()]
    assert len(ticks) >= 2
    heights = axis.transAxes.inverted().transform(axis.transData.transform(ticks))[:, 1]
    assert np.all((heights >= 0) & (heights <= 1))
    assert np.diff(np.sort(heights)).min() > 0.08


@pytest.fixture(scope="module")
def negative(model):
    """The figure of a galaxy with a negative flux."""
    return plot_galaxy(photometry((-30.0, 300.0, 500.0)), model=model)


def test_scale_of_the_flux_axis(plain, negative):
    assert main_axis(plain).get_yscale() == "log"
    assert main_axis(negative).get_yscale() == "asinh"
    low, high = main_axis(negative).get_ylim()
    assert low < -30.0
    assert high > 500.0


@pytest.mark.parametrize("which", ["plain", "negative"])
def test_magnitudes_stand_at_their_fluxes(which, request):
    figure = request.getfixturevalue(which)
    axis = main_axis(figure)
    unit = {"nJy": 1.0, r"$\mu$Jy": 1e3}[re.search(r"\[(.*)\]", axis.get_ylabel())[1]]
    (other,) = [a for a in figure.axes if a.get_ylabel() == "AB magnitude"]
    assert len(other.get_yticks()) >= 2
    for flux, label in zip(other.get_yticks(), other.get_yticklabels(), strict=True):
        magnitude = (flux * unit * u.nJy).to_value(u.ABmag)
        assert magnitude == pytest.approx(float(label.get_text()), abs=1e-6)
        # The same flux stands at the same height on both sides.
        heights = [a.transData.transform((1.0, flux))[1] for a in (axis, other)]
        assert heights[0] == pytest.approx(heights[1], abs=0.01)


def test_given_fluxes_are_drawn_where_they_are(plain):
    from astromosaic.filters import load_filter

    axis = main_axis(plain)
    drawn = [c for c in axis.containers if c.lines[0].get_color() == plotting.GIVEN][0].lines[0]
    np.testing.assert_allclose(drawn.get_ydata(), [200.0, 300.0, 500.0], rtol=1e-6)
    expected = [load_filter(f"lsst_{b}").effective_wavelength.to_value("um") for b in "gri"]
    np.testing.assert_allclose(drawn.get_xdata(), expected)


def test_limits_are_arrows(model):
    table = Table({"mag_g_lsst": [99.0], "mag_err_g_lsst": [28.0], "mag_r_lsst": [24.0],
                   "mag_err_r_lsst": [0.1]})  # fmt: skip
    figure = plot_galaxy(table, model=model)
    assert {"given upper limits", "given photometry"} <= labels(figure)
    (mark,) = [line for line in main_axis(figure).lines if line.get_marker() == r"$\downarrow$"]
    assert not len(mark.get_xdata())  # in the legend only
    arrows = [t for t in main_axis(figure).texts if t.arrow_patch is not None]
    assert len(arrows) == 1


def test_histories_end_at_the_big_bang(model):
    ages = []
    for redshift in (0.5, 4.0):
        table = histories(redshift)
        figure = plot_galaxy(table, model=model)
        (axis,) = [a for a in figure.axes if a.get_ylabel().startswith("SFR")]
        ages.append(max(line.get_xdata().max() for line in axis.lines[:1]))
    # A galaxy at higher redshift has had less time, whatever an untrained model thinks of either.
    assert all(age <= LOOKBACK_EDGES[-1] for age in ages)
    posterior = model.posterior(table, "redshift")
    assert ages[1] == pytest.approx(min(plotting._age(posterior), LOOKBACK_EDGES[-1]))


def test_age_of_the_universe():
    from astromosaic.posterior import Posterior

    prop = PROPERTIES["redshift"]
    ages = []
    for z in (0.0, 1.0, 5.0):
        centres = np.linspace(prop.low, prop.high, prop.bins)
        logits = -0.5 * ((centres - np.log1p(z)) / 0.002) ** 2
        ages.append(plotting._age(Posterior.from_logits("redshift", logits[None])))
    assert ages == sorted(ages, reverse=True)
    assert ages[0] == pytest.approx(13.8, abs=0.1)  # Planck Collaboration 2016, XIII
    assert ages[1] == pytest.approx(5.9, abs=0.1)


def test_noisy_channels_are_drawn_as_means():
    from astromosaic.galaxies import MEASURED, Measurement

    rng = np.random.default_rng(2)
    error = rng.uniform(1.0, 2.0, (1, 102))
    for level, expected in ((100.0, 102), (0.5, 6)):
        value = level + error * rng.normal(size=(1, 102))
        measured = Measurement(value, error, np.full((1, 102), MEASURED))
        x, half, y, e, _ = plotting._drawable("spherex", measured)
        assert len(x) == len(y) == expected
        assert np.all(np.diff(x) > 0)
        assert np.all((half > 0) == (expected == 6))
        assert abs(np.average(y - level, weights=e**-2.0)) < 5 / np.sqrt(np.sum(e**-2.0))


def test_truth(model):
    truth = {"redshift": 0.5, "stellar_mass": 1e10 * u.solMass, "sfh": np.ones(31),
             "spectrum": np.full(1071, 1e-3) * u.mJy}  # fmt: skip
    figure = plot_galaxy(photometry(), model=model, truth=truth)
    assert "true" in labels(figure)
    dashed = [line for a in figure.axes for line in a.lines if line.get_color() == plotting.TRUE]
    assert len(dashed) == len(truth)
    by_label = {a.get_xlabel(): a for a in figure.axes}
    (mass,) = [
        line for line in by_label[plotting._LABELS["stellar_mass"][0]].lines if line in dashed
    ]
    np.testing.assert_allclose(mass.get_xdata(), 10.0)


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ({"redshfit": 1.0}, "redshfit"),
        ({"sfh": np.ones(30)}, "'sfh'"),
        ({"redshift": [1, 2]}, "'redshift'"),
    ],
)
def test_wrong_truth(model, truth, message):
    with pytest.raises(ValueError, match=message):
        plot_galaxy(photometry(), model=model, truth=truth)


def test_rows(model):
    table = Table(photometry())
    for name in table.colnames[1:]:
        table[name] = table[name].value
        table[name].unit = "nJy"
    both = Table(np.repeat(table.as_array(), 2), masked=True, units={
        name: table[name].unit for name in table.colnames})  # fmt: skip
    for name in both.colnames[1:]:
        both[name].mask[1] = True
    assert plot_galaxy(both, model=model).get_suptitle() == "objectId 7, row 0"
    with pytest.raises(ValueError, match="nothing is known of the galaxy in row 1"):
        plot_galaxy(both, row=1, model=model)
    for row in (2, -1):
        with pytest.raises(ValueError, match="rows 0 to 1"):
            plot_galaxy(both, row=row, model=model)


def test_a_row_is_drawn_as_if_alone(model):
    first, second = photometry(), photometry((900.0, 800.0, 700.0))
    from astropy.table import vstack

    alone = plot_galaxy(second, model=model, title="x")
    among = plot_galaxy(vstack([first, second]), row=1, model=model, title="x")
    for a, b in zip(alone.axes, among.axes, strict=True):
        np.testing.assert_allclose(a.get_ylim(), b.get_ylim(), rtol=1e-3)
        assert a.get_title() == b.get_title()


def test_bands_that_a_row_lacks_are_not_drawn(model):
    table = Table(photometry(), masked=True)
    table["redshift"] = [0.5]
    table["lsst_r"].mask[0] = True
    drawn = main_axis(plot_galaxy(table, model=model)).containers
    assert {len(c.lines[0].get_xdata()) for c in drawn} == {2}
    for band in "gi":
        table[f"lsst_{band}"].mask[0] = True
    figure = plot_galaxy(table, model=model)
    assert "given photometry" not in labels(figure)
    (squares,) = main_axis(figure).containers
    assert len(squares.lines[0].get_xdata()) == len(plotting.DEFAULT_FILTERS)


def test_a_flag_is_told_and_settings_of_the_user_stay(model):
    before = dict(plt.rcParams)
    figure = plot_galaxy(QTable({"redshift": [0.5]}), model=model)
    assert dict(plt.rcParams) == before
    assert "fewer than three" in figure.get_suptitle()


def test_command(weights, tmp_path, capsys):
    path, output = tmp_path / "in.ecsv", tmp_path / "galaxy.pdf"
    table = photometry()
    table.rename_column("lsst_r", "red")
    table.write(path)
    arguments = ["plot", path, "--output", output, "--weights", weights, "--columns", "red=lsst_r"]
    assert main([str(a) for a in arguments]) == 0
    assert output.stat().st_size > 10_000
    assert str(output) in capsys.readouterr().out


def test_command_with_a_spectrum(weights, tmp_path, monkeypatch):
    drawn = {}

    def plot(data, row, model, columns, spectrum, **_):
        drawn.update(data=data, spectrum=spectrum)
        return plt.figure()

    monkeypatch.setattr(plotting, "plot_galaxy", plot)
    spectrum(30.0).write(tmp_path / "s.fits", format="tabular-fits")
    photometry().write(tmp_path / "in.ecsv")
    rest = ["--spectrum", tmp_path / "s.fits", "--output", tmp_path / "o.png", "--weights", weights]
    assert main([str(a) for a in ["plot", *rest]]) == 0
    assert drawn["data"].flux.shape == (300,)
    assert drawn["spectrum"] is None
    assert main([str(a) for a in ["plot", tmp_path / "in.ecsv", *rest]]) == 0
    assert drawn["data"].colnames == photometry().colnames
    assert drawn["spectrum"].flux.shape == (300,)


def test_command_with_truth(weights, tmp_path, monkeypatch, capsys):
    drawn = {}

    def plot(data, row, model, columns, truth, **_):
        drawn.update(columns=columns, truth=truth)
        return plt.figure()

    monkeypatch.setattr(plotting, "plot_galaxy", plot)
    table = photometry()
    table["z_spec"], table["mass"] = [0.4], [1e10] * u.solMass
    table.write(tmp_path / "in.ecsv")
    command = ["plot", tmp_path / "in.ecsv", "--output", tmp_path / "o.png", "--weights", weights]
    command = [*map(str, command), "--truth"]
    assert main([*command, "z_spec"]) == 0
    assert drawn["columns"] == {"z_spec": None}
    assert drawn["truth"] == pytest.approx({"redshift": 0.4})
    assert main([*command, "redshift=z_spec,stellar_mass=mass"]) == 0
    assert drawn["truth"] == pytest.approx({"redshift": 0.4, "stellar_mass": 1e10}, rel=1e-5)
    for wrong in ("z", "lsst_r=z_spec"):
        assert main([*command, wrong]) == 1
        assert "there" in capsys.readouterr().err


def test_bins_are_merged_until_they_can_be_told_apart():
    from astromosaic.posterior import Posterior

    prop = PROPERTIES["redshift"]
    centres = np.linspace(prop.low, prop.high, prop.bins)
    for width in (0.003, 0.03, 0.3):
        # As heights alternate after training.
        logits = -0.5 * ((centres - 0.8) / width) ** 2 + 0.3 * (np.arange(prop.bins) % 2)
        posterior = Posterior.from_logits("redshift", logits[None])
        edges, probability = plotting._merged(posterior)
        assert len(edges) == len(probability) + 1
        assert set(edges) <= set(posterior.edges[0])
        assert [edges[0], edges[-1]] == list(posterior.edges[0, [0, -1]])
        assert probability.sum() == pytest.approx(1.0)
        number = 2 * 1.96 * width / np.diff(edges)[0]
        assert number < plotting._MOST_BINS + 2
        assert number > 10 or np.diff(edges)[0] == pytest.approx(np.diff(posterior.edges[0])[0])


@pytest.mark.parametrize(
    ("output", "row", "message"),
    [("o.docx", 0, ".png"), ("no/o.png", 0, "no folder"), ("o.png", 3, "no row 3")],
)
def test_command_errors(weights, tmp_path, capsys, output, row, message):
    path = tmp_path / "in.ecsv"
    photometry().write(path)
    arguments = ["plot", path, "--output", tmp_path / output, "--weights", weights, "--row", row]
    assert main([str(a) for a in arguments]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / output).exists()
