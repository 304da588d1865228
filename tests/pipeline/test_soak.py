"""A short soak: thousands of frames through every stage, memory, descriptors and threads as they were."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import handpose_native as hp

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "soak.py"
FRAMES = 4000


@pytest.mark.slow
def test_thousands_of_frames_leave_nothing_behind(tmp_path: Path) -> None:
    """In a process of its own, so that all it holds is of the run; times are not judged."""
    pytest.importorskip("onnxruntime", reason="runs the network")
    pytest.importorskip("pyarrow", reason="the soak writes Parquet too")
    networks = pytest.importorskip("tests.networks", reason="builds the network with onnx")
    model = networks.save_hand_networks(tmp_path)
    clip = tmp_path / "clip.mp4"
    with hp.open_sink(clip, fps=30) as sink:
        for index in range(50):
            picture = np.zeros((120, 160, 3), np.uint8)
            cv2.rectangle(picture, (40 + index, 40), (80 + index, 80), (0, 0, 255), cv2.FILLED)
            sink.write(picture, index / 30)
    arguments = [str(clip), "--model", str(model), "--frames", str(FRAMES), "--write", "--threads", "1"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments, "--json", str(tmp_path / "soak.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    result = json.loads((tmp_path / "soak.json").read_text("utf-8"))
    assert result["frames"] == FRAMES
    assert result["frames_with_hands"] > 0.9 * FRAMES
    assert result["report"]["problems"] == []
    wrong = [problem for problem in result["problems"] if "processor time" not in problem]
    assert not wrong, done.stdout


def test_the_judge_sees_what_is_wrong() -> None:
    spec = importlib.util.spec_from_file_location("soak", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    soak = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = soak  # for its dataclasses
    spec.loader.exec_module(soak)
    del sys.modules["soak"]

    def problems(grows_mb: float = 0, opens: int = 0, starts: int = 0, slows: float = 0) -> list[str]:
        """After warm-up, each by the end."""
        report = hp.RunReport("source", "model", frames=4000)
        samples, cpu_s = [], 0.0
        for number in range(1, 101):
            late = max(number - 10, 0) / 90
            cpu_s += 0.1 * (1 + slows * late)
            values = (100 + grows_mb * late, 9 + round(opens * late), 3 + round(starts * late))
            samples.append(soak.Sample(40 * number, cpu_s, cpu_s, *values))
        found: list[str] = soak.judge(samples, report)["problems"]
        return found

    assert problems(grows_mb=9.9, slows=0.03) == []
    assert problems(grows_mb=10.1) == ["memory grew by 10.1 MB"]
    assert problems(opens=1) == ["descriptors: 10 instead of 9"]
    assert problems(starts=1) == ["threads: 4 instead of 3"]
    assert problems(slows=0.05) == ["frames take 3.8% more processor time"]
