"""OpenCosmo catalogues: small files in its format, read through its own package."""

import sys

import h5py
import numpy as np
import pytest
from astropy import units as u

from astromosaic.integrations.opencosmo import is_opencosmo
from astromosaic.properties import LOOKBACK_EDGES
from astromosaic.training.data import read_training_set

opencosmo = pytest.importorskip("opencosmo")
pytestmark = pytest.mark.filterwarnings("ignore:Could not find coordinates")

N = 6
H = 0.6766
HEADER = {
    "simulation/parameters": {
        "box_size": 64.0, "z_ini": 200.0, "z_end": 0.0, "n_gravity": 64, "n_steps": 500,
        "pm_grid": 64, "offset_gravity_ini": 0.0,
    },
    "simulation/cosmotools": {
        "fof_linking_length": 0.168, "fof_pmin": 20, "sod_pmin": 500, "sod_delta_crit": 200.0,
        "sod_concentration_pmin": 100, "sodbighaloparticles_pmin": 100, "profiles_nbins": 20,
    },
    "simulation/cosmology": {
        "h": H, "omega_m": 0.31, "omega_b": 0.049, "omega_l": 0.69, "n_eff_massless": 3.04,
        "sigma_8": 0.81, "w_0": -1.0, "w_a": 0.0,
    },
}  # fmt: skip


def write(path, kind, columns, convention="scalefree", lightcone=True, redshift=None, groups=("",)):
    """Write a file in OpenCosmo's format, the same columns in each group."""
    with h5py.File(path, "w") as file:
        header = file.create_group("header")
        about = {"origin": "HACC", "data_type": kind, "is_lightcone": lightcone}
        about |= {"unit_convention": convention}
        about |= {} if redshift is None else {"redshift": redshift}
        header.create_group("file").attrs.update(about)
        for name, values in HEADER.items():
            header.create_group(name).attrs.update(values)
        header["simulation/cosmotools"]["cosmotools_steps"] = np.array([10, 20])
        if lightcone:
            header["file"].attrs.update({"step": 400, "redshift": 0.5})
            header.create_group("lightcone")["z_range"] = [0.0, 3.0]
        for group in groups:
            for name, (values, unit) in columns.items():
                file[f"{group}/data/{name}"] = values
                if unit is not None:
                    file[f"{group}/data/{name}"].attrs["unit"] = unit
            # A spatial index with all galaxies in its first cell.
            size = np.zeros(12 if lightcone else 1, int)
            size[0] = N
            file[f"{group}/index/level_0/start"] = np.cumsum(size) - size
            file[f"{group}/index/level_0/size"] = size
    return path


@pytest.fixture
def diffsky():
    """Columns of a catalogue of diffsky."""
    rng = np.random.default_rng(0)
    z = rng.uniform(0.1, 2, N)
    return {
        "ra": (rng.uniform(1, 9, N), "deg"),
        "dec": (rng.uniform(1, 9, N), "deg"),
        "x": (rng.uniform(0, 60, N), "Mpc"),
        "lsst_r": (rng.uniform(20, 25, N), "mag(AB)"),
        "lsst_u": (rng.uniform(20, 25, N), "None"),
        "lsst_r_bulge": (rng.uniform(20, 25, N), "mag(AB)"),
        "redshift_true": (z, ""),
        "redshift_obs": (z + 0.001, ""),
        "logsm_obs": (rng.uniform(9, 11, N), "dex(solMass)"),
        "logssfr_obs": (np.r_[-18.0, rng.uniform(-11, -9, N - 1)], "dex(1 / yr)"),
        "logmp_obs": (rng.uniform(11, 13, N), "dex(solMass)"),
        "av": (np.ones(N), ""),
    }


@pytest.fixture
def diffmah():
    """Parameters of halos, of which the last stops growing early."""
    rng = np.random.default_rng(1)
    return {
        "logm0": (rng.uniform(11, 14, N), ""),
        "logtc": (rng.uniform(-0.2, 0.5, N), ""),
        "early_index": (rng.uniform(2, 4, N), ""),
        "late_index": (rng.uniform(0.1, 1, N), ""),
        "t_peak": (np.r_[np.full(N - 1, 14.0), 2.0], ""),
    }


def test_catalogue_of_diffsky(tmp_path, diffsky):
    data = read_training_set(write(tmp_path / "a.hdf5", "synthetic_galaxies", diffsky, "comoving"))
    assert data.filters == ("lsst_u", "lsst_r")
    for i, name in enumerate(data.filters):
        expected = (diffsky[name][0] * u.ABmag).to_value(u.nJy)
        np.testing.assert_allclose(data.flux[:, i], expected, rtol=1e-6)
    value = {name: values for name, (values, _) in diffsky.items()}
    sfr = np.maximum(value["logsm_obs"] + value["logssfr_obs"], -5)
    expected = {
        # The redshift that a spectrograph would measure.
        "redshift": np.log1p(value["redshift_obs"]),
        "stellar_mass": value["logsm_obs"],
        "halo_mass": value["logmp_obs"],
        "sfr": sfr,
    }
    assert set(data.scalars) == set(expected)
    for name in expected:
        np.testing.assert_allclose(data.scalars[name], expected[name], rtol=1e-6, err_msg=name)
    assert data.vectors == {}
    notes = " ".join(data.provenance["notes"])
    assert "stellar_mass from logsm_obs (the mass ever formed" in notes
    assert "dust_av is absent" in notes
    assert data.provenance["cosmology"]["H0"] == pytest.approx(100 * H)


def test_true_redshift_is_second_choice_and_said(tmp_path, diffsky):
    del diffsky["redshift_obs"]
    data = read_training_set(write(tmp_path / "a.hdf5", "synthetic_galaxies", diffsky))
    expected = np.log1p(diffsky["redshift_true"][0])
    np.testing.assert_allclose(data.scalars["redshift"], expected, rtol=1e-6)
    assert any("redshift_true (without peculiar" in note for note in data.provenance["notes"])


def test_lightcone_of_several_datasets(tmp_path, diffsky, diffmah):
    groups = ("cores", "synthetic_cores")
    kind = "synthetic_galaxies"
    columns = diffsky | diffmah
    data = read_training_set(write(tmp_path / "a.hdf5", kind, columns, groups=groups))
    one = read_training_set(write(tmp_path / "b.hdf5", kind, columns))
    assert len(data) == 2 * N
    np.testing.assert_array_equal(data.flux, np.concatenate([one.flux, one.flux]))
    np.testing.assert_array_equal(data.vectors["mah"][N:], one.vectors["mah"])


@pytest.mark.parametrize(
    ("convention", "unit", "factor"),
    [("scalefree", "Msun/h", 1 / H), ("comoving", "Msun", 1.0), ("physical", "Msun", 1.0)],
)
def test_masses_are_without_h_whatever_the_convention(tmp_path, convention, unit, factor):
    mass = 10 ** np.linspace(9, 11, N)
    length = {"scalefree": "comoving Mpc/h"}.get(convention, "Mpc")
    columns = {
        "gal_mass_star": (mass, unit),
        "gal_center_x": (np.linspace(1, 60, N), length),
        "lsst_i": (np.linspace(20, 25, N), "mag(AB)"),
    }
    path = tmp_path / "a.hdf5"
    write(path, "galaxy_properties", columns, convention, lightcone=False, redshift=0.5)
    data = read_training_set(path)
    np.testing.assert_allclose(data.scalars["stellar_mass"], np.log10(mass * factor), rtol=1e-6)
    # A snapshot has one redshift, and the apparent magnitudes do not change with units.
    np.testing.assert_allclose(data.scalars["redshift"], np.log(1.5), rtol=1e-6)
    expected = (columns["lsst_i"][0] * u.ABmag).to_value(u.nJy)
    np.testing.assert_allclose(data.flux[:, 0], expected, rtol=1e-6)


def test_missing_masses_of_halos_are_unknown(tmp_path):
    mass = np.r_[-101.0, 10 ** np.linspace(11, 13, N - 1)]
    columns = {
        "sod_halo_mass": (mass, "Msun/h"),
        "lsst_i": (np.linspace(20, 25, N), "mag(AB)"),
    }
    path = tmp_path / "a.hdf5"
    data = read_training_set(write(path, "halo_properties", columns, lightcone=False, redshift=0.0))
    assert np.isnan(data.scalars["halo_mass"][0])
    np.testing.assert_allclose(data.scalars["halo_mass"][1:], np.log10(mass[1:] / H), rtol=1e-6)
    assert any("M200c" in note for note in data.provenance["notes"])


def test_assembly_history_is_that_of_diffmah(tmp_path, diffsky, diffmah):
    package = pytest.importorskip("diffmah")
    path = write(tmp_path / "a.hdf5", "synthetic_galaxies", diffsky | diffmah)
    data = read_training_set(path)
    with opencosmo.open(path) as dataset:
        age = dataset.cosmology.age
    parameters = package.DEFAULT_MAH_PARAMS._replace(**{k: v for k, (v, _) in diffmah.items()})
    edges = LOOKBACK_EDGES
    middles = np.r_[edges[1] / 2, np.sqrt(edges[1:-1] * edges[2:])]
    log_t0 = np.log10(age(0).value)
    for row in range(N):
        time = age(diffsky["redshift_true"][0][row]).value - middles
        own = package.DEFAULT_MAH_PARAMS._replace(
            **{k: v[row] for k, v in parameters._asdict().items()}
        )
        _, log_mass = package.mah_singlehalo(own, np.maximum(time, 0.01), log_t0)
        expected = np.where(time > 0.01, 10.0 ** np.asarray(log_mass), 0)
        np.testing.assert_allclose(data.vectors["mah"][row], expected, rtol=1e-3, atol=1e4)


def test_limit_is_the_first_galaxies(tmp_path, diffsky):
    path = write(tmp_path / "a.hdf5", "synthetic_galaxies", diffsky)
    whole = read_training_set(path)
    for limit in (2, 10 * N):
        part = read_training_set(path, limit=limit)
        np.testing.assert_array_equal(part.flux, whole.flux[:limit])


def test_what_opencosmo_has_written_is_read(tmp_path, diffsky):
    """A selection written by the package itself."""
    path = write(tmp_path / "a.hdf5", "synthetic_galaxies", diffsky)
    with opencosmo.open(path) as dataset:
        bright = dataset.filter(opencosmo.col("logsm_obs") > 10)
        opencosmo.write(tmp_path / "b.hdf5", bright)
    bright = diffsky["logsm_obs"][0] > 10
    whole, part = read_training_set(path), read_training_set(tmp_path / "b.hdf5")
    assert 0 < bright.sum() < N
    np.testing.assert_array_equal(np.sort(part.flux[:, 0]), np.sort(whole.flux[bright, 0]))


def test_errors_say_what_is_wrong(tmp_path, diffsky):
    # A name for each file: one that is still open somewhere cannot be written anew.
    paths = iter(tmp_path / f"{k}a.hdf5" for k in range(9))

    def snapshot(kind, columns):
        return write(next(paths), kind, columns, lightcone=False, redshift=0.0)

    halos = {"sod_halo_mass": (np.ones(N) * 1e12, "Msun/h")}
    path = snapshot("halo_properties", halos)
    with pytest.raises(ValueError, match=r"a\.hdf5: there is no photometry and no vector"):
        read_training_set(path)
    path = write(
        next(paths), "halo_properties", {"x": halos["sod_halo_mass"]}, lightcone=False, redshift=0.0
    )
    with pytest.raises(ValueError, match=r"a\.hdf5: it holds no filter and none of .*sod_halo"):
        read_training_set(path)
    path = write(
        next(paths),
        "halo_particles",
        {"mass": halos["sod_halo_mass"]},
        lightcone=False,
        redshift=0.0,
    )
    with pytest.raises(ValueError, match=r"a\.hdf5: it holds halo_particles"):
        read_training_set(path)
    # With or without h? Nobody knows.
    halos = {"sod_halo_mass": (np.ones(N) * 1e12, None), "lsst_i": (np.ones(N), "nJy")}
    path = snapshot("halo_properties", halos)
    with pytest.raises(ValueError, match=r"a\.hdf5: column 'sod_halo_mass' has no unit"):
        read_training_set(path)
    nowhere = {k: v for k, v in diffsky.items() if k not in ("ra", "dec")}
    nowhere = write(tmp_path / "b.hdf5", "synthetic_galaxies", nowhere)
    with pytest.raises(ValueError, match=r"b\.hdf5: .*lacks ra and dec"):
        read_training_set(nowhere)
    wrong = diffsky | {"logsm_obs": (diffsky["logsm_obs"][0], "K")}
    with pytest.raises(ValueError, match=r"a\.hdf5: .*'K'"):
        read_training_set(write(next(paths), "synthetic_galaxies", wrong))


def test_package_that_is_missing_is_named(tmp_path, diffsky, monkeypatch):
    path = write(tmp_path / "a.hdf5", "synthetic_galaxies", diffsky)
    monkeypatch.setitem(sys.modules, "opencosmo", None)
    with pytest.raises(ImportError, match=r"astromosaic\[opencosmo\]"):
        read_training_set(path)


def test_only_files_with_its_header_are_taken_for_opencosmo(tmp_path, diffsky, toy_mocks):
    assert is_opencosmo(write(tmp_path / "a.hdf5", "synthetic_galaxies", diffsky))
    assert not is_opencosmo(toy_mocks)
    (tmp_path / "b.hdf5").write_text("text")
    assert not is_opencosmo(tmp_path / "b.hdf5")
