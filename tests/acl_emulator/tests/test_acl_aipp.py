"""Section D of the rules, AIPP: static and dynamic, and what ATC refuses."""

from __future__ import annotations

import numpy as np
import pytest

from .conftest import SIZE
from .graphs import describe, identity


def test_rule_35_static_aipp_takes_bytes(either):
    """uint8 NHWC, RGB turned to BGR, (x - mean - min) * var_reci, rounded to half precision."""
    acl = either.acl
    config = """aipp_op { aipp_mode: static related_input_rank: 0 input_format: RGB888_U8  # bytes of the camera
        src_image_size_w: 12 src_image_size_h: 10 crop: true load_start_pos_w: 2 load_start_pos_h: 1
        crop_size_w: 8 crop_size_h: 8 rbuv_swap_switch: true csc_switch: false
        mean_chn_0: 10 mean_chn_1: 20 mean_chn_2: 30 min_chn_0: 0.5
        var_reci_chn_0: 0.01 var_reci_chn_1: 0.02 var_reci_chn_2: 0.003921568627 }"""
    either.start()
    model = either.load(identity(), insert_op_conf=config)
    description = describe(either, model)
    assert acl.mdl.get_input_data_type(description, 0) == 4
    assert acl.mdl.get_input_format(description, 0) == 1
    assert acl.mdl.get_input_dims(description, 0) == ({"name": "x", "dimCount": 4, "dims": [1, 10, 12, 3]}, 0)
    assert acl.mdl.get_input_size_by_index(description, 0) == 360
    assert acl.mdl.get_aipp_type(model, 0)[::2] == (1, 0)
    aipp, code = acl.mdl.get_first_aipp_info(model, 0)
    assert code == 0
    assert (aipp["inputFormat"], aipp["srcImageSizeW"], aipp["cropSizeW"], aipp["rbuvSwapSwitch"]) == (3, 12, 8, 1)
    pixels = np.random.default_rng(2).integers(0, 256, (1, 10, 12, 3), np.uint8)
    source, result = either.block(360), either.block()
    either.write(source, pixels)
    either.ok(acl.mdl.execute(model, either.dataset((source, 360)), either.dataset((result, SIZE))))
    part = pixels[:, 1:9, 2:10, ::-1].astype(np.float64)
    scale = np.array([0.01, 0.02, 1 / 255], np.float16).astype(np.float64)
    expected = (part - [10.5, 20, 30]) * scale
    np.testing.assert_allclose(either.read(result, (1, 3, 8, 8)), expected.transpose(0, 3, 1, 2), rtol=1e-3, atol=1e-6)


def test_rule_35_static_aipp_of_nv12_agrees_with_opencv(board):
    """BT.601 narrow range; OpenCV rounds otherwise, by one or two levels."""
    cv2 = pytest.importorskip("cv2")
    config = """aipp_op { aipp_mode: static input_format: YUV420SP_U8 csc_switch: true rbuv_swap_switch: false
        matrix_r0c0: 298 matrix_r0c1: 0 matrix_r0c2: 409 matrix_r1c0: 298 matrix_r1c1: -100 matrix_r1c2: -208
        matrix_r2c0: 298 matrix_r2c1: 516 matrix_r2c2: 0 input_bias_0: 16 input_bias_1: 128 input_bias_2: 128 }"""
    acl = board.acl
    board.start()
    model = board.load(identity(), insert_op_conf=config)
    description = describe(board, model)
    assert acl.mdl.get_input_size_by_index(description, 0) == 96
    assert acl.mdl.get_input_dims(description, 0)[0]["dims"] == [1, 8, 8, 3]
    assert acl.mdl.get_input_dims_v2(description, 0)[0]["dims"] == [1, 12, 8, 1]
    generator = np.random.default_rng(3)
    planes = generator.integers(60, 190, (12, 8), np.uint8)
    source, result = board.block(96), board.block()
    board.write(source, planes)
    board.ok(acl.mdl.execute(model, board.dataset((source, 96)), board.dataset((result, SIZE))))
    expected = cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_NV12).astype(np.float32).transpose(2, 0, 1)
    assert np.abs(board.read(result, (3, 8, 8)) - expected).max() <= 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("aipp_op { mean_chn_0: 123.675 input_format: RGB888_U8 }", "123.675"),
        ("aipp_op { input_format: RGB888_U8 src_image_size_w: 16 src_image_size_h: 16 }", r"AIPP gives 3 x 16 x 16"),
        ("aipp_op { input_format: RGB888_U8 mean_chanel_0: 1 }", "AIPP has no mean_chanel_0"),
    ],
)
def test_configurations_that_atc_refuses(board, config, message):
    with pytest.raises(ValueError, match=message):
        board.om(identity(), insert_op_conf=config)


def test_rule_40_dynamic_aipp(board):
    acl = board.acl
    board.start()
    model = board.load(identity(), insert_op_conf="aipp_op { aipp_mode: dynamic max_src_image_size: 4096 }")
    description = describe(board, model)
    index = board.ok(acl.mdl.get_input_index_by_name(description, "ascend_dynamic_aipp_data"))
    assert acl.mdl.get_aipp_type(model, 0) == (2, index, 0)
    assert acl.mdl.get_aipp_type(model, index) == (3, 0, 0)
    size = acl.mdl.get_input_size_by_index(description, index)
    source, result = board.block(192), board.block()
    pixels = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    board.write(source, pixels)
    inputs, outputs = board.dataset((source, 192), (board.block(size), size)), board.dataset((result, SIZE))
    assert acl.mdl.execute(model, inputs, outputs) == 145015
    aipp = acl.mdl.create_aipp(1)
    for call, values in (
        (acl.mdl.set_aipp_input_format, (3,)),
        (acl.mdl.set_aipp_src_image_size, (8, 8)),
        (acl.mdl.set_aipp_rbuv_swap_switch, (0,)),
        (acl.mdl.set_aipp_ax_swap_switch, (0,)),
        (acl.mdl.set_aipp_csc_params, (0, *range(15))),
        (acl.mdl.set_aipp_dtc_pixel_mean, (1, 2, 3, 0, 0)),
        (acl.mdl.set_aipp_dtc_pixel_min, (0.0, 0.0, 0.0, 0.0, 0)),
        (acl.mdl.set_aipp_pixel_var_reci, (0.5, 0.5, 0.5, 1.0, 0)),
        (acl.mdl.set_aipp_crop_params, (0, 0, 0, 0, 0, 0)),
        (acl.mdl.set_aipp_padding_params, (0, 0, 0, 0, 0, 0)),
    ):
        assert call(aipp, *values) == 0, call.__name__
    assert acl.mdl.set_aipp_padding_params(aipp, 1, 33, 0, 0, 0, 0) == 100000
    assert acl.mdl.set_aipp_dtc_pixel_mean(aipp, 0, 0, 0, 0, 1) == 100000  # made for one picture
    assert acl.mdl.set_input_aipp(model, inputs, 0, aipp) == 145016
    board.ok(acl.mdl.set_input_aipp(model, inputs, index, aipp))
    board.ok(acl.mdl.set_aipp_by_input_index(model, inputs, 0, aipp))
    board.ok(acl.mdl.destroy_aipp(aipp))
    board.ok(acl.mdl.execute(model, inputs, outputs))
    expected = ((pixels.astype(np.float32) - [1, 2, 3]) * 0.5).transpose(2, 0, 1)
    assert np.array_equal(board.read(result, (3, 8, 8)), expected)
