"""Draws a report as horizontal bars, one SVG for each Python, in a light and a dark variant.

Runs in an environment of its own, that of bench/.venvs with matplotlib, as: picture.py REPORT.json
"""

import json
import statistics
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

OURS = "portway"
FLOOR = "floor-"
UNLOGGED = "-unlogged"
THREADED = "-threads"
ROLES = ("ink", "quiet", "ours", "theirs", "floor")
VARIANTS = {
    "": dict(zip(ROLES, ("#1f2328", "#818b98", "#0969da", "#c4ccd5", "#e6eaef"), strict=True)),
    "-dark": dict(zip(ROLES, ("#e6edf3", "#7d8590", "#4493f8", "#484f58", "#2b3138"), strict=True)),
}
FONTS = ["system-ui", "Segoe UI", "Helvetica", "Arial", "DejaVu Sans"]
BAR = 0.30  # inches, with its gap
LONGEST = 3.5  # times the row's median; a longer bar is cut, or it would flatten all others


def draw(result: dict, path: Path, colours: dict[str, str]) -> None:
    lines = result["lines"]
    rows = list(dict.fromkeys(line["row"] for line in lines))
    counts = [sum(line["row"] == row for line in lines) for row in rows]
    figure, plots = plt.subplots(
        len(rows), 1,
        figsize=(8, sum(counts) * BAR + len(rows) * 0.55 + 0.3),
        height_ratios=[count + 0.5 for count in counts],
        squeeze=False,
        layout="constrained",
    )  # fmt: skip
    figure.patch.set_alpha(0)
    for plot, row in zip(plots[:, 0], rows, strict=True):
        bars(plot, [line for line in lines if line["row"] == row], colours)
        unit = next(line["unit"] for line in lines if line["row"] == row)
        title = row if unit == "request" else f"{row}, for a {unit}"
        plot.set_title(title, loc="left", color=colours["ink"], fontsize=11, fontweight="bold")
    label = f"µs of CPU for a request, or a message where it says so; less is better · CPython {result['python']}"
    plots[-1, 0].set_xlabel(label, color=colours["quiet"], fontsize=9)
    # No date: the same numbers draw the same bytes.
    figure.savefig(path, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    plt.close(figure)


def bars(plot, lines: list[dict], colours: dict[str, str]) -> None:
    lines = sorted(lines, key=lambda line: line["cost"], reverse=True)
    names = [line["server"] for line in lines]
    longest = LONGEST * statistics.median(line["cost"] for line in lines)
    shown = [min(line["cost"], longest) for line in lines]
    plot.barh(names, shown, color=[colour(name, colours) for name in names], height=0.72)
    for place, (line, end) in enumerate(zip(lines, shown, strict=True)):
        ratio = f"  ×{line['ratio']:.2f}" if line["ratio"] and line["server"] != OURS else ""
        cut = "… " if end < line["cost"] else " "
        label = f"{cut}{line['cost']:.1f}{ratio}"
        plot.text(end, place, label, va="center", fontsize=9, color=colours["ink"])
    plot.set_xlim(0, max(shown) * 1.18)
    plot.patch.set_alpha(0)
    plot.xaxis.set_visible(plot.get_subplotspec().is_last_row())
    plot.set_xticks([])
    plot.tick_params(axis="y", length=0, labelcolor=colours["ink"], labelsize=10)
    for name, label in zip(names, plot.get_yticklabels(), strict=True):
        label.set_fontweight("bold" if name == OURS else "normal")
    for side in plot.spines.values():
        side.set_visible(False)


def colour(name: str, colours: dict[str, str]) -> str:
    if name in (OURS, OURS + THREADED):
        return colours["ours"]
    return colours["floor"] if name.startswith(FLOOR) or name.endswith(UNLOGGED) else colours["theirs"]


def main(report: Path) -> None:
    # Text stays text, in the reader's font; the salt keeps the names inside the file the same.
    plt.rcParams.update({"svg.fonttype": "none", "font.sans-serif": FONTS, "svg.hashsalt": "portway"})
    for result in json.loads(report.read_text())["results"]:
        if result["lines"]:
            for suffix, colours in VARIANTS.items():
                draw(result, report.with_name(f"{result['picture']}{suffix}.svg"), colours)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
