"""The command line: what it prints, writes and returns."""

import subprocess
import sys

import pytest
from astropy.table import Table

from astromosaic import __version__
from astromosaic.cli import main

COMMANDS = [
    ["predict"],
    ["info"],
    ["evaluate"],
    ["evaluate", "photoz"],
    ["evaluate", "simulated"],
    ["simulate"],
    ["diagnose"],
    ["train"],
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
        ["train", "mocks.h5", "--output", "w", "--minutes", "1", "--steps", "1"],
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


def test_help_does_not_load_torch():
    code = (
        "import sys; from astromosaic.cli import main\n"
        "try: main(['predict', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'astropy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
