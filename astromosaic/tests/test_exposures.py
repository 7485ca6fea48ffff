"""SPHEREx exposures in: both layouts, quality flags, and how channels are filled."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, MaskedColumn, QTable, Table

from astromosaic import predict
from astromosaic.catalog import read_input, read_table
from astromosaic.catalog.exposures import (
    QUALITY_BITS,
    channel_of,
    exposure_columns,
    fill_channels,
    read_exposures,
)
from astromosaic.filters import filter_shapes, list_filters, load_filter
from astromosaic.galaxies import MEASURED, MISSING
from astromosaic.io import read_catalog
from astromosaic.properties import PROPERTIES

NAMES = list_filters("spherex")
MIDDLE = np.exp(filter_shapes(NAMES)[:, 2].astype(float))
WIDTH = np.array([load_filter(name).rectangular_width for name in NAMES]) / 1e4
SOURCE = 1 << 21
COLUMNS = ("lambda", "lambda_width", "flux", "flux_err", "flags", "fit_ql", "det_id", "mjd")
UNITS = {"lambda": "um", "lambda_width": "um", "flux": "uJy", "flux_err": "uJy"}


def spectrum(wavelength, slope, width=0.0):
    """A power law, 50 uJy at 2 micron, averaged over a band."""
    part = (np.arange(21) + 0.5) / 21 - 0.5
    inside = np.asarray(wavelength)[..., None] + part * np.asarray(width)[..., None]
    return (50 * (inside / 2) ** slope).mean(axis=-1)


def exposures(rng, slope=1.0, per_channel=3, noise=0.01, channels=102):
    """The exposures of a source, by the tool's names of columns."""
    channel = np.repeat(np.arange(channels), per_channel)
    rng.shuffle(channel)
    wavelength = MIDDLE[channel] + rng.uniform(-0.45, 0.45, len(channel)) * WIDTH[channel]
    flux = spectrum(wavelength, slope, WIDTH[channel])
    error = noise * flux * rng.uniform(0.7, 1.4, len(flux))
    return {
        "lambda": wavelength,
        "lambda_width": WIDTH[channel],
        "flux": flux + error * rng.standard_normal(len(flux)),
        "flux_err": error,
        "flags": np.full(len(flux), SOURCE),
        "fit_ql": rng.uniform(0.5, 2, len(flux)),
        "det_id": channel // 17 + 1,
        "mjd": rng.uniform(60800, 61200, len(flux)),
    }


SLOPES = (1.0, -2.0, 0.3)


@pytest.fixture
def sources():
    """Exposures of three sources, of different number."""
    rng = np.random.default_rng(4)
    return [exposures(rng, s, n) for s, n in zip(SLOPES, (3, 2, 4), strict=True)]


def packed(sources, units=True):
    """Sources as a table with a row for each."""
    table = Table({"label": [f"galaxy {i}" for i in range(len(sources))]})
    table["ra"] = Column(150 + 0.01 * np.arange(len(sources)), unit="deg")
    table["dec"] = Column(2 + 0.01 * np.arange(len(sources)), unit="deg")
    for name in COLUMNS:
        cells = np.empty(len(sources), dtype=object)
        cells[:] = [source[name] for source in sources]
        table[name] = Column(cells, unit=UNITS.get(name) if units else None)
    return table


def unpacked(sources, units=True, order=None, drop=()):
    """Sources as a table with a row for each exposure, in disorder."""
    number = np.concatenate([np.full(len(s["flux"]), i) for i, s in enumerate(sources)])
    table = Table({"label": [f"galaxy {i}" for i in number]})
    table["ra"] = Column(150 + 0.01 * number, unit="deg")
    table["dec"] = Column(2 + 0.01 * number, unit="deg")
    for name in COLUMNS:
        values = np.concatenate([s[name] for s in sources])
        table[name] = Column(values, unit=UNITS.get(name) if units else None)
    table.remove_columns(list(drop))
    return table if order is None else table[order]


def assert_same(a, b, rtol=1e-6):
    np.testing.assert_array_equal(a.state, b.state)
    np.testing.assert_allclose(a.value, b.value, rtol=rtol)
    np.testing.assert_allclose(a.error, b.error, rtol=rtol)


def spherex(table, **options):
    return read_table(table, **options)[0].vectors["spherex"]


# Both layouts


def test_packed_and_unpacked_agree_with_each_other_and_with_the_truth(sources):
    together = spherex(packed(sources))
    assert_same(spherex(unpacked(sources)), together, rtol=0)
    assert np.all(together.state == MEASURED)
    truth = 1000 * np.stack([spectrum(MIDDLE, slope, WIDTH) for slope in SLOPES])
    pull = (together.value - truth) / together.error
    assert abs(pull.mean()) < 0.2
    assert 0.85 < pull.std() < 1.15
    np.testing.assert_allclose(together.value, truth, rtol=0.05)


@pytest.mark.parametrize("units", [True, False])
def test_units_are_those_of_the_tool_or_of_the_column(sources, units):
    expected = spherex(packed(sources))
    assert_same(spherex(packed(sources, units)), expected)
    assert_same(spherex(unpacked(sources, units)), expected)
    other = unpacked(sources)
    other["lambda"] = other["lambda"].quantity.to("Angstrom")
    other["lambda_width"] = other["lambda_width"].quantity.to("nm")
    band = u.spectral_density(other["lambda"].quantity)
    for name in ("flux", "flux_err"):
        other[name] = other[name].quantity.to("erg / (s cm2 AA)", band)
    assert_same(spherex(other), expected, rtol=1e-5)
    assert_same(spherex(QTable(other)), expected, rtol=1e-5)


def test_order_of_exposures_changes_nothing(sources):
    expected = spherex(packed(sources))
    rng = np.random.default_rng(0)
    total = sum(len(s["flux"]) for s in sources)
    order = np.r_[[0, total - 1, 310], rng.permutation(np.delete(np.arange(total), [0, 310, -1]))]
    galaxies, reading = read_table(unpacked(sources, order=order))
    assert list(reading.ids["label"]) == ["galaxy 0", "galaxy 2", "galaxy 1"]
    assert_same(galaxies.vectors["spherex"], expected[[0, 2, 1]], rtol=0)
    for source in sources:
        order = rng.permutation(len(source["flux"]))
        source.update({name: values[order] for name, values in source.items()})
    assert_same(spherex(packed(sources)), expected, rtol=0)


def test_sources_do_not_know_of_each_other(sources):
    expected = spherex(packed(sources))
    for row in range(len(sources)):
        assert_same(spherex(packed(sources)[row : row + 1]), expected[[row]], rtol=1e-5)
        assert_same(spherex(unpacked(sources[row : row + 1])), expected[[row]], rtol=1e-5)


def test_many_sources_are_as_few_at_once(sources, monkeypatch):
    sources[1]["flags"][:4] |= 1 << 10
    sources[2]["flux_err"][:7] = 0
    expected, reading = read_table(packed(sources))
    monkeypatch.setattr("astromosaic.catalog.exposures._CHUNK", 1)
    for table in (packed(sources), unpacked(sources)):
        galaxies, again = read_table(table)
        assert_same(galaxies.vectors["spherex"], expected.vectors["spherex"])
        assert again.counts == reading.counts
        assert reading.notes[0] in again.notes


def test_one_row_per_source_with_what_is_the_same_for_all_its_exposures(sources):
    table = unpacked(sources)
    number = np.array([int(label[-1]) for label in table["label"]])
    table["lsst_r"] = Column([100.0, 200.0, 300.0], unit="nJy")[number]
    table["redshift"] = np.array([0.1, 0.2, 0.3])[number]
    table["row_id"] = np.arange(len(table))
    galaxies, reading = read_table(table)
    assert len(galaxies) == len(reading.ids) == 3
    assert reading.ids.colnames == ["label", "ra", "dec"]
    assert galaxies.filters == ("lsst_r",)
    np.testing.assert_array_equal(galaxies.photometry.value[:, 0], [100, 200, 300])
    known = PROPERTIES["redshift"].to_physical(galaxies.scalars["redshift"].value)
    np.testing.assert_allclose(known, [0.1, 0.2, 0.3], rtol=1e-4)
    assert {"det_id", "fit_ql", "mjd", "row_id"} <= set(reading.ignored)
    assert any("918 rows" in note and "3 sources" in note for note in reading.notes)

    table["lsst_r"][5] += 1
    with pytest.raises(ValueError, match="'lsst_r' .* not the same for all SPHEREx exposures"):
        read_table(table)


def test_broadband_beside_packed_exposures(sources):
    table = packed(sources)
    table["lsst_r"] = Column([1.0, 2.0, 3.0], unit="uJy")
    galaxies, reading = read_table(table)
    np.testing.assert_allclose(galaxies.photometry.value[:, 0], [1e3, 2e3, 3e3])
    assert_same(galaxies.vectors["spherex"], spherex(packed(sources)))
    assert reading.ids.colnames == ["label", "ra", "dec"]
    table["spherex_007"] = Column([1.0, 2.0, 3.0], unit="uJy")
    with pytest.raises(ValueError, match="given twice, as 'flux' and as 'spherex_007'"):
        read_table(table)


def test_spectra_beside_unpacked_exposures_are_dereddened(sources):
    specutils = pytest.importorskip("specutils")
    x = np.linspace(4000, 9000, 1500) * u.AA
    spectra = specutils.Spectrum(spectral_axis=x, flux=np.ones((3, 1500)) * u.uJy)
    table = packed(sources)
    table["ebv"] = [0.3, 0.0, 0.1]
    expected, _ = read_input(table, spectrum=spectra)
    table = unpacked(sources, order=slice(None, None, -1))  # the last source is the first
    table["ebv"] = [{"0": 0.3, "1": 0.0, "2": 0.1}[label[-1]] for label in table["label"]]
    galaxies, _ = read_input(table, spectrum=spectra)
    for name in ("spherex", "spectrum"):
        assert_same(galaxies.vectors[name][::-1], expected.vectors[name])
    plain, _ = read_input(table, {"ebv": None}, spectrum=spectra)
    with np.errstate(invalid="ignore"):  # beyond the spectra
        brighter = galaxies.vectors["spectrum"].value / plain.vectors["spectrum"].value
    last, middle, first = np.nanmax(brighter, axis=1)
    assert first > last > middle == 1


# Which exposures are of one source


def test_what_tells_sources_apart(sources):
    expected = spherex(packed(sources))
    assert_same(spherex(unpacked(sources, drop=["ra", "dec"])), expected)
    galaxies, reading = read_table(unpacked(sources, drop=["label"]))
    assert_same(galaxies.vectors["spherex"], expected)
    assert any("by their positions" in note for note in reading.notes)
    blank = unpacked(sources)
    blank["label"] = ""
    assert_same(spherex(blank), expected)
    numbered = unpacked(sources, drop=["label"])
    numbered["objid"] = np.arange(len(numbered))  # of the rows, not of the sources
    assert_same(spherex(numbered), expected)


def test_one_source_needs_no_name(sources):
    table = unpacked(sources[:1], drop=["label", "ra", "dec"])
    galaxies, reading = read_table(table)
    assert len(galaxies) == 1
    assert reading.ids is None
    assert_same(galaxies.vectors["spherex"], spherex(packed(sources[:1])))


def test_positions_that_differ_by_rounding_are_one(sources):
    table = unpacked(sources, drop=["label"])
    rng = np.random.default_rng(0)
    table["ra"] += rng.uniform(-0.1, 0.1, len(table)) / 3600
    assert_same(spherex(table), spherex(packed(sources)))


def test_a_name_that_covers_several_positions_is_refused(sources):
    table = unpacked(sources)
    table["label"] = "mine"
    with pytest.raises(ValueError, match=r"'mine', .* 102 arcsec apart.*{'label': None}"):
        read_table(table)
    assert_same(spherex(table, columns={"label": None}), spherex(packed(sources)))


# Exposures that are of no use


@pytest.mark.parametrize("bit", QUALITY_BITS, ids=lambda bit: bit.name)
@pytest.mark.parametrize("layout", [packed, unpacked])
def test_every_bit(sources, layout, bit):
    expected = spherex(packed(sources))
    spoilt = [{k: np.r_[v, v[:9]] for k, v in source.items()} for source in sources]
    for source in spoilt:
        source["flags"][-9:] |= 1 << bit.bit
        source["flux"][-9:] = [1e9, -1e9, 0, 1e-9, 5, 1e30, np.nan, np.inf, 1e3]
    galaxies, reading = read_table(layout(spoilt))
    if bit.fatal:
        assert_same(galaxies.vectors["spherex"], expected, rtol=0)
        assert reading.counts["flagged exposures"] == 27
        assert any(f"27 {bit.name}" in note for note in reading.notes)
    else:
        assert "flagged exposures" not in reading.counts
        different = galaxies.vectors["spherex"].value != expected.value
        assert different.any(axis=1).all()


def test_bits_are_told_once_each():
    assert len({b.bit for b in QUALITY_BITS}) == len({b.name for b in QUALITY_BITS})
    assert [b.bit for b in QUALITY_BITS] == sorted({b.bit for b in QUALITY_BITS})
    assert {b.name for b in QUALITY_BITS if not b.fatal} == {"FULLSAMPLE", "SOURCE"}


def test_the_documented_bits_are_those_of_the_data():
    page = Path(__file__).parents[2] / "docs" / "spherex.rst"
    if not page.exists():
        pytest.skip("the documentation is not there")
    rows = re.findall(r"^   \* - (\d+)\n     - ``(\w+)``\n     - (.*)\n     - (.*)$",
                      page.read_text(), re.M)  # fmt: skip
    expected = [(str(b.bit), b.name, b.meaning, "yes" if b.fatal else "no") for b in QUALITY_BITS]
    assert rows == expected


def test_unknown_bits_are_kept_and_said(sources):
    expected = spherex(packed(sources))
    sources[0]["flags"][3] |= (1 << 40) | (1 << 25)
    galaxies, reading = read_table(packed(sources))
    assert_same(galaxies.vectors["spherex"], expected)
    assert any("bits 25, 40" in note for note in reading.notes)


def test_flags_may_be_left_out_or_missing(sources):
    clean = spherex(packed(sources))
    sources[1]["flags"][:] |= 1 << 10
    dropped = spherex(packed(sources))
    assert np.all(dropped.state[1] == MISSING)
    assert_same(dropped[[0, 2]], clean[[0, 2]])
    assert_same(spherex(packed(sources), columns={"flags": None}), clean)
    assert_same(spherex(unpacked(sources), columns={"flags": None}), clean)
    assert_same(spherex(unpacked(sources, drop=["flags"])), clean)


@pytest.mark.parametrize(
    ("column", "value"),
    [("flux", np.nan), ("flux", np.inf), ("flux_err", 0.0), ("flux_err", -1.0),
     ("flux_err", np.nan), ("flux_err", np.inf), ("lambda", np.nan), ("lambda", -1.0),
     ("lambda_width", np.nan), ("lambda_width", 0.0), ("lambda", 0.6), ("lambda", 5.2),
     ("lambda_width", 0.9)],
)  # fmt: skip
def test_exposures_of_no_use(sources, column, value):
    expected = spherex(packed(sources))
    spoilt = [{k: np.r_[v[:5], v] for k, v in source.items()} for source in sources]
    for source in spoilt:
        source[column][:5] = value
    for table in (packed(spoilt), unpacked(spoilt)):
        galaxies, reading = read_table(table)
        assert_same(galaxies.vectors["spherex"], expected, rtol=0)
        assert sum(reading.counts.values()) == 15
        assert any("15 not used" in note for note in reading.notes)


@pytest.mark.parametrize("column", ["lambda", "lambda_width", "flux", "flux_err", "flags"])
def test_masked_exposures_are_of_no_use(sources, column):
    table = unpacked(sources)
    mask = np.random.default_rng(0).random(len(table)) < 0.1
    expected = spherex(table[~mask])
    table[column] = MaskedColumn(table[column], mask=mask)
    assert_same(spherex(table), expected)
    cells = np.empty(3, dtype=object)
    start = 0
    whole = packed(sources)
    for row, cell in enumerate(whole[column]):
        cells[row] = np.ma.array(cell, mask=mask[start : start + len(cell)])
        start += len(cell)
    whole[column] = Column(cells, unit=UNITS.get(column))
    assert_same(spherex(whole), expected)


def test_cells_filled_up_to_one_length(sources):
    longest = max(len(s["flux"]) for s in sources)
    table = packed(sources)
    for name in COLUMNS:
        filled = np.full((3, longest), np.nan)
        for row, source in enumerate(sources):
            filled[row, : len(source[name])] = source[name]
        table[name] = MaskedColumn(filled, mask=np.isnan(filled), unit=UNITS.get(name))
    galaxies, reading = read_table(table)
    assert_same(galaxies.vectors["spherex"], spherex(packed(sources)))
    assert not reading.counts
    assert any(f"{sum(len(s['flux']) for s in sources)} exposures" in n for n in reading.notes)


def test_a_source_without_exposures_has_no_spherex(sources):
    sources[1] = {name: values[:0] for name, values in sources[1].items()}
    measured = spherex(packed(sources))
    assert np.all(measured.state[1] == MISSING)
    assert np.all(measured.state[[0, 2]] == MEASURED)


# Filling channels


def averaged(source, wavelength, width, flux, error, n):
    """Channels of exposures that all fit one."""
    channel = channel_of(wavelength, width)
    return fill_channels(source, channel, wavelength, np.array(flux), np.array(error), n)


def filled(slope, per_channel, noise, n=60, seed=0):
    """Pulls and relative deviations of the channels of a power law."""
    rng = np.random.default_rng(seed)
    many = [exposures(rng, slope, per_channel, noise) for _ in range(n)]
    columns = [np.concatenate([s[c] for s in many]) for c in COLUMNS[:4]]
    flux, error = averaged(np.repeat(np.arange(n), 102 * per_channel), *columns, n)
    truth = spectrum(MIDDLE, slope, WIDTH)
    return (flux - truth) / error, flux / truth - 1


@pytest.mark.parametrize("slope", [-3, 0, 3])
@pytest.mark.parametrize("per_channel", [1, 2, 12])
@pytest.mark.parametrize("noise", [0.01, 0.3, 10.0])
def test_errors_are_honest_and_steep_spectra_without_bias(slope, per_channel, noise):
    pull, _ = filled(slope, per_channel, noise)
    assert 0.93 < np.nanstd(pull) < 1.05
    assert abs(np.nanmean(pull)) < 0.1


@pytest.mark.parametrize("slope", [-3, 3])
def test_colour_within_a_channel_does_not_bias(slope):
    _, off = filled(slope, 2, 1e-6)
    assert np.nanpercentile(np.abs(off), 99) < 3e-3
    assert abs(np.nanmedian(off)) < 5e-4
    # All exposures at the red edges of the channels: the plain mean would be off.
    channel = np.arange(102)
    edge = MIDDLE + 0.45 * WIDTH
    flux = spectrum(edge, slope, WIDTH)
    value, _ = averaged(0 * channel, edge, WIDTH, flux, 1e-4 * flux, 1)
    assert np.abs(flux / spectrum(MIDDLE, slope, WIDTH) - 1).max() > 0.03
    inside = np.isfinite(value[0])
    assert inside.sum() > 90
    off = value[0] / spectrum(MIDDLE, slope, WIDTH) - 1
    assert np.abs(off[inside]).max() < 5e-3


def test_middle_of_a_channel_is_the_weighted_mean():
    flux, error = np.array([3.0, 5.0, 4.0]), np.array([1.0, 2.0, 0.5])
    where = np.full(3, MIDDLE[40]), np.full(3, WIDTH[40])
    value, sigma = averaged(np.zeros(3, int), *where, flux, error, 1)
    weight = error**-2
    np.testing.assert_allclose(value[0, 40], (weight * flux).sum() / weight.sum())
    np.testing.assert_allclose(sigma[0, 40], weight.sum() ** -0.5)
    assert np.isnan(np.delete(value[0], 40)).all()


def test_lone_exposure_beside_the_middle_has_a_larger_error():
    flux, error = np.array([100.0]), np.array([0.1])
    errors = []
    for shift in (0.0, 0.2, 0.45):
        at = MIDDLE[[40]] + shift * WIDTH[40]
        value, sigma = averaged(np.zeros(1, int), at, WIDTH[[40]], flux, error, 1)
        np.testing.assert_allclose(value[0, 40], 100)
        errors.append(sigma[0, 40])
    assert errors[0] == pytest.approx(0.1)
    assert errors[0] < errors[1] < errors[2] < 10


def test_scatter_beyond_the_errors_widens_them():
    rng = np.random.default_rng(0)
    n, m = 200, 40
    flux = rng.normal(100, 3, n * m)
    where = np.full(n * m, MIDDLE[40]), np.full(n * m, WIDTH[40])
    value, sigma = averaged(np.repeat(np.arange(n), m), *where, flux, np.ones(n * m), n)
    assert 0.9 < np.std((value[:, 40] - 100) / sigma[:, 40]) < 1.3


def test_each_exposure_at_a_channel_fills_that_channel_alone():
    for channel in range(102):
        at = [channel]
        value, _ = averaged(np.zeros(1, int), MIDDLE[at], WIDTH[at], [1.0], [0.1], 1)
        np.testing.assert_array_equal(np.flatnonzero(np.isfinite(value[0])), at)


def test_width_tells_detectors_apart():
    # Detectors 4 and 5 meet at 3.82 micron: there their bands differ threefold.
    for channel, other in ((67, 68), (68, 67)):
        at = np.array([0.5 * (MIDDLE[67] + 0.5 * WIDTH[67] + MIDDLE[68] - 0.5 * WIDTH[68])])
        value, _ = averaged(np.zeros(1, int), at, WIDTH[[channel]], [1.0], [0.1], 1)
        assert np.isfinite(value[0, channel])
        assert np.isnan(value[0, other])


def test_scale_of_the_fluxes_does_not_matter(sources):
    columns = [sources[0][c] for c in COLUMNS[:4]]
    source = np.zeros(len(columns[0]), int)
    value, sigma = averaged(source, *columns, 1)
    for scale in (1e-30, 1e30):
        other = averaged(source, *columns[:2], scale * columns[2], scale * columns[3], 1)
        np.testing.assert_allclose(other[0], scale * value, rtol=1e-9)
        np.testing.assert_allclose(other[1], scale * sigma, rtol=1e-9)


# What is said when something is wrong


def test_cells_of_different_length(sources):
    table = packed(sources)
    table["flux_err"][1] = table["flux_err"][1][:-2]
    with pytest.raises(ValueError, match="row 1: column 'lambda' has 204 .* 'flux_err' has 202"):
        read_table(table)


def test_wavelengths_in_angstrom_without_unit(sources):
    for name, factor, role in (("lambda", 1e4, "wavelength"), ("lambda_width", 1e4, "width")):
        table = unpacked(sources, units=False)
        table[name] *= factor
        with pytest.raises(ValueError, match=f"{name!r} has no unit.* no {role}s of SPHEREx"):
            read_table(table)


def test_wrong_units(sources):
    for name, unit in (
        ("lambda", "s"),
        ("lambda_width", "uJy"),
        ("flux", "um"),
        ("flux", "MJy/sr"),
    ):
        table = unpacked(sources)
        table[name].unit = unit
        with pytest.raises(ValueError, match=f"{name!r} has unit"):
            read_table(table)


def test_missing_columns(sources):
    for name in ("flux_err", "lambda_width"):
        with pytest.raises(ValueError, match=f"there is no '{name}'.*columns={{'flux': None}}"):
            read_table(unpacked(sources, drop=[name]))
    table = unpacked(sources)
    assert exposure_columns(table, {"flux": None}) is None
    assert read_exposures(Table({"lambda": [1.0], "flux": [2.0]})) is None


def test_mixed_layouts(sources):
    table = packed(sources)
    table["flux"] = [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="'lambda' has arrays in its rows, but column 'flux' has"):
        read_table(table)


def test_flags_that_are_no_flags(sources):
    table = unpacked(sources)
    table["flags"] = np.linspace(0, 1, len(table))
    with pytest.raises(ValueError, match="flags are whole numbers.*columns={'flags': None}"):
        read_table(table)


def test_cells_that_are_no_lists(sources):
    table = packed(sources)
    table["flux"][2] = ["a", "b"]
    with pytest.raises(ValueError, match="'flux': row 2 does not hold a list of numbers"):
        read_table(table)


# Through files, to the end


def irsa_votable(table):
    """A VOTable as IRSA writes it, with a list of texts that the standard reads otherwise."""
    fields, rows = [], []
    for name in table.colnames:
        kind = {"label": "char", "flags": "long", "det_id": "int"}.get(name, "double")
        length = "" if name in ("ra", "dec") else ' arraysize="*"'
        unit = f' unit="{table[name].unit}"' if table[name].unit else ""
        fields.append(f'<FIELD name="{name}" datatype="{kind}"{length}{unit}/>')
    fields.append('<FIELD name="obs_publisher_did" datatype="char" arraysize="4x*"/>')
    for row in table:
        cells = [" ".join(map(str, c)) if np.ndim(c) else str(c) for c in row]
        cells.append("did " * len(row["flux"]))
        rows.append("<TR>" + "".join(f"<TD>{cell}</TD>" for cell in cells) + "</TR>")
    return (
        '<?xml version="1.0"?><VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
        f"<RESOURCE><TABLE>{''.join(fields)}<DATA><TABLEDATA>{''.join(rows)}</TABLEDATA></DATA>"
        "</TABLE></RESOURCE></VOTABLE>"
    )


@pytest.mark.filterwarnings("ignore:.*W50")
@pytest.mark.parametrize("form", ["fits", "vot", "ecsv", "parquet", "xml"])
def test_files_of_packed_exposures(sources, tmp_path, form):
    path = tmp_path / f"table.{form}"
    table = packed(sources)
    if form == "xml":
        path.write_text(irsa_votable(table))
    elif form == "fits":
        write_fits_lists(table, path)
    elif form == "parquet":
        write_parquet_lists(table, path)
    else:
        table.write(path, format={"vot": "votable", "ecsv": "ascii.ecsv"}[form])
    galaxies, reading = read_table(read_catalog(path))
    assert_same(galaxies.vectors["spherex"], spherex(table), rtol=1e-5)
    assert list(reading.ids["label"]) == ["galaxy 0", "galaxy 1", "galaxy 2"]


@pytest.mark.filterwarnings("ignore:.*W50")
@pytest.mark.parametrize("form", ["fits", "vot", "ecsv", "parquet", "csv"])
def test_files_of_unpacked_exposures(sources, tmp_path, form):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    expected = spherex(packed(sources))
    path = tmp_path / f"table.{form}"
    names = {"vot": "votable", "ecsv": "ascii.ecsv", "csv": "ascii.csv"}
    unpacked(sources).write(path, format=names.get(form, form))
    galaxies, reading = read_table(read_catalog(path))
    assert_same(galaxies.vectors["spherex"], expected, rtol=1e-5)
    assert list(reading.ids["label"]) == ["galaxy 0", "galaxy 1", "galaxy 2"]


def write_fits_lists(table, path):
    from astropy.io import fits

    columns = [fits.Column("label", "12A", array=np.array(table["label"]))]
    columns += [fits.Column(n, "D", "deg", array=np.array(table[n])) for n in ("ra", "dec")]
    for name in COLUMNS:
        kind = "PK()" if name in ("flags", "det_id") else "PD()"
        columns.append(fits.Column(name, kind, UNITS.get(name), array=np.array(table[name])))
    fits.BinTableHDU.from_columns(columns).writeto(path)


def write_parquet_lists(table, path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {name: [np.asarray(c).tolist() for c in table[name]] for name in table.colnames}
    parquet.write_table(pyarrow.table(columns), path)


def test_predict_with_no_option(sources):
    one, other = predict(packed(sources)), predict(unpacked(sources))
    assert len(one) == len(other) == 3
    assert list(other["label"]) == list(one["label"]) == ["galaxy 0", "galaxy 1", "galaxy 2"]
    np.testing.assert_allclose(one["redshift"], other["redshift"], rtol=1e-5)
    assert np.isfinite(one["redshift"]).all()
    assert any("3 sources" in note for note in other.meta["input"]["notes"])
    assert other.meta["input"]["convention"] == "SPHEREx Spectrophotometry Tool, unpacked"


def test_counts_and_notes_say_what_became_of_exposures(sources):
    sources[0]["flags"][:4] |= 1 << 10
    sources[0]["flags"][2:6] |= 1 << 19
    sources[2]["flux_err"][:7] = 0
    counts, notes = Counter(), []
    reading = read_exposures(packed(sources), None, counts, notes)
    assert counts == {"flagged exposures": 6, "exposures without a positive and finite error": 7}
    assert notes[-1].startswith("SPHEREx: 918 exposures, 13 not used (4 HOT, 4 OUTLIER), ")
    assert reading.columns["lambda"] == "wavelength of spherex"


@pytest.mark.parametrize("rows", [1, 3])
def test_a_packed_table_of_nothing_else(rows):
    wavelength = np.linspace(0.8, 4.8, 60)
    table = Table()
    table["lambda"], table["lambda_width"] = [wavelength] * rows, [wavelength / 40] * rows
    table["flux"] = np.arange(1.0, rows + 1)[:, None] * np.ones(60)
    table["flux_err"] = np.full((rows, 60), 0.1)
    galaxies, reading = read_table(table)
    assert len(galaxies) == rows
    assert reading.ids is None
    assert (galaxies.vectors["spherex"].state == MEASURED).sum(axis=1).min() > 20


def test_a_wrong_unit_of_wavelengths_is_told():
    wavelength = np.linspace(0.8, 4.8, 60)
    table = Table()
    table["lambda"], table["lambda_width"] = [wavelength * u.nm], [wavelength / 40 * u.nm]
    table["flux"], table["flux_err"] = [np.ones(60)], [np.full(60, 0.1)]
    table["lambda"].unit = table["lambda_width"].unit = "nm"
    _, reading = read_table(table)
    assert any("'lambda' is read in 'nm'" in note for note in reading.notes)


def test_a_table_of_nothing_but_exposures_is_one_source():
    table = Table(
        {"lambda": [1.0, 1.1], "lambda_width": [0.02, 0.02], "flux": [5.0, 6.0],
         "flux_err": [1.0, 1.0], "flags": [0, 0]}
    )  # fmt: skip
    assert len(predict(table, "redshift")) == 1
    assert len(read_table(table[:1])[0]) == 1
