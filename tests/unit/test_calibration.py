"""Calibration: rendered pictures of a board give back the camera that they were rendered with."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import handpose_native as hp
from handpose_native import cli
from handpose_native.calibration import calibrate
from handpose_native.errors import ArgumentError, VideoError

SQUARES, SQUARE_MM, IMAGE_HW = (9, 6), 30.0, (480, 640)
#: In this package's pixels; OpenCV's cx and cy are half a pixel less.
TRUTH = np.array([[560.0, 0.0, 331.0], [0.0, 555.0, 229.0], [0.0, 0.0, 1.0]])
BOARD_PX_PER_MM = 4
VIEWS = ((0, 0, 0), (0.5, 0, 0.1), (-0.5, 0.2, 0), (0, 0.6, -0.1), (0.1, -0.6, 0.2), (0.4, 0.4, 0), (-0.3, -0.4, 0.3))


def board() -> np.ndarray:
    side = round(SQUARE_MM * BOARD_PX_PER_MM)
    rows, columns = np.indices((SQUARES[1], SQUARES[0]))
    squares = np.kron((rows + columns) % 2 * 200 + 30, np.ones((side, side))).astype(np.uint8)
    return np.pad(squares, side, constant_values=235)


def picture(turn: tuple[float, float, float]) -> np.ndarray:
    """The board half a metre before the camera: a plane, so that a homography renders it."""
    flat = board()
    size_mm = np.array(flat.shape[::-1]) / BOARD_PX_PER_MM
    rotation, _ = cv2.Rodrigues(np.array(turn, float))
    middle = np.eye(3)
    middle[:2, 2] = -size_mm / 2
    plane = np.column_stack([rotation[:, 0], rotation[:, 1], [0, 0, 520.0]])
    to_mm = np.diag([1 / BOARD_PX_PER_MM, 1 / BOARD_PX_PER_MM, 1])
    # warpPerspective counts pixels from their centres: half a pixel more on one side, less on the other.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    homography = np.linalg.inv(half) @ TRUTH @ plane @ middle @ to_mm @ half
    large = cv2.warpPerspective(flat, np.diag([2, 2, 1.0]) @ homography, (2 * 640, 2 * 480), borderValue=120)
    return cv2.resize(large, (640, 480), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("board")
    for number, turn in enumerate(VIEWS):
        cv2.imwrite(str(place / f"board{number}.png"), picture(turn))
    return place


def test_the_camera_comes_back(folder: Path) -> None:
    found = calibrate(sorted(folder.glob("board*.png")), squares=SQUARES, square_mm=SQUARE_MM)
    assert found.intrinsics.image_hw == IMAGE_HW
    matrix = np.array(found.intrinsics.matrix)
    assert np.abs(np.diag(matrix) / np.diag(TRUTH) - 1).max() < 0.01
    assert np.abs(matrix[:2, 2] - TRUTH[:2, 2]).max() < 3
    assert found.error_px < 0.3
    assert len(found.errors_px) == len(VIEWS)
    assert np.sqrt(np.mean(np.square(list(found.errors_px.values())))) == pytest.approx(found.error_px, rel=1e-3)
    assert found.unused == ()
    # What counts: in which direction a pixel looks.
    grid = np.stack(np.meshgrid(np.linspace(80, 560, 7), np.linspace(60, 420, 7)), axis=-1)
    wanted = hp.Intrinsics(TRUTH).directions(grid)
    assert np.abs(found.intrinsics.directions(grid) - wanted).max() < 0.005


def test_the_size_of_a_square_changes_no_result(folder: Path) -> None:
    pictures = sorted(folder.glob("board*.png"))
    small, large = (calibrate(pictures, squares=SQUARES, square_mm=size).intrinsics for size in (10.0, 40.0))
    assert np.allclose(small.matrix, large.matrix, rtol=1e-3)


def test_pictures_without_the_board_are_told(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cv2.imwrite(str(tmp_path / "empty.png"), np.full((*IMAGE_HW, 3), 90, np.uint8))
    pictures = [*sorted(folder.glob("board*.png")), tmp_path / "empty.png"]
    found = calibrate(pictures, squares=SQUARES, square_mm=SQUARE_MM)
    assert found.unused == (str(tmp_path / "empty.png"),)
    assert "no board of 9 x 6 squares" in caplog.text
    with pytest.raises(ArgumentError, match=r"found in 2 of 3\. A board of 9 x 6 squares has 8 x 5 corners inside"):
        calibrate([*pictures[:2], pictures[-1]], squares=SQUARES, square_mm=SQUARE_MM)


def test_wrong_boards_and_pictures(folder: Path, tmp_path: Path) -> None:
    pictures = sorted(folder.glob("board*.png"))
    for squares in ((3, 6), (6, 6)):
        with pytest.raises(ArgumentError, match="squares must be two different numbers from 4"):
            calibrate(pictures, squares=squares, square_mm=SQUARE_MM)
    with pytest.raises(ArgumentError, match="square_mm must be positive; got 0"):
        calibrate(pictures, squares=SQUARES, square_mm=0)
    (tmp_path / "x.jpg").write_bytes(b"no picture")
    with pytest.raises(VideoError, match=r"x\.jpg cannot be read as a picture"):
        calibrate([tmp_path / "x.jpg"], squares=SQUARES, square_mm=SQUARE_MM)
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(ArgumentError, match=r"all pictures must have one size; .*small\.png has 64 x 48 pixels"):
        calibrate([pictures[0], tmp_path / "small.png"], squares=SQUARES, square_mm=SQUARE_MM)


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    camera = tmp_path / "camera.json"
    arguments = ["calibrate", str(folder / "board*.png"), "--square-mm", "30", "-o", str(camera), "--squares"]
    assert cli.main([*arguments, "9x6"]) == 0
    said = capsys.readouterr().out
    assert f"{camera}: fx 5" in said
    assert "px (root mean square) in 7 of 7 pictures" in said
    assert np.abs(np.diag(hp.Intrinsics.from_json(camera).matrix) / np.diag(TRUTH) - 1).max() < 0.01
    facts = json.loads(camera.read_text())
    assert facts["pictures"] == 7
    assert facts["error_px"] < 0.3
    assert cli.main([*arguments, "10x7"]) == 2
    assert "found in 0 of 7" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main([*arguments, "9"])
    assert "expected two numbers of squares, as 10x7; got '9'" in capsys.readouterr().err
    assert cli.main(["calibrate", str(tmp_path / "*.png"), *arguments[2:], "9x6"]) == 2
    assert "no picture found" in capsys.readouterr().err
