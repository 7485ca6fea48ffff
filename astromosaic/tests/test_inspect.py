"""Inspection: it says what reading does, goes on where reading stops, and fits the screen."""

import re
import shlex
from importlib.resources import files

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.time import Time

import astromosaic
from astromosaic.catalog import read_table
from astromosaic.catalog.columns import CONVENTIONS, SURVEYS
from astromosaic.catalog.inspection import format_inspection, inspect_table
from astromosaic.catalog.reading import Reading, abridged
from astromosaic.cli import _parser, main
from astromosaic.filters import within_range
from astromosaic.filters.names import find_name
from astromosaic.galaxies import LIMIT, MEASURED, MISSING
from astromosaic.properties import VECTORS

N = 5


def rows_of(inspection):
    """Rows by the name of the column."""
    return {row["column"]: row for row in inspection}


@pytest.fixture
def table():
    """A plain table with one value that is missing in each of several ways."""
    table = Table({"id": np.arange(N)})
    for b in "gri":
        table[f"lsst_{b}"] = Column(np.linspace(100, 500, N), unit="nJy")
        table[f"lsst_{b}_err"] = Column(np.full(N, 10.0), unit="nJy")
    table["lsst_g"][2] = np.nan
    table["lsst_r"] = MaskedColumn(table["lsst_r"], mask=np.arange(N) < 2)
    table["lsst_i_err"][0] = -1
    return table


def rubin(bands="ugrizy", extra=0):
    """A table as of Rubin's objects, with many columns that are not read."""
    table = Table({"objectId": np.arange(N)})
    for b in bands:
        for kind in ("psf", "cModel"):
            table[f"{b}_{kind}Flux"] = np.full(N, 100.0)
            table[f"{b}_{kind}FluxErr"] = np.full(N, 5.0)
        for i in range(extra):
            table[f"{b}_ap{i:02d}Flux_flag"] = np.zeros(N, bool)
    return table


# It says what reading does


def assert_agrees(table, columns=None):
    """What is inspected is what is read."""
    galaxies, reading = read_table(table, columns)
    inspection = inspect_table(table, columns)
    assert list(inspection["column"]) == table.colnames
    assert not inspection.meta["problems"]
    assert not np.any(inspection["problem"] != "")
    rows = rows_of(inspection)
    measurements = dict(zip(galaxies.filters, galaxies.photometry.state.T, strict=True))
    measurements |= {name: m.state for name, m in galaxies.scalars.items()}
    measurements |= {name: m.state for name, m in galaxies.vectors.items()}
    for column, what in reading.columns.items():
        assert rows[column]["holds"] == what
        if what in measurements:
            for state, name in ((MEASURED, "measured"), (LIMIT, "limits"), (MISSING, "missing")):
                assert rows[column][name] == np.count_nonzero(measurements[what] == state)
    unread = {c for c, row in rows.items() if not row["holds"]}
    identifiers = [] if reading.ids is None else reading.ids.colnames
    assert unread == {*reading.ignored, *identifiers}
    assert all(rows[c]["remark"] for c in unread)
    assert inspection.meta["convention"] == reading.convention
    assert inspection.meta["notes"] == reading.notes
    return rows


def test_plain_table(table):
    rows = assert_agrees(table)
    assert rows["lsst_g"]["error"] == "lsst_g_err"
    assert (rows["lsst_g"]["unit"], rows["lsst_g"]["unit_from"]) == ("nJy", "column")
    assert rows["lsst_g"]["remark"] == "1 NaN or infinite"
    assert rows["lsst_r"]["remark"] == "2 masked"
    assert rows["lsst_i"]["remark"] == "1 zero, negative or infinite error"
    assert np.ma.is_masked(rows["id"]["measured"])


def test_counts_of_columns_add_up_to_those_of_the_table(table):
    _, reading = read_table(table)
    total = sum(int(part.split()[0]) for row in inspect_table(table)
                for part in row["remark"].split("; ") if part[:1].isdigit())  # fmt: skip
    assert total == sum(reading.counts.values()) == 4


def test_inspection_changes_nothing(table):
    before = table.copy()
    inspect_table(table)
    assert table.colnames == before.colnames
    for name in table.colnames:
        np.testing.assert_array_equal(np.ma.asarray(table[name]), np.ma.asarray(before[name]))
    assert table.meta == before.meta


def test_properties_and_vectors():
    n = VECTORS["spherex"].length
    flux = np.ones((N, n))
    flux[:2, :3] = np.nan
    table = QTable(
        {"redshift": [0.1, 0.2, np.nan, 0.4, 0.5], "spherex": flux * u.uJy, "name": ["a"] * N}
    )
    table["sfh"] = np.ones((N, 31)) * u.solMass / u.yr
    rows = assert_agrees(table)
    assert rows["spherex"]["measured"] == N * n - 6
    assert rows["redshift"]["missing"] == 1
    assert rows["sfh"]["measured"] == N * 31


def test_every_survey_shows_as_it_is_read():
    first = {c.survey: c for c in reversed(CONVENTIONS) if c.survey is not None}
    for survey, convention in first.items():
        bands = SURVEYS[survey].filters.items()
        band, name = next((b, f) for b, f in bands if f and find_name(f) and within_range(f))
        names = [convention.value, *convention.errors[:1], *convention.requires[:1]]
        column, *others = dict.fromkeys(name.format(b=band) for name in names)
        table = Table({column: Column([20.0], unit=convention.unit)})
        for other in others:
            table[other] = [0.1]
        assert name in [row["holds"] for row in assert_agrees(table).values()]


def test_units_are_those_of_the_convention_or_the_column():
    table = Table({"g_cModelFlux": [1.0], "r_cModelFlux": Column([1.0], unit="uJy")})
    table["i_cModelFlux"] = [1.0]
    rows = assert_agrees(table, {"i_cModelFlux": "lsst_i[mJy]"})
    units = [(rows[c]["unit"], rows[c]["unit_from"]) for c in table.colnames]
    assert units == [("nJy", "convention"), ("uJy", "column"), ("mJy", "columns=")]


def test_sentinels_and_limits():
    table = Table({"mag_u_lsst": [24.0, 99.0, -99.0], "mag_err_u_lsst": [0.1, 26.4, -99.0]})
    row = assert_agrees(table)["mag_u_lsst"]
    assert [row[name] for name in ("measured", "limits", "missing")] == [1, 1, 1]
    assert "99 not detected" in row["sentinels"]
    assert "1 not detected (99)" in row["remark"]


def test_bundled_sample():
    assert_agrees(Table.read(files("astromosaic") / "data" / "sdss_mgs.ecsv"))


def test_columns_that_are_no_arrays_of_numbers():
    table = Table({"lsst_r": Column([10.0, 20.0], unit="nJy"), "mag_g": ["a", None]})
    table["coord"] = SkyCoord([1, 2], [3, 4], unit="deg")
    table["flux_time"] = Time([1.0, 2.0], format="mjd")
    table["mag_r"] = np.array([20, None], dtype=object)
    rows = assert_agrees(table)
    assert "kept in the result" in rows["coord"]["remark"]
    assert rows["flux_time"]["remark"] == "not recognised"


def test_python_name_and_wrong_objects():
    assert astromosaic.inspect is inspect_table
    with pytest.raises(TypeError, match="QTable"):
        astromosaic.inspect({"lsst_r": [1.0]})


# It goes on where reading stops


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        (np.ones(N), None),
        (np.ones(N), "m / s"),
        (np.ones((N, 2)), "nJy"),
        (["a"] * N, "nJy"),
        (["a"] * N, None),
    ],
)
def test_a_bad_column_does_not_hide_the_others(table, values, unit):
    good = rows_of(inspect_table(table))
    table["lsst_r"] = Column(values, unit=unit)
    with pytest.raises(ValueError, match="'lsst_r'") as error:
        read_table(table)
    inspection = inspect_table(table)
    rows = rows_of(inspection)
    assert rows["lsst_r"]["problem"] == str(error.value)
    for name in ("lsst_g", "lsst_i"):
        assert list(rows[name]) == list(good[name])
    text = format_inspection(inspection)
    assert " ".join(str(error.value).split()) in " ".join(text.split())
    assert "predict refuses this table" in text.splitlines()[-1]


def test_all_problems_are_told_at_once(table):
    for name in ("lsst_g", "lsst_r"):
        table[name].unit = None
    table["stellar_mass"] = Column(np.ones(N), unit="m")
    table["spherex"] = Column(np.ones((N, 7)), unit="nJy")
    table["sfh"] = Column(np.ones((N, 7)), unit="solMass / yr")
    problems = {row["column"] for row in inspect_table(table) if row["problem"]}
    assert problems == {"lsst_g", "lsst_r", "stellar_mass", "spherex", "sfh"}


def test_bad_columns_that_go_with_others(table):
    table["ebv"] = ["a"] * N
    table["lsst_u_limit"] = Column(np.ones(N), unit="nJy")
    table["lsst_i_err"].unit = None
    rows = rows_of(inspect_table(table))
    problems = {column: row["problem"] for column, row in rows.items() if row["problem"]}
    assert problems.keys() == {"ebv", "lsst_u_limit", "lsst_i"}
    assert "does not hold numbers" in problems["ebv"]
    assert "level" in problems["lsst_u_limit"]
    assert rows["lsst_g"]["measured"] == N - 1


def test_bad_exposures_do_not_hide_the_rest(table):
    table["lambda"] = table["lambda_width"] = table["flux"] = table["flux_err"] = np.ones((N, 3))
    table["flux"].unit = "m"
    inspection = inspect_table(table)
    assert len(inspection.meta["problems"]) == 1
    assert "'flux'" in inspection.meta["problems"][0]
    assert rows_of(inspection)["lsst_g"]["measured"] == N - 1


def test_two_columns_of_one_filter(table):
    table["LSST_g"] = table["lsst_g"]
    inspection = inspect_table(table)
    rows = rows_of(inspection)
    assert "both hold" in rows["LSST_g"]["problem"]
    assert rows["lsst_g"]["measured"] == N - 1


def test_problems_of_the_whole_table(table):
    assert inspect_table(table[:0]).meta["problems"] == ["the table has no rows"]
    nothing = inspect_table(Table({"ra": [1.0], "dec": [2.0]}))
    assert len(nothing.meta["problems"]) == 1
    assert "found no photometry" in format_inspection(nothing)


def test_wrong_columns_are_errors(table):
    with pytest.raises(ValueError, match="absent"):
        inspect_table(table, {"absent": "lsst_u"})
    with pytest.raises(ValueError, match="lsst_q"):
        inspect_table(table, {"lsst_g": "lsst_q"})


# What to do about it


def generic(unit="mag"):
    table = Table()
    for b in "ugriz":
        table[f"mag_{b}"] = Column(np.full(N, 20.0), unit=unit)
        table[f"magerr_{b}"] = Column(np.full(N, 0.1), unit=unit)
    return table


def test_the_suggestion_for_an_unknown_survey_works():
    table = generic()
    inspection = inspect_table(table)
    assert len(inspection.meta["problems"]) == 1
    (occasion, columns), *_ = inspection.meta["suggestions"]
    assert "LSST" in occasion
    assert "SDSS" in occasion
    rows = assert_agrees(table, columns)
    assert rows["mag_g"]["holds"] == "lsst_g"
    assert rows["mag_g"]["error"] == "magerr_g"


@pytest.mark.parametrize("command_line", [False, True])
def test_suggestions_can_be_pasted(command_line):
    inspection = inspect_table(generic())
    _, columns = inspection.meta["suggestions"][0]
    text = format_inspection(inspection, command_line)
    if command_line:
        line = re.search(r'--columns "[^"]*"', text)[0]
        arguments = ["inspect", "cat.fits", *shlex.split(line)]
        assert _parser().parse_args(arguments).columns == columns
    else:
        found = re.search(r"columns=(\{'mag_u'[^}]*'mag_z'[^}]*\})", text)[1]
        assert eval(found) == columns


def test_unknown_names_that_look_like_photometry():
    table = Table({"id": [1]})
    table["MAG_AUTO_G"] = Column([20.0], unit="mag")
    table["MAGERR_AUTO_G"] = Column([0.1], unit="mag")
    table["total"] = Column([10.0], unit="uJy")
    table["depth_hyp_r"] = Column([20.0], unit="mag")
    table["mag_hyp_r"] = Column([20.0], unit="mag")
    table["mag_hyp_err_r"] = Column([0.1], unit="mag")
    table["flux_radius"] = [3.0]
    table["speed"] = Column([3.0], unit="m / s")
    suggested = {c: what for _, columns in inspect_table(table).meta["suggestions"]
                 for c, what in columns.items()}  # fmt: skip
    expected = {"MAG_AUTO_G": "lsst_g", "mag_hyp_r": "lsst_r", "mag_hyp_err_r": "lsst_r_err"}
    assert suggested == expected | {"total": "FILTER"}
    rows = assert_agrees(table, expected)
    assert rows["MAG_AUTO_G"]["error"] == "MAGERR_AUTO_G"
    assert rows["mag_hyp_r"]["error"] == "mag_hyp_err_r"


def test_passed_over_columns_can_be_taken():
    table = rubin()
    inspection = inspect_table(table)
    rows = rows_of(inspection)
    assert rows["r_psfFlux"]["remark"] == "passed over for r_cModelFlux"
    (columns,) = (c for occasion, c in inspection.meta["suggestions"] if "instead" in occasion)
    rows = assert_agrees(table, columns)
    assert rows["r_psfFlux"]["holds"] == "lsst_r"
    assert rows["r_psfFlux"]["error"] == "r_psfFluxErr"
    assert rows["r_cModelFlux"]["holds"] == ""


def test_the_suggestion_for_units_works():
    table = Table({"lsst_g": [20.0, 21.0], "lsst_r": [1500.0, 3.0], "stellar_mass": [1e10, 1e9]})
    (columns,) = (c for _, c in inspect_table(table).meta["suggestions"])
    assert columns["lsst_g"] == "lsst_g[mag(AB)]"
    table["lsst_r_err"] = [3.0, 1.0]
    rows = assert_agrees(table, columns)
    assert (rows["lsst_r"]["unit"], rows["lsst_r"]["unit_from"]) == ("nJy", "columns=")
    assert rows["stellar_mass"]["measured"] == 2


def test_the_suggestion_for_units_of_errors_works(table):
    table["lsst_r_err"].unit = None
    (columns,) = (c for _, c in inspect_table(table).meta["suggestions"])
    assert columns == {"lsst_r_err": "lsst_r_err[nJy]"}
    assert assert_agrees(table, columns)["lsst_r"]["error"] == "lsst_r_err"


def test_inverse_variances_are_not_suggested_as_errors():
    table = Table({"lsst_r": Column([5.0, 5.0], unit="nJy"), "lsst_r_ivar": [0.01, 0.25]})
    assert not inspect_table(table).meta["suggestions"]
    rows = assert_agrees(table)
    assert (rows["lsst_r_ivar"]["holds"], rows["lsst_r"]["error"]) == ("lsst_r_ivar", "lsst_r_ivar")
    np.testing.assert_allclose(read_table(table)[0].photometry.error[:, 0], [10.0, 2.0])

    table = Table({"MYFLUX_R": Column([5.0], unit="nJy"), "MYFLUX_IVAR_R": [0.25]})
    (columns,) = (c for _, c in inspect_table(table).meta["suggestions"])
    assert columns == {"MYFLUX_R": "lsst_r", "MYFLUX_IVAR_R": "lsst_r_ivar"}
    assert_agrees(table, columns)
    np.testing.assert_allclose(read_table(table, columns)[0].photometry.error, 2.0)


def test_known_redshifts_can_be_left_out(table):
    table["redshift"] = 0.3
    (columns,) = (c for _, c in inspect_table(table).meta["suggestions"] if "redshift" in c)
    assert assert_agrees(table, columns)["redshift"]["remark"] == "left out by columns="


def test_extinction_can_be_left_alone():
    table = rubin("gri")
    table["ebv"] = 0.1
    assert "E(B-V)" in format_inspection(inspect_table(table))
    columns = next(c for occasion, c in inspect_table(table).meta["suggestions"] if "ebv" in c)
    assert columns == {"ebv": None}
    assert assert_agrees(table, columns)["ebv"]["holds"] == ""
    assert "E(B-V)" not in format_inspection(inspect_table(table, columns))


def test_errors_of_columns_that_are_not_read_are_told():
    rows = rows_of(inspect_table(rubin()))
    assert rows["r_psfFluxErr"]["remark"] == "errors of r_psfFlux"
    assert rows_of(inspect_table(generic()))["magerr_g"]["remark"] == "errors of mag_g"


def test_extinction_of_bands_shares_a_line():
    table = Table()
    for b in "ugriz":
        table[f"modelMag_{b}"] = [20.0, -9999.0]
        table[f"extinction_{b}"] = [0.1, 0.2]
    assert_agrees(table)
    table = table[[f"{name}_{b}" for name in ("modelMag", "extinction") for b in "ugriz"]]
    text = format_inspection(inspect_table(table))
    assert re.search(r"^extinction_\[ugriz\] +extinction in sdss_\[ugriz\]$", text, re.M)
    assert "-9999 not observed" in text


def test_true_redshifts_can_be_taken(table):
    table["z_spec"] = 0.3
    (columns,) = (c for _, c in inspect_table(table).meta["suggestions"] if "z_spec" in c)
    assert assert_agrees(table, columns)["z_spec"]["holds"] == "redshift"


# As text


def channels():
    table = QTable({"id": np.arange(N)})
    for i in range(102):
        flux = np.ones(N)
        flux[i % N] = np.nan
        table[f"spherex_{i + 1:03d}"] = flux * u.uJy
        table[f"spherex_{i + 1:03d}_err"] = np.ones(N) * u.uJy
    return table


def long_names():
    return Table({f"{'x' * 70}_{b}_flux_with_a_long_name": [1.0] for b in "ugr"})


@pytest.mark.parametrize(
    "make",
    [channels, rubin, generic, long_names, lambda: rubin(extra=200),
     lambda: Table({"a" * 150: Column([1.0], unit="mag")})],
)  # fmt: skip
@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("command_line", [False, True])
def test_text_fits_the_screen(make, told, command_line):
    table = make()
    columns = {table.colnames[-1]: "cfht_megacam_us_9301"} if told else None
    text = format_inspection(inspect_table(table, columns), command_line)
    # Names that are to be pasted are never cut.
    too_long = [line for line in text.splitlines() if len(line) > 100]
    assert all(re.search(r"\S{80}", line) for line in too_long)
    assert len(text.splitlines()) < 60


def test_channels_side_by_side_share_a_line():
    text = format_inspection(inspect_table(channels()))
    (line,) = (line for line in text.splitlines() if line.startswith("spherex"))
    assert line.split() == [
        "spherex_001-102", "spherex_001-102", "uJy", "column", "spherex_001-102_err",
        str(102 * (N - 1)), "0", "102",
    ]  # fmt: skip
    assert "102 NaN or infinite" in text


def test_a_channel_that_differs_stands_alone():
    table = channels()
    table["spherex_050"] = np.ones(N)
    lines = format_inspection(inspect_table(table)).splitlines()
    starts = [line.split()[0] for line in lines if line.startswith("spherex")]
    assert starts == ["spherex_001-049", "spherex_050", "spherex_051-102"]


def test_rows_are_in_the_order_of_the_columns(table):
    names = table.colnames[::-1]
    assert list(inspect_table(table[names])["column"]) == names
    text = format_inspection(inspect_table(table[names]))
    starts = [line.split()[0] for line in text.splitlines() if line.startswith("lsst")]
    assert starts == ["lsst_i", "lsst_r", "lsst_g"]


# The line of the log


def test_summary_stays_one_readable_line():
    _, reading = read_table(rubin(extra=200))
    assert len(reading.ignored) > 1200
    assert "\n" not in reading.summary()
    assert len(reading.summary()) < 500
    assert "[ugrizy]_cModelFlux = lsst_[ugrizy]" in reading.summary()
    assert len(reading.to_meta()["ignored"]) == len(reading.ignored)


def test_summary_of_many_notes():
    reading = Reading("x", {"a": "lsst_r"}, notes=["word " * 100 + "\nsecond line"] * 20)
    assert "\n" not in reading.summary()
    assert len(reading.summary()) < 500
    assert "17 more notes" in reading.summary()


def test_abridged():
    assert abridged(["a", "b"], 4) == "a, b"
    assert abridged([f"mag_{b}" for b in "gri"], 4) == "mag_[gri]"
    assert abridged(["mag_g", "x", "mag_r"], 4) == "mag_g, mag_r, x"
    assert abridged([f"{b}_flag_{i}" for b in "gri" for i in range(5)], 2) == "[gri]_flag_0-4"
    names = [c * 3 for c in "abcdefgh"]
    assert abridged(names, 3) == "aaa, bbb, ccc and 5 more"


# The command


def test_command(table, tmp_path, capsys):
    table["odd"] = Column(np.ones(N), unit="mag")
    path = tmp_path / "catalog.ecsv"
    table.write(path)
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    assert "predict takes this table as it is" in text
    assert '--columns "odd=FILTER"' in text
    assert main(["inspect", str(path), "--columns", "odd=sdss_z,lsst_g=none"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"odd +sdss_z +mag", text)
    assert "left out by columns=: lsst_g" in text


def test_command_on_a_table_that_is_refused(tmp_path, capsys):
    path = tmp_path / "catalog.csv"
    path.write_text("id,lsst_r,lsst_i\n1,20.1,19.8\n")
    assert main(["inspect", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out.count("has no unit") == 2
    assert "predict refuses this table until the 2 problems above are mended" in out
    assert err == ""


def test_options_of_several_suggestions_go_together(tmp_path, capsys):
    path = tmp_path / "catalog.csv"
    path.write_text("mag_g,mag_r,stellar_mass\n20.1,19.8,1e10\n")
    assert main(["inspect", str(path)]) == 1
    lines = re.findall(r'--columns "[^"]*"', capsys.readouterr().out)
    assert len(lines) == 2
    arguments = [part for line in lines for part in shlex.split(line)]
    assert main(["inspect", str(path), *arguments]) == 0
    assert "predict takes this table as it is" in capsys.readouterr().out
