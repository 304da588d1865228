"""The same work on Ray, on two workers of this machine: the same results, also where one is killed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from handpose_native.batch import BatchOptions, find_videos, run_batch
from handpose_native.errors import MissingDependencyError

from .conftest import Demo
from .dying_workers import make_workers_die

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: pip install '.[ray]'")

#: In a process of its own: Ray warns of things that are not ours, and leaves threads.
DRIVER = """
import json, sys
import ray
from handpose_native.batch import BatchOptions, find_videos, run_batch, run_on_ray
from handpose_native.errors import ModelError

clips, model, broken, folder, kinds = sys.argv[1:6]
kinds = kinds.split(",")
ray.init("local", num_cpus=2, resources={"NPU": 2}, log_to_driver=False, include_dashboard=False)
try:
    run_batch(find_videos(clips), folder + "/none", BatchOptions(broken), run=run_on_ray, workers=1)
except ModelError as error:
    print(json.dumps({"cannot_begin": str(error)}))

report = run_batch(
    find_videos(clips), folder + "/out", BatchOptions(model, keypoints=tuple(kinds)), run=run_on_ray, workers=2, npus=1,
    on_outcome=lambda outcome: print(json.dumps(outcome.to_dict()), flush=True),
)
print(json.dumps({"done": report.done, "failed": len(report.failed)}))
"""


@needs_ray
@pytest.mark.slow
def test_ray_does_the_same_and_outlives_killed_workers(
    demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker dies once in the middle of a video; each that takes another video dies."""
    make_workers_die(tmp_path / "site", {"2.mp4": 1, "3.mp4": 9}, monkeypatch)
    clips, broken = tmp_path / "clips", tmp_path / "broken.onnx"
    clips.mkdir()
    for name in ("1.mp4", "2.mp4", "3.mp4", "4.mp4"):
        shutil.copy(demo.clip, clips / name)
    broken.write_bytes(demo.model.read_bytes()[:300])
    broken.with_suffix(".json").write_text(demo.model.with_suffix(".json").read_text())
    kinds = "jsonl,parquet" if find_spec("pyarrow") else "jsonl"
    driver = subprocess.run(
        [sys.executable, "-c", DRIVER, str(clips), str(demo.model), str(broken), str(tmp_path), kinds],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert driver.returncode == 0, driver.stderr[-3000:]
    lines = [json.loads(line) for line in driver.stdout.splitlines() if line.startswith("{")]
    assert "broken.onnx" in lines[0]["cannot_begin"]
    seen: dict[str, Any] = {line["video"]["name"]: line for line in lines if "video" in line}
    assert {name: (one["state"], one["attempts"]) for name, one in seen.items()} == {
        "1.mp4": ("done", 1),
        "2.mp4": ("done", 2),
        "3.mp4": ("failed", 2),
        "4.mp4": ("done", 1),
    }
    assert "the worker ended in the middle of it, 2 times" in seen["3.mp4"]["error"]
    assert lines[-1] == {"done": 3, "failed": 1}

    assert (tmp_path / "site" / "3.mp4").read_text() == "xx"
    monkeypatch.undo()

    # what two processes here make of the same, to the byte
    here, there = tmp_path / "here", tmp_path / "out"
    assert run_batch(find_videos(clips), here, BatchOptions(demo.model, keypoints=tuple(kinds.split(","))), jobs=2).done
    made = sorted(path.name for path in there.iterdir())
    expected = [f"{name}.mp4.{kind}" for name in (1, 2, 4) for kind in (*kinds.split(","), "report.json")]
    assert made == sorted([*expected, "manifest.jsonl"])
    for name in expected:
        if not name.endswith(".report.json"):  # which tells times
            assert (here / name).read_bytes() == (there / name).read_bytes(), name


def test_a_missing_ray_names_the_extra(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from handpose_native.batch import run_on_ray

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"handpose_native\[ray\]"):
        next(run_on_ray(find_videos(demo.clip), tmp_path, BatchOptions(demo.model)))
