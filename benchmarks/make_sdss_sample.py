"""Make the bundled table of SDSS galaxies from the sample that comes with MLZ 1.2.

``pip download --no-deps MLZ==1.2`` fetches the source distribution; the sample is its
``mlz/test/SDSS_MGS.test``::

    python benchmarks/make_sdss_sample.py SDSS_MGS.test astromosaic/data/sdss_mgs.ecsv
    python benchmarks/make_sdss_sample.py SDSS_MGS.test sdss_mgs_test.ecsv --every 1 --rows 5000
"""

import argparse

from astropy.table import Table

META = {
    "description": "Galaxies of the SDSS Main Galaxy Sample with spectroscopic redshifts.",
    "photometry": "SDSS model magnitudes (asinh), corrected for Galactic extinction.",
    "source": "SDSS_MGS.test of MLZ 1.2 (Carrasco Kind & Brunner 2013, MNRAS 432, 1483), "
    "University of Illinois/NCSA Open Source License, copyright 2013-2014 University of Illinois.",
    "credit": "Funding for the SDSS and SDSS-II has been provided by the Alfred P. Sloan "
    "Foundation, the Participating Institutions, the National Science Foundation, the U.S. "
    "Department of Energy, the National Aeronautics and Space Administration, the Japanese "
    "Monbukagakusho, the Max Planck Society, and the Higher Education Funding Council for "
    "England. The SDSS Web Site is http://www.sdss.org/.",
}


def make_sample(path, every, rows):
    """Every so many-th row of MLZ's file, in the column names of SDSS.

    Parameters
    ----------
    path : str
        MLZ's file: its header names ``zs``, magnitudes ``u`` to ``z`` and errors ``eu`` to ``ez``.
    every : int
        Take one row out of so many, beginning with the first.
    rows : int
        At most so many rows.

    Returns
    -------
    Table
    """
    mlz = Table.read(path, format="ascii.commented_header")[::every][:rows]
    table = Table(meta=META)
    table["id"] = range(1, len(mlz) * every + 1, every)
    table["id"].description = "Row in the source file"
    for band in "ugriz":
        table[f"dered_{band}"] = mlz[band]
        table[f"dered_{band}"].description = "Model magnitude, corrected for Galactic extinction"
    for band in "ugriz":
        table[f"modelMagErr_{band}"] = mlz[f"e{band}"]
        table[f"modelMagErr_{band}"].description = "One-sigma error of the model magnitude"
    for name in table.colnames[1:]:
        table[name].unit = "mag"
    table["z_spec"] = mlz["zs"]
    table["z_spec"].description = "Spectroscopic redshift"
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mlz_file", help="SDSS_MGS.test")
    parser.add_argument("output", help="ECSV file to write")
    parser.add_argument(
        "--every", type=int, default=12, help="take one row of so many (%(default)s)"
    )
    parser.add_argument("--rows", type=int, default=400, help="at most so many rows (%(default)s)")
    args = parser.parse_args()
    make_sample(args.mlz_file, args.every, args.rows).write(args.output, overwrite=True)
