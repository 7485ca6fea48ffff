"""A figure of filter curves."""

import numpy as np

from .core import USER_SET, load_filters

__all__ = ["plot_filters"]

#: More filters than this are not labelled one by one.
_MOST_LABELS = 14


def plot_filters(filters, ax=None, normalize=True, labels=None):
    """Draw filter curves.

    Parameters
    ----------
    filters : str, Filter, or sequence of these
        As `load_filters` takes them: a set such as ``"lsst"``, names, filters of one's own, or
        several of these.
    ax : matplotlib Axes, optional
        Where to draw; a new figure of 7.1 by 2.6 inches without it.
    normalize : bool
        Scale each curve to a peak of one. Otherwise they are drawn as they are.
    labels : bool, optional
        Write each filter's name above its curve; by default those of sets of 14 at most. Names of
        the sets stand to the right.

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    Colour goes with wavelength. The wavelength axis is logarithmic if the filters span more than a
    factor of four.
    """
    import matplotlib.pyplot as plt

    curves = load_filters(filters)
    if not curves:
        raise ValueError("there are no filters to draw")
    if ax is None:
        _, ax = plt.subplots(figsize=(7.1, 2.6), layout="constrained")
    ln_pivot = np.array([curve.ln_shape[0] for curve in curves])
    shade = (ln_pivot - ln_pivot.min()) / (np.ptp(ln_pivot) or 1.0)
    colors = plt.get_cmap("turbo")(0.06 + 0.88 * shade)
    sizes = {name: sum(c.set == name for c in curves) for name in {c.set for c in curves}}
    top = 0.0
    for curve, color in zip(curves, colors, strict=True):
        x = curve.angstrom / 1e4
        t = curve.transmission / (curve.transmission.max() if normalize else 1.0)
        crowded = sizes[curve.set] > _MOST_LABELS
        ax.fill_between(x, t, color=color, alpha=0.04 if crowded else 0.18, linewidth=0)
        ax.plot(x, t, color=_darker(color, 0.9), linewidth=0.6 if crowded else 1.0)
        top = max(top, t.max())
    _label(ax, curves, colors, sizes, labels, top)
    low, high = _span(curves)
    if high / low > 4:
        ax.set_xscale("log")
        _plain_ticks(ax, low, high)
    margin = (high / low) ** 0.03
    ax.set_xlim(low / margin, high * margin)
    if normalize:
        ax.set_yticks(np.linspace(0, 1, 6))
    ax.set_xlabel(r"wavelength [$\mu$m]")
    ax.set_ylabel("photon response" + (", peak = 1" if normalize else ""))
    return ax


def _span(curves):
    """Where the curves have more than a hundredth of their peak, in micron."""
    ends = [c.angstrom[c.transmission > 0.01 * c.transmission.max()][[0, -1]] for c in curves]
    return np.min(ends) / 1e4, np.max(ends) / 1e4


def _label(ax, curves, colors, sizes, labels, top):
    """Names of filters above their curves, those of their sets to the right of them."""
    sets = list(dict.fromkeys(curve.set for curve in curves))
    for row, name in enumerate(sets):
        height = top * (1.03 + 0.11 * row)
        one_by_one = sizes[name] <= _MOST_LABELS if labels is None else labels
        if one_by_one:
            for curve, color in zip(curves, colors, strict=True):
                if curve.set == name:
                    x = np.exp(curve.ln_quantiles([0.5])[0]) / 1e4
                    ax.text(x, height, curve.name.removeprefix(f"{name}_"), color=_darker(color),
                            ha="center", va="bottom", fontsize="small")  # fmt: skip
        if name != USER_SET:
            text = name if one_by_one else f"{name} ({sizes[name]})"
            ax.annotate(text, (1.0, height), (4, 0), xycoords=("axes fraction", "data"),
                        textcoords="offset points", va="bottom", color="0.3",
                        fontsize="small")  # fmt: skip
    ax.set_ylim(0, top * (1.03 + 0.11 * len(sets)))


def _darker(color, factor=0.7):
    """A colour that stands out from white, or is read as text."""
    return (*(factor * np.array(color[:3])), 1.0)


def _plain_ticks(ax, low, high):
    """Ticks of a logarithmic axis as plain numbers."""
    from matplotlib.ticker import FixedLocator, NullFormatter

    steps = [1, 2, 3, 5, 7] if high / low < 30 else [1, 3]
    ticks = [s * 10.0**d for d in range(-2, 5) for s in steps if low <= s * 10.0**d <= high]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
