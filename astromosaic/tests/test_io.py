"""Tables survive the trip to a file and back, and files that are not tables say so."""

import json
import sys
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time
from astropy.utils.masked import Masked

from astromosaic.io import FORMATS, check_output, read_catalog, write_catalog

WRITABLE = [ending for name, endings in FORMATS.items() if name != "CSV" for ending in endings]
MASK = np.array([False, True, False])


@pytest.fixture
def result():
    """A table like those that predictions come in, with all that is hard to write."""
    table = QTable()
    table["objectId"] = [1, 2, 2**60]
    table["name"] = ["a", "bb", "ccc"]
    table["redshift"] = Masked([0.1, 0.2, 0.3], mask=MASK)
    table["stellar_mass"] = Masked([1e9, 2e10, 3e11] * u.solMass, mask=MASK)
    table["sfr"] = [0.1, 1.0, 10.0] * u.solMass / u.yr
    table["metallicity"] = [-1.0, 0.0, 0.2] * u.dex
    table["dust_av"] = [0.1, 0.2, 0.3] * u.mag
    table["lsst_r"] = np.array([-1.0, 100.0, 1e4], dtype=np.float32) * u.nJy
    table["lsst_i"] = [20.0, 21.0, 22.0] * u.ABmag
    samples = np.arange(12.0).reshape(3, 4)
    table["redshift_samples"] = Masked(samples, mask=np.repeat(MASK[:, None], 4, axis=1))
    table["spherex"] = np.arange(6.0).reshape(3, 2) * u.uJy
    table["comment"] = MaskedColumn(["none", "", "faint"], mask=MASK)
    table["flag"] = np.array([0, 1, 4], dtype=np.int32)
    table["visits"] = MaskedColumn([1, 2, 999999], mask=MASK)
    table["good"] = MaskedColumn([True, True, False], mask=MASK)
    table["stellar_mass"].info.description = "Surviving stellar mass"
    table["redshift"].info.meta = {"ucd": "src.redshift.phot"}
    table.meta = {
        "model": "small",
        "checksum": "0123abcd" * 20,
        "seed": np.int64(3),
        "filters": {"lsst": "v1.9", "spherex": None, "greek": "λ"},
        "queries": ["redshift", "stellar_mass"],
        "scale": float("nan"),
        "comments": ["first", "second"],
    }
    return table


@pytest.mark.parametrize("ending", WRITABLE)
def test_round_trip(result, tmp_path, ending):
    path = tmp_path / f"result{ending}"
    write_catalog(result, path)
    back = read_catalog(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert back.colnames == result.colnames
    for name in result.colnames:
        given, got = result[name], back[name]
        assert got.info.unit == given.info.unit, name
        if name == "comment" and path.suffix in (".vot", ".votable", ".xml"):
            assert got[1] == ""  # VOTable does not tell empty from missing text
            continue
        mask = np.broadcast_to(getattr(given, "mask", False), given.shape)
        np.testing.assert_array_equal(np.broadcast_to(getattr(got, "mask", False), got.shape), mask)
        values = np.asarray(given.unmasked if isinstance(given, Masked) else given)
        np.testing.assert_array_equal(np.asarray(got)[~mask], values[~mask], err_msg=name)
    assert back["stellar_mass"].info.description == "Surviving stellar mass"
    assert back["redshift"].info.meta["ucd"] == "src.redshift.phot"


@pytest.mark.parametrize("ending", WRITABLE)
def test_meta_survives(result, tmp_path, ending):
    path = tmp_path / f"result{ending}"
    write_catalog(result, path)
    meta = read_catalog(path).meta
    if "fit" in ending:
        meta = {key.lower(): value for key, value in meta.items()}
    for key in ("model", "checksum", "filters", "queries", "comments"):
        assert meta[key] == result.meta[key], key
    assert meta["seed"] == 3
    assert np.isnan(meta["scale"])


#: Entries of meta that would be taken for something else, or lose a part.
MISLEADING = {
    "json": "[1, 2]", "quoted": '"a"', "null": "null", "nan": "NaN", "none": None, "empty": "",
    "blanks": "  a  b ", "lines": "a\nb", "greek": "λ", "number": "12", "float": 0.1, "true": True,
    "nested": {"a": [{"b": None}, 1.5, "x"]}, "a_key_of_more_than_eight_letters": "x" * 200,
}  # fmt: skip


@pytest.mark.parametrize("ending", [".fits", ".ecsv", ".vot", ".h5", ".parquet"])
def test_entries_of_meta_keep_their_type(tmp_path, ending):
    write_catalog(Table({"a": [1]}, meta=MISLEADING), tmp_path / f"t{ending}")
    meta = read_catalog(tmp_path / f"t{ending}").meta
    for key, value in MISLEADING.items():
        if ending == ".ecsv" and key == "lines":
            continue  # Astropy makes one line of it
        key = key.upper() if ending == ".fits" and len(key) <= 8 else key
        assert meta[key] == value
        assert type(meta[key]) is type(value)


def test_plain_types():
    from astromosaic.io import plain_types

    given = {1: np.float32(0.5), "a": np.arange(2), "b": (1, {2}), "q": [1, 2] * u.um,
             "p": Path("x"), "c": Counter(a=2), "s": np.str_("t"), "t": True,
             "n": None}  # fmt: skip
    plain = plain_types(given)
    assert plain == {"1": 0.5, "a": [0, 1], "b": [1, [2]], "q": [[1.0, 2.0], "um"], "p": "x",
                     "c": {"a": 2}, "s": "t", "t": True, "n": None}  # fmt: skip
    assert json.loads(json.dumps(plain)) == plain
    assert type(plain["s"]) is str


@pytest.mark.parametrize("ending", [".fits", ".ecsv", ".vot", ".h5", ".parquet"])
def test_text_of_any_length(tmp_path, ending):
    table = Table({"name": np.array(["a", None, "longer"], dtype=object)})
    write_catalog(table, tmp_path / f"t{ending}")
    back = read_catalog(tmp_path / f"t{ending}")["name"]
    assert [back[0], back[2]] == ["a", "longer"]
    assert back[1] == "" if ending == ".vot" else back.mask[1]


@pytest.mark.parametrize("ending", [".fits", ".ecsv", ".vot", ".h5", ".parquet"])
def test_empty_and_missing_text(tmp_path, ending):
    table = Table({"a": MaskedColumn(["x", "", "y"], mask=[False, False, True])})
    write_catalog(table, tmp_path / f"t{ending}")
    back = read_catalog(tmp_path / f"t{ending}")["a"]
    mask = np.broadcast_to(getattr(back, "mask", False), 3).tolist()
    # As documented: some formats take the two for one.
    expected = {".fits": [0, 1, 1], ".ecsv": [0, 1, 1], ".vot": [0, 0, 0]}
    assert mask == [bool(m) for m in expected.get(ending, [0, 0, 1])]


@pytest.mark.parametrize(
    ("ending", "package"), [("parquet", "pyarrow"), ("parquet", "pandas"), ("h5", "h5py")]
)
def test_missing_packages(tmp_path, monkeypatch, ending, package):
    for name in ("pyarrow", "pandas") if ending == "parquet" else ("h5py",):
        pytest.importorskip(name)
    path = tmp_path / f"t.{ending}"
    write_catalog(Table({"a": [1]}), path)
    monkeypatch.setitem(sys.modules, package, None)
    for action in (
        lambda: check_output(path, overwrite=True),
        lambda: write_catalog(Table({"a": [1]}), path, overwrite=True),
        lambda: read_catalog(path),
    ):
        with pytest.raises(ImportError, match=f"{package} is not installed: pip install"):
            action()


@pytest.mark.parametrize("ending", [".ecsv", ".vot", ".h5", ".parquet"])
def test_text_in_any_script(tmp_path, ending):
    write_catalog(Table({"name": ["Å", "λ Ori"]}), tmp_path / f"t{ending}")
    assert read_catalog(tmp_path / f"t{ending}")["name"].tolist() == ["Å", "λ Ori"]


def test_fits_says_that_it_holds_ascii_only(tmp_path):
    with pytest.warns(UserWarning, match="column 'name': FITS cannot hold"):
        write_catalog(Table({"name": ["Å", "b"]}), tmp_path / "t.fits")
    assert read_catalog(tmp_path / "t.fits")["name"].tolist() == ["?", "b"]


@pytest.mark.parametrize("ending", [".fits", ".ecsv", ".vot", ".h5", ".parquet"])
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "u8", "f2"])
def test_numbers_of_every_length(tmp_path, ending, kind):
    largest = 2**63 - 1 if kind == "u8" else (np.finfo if kind == "f2" else np.iinfo)(kind).max
    given = np.array([0, largest, 1], dtype=kind)
    if kind == "u8":
        given = MaskedColumn(given, mask=[False, False, True])
    write_catalog(Table({"a": given}), tmp_path / f"t{ending}")
    assert read_catalog(tmp_path / f"t{ending}")["a"].tolist() == given.tolist()


def test_integers_beyond_those_of_votable_are_text(tmp_path):
    with pytest.warns(UserWarning, match="column 'id': VOTable cannot hold"):
        write_catalog(Table({"id": np.array([1, 2**64 - 1], dtype="u8")}), tmp_path / "t.vot")
    assert read_catalog(tmp_path / "t.vot")["id"].tolist() == ["1", str(2**64 - 1)]


@pytest.mark.parametrize("ending", [".fits", ".ecsv", ".vot", ".h5", ".parquet"])
def test_coordinates(tmp_path, ending):
    path = tmp_path / f"coordinates{ending}"
    coord = SkyCoord([10.0, 20.0] * u.deg, [-5.0, 5.0] * u.deg)
    write_catalog(QTable({"coord": coord, "redshift": [0.1, 0.2]}), path)
    back = read_catalog(path)
    assert back.colnames == ["coord", "redshift"]
    assert np.all(back["coord"].separation(coord) < 1e-9 * u.arcsec)


@pytest.mark.parametrize("ending", [".fits", ".ecsv", ".vot", ".h5", ".parquet"])
def test_times(tmp_path, ending):
    given = {
        "observed": Time([60000.123456789012, 61000.0], format="mjd", scale="tai"),
        "begun": Time(["2025-03-11T03:10:12.345", "2026-01-01"], scale="utc"),
    }
    missing = Time([2027.5, 2028.0], format="jyear", scale="tdb")
    missing[1] = np.ma.masked
    table = QTable({"id": [1, 2], **given, "end": missing, "z": [0.1, 0.2]}, meta={"seed": 1})
    write_catalog(table, tmp_path / f"t{ending}")
    back = read_catalog(tmp_path / f"t{ending}")
    assert back.colnames == table.colnames
    assert {key.lower(): value for key, value in back.meta.items()} == {"seed": 1}
    for name, time in given.items():
        assert (back[name].scale, back[name].format) == (time.scale, time.format)
        assert np.all(np.abs((back[name] - time).sec) < 1e-9)
    assert back["end"].mask.tolist() == [False, True]
    assert back["end"][0].value == 2027.5


@pytest.mark.parametrize("ending", WRITABLE)
def test_writing_leaves_the_table_as_it_was(result, tmp_path, ending):
    before = result.copy()
    write_catalog(result, tmp_path / f"result{ending}")
    assert result.meta.keys() == before.meta.keys()
    for name in before.colnames:
        assert type(result[name]) is type(before[name])
        assert result[name].info.unit == before[name].info.unit


@pytest.mark.parametrize("ending", WRITABLE)
def test_existing_files_are_kept(tmp_path, ending):
    path = tmp_path / f"result{ending}"
    write_catalog(Table({"a": [1]}), path)
    with pytest.raises(FileExistsError, match="exists already"):
        write_catalog(Table({"a": [2]}), path)
    assert read_catalog(path)["a"][0] == 1
    write_catalog(Table({"a": [3]}), path, overwrite=True)
    assert read_catalog(path)["a"][0] == 3


def test_the_content_tells_the_format(tmp_path):
    for ending in (".fits", ".ecsv", ".vot", ".h5", ".parquet"):
        path = tmp_path / f"t{ending}"
        write_catalog(Table({"a": [1.0, 2.0]}), path)
        renamed = path.rename(tmp_path / f"{ending[1:]}.dat")
        np.testing.assert_array_equal(read_catalog(renamed)["a"], [1.0, 2.0])


def test_csv(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,mag_r_lsst\n1,20.5\n2,\n")
    table = read_catalog(path)
    assert table["mag_r_lsst"].mask.tolist() == [False, True]
    with pytest.raises(ValueError, match=r"\.ecsv"):
        write_catalog(table, tmp_path / "out.csv")


@pytest.mark.parametrize("before", ["\ufeff", "#Table1\n"])
def test_csv_of_web_services(tmp_path, before):
    path = tmp_path / "t.csv"
    path.write_text(f"{before}dered_u,dered_g,name\n20,null,x\n19.5,18,NULL\n", encoding="utf-8")
    table = read_catalog(path)
    assert table.colnames == ["dered_u", "dered_g", "name"]
    assert list(table["dered_u"]) == [20.0, 19.5]
    assert table["dered_g"].mask.tolist() == [True, False]
    assert table["name"].mask.tolist() == [False, True]


@pytest.mark.parametrize("kind", [QTable, Table])
def test_fits_has_names_in_ascii_and_angles_in_degrees(tmp_path, kind):
    table = kind({"größe": [1, 2], "grosse": [3, 4], "日": [5.0, 6.0]})
    table["ra"] = [1.0, 2.0] * u.hourangle
    table["grösse"] = [7, 8]
    with pytest.warns(UserWarning, match="is called"):
        write_catalog(table, tmp_path / "t.fits")
    back = read_catalog(tmp_path / "t.fits")
    assert back.colnames == ["groe", "grosse", "column", "ra", "grosse_2"]
    np.testing.assert_allclose(u.Quantity(back["ra"]).to_value(u.deg), [15.0, 30.0])
    assert table.colnames[0] == "größe"
    assert table["ra"].unit == u.hourangle


def test_small_integers_are_no_logicals(tmp_path):
    table = Table({"id": np.array([5, -6, 7], np.int8)})
    table["masked"] = MaskedColumn(table["id"], mask=[True, False, False])
    write_catalog(table, tmp_path / "t.fits")
    back = read_catalog(tmp_path / "t.fits")
    assert back["id"].tolist() == [5, -6, 7]
    assert back["masked"].tolist() == [None, -6, 7]


@pytest.mark.parametrize("ending", [".fits", ".ecsv", ".vot", ".h5", ".parquet"])
def test_whole_numbers_among_objects(tmp_path, ending):
    table = Table({"id": np.array([2**40, 2], object), "few": np.array([None, 3], object)})
    path = tmp_path / f"t{ending}"
    write_catalog(table, path)
    back = read_catalog(path)
    assert back["id"].tolist() == [2**40, 2]
    assert back["few"].tolist() == [None, 3]


def test_hdf5_of_rail(tmp_path):
    path = tmp_path / "rail.hdf5"
    with h5py.File(path, "w") as file:
        group = file.create_group("photometry")
        group["id"] = np.arange(3)
        group["mag_r_lsst"] = np.array([20.0, 21.0, np.nan], dtype=np.float32)
        group["mag_r_lsst"].attrs["unit"] = "mag"
        group["name"] = np.array([b"x", b"y", b"z"])
        group["field"] = ["COSMOS", "XMM", "Å"]
        file.create_group("other")["grid"] = np.linspace(0, 3, 301)
    table = read_catalog(path)
    assert table.colnames == ["field", "id", "mag_r_lsst", "name"]
    assert table["mag_r_lsst"].unit == u.mag
    assert table["name"].dtype.kind == table["field"].dtype.kind == "U"
    assert table["field"][2] == "Å"


def test_hdf5_columns_at_the_top(tmp_path):
    path = tmp_path / "flat.h5"
    with h5py.File(path, "w") as file:
        file["mag_r_lsst"] = [20.0, 21.0]
        file["redshift"] = [0.1, 0.2]
    assert len(read_catalog(path)) == 2


def test_hdf5_with_several_tables(tmp_path):
    path = tmp_path / "two.h5"
    Table({"a": [1]}).write(path, path="one", format="hdf5")
    Table({"b": [1]}).write(path, path="two", format="hdf5", append=True)
    with pytest.raises(ValueError, match=r"several tables \(one, two\)"):
        read_catalog(path)


def test_parquet_of_other_programs(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {
        "objectId": pa.array([1, None, 2**60]),
        "r_psfFlux": pa.array([1.0, None, 3.0]),
        "name": pa.array(["a", None, "c"]),
        "r_flag": pa.array([True, None, False]),
        "spherex": pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
    }
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    table = read_catalog(tmp_path / "t.parquet")
    for name in ("objectId", "r_psfFlux", "name", "r_flag"):
        assert table[name].mask.tolist() == [False, True, False], name
    assert table["objectId"][2] == 2**60
    assert table["spherex"].shape == (3, 2)


def test_parquet_of_categories_nothing_and_bytes(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"lsst_r": [22.0, 21.0], "field": pandas.Categorical(["a", "b"]), "nothing": [None, None],
         "raw": [b"x", None]}
    )  # fmt: skip
    frame.to_parquet(tmp_path / "t.parquet")
    table = read_catalog(tmp_path / "t.parquet")
    assert table["field"].tolist() == ["a", "b"]
    assert table["nothing"].tolist() == [None, None]
    assert table["raw"].tolist() == ["x", None]


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_catalog(tmp_path / "none.fits")
    with pytest.raises(ValueError, match="is a folder"):
        read_catalog(tmp_path)


@pytest.mark.parametrize("ending", [e for e in WRITABLE if "gz" not in e])
def test_not_a_table(tmp_path, ending):
    path = tmp_path / f"text{ending}"
    path.write_text("Dear colleague,\nplease find no table here.\n")
    with pytest.raises(ValueError, match=r"cannot be read as \w+: ") as error:
        read_catalog(path)
    assert "\n" not in str(error.value)


def test_fits_image_is_not_a_table(tmp_path):
    fits.writeto(tmp_path / "image.fits", np.zeros((2, 2)))
    with pytest.raises(ValueError, match="no table extension"):
        read_catalog(tmp_path / "image.fits")


def test_unknown_ending(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no table")
    with pytest.raises(ValueError, match=r"known formats and endings: FITS \(\.fits"):
        read_catalog(path)
    with pytest.raises(ValueError, match="cannot be told"):
        check_output(path, overwrite=True)


def test_output_folder_must_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder"):
        check_output(tmp_path / "none" / "out.fits")
