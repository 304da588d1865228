"""What many hours of video take: the throughput of this machine measured, the rest computed.

    python benchmarks/scale.py measure VIDEO --json FILE [--copies 6] [--jobs 1,2]
    python benchmarks/scale.py table FILE [FILE ...] [--hours 1,1000,1000000] [--fps 30] [--price 0.04] [--use 0.95]

`measure` does copies of a video as a batch, in each way, and writes frames per second, processor time and bytes per
frame. `table` computes from that: processor hours = frames x processor time per frame / share of the processors in use;
machine hours = processor hours / processors of a machine; cost = processor hours x price; results = frames x bytes per
frame. It takes for granted that videos are independent, so machines add up, and that reading and storing keep pace.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import handpose_native as hp
from handpose_native.batch import BatchOptions, find_videos, run_batch
from handpose_native.batch.processes import usable_cpus

#: What is written in each way.
WAYS = {
    "JSON Lines": {"keypoints": ("jsonl",)},
    "Parquet": {"keypoints": ("parquet",)},
    "Parquet and drawn MP4": {"keypoints": ("parquet",), "drawn": "mp4"},
}


def measure_way(clips: Path, out: Path, model: str, jobs: int, way: dict[str, Any]) -> dict[str, Any]:
    """Do the batch once; loading the networks is part of it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = run_batch(find_videos(clips), out, BatchOptions(model, **way), jobs=jobs)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if report.failed or report.damaged:
        raise SystemExit(f"{model}: {report}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    written = sum(path.stat().st_size for path in out.rglob("*.mp4.*") if not path.name.endswith(".report.json"))
    shutil.rmtree(out)
    return {
        "fps": report.fps,
        "cpu_ms_per_frame": 1e3 * cpu_s / report.frames,
        "bytes_per_frame": written / report.frames,
        "frames": report.frames,
        "seconds": report.seconds,
    }


def measure(options: argparse.Namespace) -> int:
    entries = []
    with tempfile.TemporaryDirectory() as name:
        clips, out = Path(name) / "clips", Path(name) / "out"
        clips.mkdir()
        for number in range(options.copies):
            shutil.copy(options.video, clips / f"{number}.mp4")
        for model in options.models.split(","):
            for jobs in map(int, options.jobs.split(",")):
                for what, way in WAYS.items():
                    entry = {"model": model, "jobs": jobs, "what": what}
                    entry.update(measure_way(clips, out, model, jobs, way))
                    entries.append(entry)
                    print(_line(entry), flush=True)
    config = hp.build_config()
    document = {
        "schema": "handpose-native-scale",
        "schema_version": 1,
        "machine": options.machine or _processor(),
        "cpus": usable_cpus(),
        "version": config["version"],
        "video": Path(options.video).name,
        "entries": entries,
    }
    if options.json:
        Path(options.json).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


def _line(entry: dict[str, Any]) -> str:
    return (
        f"{entry['model']:<12}{entry['jobs']} jobs  {entry['what']:<24}{entry['fps']:>7.1f} fps"
        f"{entry['cpu_ms_per_frame']:>8.2f} ms CPU/frame{entry['bytes_per_frame']:>9.0f} B/frame"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def needed(entry: dict[str, Any], cpus: int, frames: float, price: float, use: float) -> dict[str, float]:
    """Compute what so many frames need of machines like the one measured."""
    processor_hours = frames * entry["cpu_ms_per_frame"] / 1e3 / 3600 / use
    machine_hours = processor_hours / cpus
    return {
        "processor_hours": processor_hours,
        "machine_hours": machine_hours,
        "cost": processor_hours * price,
        "results_bytes": frames * entry["bytes_per_frame"],
        "machines_for_30_days": machine_hours / 24 / 30,
    }


def table(options: argparse.Namespace) -> int:
    titles = ("networks, written", "hours of video", "processor hours", "machine hours", "cost", "results")
    print(f"| {' | '.join(titles)} | machines for 30 days |")
    print("|---" * (len(titles) + 1) + "|")
    for file in options.files:
        document = json.loads(Path(file).read_text(encoding="utf-8"))
        jobs = max(entry["jobs"] for entry in document["entries"])
        for entry in (one for one in document["entries"] if one["jobs"] == jobs):
            for hours in map(float, options.hours.split(",")):
                need = needed(entry, document["cpus"], hours * 3600 * options.fps, options.price, options.use)
                print(
                    f"| {entry['model']}, {entry['what']} | {hours:,.0f} | {need['processor_hours']:,.1f} | "
                    f"{need['machine_hours']:,.1f} | {need['cost']:,.2f} | {_size(need['results_bytes'])} | "
                    f"{need['machines_for_30_days']:,.2f} |"
                )
    return 0


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(required=True)
    measuring = actions.add_parser("measure")
    measuring.add_argument("video")
    measuring.add_argument("--json")
    measuring.add_argument("--copies", type=int, default=6)
    measuring.add_argument("--jobs", default=f"1,{usable_cpus()}", help="how many at a time, several with commas")
    measuring.add_argument("--models", default="hands-lite,hands")
    measuring.add_argument("--machine", help="what the JSON calls this machine")
    measuring.set_defaults(function=measure)
    tabulating = actions.add_parser("table")
    tabulating.add_argument("files", nargs="+")
    tabulating.add_argument("--hours", default="1,1000,1000000")
    tabulating.add_argument("--fps", type=float, default=30.0, help="of the videos")
    tabulating.add_argument("--price", type=float, default=0.04, help="of an hour of one processor")
    tabulating.add_argument("--use", type=float, default=0.95, help="share of the processors that is put to use")
    tabulating.set_defaults(function=table)
    options = parser.parse_args()
    return int(options.function(options))


if __name__ == "__main__":
    sys.exit(main())
