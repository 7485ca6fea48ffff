"""The command line: what it prints, writes and returns."""

import json
import subprocess
import sys

import pytest
from astropy import units as u
from astropy.table import Table

from astromosaic import __version__
from astromosaic.cli import main
from astromosaic.cli.options import as_options
from astromosaic.io import read_catalog

COMMANDS = [
    ["predict"],
    ["inspect"],
    ["plot"],
    ["info"],
    ["evaluate"],
    ["evaluate", "photoz"],
    ["evaluate", "simulated"],
    ["evaluate", "paper"],
    ["evaluate", "latent"],
    ["simulate"],
    ["diagnose"],
    ["train"],
    ["finetune"],
]


@pytest.fixture
def catalog(tmp_path):
    path = tmp_path / "catalog.ecsv"
    table = Table({"id": [1, 2, 3], "sdss_g": [19.0, 20.0, 18.5], "sdss_r": [18.1, 19.5, 18.0]})
    table["sdss_g"].unit = table["sdss_r"].unit = "mag(AB)"
    table.write(path)
    return path


@pytest.mark.parametrize("command", [[], *COMMANDS], ids=" ".join)
def test_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "usage: astromosaic" in text
    assert max(map(len, text.splitlines())) <= 100


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["predict"],
        ["predict", "in.fits", "--query", "redshift,", "--output", "out.fits"],
        ["predict", "in.fits", "--query", "redshift", "--output", "o.fits", "--columns", "a"],
        ["predict", "in.fits", "--query", "redshift", "--output", "o.fits", "--samples", "-3"],
        ["inspect", "in.fits", "--lookback-time", "0,1,3"],
        ["inspect", "in.fits", "--lookback-time", "0,1,3kpc"],
        ["inspect", "in.fits", "--lookback-time", "0,one,3Gyr"],
        ["train", "--output", "weights.safetensors"],
    ],
)
def test_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage:" in capsys.readouterr().err


def fails(capsys, *arguments):
    """Run what must fail with one sentence, and return the sentence."""
    assert main([str(a) for a in arguments]) == 1
    out, err = capsys.readouterr()
    lines = err.strip().splitlines()
    assert out == ""
    assert lines[-1].startswith("astromosaic: error: ")
    assert "Traceback" not in err
    return lines[-1]


def test_missing_input(tmp_path, capsys):
    message = fails(
        capsys,
        "predict",
        tmp_path / "no.fits",
        "--query",
        "redshift",
        "--output",
        tmp_path / "o.fits",
    )
    assert "there is no file" in message


def test_existing_output_is_found_before_any_work(catalog, capsys):
    message = fails(capsys, "predict", catalog, "--query", "redshift", "--output", catalog)
    assert "--overwrite" in message


def test_debug_shows_where_an_error_comes_from(tmp_path):
    arguments = ["--query", "redshift", "--output", str(tmp_path / "o.fits"), "--debug"]
    with pytest.raises(FileNotFoundError):
        main(["predict", str(tmp_path / "no.fits"), *arguments])


def test_interrupt(monkeypatch, capsys):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("astromosaic.load_model", interrupt)
    assert main(["info"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_reader_of_the_output_may_go():
    code = "from astromosaic.cli import main; raise SystemExit(main(['info']))"
    command = [sys.executable, "-u", "-c", code]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()  # as 'head' does
    assert process.stderr.read() == ""
    assert process.wait() == 0


def test_help_does_not_load_torch():
    code = (
        "import sys; from astromosaic.cli import main\n"
        "try: main(['predict', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'astropy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights that have learned nothing: enough to go through all the motions."""
    import torch

    from astromosaic.model.transformer import ModelConfig, Transformer
    from astromosaic.model.weights import save_weights

    torch.manual_seed(0)
    network = Transformer(ModelConfig())
    card = {
        "name": "untrained",
        "parameters": sum(p.numel() for p in network.parameters()),
        "flux_range": [0.0, 15.0],
        "training": {"steps": 0, "mocks": [{"seed": 1}, {"seed": 2}]},
    }
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    save_weights(path, network, card)
    return path


@pytest.mark.parametrize("ending", [".fits", ".ecsv", ".vot", ".h5", ".parquet"])
def test_predict(catalog, weights, tmp_path, ending, capsys):
    output = tmp_path / f"out{ending}"
    arguments = ["--query", "redshift,stellar_mass,mag_hsc_y", "--samples", "2"]
    arguments += ["--weights", str(weights), "--output", str(output)]
    assert main(["predict", str(catalog), *arguments]) == 0
    out, err = capsys.readouterr()
    assert "3 galaxies" in out
    assert "filter curves: sdss_g, sdss_r" in out
    assert f"written to {output}" in out
    assert len(out.splitlines()) < 30
    assert "galaxy" in err  # the progress bar
    result = read_catalog(output)
    assert result["id"].tolist() == [1, 2, 3]
    assert result["stellar_mass_hi"].unit == "solMass"
    assert result["mag_hsc_y"].unit == u.ABmag
    assert result["redshift_samples"].shape == (3, 2)
    assert "flag" in result.colnames


def test_predict_says_what_is_flagged(catalog, weights, tmp_path, capsys):
    table = Table.read(catalog)
    table["sdss_g"][1] = table["sdss_r"][1] = float("nan")
    table.write(catalog, overwrite=True)
    arguments = ["--query", "redshift", "--weights", str(weights)]
    assert main(["predict", str(catalog), *arguments, "--output", str(tmp_path / "o.fits")]) == 0
    assert "1 with flag 1 (" in capsys.readouterr().out
    assert read_catalog(tmp_path / "o.fits")["redshift"].mask.tolist() == [False, True, False]


def test_columns(tmp_path, weights, capsys):
    path = tmp_path / "catalog.ecsv"
    table = Table({"a": [19.0], "b": [18.1], "old": [0.3]})
    table["a"].unit = table["b"].unit = "mag(AB)"
    table.write(path)
    arguments = ["--query", "redshift", "--weights", weights, "--output", tmp_path / "o.ecsv"]
    assert "--columns 'a=lsst_r'" in fails(capsys, "predict", path, *arguments)
    arguments += ["--columns", "a=sdss_g, b=sdss_r, old=none"]
    assert main([str(a) for a in ["predict", path, *arguments]]) == 0
    assert "filter curves: sdss_g, sdss_r" in capsys.readouterr().out


def test_remedies_are_those_of_the_command_line():
    assert as_options("no unit; give it one, e.g. table['u'].unit = 'nJy' (flux)") == (
        "no unit; write one into the file, or tell it behind what the column holds, as in "
        "--columns 'flux=lsst_r[nJy]'; e.g. 'nJy' (flux)"
    )
    # Lines may be broken already.
    assert as_options("(columns={'lsst_u':\n None})") == "(--columns 'lsst_u=none')"
    assert as_options("columns={'a': 'lsst_r'}") == "--columns 'a=lsst_r'"


def test_several_queries(tmp_path, weights, capsys):
    path, output = tmp_path / "catalog.ecsv", tmp_path / "o.ecsv"
    Table({"sdss_g": [19.0], "sdss_r": [18.1]}, units=["mag(AB)"] * 2).write(path)
    command = ["predict", path, "--weights", weights, "--output", output, "--query", "redshift"]
    assert main([str(a) for a in [*command, "--query", "sfr,dust_av"]]) == 0
    assert {"redshift", "sfr", "dust_av"} <= set(read_catalog(output).colnames)
    capsys.readouterr()
    # What was predicted is no truth to measure with.
    assert "true redshifts" in fails(capsys, "evaluate", "photoz", "--data", output)
    assert "no HDF5 file" in fails(capsys, "evaluate", "simulated", "--data", path)


def test_times_of_histories(tmp_path, weights, capsys):
    path = tmp_path / "catalog.fits"
    Table({"redshift": [0.1], "sfh": [[1.0, 2.0, 3.0]] * u.solMass / u.yr}).write(path)
    assert main(["inspect", str(path), "--lookback-time", "0, 100, 1e3, 3000 Myr"]) == 0
    assert "no times" not in capsys.readouterr().out
    assert main(["inspect", str(path)]) == 1
    assert "no times" in capsys.readouterr().out
    output = tmp_path / "o.ecsv"
    arguments = ["predict", path, "--query", "stellar_mass", "--weights", weights]
    arguments += ["--output", output, "--overwrite"]
    assert "no times" in fails(capsys, *arguments)
    answers = []
    for times in ("0,0.1,1,3Gyr", "0,100,1000,3000Myr", "0,1,2,13Gyr"):
        assert main([str(a) for a in [*arguments, "--lookback-time", times]]) == 0
        capsys.readouterr()
        answers.append(read_catalog(output)["stellar_mass"].value[0])
    assert answers[0] == pytest.approx(answers[1], rel=1e-4)
    assert answers[0] != answers[2]
    assert "4 edges" in fails(capsys, *arguments, "--lookback-time", "0,1Gyr")


@pytest.mark.parametrize(
    ("content", "query", "expected"),
    [
        ("id,lsst_r\n1,20.1\n", "redshift", "column 'lsst_r' has no unit"),
        ("id,name\n1,x\n", "redshift", "no photometry"),
        ("id,lsst_r\n", "redshift", "no rows"),
        ("id,redshift\n1,0.3\n", "redshfit", "unknown query 'redshfit'"),
        ("id,redshift\n1,0.3\n", "mag_lsst_q", "unknown filter 'lsst_q'"),
    ],
)
def test_predict_errors(tmp_path, weights, capsys, content, query, expected):
    path = tmp_path / "catalog.csv"
    path.write_text(content)
    arguments = ["--query", query, "--weights", weights, "--output", tmp_path / "o.fits"]
    assert expected in fails(capsys, "predict", path, *arguments)


def test_info(weights, capsys):
    assert main(["info", "--weights", str(weights)]) == 0
    text = capsys.readouterr().out
    assert "name: untrained" in text
    assert "mocks 2:" in text
    assert "checksum: " in text


def test_weights_that_are_none(catalog, capsys):
    assert "weights" in fails(capsys, "info", "--weights", catalog)


def test_evaluate_photoz(tmp_path, weights, capsys):
    path = tmp_path / "spectroscopic.ecsv"
    table = Table({"sdss_g": [19.0, 20.0], "sdss_r": [18.1, 19.5], "z_spec": [0.1, 0.2]})
    table["sdss_g"].unit = table["sdss_r"].unit = "mag(AB)"
    table.write(path)
    arguments = ["--weights", str(weights), "--json", str(tmp_path / "figures.json")]
    assert main(["evaluate", "photoz", "--data", str(path), *arguments]) == 0
    assert "NMAD" in capsys.readouterr().out
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert set(figures["median"]["nmad"]) == {"value", "error"}


@pytest.mark.parametrize(
    "command",
    [
        ["train", "{}", "--output", "w.safetensors"],
        ["diagnose", "{}", "--output", "m.png"],
        ["evaluate", "simulated", "--data", "{}"],
        ["evaluate", "photoz", "--data", "{}"],
    ],
    ids=lambda c: " ".join(c[:2]),
)
def test_missing_data(command, tmp_path, capsys):
    message = fails(capsys, *(part.format(tmp_path / "none.h5") for part in command))
    assert "there is no file" in message


def test_a_missing_package_is_named_with_its_extra(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    (tmp_path / "mocks.h5").touch()

    def plot(*args):
        import matplotlib  # noqa: F401

    module = type(sys)("astromosaic.simulation.diagnostics")
    module.plot_diagnostics = plot
    monkeypatch.setitem(sys.modules, module.__name__, module)
    message = fails(capsys, "diagnose", tmp_path / "mocks.h5", "--output", tmp_path / "m.png")
    assert "astromosaic[plot]" in message
