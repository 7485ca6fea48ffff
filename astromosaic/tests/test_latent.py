"""The latent space: what a linear probe reads, and that the truth does not leak into it."""

import sys

import h5py
import numpy as np
import pytest

from astromosaic.cli import main
from astromosaic.evaluation import latent


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights that have learned nothing."""
    import torch

    from astromosaic.model.transformer import ModelConfig, Transformer
    from astromosaic.model.weights import save_weights

    torch.manual_seed(0)
    network = Transformer(ModelConfig())
    card = {"name": "untrained", "parameters": 0, "flux_range": [0.0, 15.0]}
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    save_weights(path, network, card)
    return path


def test_probe_reads_what_is_linear(rng):
    x = rng.normal(3.0, [1.0, 10.0, 0.1], (200, 3))
    y = x @ [2.0, -0.3, 5.0] + 7.0
    probe = latent.RidgeProbe(x[:100], y[:100])
    np.testing.assert_allclose(probe.predict(x[100:]), y[100:], atol=0.02 * y.std())


def test_probe_reads_nothing_from_noise(rng):
    # More features than galaxies: without a penalty the fit would be perfect, and its guesses wild.
    x, y = rng.normal(size=(400, 150)), rng.normal(size=400)
    probe = latent.RidgeProbe(x[:100], y[:100])
    assert np.std(probe.predict(x[100:])) < 0.7 * np.std(y)


def test_probe_does_not_depend_on_units_or_on_constants(rng):
    x = rng.normal(size=(80, 4))
    y = x[:, 0] - x[:, 1] + 0.3 * rng.normal(size=80)
    other = np.column_stack([x * [1e3, 1e-3, 1.0, -2.0] + 5.0, np.full(80, 2.5)])
    np.testing.assert_allclose(
        latent.RidgeProbe(x, y).predict(x), latent.RidgeProbe(other, y).predict(other), rtol=1e-6
    )


def test_statistics():
    truth = np.array([0.0, 1.0, 2.0, 3.0])
    assert latent._statistics(truth, truth) == {"r2": 1.0, "rmse": 0.0}
    assert latent._statistics(np.full(4, truth.mean()), truth)["r2"] == pytest.approx(0.0)
    assert latent._statistics(truth + 0.5, truth)["rmse"] == pytest.approx(0.5)


def test_map_keeps_neighbours_together(rng):
    pytest.importorskip("sklearn")
    centres = np.array([[0.0] * 5, [20.0] * 5])
    states = centres[np.repeat([0, 1], 40)] + rng.normal(size=(80, 5))
    place = latent.project(states, seed=1)
    assert place.shape == (80, 2)
    one, two = place[:40], place[40:]
    apart = np.linalg.norm(one.mean(axis=0) - two.mean(axis=0))
    assert apart > 2 * max(one.std(axis=0).max(), two.std(axis=0).max())
    np.testing.assert_array_equal(place, latent.project(states, seed=1))


def test_report(toy_mocks, weights, tmp_path, capsys):
    pytest.importorskip("sklearn")
    output, numbers = tmp_path / "map.png", tmp_path / "numbers.json"
    arguments = ["--data", toy_mocks, "--weights", weights, "--output", output, "--json", numbers]
    assert main([str(a) for a in ["evaluate", "latent", *arguments, "--limit", "150"]]) == 0
    assert output.stat().st_size > 10_000
    assert numbers.exists()
    text = capsys.readouterr().out
    assert all(name in text for name in [*latent.PROBED, *latent.INPUTS])


def test_fluxes_tell_what_they_hold(toy_mocks, weights):
    # In these mocks redshift makes the colours, and masses are drawn at random.
    report = latent.run(toy_mocks, weights=weights)
    again = latent.run(toy_mocks, weights=weights)
    assert report == again
    for by_name in report["probes"].values():
        assert set(by_name) == set(latent.PROBED)
        assert by_name["redshift"]["input"]["r2"]["value"] > 0.5
        assert by_name["stellar_mass"]["input"]["r2"]["value"] < 0.3
        assert by_name["stellar_mass"]["state"]["r2"]["value"] < 0.3


def test_the_truth_does_not_change_the_states(toy_mocks, weights, tmp_path):
    # The state is made from fluxes: other true masses at the same fluxes give another probe only.
    path = tmp_path / "other.h5"
    path.write_bytes(toy_mocks.read_bytes())
    with h5py.File(path, "a") as file:
        dataset = file["test/log_stellar_mass"]
        dataset[...] = dataset[...][::-1]
    a, b = (latent.run(p, weights=weights)["probes"]["LSST"] for p in (toy_mocks, path))
    assert a["redshift"] == b["redshift"]
    assert a["stellar_mass"] != b["stellar_mass"]


def test_too_few_galaxies(toy_mocks, weights):
    with pytest.raises(ValueError, match="larger limit"):
        latent.run(toy_mocks, weights=weights, limit=10)


def test_command_errors(toy_mocks, weights, tmp_path, capsys, monkeypatch):
    def fails(*arguments):
        assert main([str(a) for a in ["evaluate", "latent", *arguments]]) == 1
        return capsys.readouterr().err

    assert "there is no file" in fails("--data", tmp_path / "no.h5", "--output", "map.png")
    assert ".png" in fails("--data", toy_mocks, "--output", tmp_path / "map.docx")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    arguments = ["--data", toy_mocks, "--weights", weights, "--output", tmp_path / "map.png"]
    assert "astromosaic[evaluate]" in fails(*arguments, "--limit", "60")
