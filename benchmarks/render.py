"""Render the JSON of ``handpose-native bench`` into docs/benchmarks.md, between its markers.

    python benchmarks/render.py MACHINE.json [MACHINE.json ...] [--page docs/benchmarks.md] [--plots]

Plots need the extra bench (matplotlib); they stand beside the page as SVG.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from handpose_native.bench import OURS, check_results

BEGIN = "<!-- bench: begin, written by benchmarks/render.py -->"
END = "<!-- bench: end -->"


def section(document: dict[str, Any], plot: str | None) -> str:
    machine, build = document["machine"], document["build"]
    versions = {"NumPy": build["numpy"], "OpenCV": build["optional"]["cv2"], **document["peers"]}
    known = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    lines = [
        f"### {machine['name']}",
        "",
        f"{machine['cpu']}, {machine['cores']} cores, level {build['isa_active']}, {build['compiler']}, Python "
        f"{build['python']}, {known}. {document['started'][:10]}.",
        "",
    ]
    lines += [f"![Ratios on {machine['name']}]({plot})", ""] if plot else []
    if document["kernels"]:
        lines += ["| case | us | GB/s | of the memory limit | beside ours (ratio) |", "|---|---|---|---|---|"]
        lines += [kernel_row(entry) for entry in document["kernels"]] + [""]
    if document["pipelines"]:
        lines += ["| pipeline | output | fps | frames (with hands) | ms per stage |", "|---|---|---|---|---|"]
        lines += [pipeline_row(entry) for entry in document["pipelines"]] + [""]
    return "\n".join(lines)


def kernel_row(entry: dict[str, Any]) -> str:
    if not entry["variants"]:
        return f"| {entry['name']} | {'wrong answer' if entry['wrong'] else 'not timed'} | | | |"
    ours = next(row for row in entry["variants"] if row["name"] == OURS)
    speed = f"{ours['gb_per_s']:.1f} | {100 * ours['limit_share']:.0f} %" if ours["gb_per_s"] is not None else " | "
    others = [f"{row['name']} {row['ratio']:.2f}" for row in entry["variants"] if row is not ours]
    others += [f"without {name}" for name in entry["missing"]]
    return f"| {entry['name']} | {ours['median_us']:.1f} | {speed} | {'; '.join(others)} |"


def pipeline_row(entry: dict[str, Any]) -> str:
    start = f"| {entry['name']}, {entry['source']} | {entry['output'] or 'none'} |"
    if entry["fps"] is None:
        return f"{start} {entry['missing'] or 'wrong answer'} | | |"
    stages = ", ".join(f"{name} {value:.2f}" for name, value in entry["stages_ms"].items())
    return f"{start} {entry['fps']:.1f} | {entry['frames']} ({entry['frames_with_hands']}) | {stages} |"


def draw_plot(document: dict[str, Any], path: Path) -> None:
    """Draw, for each case, how many times faster ours is than its fastest peer."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "handpose-native"  # the same bytes in every run
    from matplotlib import pyplot

    peers = {e["name"]: [row["ratio"] for row in e["variants"] if row["kind"] == "peer"] for e in document["kernels"]}
    ratios = {name: min(values) for name, values in peers.items() if values and not name.startswith("call/")}
    figure, axes = pyplot.subplots(figsize=(8, 1 + 0.2 * len(ratios)), layout="constrained")
    axes.barh(list(ratios), list(ratios.values()))
    axes.axvline(1, color="black")
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("time of the fastest peer / ours")
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--page", type=Path, default=Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md")
    parser.add_argument("--plots", action="store_true")
    options = parser.parse_args()
    page = options.page.read_text(encoding="utf-8")
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        parser.error(f"{options.page} must hold the two markers once")
    sections = []
    for path in options.results:
        document = json.loads(path.read_text(encoding="utf-8"))
        check_results(document)
        plot = None
        if options.plots:
            plot = "bench_" + re.sub(r"\W+", "_", document["machine"]["name"].lower()) + ".svg"
            draw_plot(document, options.page.parent / plot)
        sections.append(section(document, plot))
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    options.page.write_text(before + BEGIN + "\n\n" + "\n".join(sections) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
