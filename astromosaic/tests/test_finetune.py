"""Fine-tuning: it learns, it looks at no label, it forgets little, and says where it comes from."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table

import astromosaic
from astromosaic.cli import main
from astromosaic.evaluation.metrics import nmad, redshift_deviation
from astromosaic.inference import Model
from astromosaic.labels import read_labels
from astromosaic.model.transformer import ModelConfig, Transformer
from astromosaic.model.weights import checksum
from astromosaic.properties import PROPERTIES
from astromosaic.training import finetune
from astromosaic.training.finetune import (
    Settings,
    _cramer,
    _fainter,
    _mean_network,
    _smoothed,
)

WAVELENGTH = {"lsst_g": 0.48, "lsst_r": 0.62, "lsst_i": 0.75, "lsst_z": 0.87}
# A small network from nothing learns fast enough for a test only at a high rate.
QUICK = Settings(
    learning_rate=5e-3, steps=40, measurements=2, batch_size=64, bound=np.inf, keep=0.0, runs=1
)


def toy_table(n=400, seed=0, offset=0.0):
    """Power laws whose slope tells the redshift; one band may be off by so many magnitudes."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(0.1, 1.5, n)
    brightness = 10 ** rng.uniform(3, 4, n)
    table = QTable({"objectId": np.arange(n), "z_spec": z})
    for name, wave in WAVELENGTH.items():
        flux = brightness * wave ** (4 * z - 2)
        if name == "lsst_g":
            flux = flux * 10 ** (-0.4 * offset)
        table[name] = flux * rng.normal(1.0, 0.02, n) * u.nJy
        table[f"{name}_err"] = 0.02 * flux * u.nJy
    return table


def scatter(model, table):
    z = model.predict(table, columns={"z_spec": None})["redshift"]
    return nmad(redshift_deviation(z, table["z_spec"]))


def same(a, b):
    """Whether two models have learned the same, and something at all."""
    assert all(run["best_step"] > 0 for m in (a, b) for run in m.card["fine_tuning"]["runs"])
    a, b = a.network.state_dict(), b.network.state_dict()
    return all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def untrained():
    torch.manual_seed(0)
    network = Transformer(ModelConfig(width=32, layers=2, heads=2)).eval()
    card = {"name": "toy", "parameters": 0, "flux_range": [0.5, 14.0]}
    return Model(network, card, checksum(network.state_dict()))


@pytest.fixture(scope="module")
def parent(untrained):
    """A model that knows the toy galaxies."""
    settings = replace(QUICK, learning_rate=2e-2, steps=120)
    return untrained.fine_tune(toy_table(1000), settings=settings)


@pytest.fixture(scope="module")
def shifted(parent):
    return parent.fine_tune(toy_table(400, seed=1, offset=0.5), settings=QUICK)


def test_it_learns_and_the_parent_stays(untrained, parent, shifted):
    fresh = toy_table(500, seed=2, offset=0.5)
    before, after = scatter(parent, fresh), scatter(shifted, fresh)
    z = parent.predict(fresh, columns={"z_spec": None})["redshift"]
    bias = np.median(redshift_deviation(z, fresh["z_spec"]))
    assert after < before + 0.5 * abs(bias)
    new = shifted.predict(fresh, columns={"z_spec": None})["redshift"]
    assert abs(np.median(redshift_deviation(new, fresh["z_spec"]))) < 0.3 * abs(bias)
    assert checksum(untrained.network.state_dict()) == untrained.checksum
    assert checksum(parent.network.state_dict()) == parent.checksum


def test_the_card_states_the_origin(untrained, parent, shifted):
    card = shifted.card["fine_tuning"]
    assert card["parent"] == parent.checksum
    assert card["before"]["parent"] == untrained.checksum
    assert card["labels"] == {"redshift": "z_spec"}
    assert card["galaxies"] + card["held_out"] == 400
    assert card["filters"] == list(WAVELENGTH)
    assert card["held_out_loss"]["after"] < card["held_out_loss"]["before"]
    assert set(card["others"]) == {*PROPERTIES, "flux", "spherex", "spectrum", "sfh", "mah"} - {
        "redshift"
    }
    assert shifted.checksum != parent.checksum


def test_other_answers_stay_within_the_bound(parent):
    settings = Settings(learning_rate=1e-3, steps=48, measurements=4, batch_size=48, bound=0.1)
    table = toy_table(300, seed=3, offset=0.3)
    new = parent.fine_tune(table, settings=settings)
    card = new.card["fine_tuning"]
    assert all(run["best_step"] > 0 for run in card["runs"])
    assert max(x["divergence"] for x in card["others"].values()) < 2 * settings.bound
    # Seen from outside, on other galaxies.
    fresh = toy_table(100, seed=4, offset=0.3)
    queries = ["stellar_mass", "sfr", "lsst_r", "hsc_y"]
    old, now = (m.posterior(fresh, queries, columns={"z_spec": None}) for m in (parent, new))
    for query in queries:
        low, high = old[query].interval()
        moved = (now[query].median() - old[query].median()) / (0.5 * (high - low))
        assert np.median(np.abs(moved)) < 0.3
    # Without what keeps them, they do move.
    free = replace(QUICK, learning_rate=2e-2)
    moved = parent.fine_tune(table, settings=free).card["fine_tuning"]["others"]
    assert max(x["divergence"] for x in moved.values()) > 2 * settings.bound


def test_saved_and_loaded(shifted, tmp_path):
    path, table = tmp_path / "new.safetensors", toy_table(20, seed=5)
    shifted.save(path)
    loaded = astromosaic.load_model(path)
    assert loaded.checksum == shifted.checksum
    assert loaded.card == shifted.card
    a, b = (m.predict(table, ["redshift", "sfr"], samples=3) for m in (shifted, loaded))
    assert all(np.array_equal(a[name], b[name]) for name in a.colnames)
    with pytest.raises(FileExistsError, match="overwrite"):
        shifted.save(path)
    shifted.save(path, overwrite=True)
    with pytest.raises(FileNotFoundError, match="no folder"):
        shifted.save(tmp_path / "nowhere" / "new.safetensors")


def test_labels_are_never_inputs(parent, caplog):
    caplog.set_level("INFO", "astromosaic")
    table = toy_table(160, offset=0.5)
    table["redshift"] = table["z_spec"]
    for labels in ("z_spec", "redshift", {"redshift": "z_spec"}):
        sample = read_labels(table, labels)
        assert sample.galaxies.scalars == {}
        assert np.allclose(np.expm1(sample.truth["redshift"]), table["z_spec"], atol=1e-5)
    assert "taken as known" not in caplog.text
    # Nor by any column's name: that of the labels does not matter.
    quick = replace(QUICK, steps=12, measurements=2)
    table.remove_column("redshift")
    first = parent.fine_tune(table, settings=quick)
    table.rename_column("z_spec", "redshift")
    table["redshift_err"] = 0.001
    assert same(first, parent.fine_tune(table, "redshift", settings=quick))


def test_shuffled_labels_give_nothing(parent):
    table = toy_table(400, seed=6)
    table["redshift"] = np.random.default_rng(0).permutation(table["z_spec"])
    table.remove_column("z_spec")
    new = parent.fine_tune(table, "redshift", settings=QUICK)
    loss = new.card["fine_tuning"]["held_out_loss"]
    prop = PROPERTIES["redshift"]
    bins = np.log(2.5 / 1.1) / (prop.high - prop.low) * prop.bins
    # Uniform in redshift, the labels' own distribution is about the best that can be said.
    assert loss["after"] > np.log(bins) - 0.3
    assert loss["after"] <= loss["before"]


def test_rows_of_no_weight_are_as_if_absent(parent):
    table = toy_table(160, seed=7, offset=0.5)
    weight = np.where(np.arange(160) % 4 == 0, 0.0, 2.0)
    table["weight"] = weight
    quick = replace(QUICK, steps=12, measurements=2)
    by_array = parent.fine_tune(table, row_weights=weight, columns={"weight": None}, settings=quick)
    by_column = parent.fine_tune(table, row_weights="weight", settings=quick)
    absent = parent.fine_tune(table[weight > 0], settings=quick)
    masked = MaskedColumn(np.where(weight > 0, weight, 9.0), mask=weight == 0)
    by_masked = parent.fine_tune(
        table, row_weights=masked, columns={"weight": None}, settings=quick
    )
    assert same(by_array, by_column)
    assert same(by_array, by_masked)
    assert same(by_array, absent)
    assert by_array.card["fine_tuning"]["left_out"] == {"without weight": 40}
    uneven = parent.fine_tune(table, row_weights=weight + np.arange(160), settings=quick)
    assert not same(by_array, uneven)
    assert uneven.card["fine_tuning"]["effective"] < 155


def test_the_same_seed_gives_the_same_model(parent):
    quick, table = replace(QUICK, steps=12, keep=0.1), toy_table(160, seed=8, offset=0.5)
    a, b, c = (parent.fine_tune(table, seed=s, settings=quick) for s in (1, 1, 2))
    assert same(a, b)
    assert not same(a, c)


def test_runs_are_averaged(parent, monkeypatch):
    table, held_out = toy_table(160, seed=8, offset=0.5), []
    networks = []
    monkeypatch.setattr(
        finetune,
        "_mean_network",
        lambda members: networks.extend(members) or _mean_network(members),
    )
    init = finetune._Tuning.__init__

    def noted(self, model, sample, train, test, settings, seed):
        assert sorted([*train, *test]) == list(range(160))
        held_out.append(set(test))
        init(self, model, sample, train, test, settings, seed)

    monkeypatch.setattr(finetune._Tuning, "__init__", noted)
    new = parent.fine_tune(table, settings=replace(QUICK, runs=3, steps=12))
    assert len(networks) == len(held_out) == len(new.card["fine_tuning"]["runs"]) == 3
    assert len(set.union(*held_out)) == sum(map(len, held_out))
    for name, mean in new.network.state_dict().items():
        parts = torch.stack([network.state_dict()[name] for network in networks])
        assert torch.allclose(mean, parts.mean(dim=0))
    assert new.card["fine_tuning"]["averaged"]
    # Where more than a third is held out, the parts overlap, but are not the same.
    held_out.clear()
    parent.fine_tune(table, held_out=0.9, settings=replace(QUICK, runs=3, steps=2))
    assert len(set.intersection(*held_out)) < len(held_out[0]) < len(set.union(*held_out))
    assert not set.intersection(*held_out) or len(set.union(*held_out)) == 160
    # A mean that is worse than its members is not taken.
    worse = copy.deepcopy(parent.network)
    with torch.no_grad():
        worse.scalar_heads.out.bias += torch.randn(len(worse.scalar_heads.out.bias)) * 9
    monkeypatch.setattr(finetune, "_mean_network", lambda members: worse)
    best = parent.fine_tune(table, settings=replace(QUICK, runs=2, steps=12))
    assert not best.card["fine_tuning"]["averaged"]
    assert best.checksum != checksum(worse.state_dict())
    # What is the same in all stays as it is to the last digit.
    same_network = _mean_network([parent.network] * 3)
    assert checksum(same_network.state_dict()) == parent.checksum


def test_rows_that_are_left_out_are_counted():
    table = Table(toy_table(60))
    table["z_spec"] = MaskedColumn(table["z_spec"], mask=np.arange(60) < 5)
    table["z_spec"][5:8] = -9.99
    table["z_spec"][8:10] = 99.0
    for name in WAVELENGTH:
        table[name][7:13] = np.nan
    table["z_spec"][20] = 6.5
    sample = read_labels(table)
    assert sample.left_out == {"without label": 11, "without photometry": 3}
    told = [note for note in sample.reading.notes if "are no labels" in note]
    assert told == ["1 values of 'z_spec' are no labels: redshift goes from 0 to 5.99"]
    assert len(sample.galaxies) == 46
    assert sample.weight.mean() == pytest.approx(1.0)


def test_labels_of_other_properties(parent):
    table = toy_table(60, seed=9)
    table["mass"] = 10 ** np.linspace(9, 11, 60) * u.Msun
    table["mass"][:40] = np.nan
    labels = {"redshift": "z_spec", "stellar_mass": "mass"}
    sample = read_labels(table, labels)
    assert np.isfinite(sample.truth["stellar_mass"]).sum() == 20
    assert len(sample.galaxies) == 60
    grams = table.copy()
    grams["mass"] = table["mass"].to(u.g)
    truth = read_labels(grams, labels).truth["stellar_mass"]
    assert np.allclose(truth, sample.truth["stellar_mass"], equal_nan=True, atol=1e-5)
    new = parent.fine_tune(table, labels, settings=replace(QUICK, steps=2, measurements=1))
    card = new.card["fine_tuning"]
    assert card["labels"] == labels
    assert "stellar_mass" not in card["others"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": "nothing"}, "'nothing'"),
        ({"labels": {"colour": "z_spec"}}, "'colour'"),
        ({"labels": {}}, "empty"),
        ({"labels": {"stellar_mass": "lsst_g"}}, "lsst_g"),
        ({"columns": {"z_spec": "lsst_r"}}, "label of redshift"),
        ({"row_weights": np.ones(3)}, "shape"),
        ({"row_weights": np.full(60, -1.0)}, "negative"),
        ({"row_weights": "nothing"}, "'nothing'"),
        ({"held_out": 1.5}, "held_out"),
        ({"settings": Settings(runs=0)}, "runs"),
        ({"data": toy_table(12)}, "12 galaxies"),
    ],
)
def test_errors_name_what_is_wrong(parent, change, message):
    with pytest.raises(ValueError, match=message):
        parent.fine_tune(**{"data": toy_table(60), **change})


def test_only_tables_have_labels(parent):
    with pytest.raises(TypeError, match="Table"):
        parent.fine_tune([1.0, 2.0])
    table = toy_table(60)
    table["z_spec"] = np.nan
    with pytest.raises(ValueError, match="no label"):
        parent.fine_tune(table)


def test_targets_are_gaussians_around_the_label():
    prop = PROPERTIES["redshift"]
    truth = torch.tensor([0.0012, 0.5, float("nan")])
    target = _smoothed(prop, truth, 2.0)
    assert torch.allclose(target.sum(dim=1), torch.tensor([1.0, 1.0, 0.0]))
    centers = prop.low + (torch.arange(prop.bins) + 0.5) * (prop.high - prop.low) / prop.bins
    width = (prop.high - prop.low) / prop.bins
    assert float(target[1] @ centers) == pytest.approx(0.5, abs=0.01 * width)
    assert float(target[1] @ (centers - 0.5) ** 2) ** 0.5 == pytest.approx(2 * width, rel=0.02)


def test_added_noise_is_stated():
    n = 20_000
    value, error = torch.full((n, 2), 100.0), torch.full((n, 2), 5.0)
    state = torch.tensor([[1, 2]], dtype=torch.int8).expand(n, 2)
    generator = torch.Generator().manual_seed(0)
    noisy, stated, _ = _fainter((value, error, state), 2.0, generator)
    added = (stated[:, 0] ** 2 - 25.0).sqrt()
    some = added > 0.1
    assert 0.4 < some.double().mean() < 0.6
    pull = ((noisy - value)[:, 0] / added)[some]
    assert float(pull.std()) == pytest.approx(1.0, abs=0.05)
    # Limits are left as they are.
    assert torch.equal(noisy[:, 1], value[:, 1])
    assert torch.equal(stated[:, 1], error[:, 1])


def test_command_line(shifted, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("astromosaic.training.finetune.Settings.run_length", lambda self, n: 3)
    table, weights, new = (tmp_path / n for n in ("t.ecsv", "old.safetensors", "new.safetensors"))
    toy_table(40).write(table)
    shifted.save(weights)
    command = ["finetune", str(table), "--weights", str(weights), "--output", str(new)]
    assert main([*command, "--labels", "redshift=z_spec", "--held-out", "0.3"]) == 0
    assert shifted.checksum in capsys.readouterr().out
    assert astromosaic.load_model(new).card["fine_tuning"]["held_out"] == 12
    assert main(command) == 1
    assert "exists already" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["finetune", "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100


def test_uniform_values_have_the_least_distance():
    rng = np.random.default_rng(0)
    uniform, weight = np.linspace(0.0005, 0.9995, 1000), np.ones(1000)
    assert _cramer(uniform, weight) < 0.01
    narrow, biased = 0.5 + 0.6 * (uniform - 0.5), uniform**1.3
    assert min(_cramer(narrow, weight), _cramer(biased, weight)) > 1.0
    # A weight of two is a galaxy that is there twice.
    pit, weight = rng.random(50), rng.integers(1, 4, 50).astype(float)
    repeated = np.repeat(pit, weight.astype(int))
    ratio = _cramer(pit, weight) / _cramer(repeated, np.ones(len(repeated)))
    effective = weight.sum() ** 2 / (weight**2).sum()
    assert ratio == pytest.approx(effective / len(repeated), rel=0.2)
