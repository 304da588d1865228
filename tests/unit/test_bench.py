"""The benchmark: every answer is right, what is wrong is not timed, what is missing is named. Nothing is timed here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handpose_native as hp
from handpose_native import bench
from handpose_native.bench import heatmap_cases

CASE = "heatmap/argmax/1x21x64x64/float32"


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-m", "handpose_native", "bench", *map(str, arguments)]
    return subprocess.run(whole, capture_output=True, text=True, timeout=300, check=False)


def test_every_answer_is_right(tmp_path: Path) -> None:
    path = tmp_path / "checked.json"
    result = command("kernels", "--check", "--json", path, "--machine", "the tests")
    assert result.returncode == 0, result.stdout + result.stderr
    document = json.loads(path.read_text())
    bench.check_results(document)
    assert document["machine"]["name"] == "the tests"
    assert [entry["name"] for entry in document["kernels"]] == [case.name for case in bench.kernel_definitions()]


def test_names_are_distinct() -> None:
    names = [case.name for case in bench.kernel_definitions()]
    assert len(set(names)) == len(names)


def test_timed_results(tmp_path: Path) -> None:
    path = tmp_path / "timed.json"
    result = command("--case", CASE, "--budget", "0.05", "--level", "scalar", "--json", path)
    assert result.returncode == 0, result.stderr
    assert max(map(len, result.stdout.splitlines()[1:])) <= 110
    document = json.loads(path.read_text())
    bench.check_results(document)
    (entry,) = document["kernels"]
    assert entry["level"] == "scalar"
    ours = entry["variants"][0]
    assert (ours["name"], ours["ratio"], ours["ratio_quartiles"]) == (bench.OURS, 1.0, [1.0, 1.0])
    assert ours["gb_per_s"] == pytest.approx(entry["bytes_moved"] / ours["median_us"] / 1e3)


def test_a_broken_kernel_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(maps: Any, **options: Any) -> Any:
        points, scores = hp.heatmap_peaks(maps, **options)
        return points + np.float32(0.01), scores

    monkeypatch.setattr(heatmap_cases, "heatmap_peaks", broken)
    (entry,) = bench.run_kernels(bench.kernel_definitions(CASE), 0.01)
    assert entry["variants"] == []
    assert any("handpose_native: wrong answer" in sentence for sentence in entry["wrong"])
    assert any("ERROR" in line for line in bench.kernel_lines(entry))


def test_a_missing_peer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    (entry,) = bench.run_kernels(bench.kernel_definitions("antialias/640x480/128"), None)
    assert "Pillow BILINEAR, NumPy steps" in entry["missing"]
    assert any("left out: Pillow" in line for line in bench.kernel_lines(entry))


@pytest.mark.parametrize("field", ["schema", "machine", "kernels"])
def test_json_without_a_field_is_refused(field: str) -> None:
    document = {**bench.environment(), "budget_s": 1.0, "kernels": [], "pipelines": []}
    bench.check_results(document)
    del document[field]
    with pytest.raises(hp.ArgumentError, match=field):
        bench.check_results(document)


def test_no_such_case_is_wrong_use() -> None:
    assert command("--case", "nothing-like-it").returncode == 2


def test_pipeline_without_weights_is_left_out_by_name(tmp_path: Path) -> None:
    environment = {**os.environ, "HANDPOSE_NATIVE_CACHE": str(tmp_path)}
    whole = [sys.executable, "-m", "handpose_native", "bench", "pipeline"]
    result = subprocess.run(whole, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert result.returncode == 0, result.stderr
    assert "hands-lite" in result.stdout
    assert "left out: no weights here" in result.stdout


def test_rendering_twice_changes_nothing_and_keeps_the_page(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    page, results = tmp_path / "page.md", tmp_path / "results.json"
    written = (root / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    page.write_text(written, encoding="utf-8")
    assert command("--case", CASE, "--budget", "0.05", "--json", results, "--machine", "Abacus").returncode == 0
    script = [sys.executable, str(root / "benchmarks" / "render.py"), str(results), "--page", str(page)]
    subprocess.run(script, check=True)
    once = page.read_text(encoding="utf-8")
    assert "### Abacus" in once
    assert f"| {CASE} |" in once
    assert once.startswith(written.split("<!-- bench: begin")[0])
    subprocess.run(script, check=True)
    assert page.read_text(encoding="utf-8") == once
