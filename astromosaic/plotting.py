"""One galaxy in a figure: what was given, and what is predicted with its uncertainty.

Black is given, blue is predicted (dark and light bands are the central 68 and 95%), vermilion is
the truth where it is known: colours of Okabe & Ito, told apart with any colour vision.
"""

from pathlib import Path

import numpy as np

from .cosmology import age_gyr
from .galaxies import LIMIT, MEASURED, MISSING
from .properties import (
    LOOKBACK_EDGES,
    LOOKBACK_MIDDLES,
    PROPERTIES,
    SPECTRUM_EDGES,
    SPECTRUM_WAVELENGTH,
    VECTORS,
)

__all__ = ["check_figure", "plot_galaxy"]

GIVEN, PREDICTED, TRUE = "#1a1a1a", "#0072b2", "#d55e00"
_FAINT = "#595959"
_BANDS = ((0.95, 0.18), (0.68, 0.35))  # level and opacity, the wider first

#: Filters whose predicted fluxes are drawn where no photometry is given.
DEFAULT_FILTERS = tuple(f"lsst_{b}" for b in "ugrizy")

_SUN = r"\mathrm{M}_\odot"
_LABELS = {
    "redshift": ("redshift", "z"),
    "stellar_mass": (rf"$\log_{{10}}\, M_\star / {_SUN}$", r"\log M_\star"),
    "halo_mass": (rf"$\log_{{10}}\, M_\mathrm{{h}} / {_SUN}$", r"\log M_\mathrm{h}"),
    "sfr": (rf"$\log_{{10}}\,$SFR$ / ({_SUN}\,\mathrm{{yr}}^{{-1}})$", r"\log\mathrm{SFR}"),
    "metallicity": (r"$\log_{10}\, Z / \mathrm{Z}_\odot$", r"\log Z"),
    "dust_av": (r"$A_V$ [mag]", r"A_V"),
    "sfh": (rf"SFR [${_SUN}\,\mathrm{{yr}}^{{-1}}$]", None),
    "mah": (rf"halo mass [${_SUN}$]", None),
}
_STYLE = {
    "font.size": 8.0, "axes.labelsize": 8.0, "axes.titlesize": 8.0, "legend.fontsize": 7.0,
    "xtick.labelsize": 7.0, "ytick.labelsize": 7.0, "mathtext.fontset": "dejavusans",
    "xtick.direction": "in", "ytick.direction": "in", "axes.linewidth": 0.7,
    "xtick.top": True, "figure.dpi": 200, "savefig.dpi": 200,
}  # fmt: skip
# Bins of a posterior are taken together until its 95% interval has no more than so many.
_MOST_BINS = 25
# A history on a logarithmic axis needs a beginning of its first bin, which is zero.
_EARLIEST = 0.004
# Noisy channels and pixels are drawn as means of so many; 17 channels are one band of SPHEREx.
_MEANS = {"spherex": 17, "spectrum": 9}
_NOISY = 2.0


def plot_galaxy(
    data, row=0, model=None, columns=None, spectrum=None, lookback_time=None, truth=None, title=None
):  # fmt: skip
    r"""Draw one galaxy: what is given, and what the model predicts from it.

    The upper panel has the given photometry at the effective wavelengths of its filters
    (horizontal bars: their widths :math:`\int T d\lambda / \max T`), limits as arrows, SPHEREx, the
    given spectrum, and the predicted noiseless spectrum and fluxes in the given filters (in LSST's,
    if there is no photometry). Below are the posteriors of the redshift, the star formation and
    mass accretion histories, and the other scalars. Where the median signal to noise is below 2, a
    band of SPHEREx is drawn as the weighted mean of its 17 channels (with a horizontal bar as wide
    as the band), and a spectrum as means of 9 pixels.

    Parameters
    ----------
    data : Table, QTable or specutils.Spectrum
        As `astromosaic.predict` takes it.
    row : int
        Which galaxy, from zero.
    model : `astromosaic.inference.Model`, optional
        The bundled model without it.
    columns, spectrum, lookback_time : optional
        As `astromosaic.predict` takes them.
    truth : dict, optional
        True values to draw, by name of the property (``redshift``, ``stellar_mass``, ...) or
        vector (``spectrum``, ``sfh``, ``mah``): Quantities, or numbers in the property's unit;
        vectors on the grids of `astromosaic.properties`.
    title : str, optional
        By default the columns that identify the galaxy and its row.

    Returns
    -------
    matplotlib.figure.Figure
        7.1 inches wide, the text width of a two-column journal.

    Raises
    ------
    ValueError
        If there is no such row, nothing is known of that galaxy, or ``truth`` names what cannot be
        drawn; whatever `astromosaic.predict` raises for the input.

    Notes
    -----
    The flux axis is logarithmic if all fluxes drawn are positive, and otherwise an arcsinh, linear
    within the noise. Bins of histories before the Big Bang, at the median redshift, are grey.
    """
    from .catalog import read_input

    truth = _checked_truth(truth)
    galaxies, reading = read_input(data, columns, spectrum, lookback_time)
    if not 0 <= row < len(galaxies):
        raise ValueError(f"there is no row {row}: the input has rows 0 to {len(galaxies) - 1}")
    galaxy = galaxies[row : row + 1]
    if not galaxy.known()[0]:
        raise ValueError(
            f"nothing is known of the galaxy in row {row}, so there is nothing to predict: all its "
            "values are missing or masked; choose another row"
        )
    if model is None:
        from . import load_model

        model = load_model()
    state = galaxy.photometry.state[0]
    given = [f for f, s in zip(galaxy.filters, state, strict=True) if s != MISSING]
    filters = given or list(DEFAULT_FILTERS)
    queries = [*PROPERTIES, "spectrum", "sfh", "mah", *filters]
    posteriors = model.posterior_of(galaxy, queries)
    if title is None:
        title = _title(data, reading, row, len(galaxies))
    return _figure(galaxy, posteriors, filters, truth, title, int(model.flags(galaxy)[0]))


def check_figure(path):
    """Raise unless a figure can be written to a path: ValueError for its ending, or
    FileNotFoundError if its folder is not there. Meant to be called before a long computation."""
    from matplotlib.backend_bases import FigureCanvasBase

    path = Path(path)
    endings = sorted(FigureCanvasBase.get_supported_filetypes())
    if path.suffix[1:].lower() not in endings:
        raise ValueError(
            f"{path}: figures are written to files ending in {', '.join(f'.{e}' for e in endings)}"
        )
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.absolute().parent}")


def _checked_truth(truth):
    """True values as plain arrays: scalars in internal coordinates, vectors in their units."""
    from astropy import units as u

    values = {}
    for name, value in (truth or {}).items():
        known = {**PROPERTIES, **VECTORS}
        if name not in known or name == "spherex":
            drawn = ", ".join(n for n in known if n != "spherex")
            raise ValueError(f"truth names {name!r}, which is not drawn; there are {drawn}")
        if isinstance(value, u.Quantity):
            value = value.to_value(u.Unit(known[name].unit))
        value = np.asarray(value, float)
        shape = (VECTORS[name].length,) if name in VECTORS else ()
        if value.shape != shape:
            raise ValueError(f"truth of {name!r} has shape {value.shape}, expected {shape}")
        values[name] = value if name in VECTORS else PROPERTIES[name].to_internal(value)
    return values


def _title(data, reading, row, n):
    """What identifies the galaxy."""
    plain = [
        c
        for c in reading.id_columns
        if getattr(getattr(reading.ids[c], "dtype", None), "kind", "none") in ("i", "u", "S", "U")
    ]
    parts = [f"{c} {reading.ids[c][row]}" for c in plain[:2]]
    return ", ".join([*parts, f"row {row}"] if n > 1 or not parts else parts)


def _figure(galaxy, posteriors, filters, truth, title, flag):
    from matplotlib import pyplot as plt

    from .results import FLAGS

    with plt.rc_context(_STYLE):
        figure = plt.figure(figsize=(7.1, 6.3), layout="constrained")
        figure.get_layout_engine().set(h_pad=0.02, w_pad=0.05, hspace=0.0, wspace=0.02)
        rows = figure.subfigures(3, 1, height_ratios=[3.0, 2.1, 1.25], hspace=0.0)
        handles = {}
        axis = rows[0].subplots()
        _draw_light(axis, galaxy, posteriors, filters, truth, handles)
        left, middle, right = rows[1].subplots(1, 3)
        _draw_scalar(left, "redshift", galaxy, posteriors, truth, handles)
        age = _age(posteriors["redshift"])
        _draw_history(middle, "sfh", galaxy, posteriors, truth, age, handles)
        _draw_history(right, "mah", galaxy, posteriors, truth, age, handles)
        others = [name for name in PROPERTIES if name != "redshift"]
        for small, name in zip(rows[2].subplots(1, len(others)), others, strict=True):
            _draw_scalar(small, name, galaxy, posteriors, truth, handles)
        if "true" in handles:
            handles["true"] = handles.pop("true")
        n = len(handles)
        axis.legend(
            handles.values(), handles.keys(), loc="lower left", bbox_to_anchor=(0, 1.0),
            ncols=n if n <= 4 else -(-n // 2), frameon=False, borderaxespad=0.2,
            columnspacing=1.4, handlelength=1.6,
        )  # fmt: skip
        said = [meaning for bit, meaning in FLAGS.items() if flag & bit]
        figure.suptitle(
            title + "".join(f"\nflagged: {meaning}" for meaning in said),
            x=0.01, ha="left", fontsize=8.5,
        )  # fmt: skip
    return figure


def _draw_light(axis, galaxy, posteriors, filters, truth, handles):
    """The upper panel: fluxes and spectra against wavelength."""
    predicted = posteriors["spectrum"]
    median = _value(predicted.median())[0]
    bands = [[_value(end)[0] for end in predicted.interval(level)] for level, _ in _BANDS]
    wavelength, half_width = _places(filters)
    photometry = np.array([[_value(posteriors[f].median())[0],
                            *(_value(end)[0] for end in posteriors[f].interval())]
                           for f in filters])  # fmt: skip
    # Of the filters that are drawn, all are given or none.
    columns = [i for i, s in enumerate(galaxy.photometry.state[0]) if s != MISSING]
    value, error, state = (
        getattr(galaxy.photometry, part)[0, columns].astype(float)
        for part in ("value", "error", "state")
    )
    vectors = {
        name: _drawable(name, galaxy.vectors[name])
        for name in ("spectrum", "spherex")
        if name in galaxy.vectors and np.any(galaxy.vectors[name].state != MISSING)
    }

    # What must be in view, and what decides on the scale of the axis.
    # Not every pixel: beyond the Lyman limit there is next to no light, on lines there is much.
    low, high = np.percentile(bands[1][0], 10), np.percentile(bands[1][1], 98)
    in_view = np.concatenate([value, photometry[:, [0, 2]].ravel(), [low, high, median.max()]])
    measured = [(value[state == MEASURED], error[state == MEASURED])]
    for *_, y, e, _ in vectors.values():
        in_view = np.concatenate([in_view, y[np.isfinite(y) & ~(y < _NOISY * e)]])
        measured.append((y, e))
    unit, factor = _flux_unit(in_view)
    _set_flux_scale(axis, in_view / factor, [(y / factor, e / factor) for y, e in measured])
    ends = [wavelength - half_width, wavelength + half_width]
    axis.set_xscale("log")
    axis.set_xlim(min(SPECTRUM_EDGES[0], *ends[0]) * 0.94, max(SPECTRUM_EDGES[-1], *ends[1]) * 1.06)
    _label_wavelengths(axis)
    axis.set_ylabel(rf"$f_\nu$ [{unit}]")

    areas = [
        axis.fill_between(
            SPECTRUM_WAVELENGTH, low / factor, high / factor, color=PREDICTED, alpha=opacity, lw=0
        )
        for (low, high), (_, opacity) in zip(bands, _BANDS, strict=True)
    ]
    (line,) = axis.plot(SPECTRUM_WAVELENGTH, median / factor, color=PREDICTED, lw=0.9, zorder=3)
    handles["predicted: median, 68%, 95%"] = (*areas, line)
    if "spectrum" in truth:
        handles["true"] = axis.plot(
            SPECTRUM_WAVELENGTH, truth["spectrum"] / factor, color=TRUE, lw=0.6, ls="--", zorder=3.5
        )[0]
    if "spectrum" in vectors:
        x, _, y, e, label = vectors["spectrum"]
        handles[label] = axis.plot(x, y / factor, color=_FAINT, lw=0.5, zorder=2.5)[0]
        axis.fill_between(x, (y - e) / factor, (y + e) / factor, color=_FAINT, alpha=0.2, lw=0)
    if "spherex" in vectors:
        x, half, y, e, label = vectors["spherex"]
        handles[label] = axis.errorbar(
            x, y / factor, _bars(e) / factor, half, fmt="o", ms=2.2, mfc="white", mew=0.6,
            color=_FAINT, elinewidth=0.4, alpha=0.8, zorder=3.2,
        )  # fmt: skip
    low_high = np.abs(photometry[:, 1:].T - photometry[:, 0])
    handles["predicted photometry"] = axis.errorbar(
        wavelength, photometry[:, 0] / factor, low_high / factor, fmt="s", ms=6, mfc="white",
        mew=1.0, color=PREDICTED, elinewidth=0.8, zorder=4,
    )  # fmt: skip
    if columns:
        _draw_photometry(axis, wavelength, half_width, value, error, state, factor, handles)
    _magnitude_axis(axis, factor)


def _draw_photometry(axis, wavelength, half_width, value, error, state, factor, handles):
    """Given fluxes with their errors, and limits as arrows."""
    measured, limit = state == MEASURED, state == LIMIT
    style = {"color": GIVEN, "zorder": 5, "elinewidth": 0.9}
    if measured.any():
        handles["given photometry"] = axis.errorbar(
            wavelength[measured], value[measured] / factor, _bars(error[measured]) / factor,
            half_width[measured], fmt="o", ms=3.6, **style,
        )  # fmt: skip
    if limit.any():
        axis.errorbar(
            wavelength[limit], value[limit] / factor, xerr=half_width[limit], fmt="none", **style
        )
        for x, y in zip(wavelength[limit], value[limit] / factor, strict=True):
            axis.annotate(
                "", (x, y), (0, -14), textcoords="offset points", zorder=5,
                arrowprops={"arrowstyle": "<|-", "color": GIVEN, "lw": 0.9, "shrinkA": 0,
                            "shrinkB": 0, "mutation_scale": 7},
            )  # fmt: skip
        (handles["given upper limits"],) = axis.plot(
            [], [], ls="", marker=r"$\downarrow$", ms=7, mew=0.3, color=GIVEN
        )


def _draw_scalar(axis, name, galaxy, posteriors, truth, handles):
    """The posterior of a scalar, with what is given or true of it."""
    posterior, prop = posteriors[name], PROPERTIES[name]
    redshift = name == "redshift"
    convert = prop.to_physical if redshift else np.asarray
    edges, probability = _merged(posterior)
    edges = convert(edges)
    density = probability / np.diff(edges)
    quantiles = posterior.quantile([5e-3, 0.16, 0.5, 0.84, 0.995])
    first, low, middle, high, last = (
        _value(quantiles)[0] if redshift else prop.to_internal(_value(quantiles)[0])
    )
    marks = {}
    if name in galaxy.scalars and galaxy.scalars[name].state[0] != MISSING:
        marks["given"] = float(galaxy.scalars[name].value[0])
    if name in truth:
        marks["true"] = float(truth[name])
    marks = {key: float(convert(value)) for key, value in marks.items()}
    ends = [first, last, *marks.values()]
    pad = max(0.06 * (max(ends) - min(ends)), 2 * (edges[1] - edges[0]))
    left, right = max(min(ends) - pad, edges[0]), min(max(ends) + pad, edges[-1])
    shown = np.flatnonzero((edges[:-1] < right) & (edges[1:] > left))
    density, edges = density[shown], edges[shown[0] : shown[-1] + 2]
    axis.stairs(density, edges, fill=True, color=PREDICTED, alpha=0.18)
    inside = (edges[:-1] < high) & (edges[1:] > low)
    clipped = np.clip(edges[np.append(inside, False) | np.append(False, inside)], low, high)
    axis.stairs(density[inside], clipped, fill=True, color=PREDICTED, alpha=0.35)
    axis.stairs(density, edges, color=PREDICTED, lw=0.9)
    axis.axvline(middle, color=PREDICTED, lw=0.8)
    if "given" in marks:
        error = float(galaxy.scalars[name].error[0])
        handles["given value"] = axis.axvline(marks["given"], color=GIVEN, lw=1.0, zorder=4)
        if np.isfinite(error):
            x = galaxy.scalars[name].value[0] + error * np.array([-1.0, 1.0])
            axis.axvspan(*convert(x), color=GIVEN, alpha=0.12, lw=0)
    if "true" in marks:
        handles["true"] = axis.axvline(marks["true"], color=TRUE, lw=1.0, ls="--", zorder=5)
    axis.set_xlim(left, right)
    axis.set_ylim(0, 1.06 * density.max())
    axis.yaxis.set_ticks([])
    axis.set_xlabel(_LABELS[name][0])
    axis.xaxis.set_major_locator(_few_ticks(5 if redshift else 3))
    number = _with_errors(middle, low, high, most=4 if redshift else 2)
    axis.set_title(f"${_LABELS[name][1]} = {number}$", pad=4)
    if redshift:
        axis.set_ylabel("$p(z)$")


def _merged(posterior):
    """Edges and probabilities of bins as wide as a figure can show; edges are internal."""
    edges, probability = posterior.edges[0], posterior.probability[0]
    low, high = (np.searchsorted(np.cumsum(probability), p) for p in (0.025, 0.975))
    first = np.arange(0, len(probability), -(-(high - low + 1) // _MOST_BINS))
    return edges[np.append(first, -1)], np.add.reduceat(probability, first)


def _draw_history(axis, name, galaxy, posteriors, truth, age, handles):
    """A history against lookback time, logarithmic in both."""
    posterior = posteriors[name]
    edges = np.concatenate([[_EARLIEST], LOOKBACK_EDGES[1:]])
    there = edges[:-1] < age
    ends = np.append(edges[:-1][there], min(age, edges[-1]))
    # A rate is a mean over its bin, a mass is that at one time.
    x = ends if name == "sfh" else LOOKBACK_MIDDLES[there & (LOOKBACK_MIDDLES < age)]
    n = np.count_nonzero(there) if name == "sfh" else len(x)

    def values(quantity):
        y = np.maximum(_value(quantity)[0, :n], 1e-12)
        return np.append(y, y[-1]) if name == "sfh" else y

    step = {"step": "post"} if name == "sfh" else {}
    median = values(posterior.median())
    for level, opacity in _BANDS:
        low, high = (values(end) for end in posterior.interval(level))
        axis.fill_between(x, low, high, color=PREDICTED, alpha=opacity, lw=0, **step)
    draw = {"drawstyle": "steps-post"} if name == "sfh" else {}
    axis.plot(x, median, color=PREDICTED, lw=1.0, zorder=3, **draw)
    in_view = [median, low, high]
    if name in truth:
        y = truth[name][:n]
        y = np.append(y, y[-1]) if name == "sfh" else y
        handles["true"] = axis.plot(x, y, color=TRUE, lw=1.0, ls="--", zorder=5, **draw)[0]
        in_view.append(y[np.isfinite(y)])
    given = galaxy.vectors.get(name)
    known = given is not None and (given.state[0] != MISSING) & (LOOKBACK_MIDDLES < age)
    if np.any(known):
        y = given.value[0, known]
        handles["given history"] = axis.errorbar(
            LOOKBACK_MIDDLES[known], y, _bars(given.error[0, known]), fmt="x", ms=3.6, mew=0.9,
            color=GIVEN, elinewidth=0.7, zorder=4,
        )  # fmt: skip
        in_view.append(y)
    in_view = np.concatenate(in_view)
    top = in_view.max()
    dex = 4.0 if name == "sfh" else 3.5
    bottom = max(in_view[in_view > 0].min(initial=top), top * 10**-dex, VECTORS[name].scale)
    axis.set(xscale="log", yscale="log", xlim=(_EARLIEST, 13.8))
    axis.set_ylim(min(bottom, top / 10) / 1.6, 1.8 * top)
    if age < 13.8:
        axis.axvspan(age, 13.8, color="0.9", lw=0, zorder=0)
        if age < 7.0:
            axis.text(
                np.sqrt(age * 13.8), 0.04, "before the Big Bang", rotation=90, ha="center",
                va="bottom", fontsize=6, color="0.35", transform=axis.get_xaxis_transform(),
            )  # fmt: skip
    axis.set_xticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])
    axis.tick_params(which="both", right=True)
    axis.set(xlabel="lookback time [Gyr]", ylabel=_LABELS[name][0])


def _age(posterior):
    """Age of the universe in Gyr at the median redshift."""
    return float(age_gyr(posterior.median()[0]))


def _places(filters):
    """Effective wavelengths and half widths of filters, in micron."""
    from .filters import load_filter

    curves = [load_filter(f) for f in filters]
    return (
        np.array([f.effective_wavelength.to_value("um") for f in curves]),
        np.array([f.width.to_value("um") / 2 for f in curves]),
    )


def _drawable(name, measurement):
    """A vector as it is drawn: wavelengths, half widths of means, values, errors and label.

    Elements are taken together in groups: all of a spectrum, the bands of SPHEREx. Groups with a
    low signal to noise are drawn as inverse variance weighted means.
    """
    if name == "spectrum":
        wavelength, label, group = SPECTRUM_WAVELENGTH, "given spectrum", len(SPECTRUM_WAVELENGTH)
    else:
        from .filters import vector_wavelength

        wavelength, label, group = vector_wavelength(name), "SPHEREx", _MEANS[name]
    known = measurement.state[0] != MISSING
    value, error = (
        np.where(known, x[0], np.nan).astype(float) for x in (measurement.value, measurement.error)
    )
    pieces = []
    for start in range(0, len(value), group):
        part = slice(start, start + group)
        columns = wavelength[part], value[part], error[part]
        ratio = columns[1] / columns[2]
        if np.isfinite(ratio).any() and np.nanmedian(ratio) < _NOISY:
            pieces.append(_means(*columns, _MEANS[name]))
        elif known[part].any():
            # Gaps within a spectrum stay, as NaN, gaps of the line.
            first, last = np.flatnonzero(known[part])[[0, -1]]
            x, y, e = (c[first : last + 1] for c in columns)
            pieces.append((x, np.zeros(len(x)), y, e))
    if name == "spectrum" and np.any(pieces[0][1] > 0):
        label += f", means of {_MEANS[name]} pixels"
    return *(np.concatenate(c) for c in zip(*pieces, strict=True)), label


def _means(wavelength, value, error, size):
    """Inverse variance weighted means of so many elements each, without those lacking an error."""
    pieces = []
    for start in range(0, len(value), size):
        part = slice(start, start + size)
        good = np.isfinite(value[part]) & np.isfinite(error[part])
        if good.any():
            x, weight = wavelength[part][good], error[part][good] ** -2.0
            mean = np.average(value[part][good], weights=weight)
            pieces.append(((x[0] + x[-1]) / 2, (x[-1] - x[0]) / 2, mean, weight.sum() ** -0.5))
    return tuple(np.array(pieces).T)


def _flux_unit(flux):
    """The unit in which the brightest flux is a handy number, and nJy in it."""
    top = np.max(np.abs(flux))
    if top >= 1e6:
        return "mJy", 1e6
    return (r"$\mu$Jy", 1e3) if top >= 2e3 else ("nJy", 1.0)


def _set_flux_scale(axis, in_view, measured):
    """Logarithmic if all that is drawn is positive, else linear within the noise."""
    values, errors = (np.concatenate(parts) for parts in zip(*measured, strict=True))
    values, errors = values[np.isfinite(values)], errors[np.isfinite(values)]
    top = in_view.max()
    if not np.any(values <= 0) and top > 0:
        bottom = max(in_view[in_view > 0].min(), 1e-4 * top)
        axis.set_yscale("log")
        axis.set_ylim(bottom / 1.7, top * 2.0)
        return
    noise = errors[(values < _NOISY * errors) & np.isfinite(errors)]
    width = np.median(noise) if len(noise) else np.median(np.abs(values))
    width = max(float(width), 1e-3 * abs(top), 1e-12)
    axis.set_yscale("asinh", linear_width=width)
    low, high = np.arcsinh(np.array([min(in_view.min(), -width), max(top, width)]) / width)
    pad = 0.08 * (high - low)
    axis.set_ylim(*(width * np.sinh([low - pad, high + pad])))


def _label_wavelengths(axis):
    low, high = axis.get_xlim()
    ticks = [x for x in (0.12, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.5, 2, 3, 4, 5) if low < x < high]
    axis.set_xticks(ticks, [f"{x:g}" for x in ticks])
    axis.xaxis.set_minor_formatter("")
    axis.set_xlabel(r"observed wavelength [$\mu$m]")


def _magnitude_axis(axis, factor):
    """Round numbers on the flux axis, and AB magnitudes on the other side."""
    low, high = axis.get_ylim()
    powers = 10.0 ** np.arange(-6, 9)
    ladder = np.concatenate([[0.0], powers, -powers, 3 * powers, -3 * powers])
    ticks = _spaced(axis, ladder, 0.09)
    axis.set_yticks(ticks, [f"{x:g}".replace("-", "\N{MINUS SIGN}") for x in ticks])
    minor = np.outer(np.arange(1, 10), powers).ravel()
    minor = np.concatenate([-minor, minor])
    axis.set_yticks(_spaced(axis, minor, 0.012), minor=True)
    axis.yaxis.set_minor_formatter("")

    # Not a secondary axis: Matplotlib draws those of an arcsinh axis as if it were linear.
    other = axis.twinx()
    other.set_yscale(axis.get_yscale(), **_scale_options(axis))
    other.set_ylim(low, high)
    magnitude = np.arange(8.0, 40.0)
    step = 1 if high > 0 and low > 0 and high / low < 1e3 else 2
    order = np.concatenate([magnitude[::step], magnitude])
    flux = 10 ** (-0.4 * (order - 31.4)) / factor
    ticks = _spaced(axis, flux, 0.09)
    labels = [f"{31.4 - 2.5 * np.log10(t * factor):.0f}" for t in ticks]
    other.set_yticks(ticks, labels)
    other.set_yticks([], minor=True)
    other.set_ylabel("AB magnitude")


def _scale_options(axis):
    if axis.get_yscale() != "asinh":
        return {}
    return {"linear_width": axis.yaxis.get_transform().linear_width}


def _spaced(axis, candidates, gap):
    """Those candidates within the axis that lie apart by a part of its height, first come."""
    transform = axis.yaxis.get_transform()
    ends = transform.transform(np.array(axis.get_ylim()))
    low, high = axis.get_ylim()
    kept, places = [], []
    for candidate in candidates:
        if not low <= candidate <= high:
            continue
        place = (transform.transform(np.array([candidate]))[0] - ends[0]) / (ends[1] - ends[0])
        if all(abs(place - p) >= gap for p in places):
            kept.append(float(candidate))
            places.append(place)
    return sorted(kept)


def _few_ticks(n):
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(n, prune=None, min_n_ticks=2)


def _bars(error):
    """Lengths of error bars: none where the error is unknown."""
    return np.nan_to_num(np.asarray(error, float), nan=0.0)


def _with_errors(middle, low, high, most):
    """A number with its errors in TeX, with two digits of the smaller, `most` decimals at most."""
    smaller = max(min(middle - low, high - middle), 1e-4)
    digits = int(np.clip(1 - np.floor(np.log10(smaller)), 1, most))
    middle, up, down = (f"{x:.{digits}f}" for x in (middle, high - middle, middle - low))
    return rf"{middle}^{{+{up}}}_{{-{down}}}"


def _value(quantity):
    """Plain numbers of a Quantity or an array."""
    return np.asarray(getattr(quantity, "value", quantity), float)
