"""The chain on an emulated Ascend board: how near it comes to what the NPU allows. Needs onnx and onnxruntime.

    python benchmarks/board_emulated.py                       # frames in memory, latencies of real boards
    python benchmarks/board_emulated.py --job --video in.mp4  # the whole job: decode, find, draw, write

The emulator (tests/acl_emulator) gives each run the latency asked for, on one core, and repeats stored outputs, so that
the CPUs are left to the chain; functions of pyACL that hold the GIL hold it there as well. The networks are stand-ins
with the inputs and outputs of the real ones. At most three CPUs are used, as many as a board has for programs; but they
are those of this machine, not of a board. What is printed was measured here, and says nothing of a real NPU.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import handpose_native as hp
from handpose_native.ascend import runtime
from handpose_native.backends import acl as acl_backend
from handpose_native.models import KNOWN_MODELS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "acl_emulator"))
import acl_emulator_control as control
from make_om import make_om

SOC = "Ascend310B4"
MOST_CPUS = 3
#: Milliseconds of a run: small models, MediaPipe's landmark and palm networks, OpenPose light (see docs/board.md).
LATENCIES_MS = (2.66, 4.8, 6.67, 11.56, 17.0, 27.04)
ROUNDS, ROUND_S = 3, 1.0
ROI = (340.0, 60.0, 600.0, 600.0)


def stand_in(name: str, folder: Path) -> Path:
    """Write a network with the input and the output of a known one, as an ONNX file."""
    spec = KNOWN_MODELS[name]
    assert spec.input_hw is not None
    rng = np.random.default_rng(0)
    constants = {"w": rng.normal(size=(21, 3, 1, 1)).astype(np.float32)}
    nodes = [helper.make_node("Conv", ["image", "w"], ["maps"]), helper.make_node("Sigmoid", ["maps"], ["result"])]
    shape = [1, 21, *spec.input_hw]
    if spec.family == "regression":
        constants["w"] = np.concatenate([constants["w"]] * 2)
        nodes[1] = helper.make_node("GlobalAveragePool", ["maps"], ["result"])
        shape = [1, 42, 1, 1]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, *spec.input_hw])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, shape)
    weights = [numpy_helper.from_array(value, key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, name, [image], [result], weights)
    path = folder / f"{name}.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


class Blocking(acl_backend.AclBackend):
    """The same, but with the call that most programs use: it waits for the NPU, and holds the GIL meanwhile."""

    def _queue(self, one: Any) -> None:
        self._library.status("mdl.execute", one.model, one.input_set, one.output_set)


def with_backend(kind: type[acl_backend.AclBackend], model: Path, slots: int, latency_ms: float) -> hp.Pipeline:
    control.reset(soc=SOC, replay_outputs=True, latencies_ms={"*": latency_ms})
    before, acl_backend.AclBackend = acl_backend.AclBackend, kind  # type: ignore[misc]
    try:
        spec = KNOWN_MODELS[model.stem]
        return hp.Pipeline(model, spec=spec, roi=ROI, min_presence=0.0, backend_options={"slots": slots})
    finally:
        acl_backend.AclBackend = before  # type: ignore[misc]


def frames_per_second(pipe: hp.Pipeline, frames: np.ndarray, seconds: float) -> float:
    """Return the rate of frames from memory, once the chain is full."""

    def endless() -> Any:
        while True:
            yield from frames

    began, count = 0.0, 0
    with closing(pipe.stream(endless(), policy="all")) as results:
        for index, _ in enumerate(results):
            if index == 10:
                began, count = time.perf_counter(), index
            elif index > 10 and time.perf_counter() - began > seconds:
                return (index - count) / (time.perf_counter() - began)
    raise AssertionError("endless")


def table(folder: Path, options: argparse.Namespace) -> None:
    """Print rates of frames from memory, by latency, slots and way of running."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (4, 720, 1280, 3), dtype=np.uint8)
    ways = [("execute", Blocking, 1), *((f"{slots} slots", acl_backend.AclBackend, slots) for slots in (1, 2, 3))]
    print(f"{'':<26}{'fps':<32}{'part of 1 / latency'}")
    print(f"{'model':<12}{'latency ms':>12}{'':>2}" + "".join(f"{way:>8}" for way, *_ in ways) * 2)
    for name in options.models:
        model = folder / f"{name}.om"
        for latency in options.latencies:
            rounds = np.empty((options.rounds, len(ways)))
            for one in rounds:  # in turn, since other programs run on this machine
                for way, (_, kind, slots) in enumerate(ways):
                    with with_backend(kind, model, slots, latency) as pipe:
                        one[way] = frames_per_second(pipe, frames, options.seconds)
                    runtime._end()
            rates = np.median(rounds, axis=0).tolist()
            parts = [rate * latency / 1e3 for rate in rates]
            row = "".join(f"{rate:>8.1f}" for rate in rates) + "".join(f"{part:>8.1%}" for part in parts)
            print(f"{name:<12}{latency:>12.2f}{'':>2}{row}", flush=True)


#: What runs beside each other, each in a thread of its own; the model stage is the wait for the NPU.
THREADS = (("decode",), ("preprocess", "joints"), ("draw", "write"))


def computed_fps(report: hp.RunReport, latency_ms: float, slower: float) -> float:
    """Return the rate on CPUs that are so many times slower, if the slowest thread or the NPU alone decides."""
    means = {name: times.mean_ms for name, times in report.stages.items()}
    busiest_ms = max(sum(means.get(name, 0.0) for name in names) for names in THREADS)
    return 1e3 / max(latency_ms, slower * busiest_ms)


def job(folder: Path, options: argparse.Namespace) -> None:
    """Print rates of the whole job: a video decoded, hands found, drawn and written."""
    computed = "".join(f"{f'CPU / {slower:g}':>10}" for slower in options.slower)
    print(f"{'model':<12}{'latency ms':>12}{'output':>8}{'way':>10}{'fps':>8}{'busy':>8}{computed}  limited by")
    for name in options.models:
        for latency in options.latencies:
            for suffix in options.outputs:
                for way, kind, slots in (("execute", Blocking, 1), ("2 slots", acl_backend.AclBackend, 2)):
                    with with_backend(kind, folder / f"{name}.om", slots, latency) as pipe:
                        output = folder / f"out{suffix}" if suffix != "none" else None
                        report = pipe.run(
                            options.video, output, keypoints=folder / "out.jsonl", max_frames=options.max_frames
                        )
                        usage = control.core_usage()
                    runtime._end()
                    busy = usage.busy / (usage.busy + usage.idle)
                    row = f"{name:<12}{latency:>12.2f}{suffix:>8}{way:>10}{report.fps:>8.1f}{busy:>8.1%}"
                    row += "".join(f"{computed_fps(report, latency, slower):>10.1f}" for slower in options.slower)
                    print(f"{row}  {report.limiting_stage}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["unet", "handpose-x"], choices=["unet", "handpose-x"])
    parser.add_argument("--latencies", nargs="+", type=float, default=LATENCIES_MS, metavar="MS")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of which the median is printed")
    parser.add_argument("--seconds", type=float, default=ROUND_S, help="of each measurement in a round")
    parser.add_argument("--job", action="store_true", help="measure the whole job on --video")
    parser.add_argument("--video")
    parser.add_argument("--max-frames", type=int, default=200, metavar="N", help="of the video")
    parser.add_argument("--outputs", nargs="+", default=["none", ".gif", ".mp4"])
    parser.add_argument(
        "--slower", nargs="+", type=float, default=[5.0, 10.0], metavar="N", help="compute rates for slower CPUs, too"
    )
    options = parser.parse_args()
    if options.job and not options.video:
        parser.error("--job needs --video")
    cpus = sorted(os.sched_getaffinity(0))[:MOST_CPUS]
    os.sched_setaffinity(0, cpus)
    print(f"{len(cpus)} CPUs of this machine, emulated {SOC}, run mode RC")
    with tempfile.TemporaryDirectory() as place:
        for name in options.models:
            network = stand_in(name, Path(place))
            make_om(network, network.with_suffix(".om"), soc_version=SOC)
        (job if options.job else table)(Path(place), options)


if __name__ == "__main__":
    main()
