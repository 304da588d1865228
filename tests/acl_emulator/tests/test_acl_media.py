"""Section F of the rules, pictures: descriptions, JPEG, VPC, himpi."""

from __future__ import annotations

import io

import numpy as np
import pytest

from .media_calls import NV12, NV21, RGB, Media

cv2 = pytest.importorskip("cv2")

GARBAGE = 0xAB


def gradient(width, height):
    """A smooth BGR picture."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    channels = 255 * x / width, 255 * y / height, 255 * (x + y) / (width + height)
    return np.stack(channels, axis=2).astype(np.uint8)


def nv12(width, height, stride=None, rows=None):
    """A smooth NV12 picture as (rows * 3 / 2, stride) bytes, zeros beyond."""
    stride, rows = stride or width, rows or height
    i420 = cv2.cvtColor(gradient(width, height), cv2.COLOR_BGR2YUV_I420)
    planes = np.zeros((rows * 3 // 2, stride), np.uint8)
    planes[:height, :width] = i420[:height]
    chroma = i420[height:].reshape(2, height // 2, width // 2)
    planes[rows : rows + height // 2, :width] = np.dstack([chroma[0], chroma[1]]).reshape(height // 2, width)
    return planes


def encoded(width=100, height=50, **options):
    Image = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    Image.fromarray(gradient(width, height)[:, :, ::-1].copy()).save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


def test_descriptions_keep_what_was_set(board):
    media = Media(board).media
    picture, stream = media.dvpp_create_pic_desc(), media.dvpp_create_stream_desc()
    for number, field in enumerate(("size", "format", "width", "height", "width_stride", "height_stride", "ret_code")):
        assert getattr(media, f"dvpp_set_pic_desc_{field}")(picture, number) == 0
        assert getattr(media, f"dvpp_get_pic_desc_{field}")(picture) == number
    for number, field in enumerate(("size", "format", "timestamp", "eos", "ret_code")):
        assert getattr(media, f"dvpp_set_stream_desc_{field}")(stream, number) == 0
        assert getattr(media, f"dvpp_get_stream_desc_{field}")(stream) == number
    board.ok(media.dvpp_destroy_pic_desc(picture))
    with board.breaks(4):
        media.dvpp_get_pic_desc_size(picture)


@pytest.mark.parametrize(("soc", "stride"), [("Ascend310", 128), ("Ascend310B4", 64)])
def test_rule_49_strides_of_jpegd(board, soc, stride):
    """The chip's strides come back in the description; others are refused."""
    board.reset(soc=soc)
    media = Media(board)
    data = encoded(100, 50)
    address = media.jpeg(data)
    assert media.media.dvpp_jpeg_get_image_info(address, len(data)) == (100, 50, 3, 0)
    size = board.ok(media.media.dvpp_jpeg_predict_dec_size(address, len(data), NV12))
    assert size == 128 * 64 * 3 // 2  # 100 is 128 with either alignment
    picture = media.picture(size=size)
    media.done(media.media.dvpp_jpeg_decode_async(media.channel, address, len(data), picture, media.stream))
    assert [media.field(picture, name) for name in ("width", "height", "ret_code")] == [100, 50, 0]
    assert media.field(picture, "width_stride") % stride == 0
    assert media.field(picture, "height_stride") % 16 == 0
    wrong = media.picture(100, 50, 112, 50, size=size)
    decode = media.media.dvpp_jpeg_decode_async
    assert decode(media.channel, address, len(data), wrong, media.stream) == 200003


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:4"])
def test_rule_51_jpegd_gives_the_picture_and_garbage_beside_it(either, subsampling):
    media = Media(either)
    data = encoded(100, 50, subsampling=subsampling)
    picture = media.picture(size=128 * 64 * 3 // 2)
    address = media.jpeg(data)
    media.done(media.media.dvpp_jpeg_decode_async(media.channel, address, len(data), picture, media.stream))
    planes = media.read(picture, (96, 128))
    # JPEG is full range: compared with OpenCV's decoder through its own luma.
    expected = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2YCrCb)
    assert np.abs(planes[:50, :100].astype(int) - expected[:, :, 0]).max() <= 3
    half = cv2.resize(expected[:, :, 2:0:-1], (50, 25), interpolation=cv2.INTER_AREA)
    assert np.abs(planes[64:89, :100].reshape(25, 50, 2).astype(int) - half).max() <= 6
    assert np.all(planes[:64, 100:] == GARBAGE)
    assert np.all(planes[50:64] == GARBAGE)


def test_rule_50_results_of_pictures_are_in_their_descriptions(board):
    media = Media(board)
    picture = media.picture(size=128 * 64 * 3 // 2)
    for data, code in ((encoded(progressive=True), 148052), (encoded()[:300], 500000), (encoded(), 0)):
        address = media.jpeg(data)
        media.done(media.media.dvpp_jpeg_decode_async(media.channel, address, len(data), picture, media.stream))
        assert media.field(picture, "ret_code") == code
    assert media.media.dvpp_jpeg_get_image_info(media.jpeg(b"no jpeg"), 7) == (0, 0, 0, 100000)


def test_rule_49_memory_of_the_engines(board):
    """310: dvpp memory only; 310B: also that of malloc; never heap or malloc_host."""
    for soc, allowed in (("Ascend310", False), ("Ascend310B4", True)):
        board.reset(soc=soc)
        media = Media(board)
        source = media.picture(64, 32, 64, 32, data=board.block(64 * 48))
        target, config = media.picture(32, 16, 32, 16), media.media.dvpp_create_resize_config()
        call = media.media.dvpp_vpc_resize_async
        if allowed:
            media.done(call(media.channel, source, target, config, media.stream))
        else:
            with board.breaks(49):
                call(media.channel, source, target, config, media.stream)
    host = media.picture(64, 32, 64, 32, data=board.ok(board.acl.rt.malloc_host(64 * 48)))
    with board.breaks(49):
        call(media.channel, host, target, config, media.stream)


def test_rule_49_channels_must_exist(board):
    media = Media(board)
    source, target = media.picture(64, 32, 64, 32), media.picture(32, 16, 32, 16)
    config, other = media.media.dvpp_create_resize_config(), media.media.dvpp_create_channel_desc()
    assert media.media.dvpp_vpc_resize_async(other, source, target, config, media.stream) == 100000
    assert media.media.dvpp_destroy_channel(other) == 100000
    with board.breaks(49):
        media.media.dvpp_destroy_channel_desc(media.channel)
    board.ok(media.media.dvpp_destroy_channel(media.channel))
    board.ok(media.media.dvpp_destroy_channel_desc(media.channel))


def test_rule_49_strides_and_formats_of_vpc(board):
    for soc, code in (("Ascend310", 200003), ("Ascend310B4", 0)):
        board.reset(soc=soc)
        media = Media(board)
        config = media.media.dvpp_create_resize_config()
        source, target = media.picture(66, 32, 66, 32), media.picture(32, 16, 32, 16)
        call = media.media.dvpp_vpc_resize_async
        assert call(media.channel, source, target, config, media.stream) == code
        board.ok(board.acl.rt.synchronize_stream(media.stream))
        aligned = media.picture(64, 32, 64, 32)
        coloured = media.picture(32, 16, 96, 16, kind=RGB)
        expected = 100000 if code else 0  # the 310 gives NV12 and NV21 only
        assert call(media.channel, aligned, coloured, config, media.stream) == expected
        board.ok(board.acl.rt.synchronize_stream(media.stream))
    odd = media.picture(63, 32, 64, 32)
    assert call(media.channel, odd, target, config, media.stream) == 100000
    short = media.picture(64, 32, 64, 32, size=64 * 48 - 1)
    assert call(media.channel, short, target, config, media.stream) == 100000


def test_vpc_resize_agrees_with_opencv(either):
    media = Media(either)
    picture = nv12(128, 64)
    source, target = media.picture(128, 64, 128, 64), media.picture(96, 40, 112, 42)
    media.write(source, picture)
    config = media.media.dvpp_create_resize_config()
    either.ok(media.media.dvpp_set_resize_config_interpolation(config, 1))
    media.done(media.media.dvpp_vpc_resize_async(media.channel, source, target, config, media.stream))
    planes = media.read(target, (63, 112))
    luma = cv2.resize(picture[:64], (96, 40), interpolation=cv2.INTER_LINEAR)
    chroma = cv2.resize(picture[64:].reshape(32, 64, 2), (48, 20), interpolation=cv2.INTER_LINEAR)
    assert np.abs(planes[:40, :96].astype(int) - luma).max() <= 1
    assert np.abs(planes[42:62, :96].reshape(20, 48, 2).astype(int) - chroma).max() <= 1
    assert np.all(planes[:40, 96:] == GARBAGE)
    assert media.media.dvpp_set_resize_config_interpolation(config, 9) == 100000


def test_rule_49_areas_start_even_and_end_odd(board):
    media = Media(board)
    picture = nv12(128, 64)
    source, target = media.picture(128, 64, 128, 64), media.picture(32, 16, 32, 16)
    media.write(source, picture)
    crop = media.media.dvpp_vpc_crop_async
    for area in ((1, 32, 0, 15), (0, 31, 1, 16), (0, 32, 0, 15), (0, 31, 0, 16), (100, 131, 0, 15), (31, 0, 0, 15)):
        roi = media.media.dvpp_create_roi_config(*area)
        assert crop(media.channel, source, target, roi, media.stream) == 100000
    roi = media.media.dvpp_create_roi_config(40, 71, 20, 35)  # left, right, top, bottom
    media.done(crop(media.channel, source, target, roi, media.stream))
    planes = media.read(target, (24, 32))
    assert np.array_equal(planes[:16], picture[20:36, 40:72])
    assert np.array_equal(planes[16:], picture[64 + 10 : 64 + 18, 40:72])
    config = media.media.dvpp_create_resize_config()
    smaller = media.picture(16, 8, 16, 8)
    resize = media.media.dvpp_vpc_crop_resize_async
    media.done(resize(media.channel, source, smaller, roi, config, media.stream))
    expected = cv2.resize(picture[20:36, 40:72], (16, 8), interpolation=cv2.INTER_LINEAR)
    assert np.abs(media.read(smaller, (12, 16))[:8].astype(int) - expected).max() <= 1
    board.ok(media.media.dvpp_destroy_roi_config(roi))
    board.ok(media.media.dvpp_destroy_resize_config(config))


def test_vpc_paste_batch_and_colours(board):
    media = Media(board)
    picture = nv12(64, 32)
    source = media.picture(64, 32, 64, 32)
    media.write(source, picture)
    canvas = media.picture(64, 32, 64, 32)
    media.write(canvas, np.full((48, 64), 7, np.uint8))
    crop, paste = (media.media.dvpp_create_roi_config(*area) for area in ((0, 31, 0, 15), (16, 47, 8, 23)))
    call = media.media.dvpp_vpc_crop_and_paste_async
    media.done(call(media.channel, source, canvas, crop, paste, media.stream))
    planes = media.read(canvas, (48, 64))
    assert np.array_equal(planes[8:24, 16:48], picture[:16, :32])
    assert np.all(planes[:8] == 7)
    bgr = cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_NV12)
    coloured = media.picture(64, 32, 192, 32, kind=RGB)
    media.done(media.media.dvpp_vpc_convert_color_async(media.channel, source, coloured, media.stream))
    assert np.abs(media.read(coloured, (32, 64, 3)).astype(int) - bgr[:, :, ::-1]).max() <= 2
    swapped = media.picture(64, 32, 64, 32, kind=NV21)
    media.done(media.media.dvpp_vpc_convert_color_async(media.channel, source, swapped, media.stream))
    chroma = media.read(swapped, (48, 64))[32:].reshape(16, 32, 2)
    assert np.array_equal(chroma[:, :, ::-1], picture[32:].reshape(16, 32, 2))
    given, wanted = media.media.dvpp_create_batch_pic_desc(1), media.media.dvpp_create_batch_pic_desc(2)
    for batch, index, stride, rows in ((given, 0, 64, 32), (wanted, 0, 32, 16), (wanted, 1, 32, 16)):
        description = media.media.dvpp_get_pic_desc(batch, index)
        size = stride * rows * 3 // 2
        fields = {"data": media.memory(size), "size": size, "format": NV12, "width": stride, "height": rows}
        for field, value in {**fields, "width_stride": stride, "height_stride": rows}.items():
            board.ok(getattr(media.media, f"dvpp_set_pic_desc_{field}")(description, value))
    media.write(media.media.dvpp_get_pic_desc(given, 0), picture)
    batch_crop = media.media.dvpp_vpc_batch_crop_async
    result, code = batch_crop(media.channel, given, [2], wanted, [crop, crop], media.stream)
    assert result == wanted
    media.done(code)
    last = media.read(media.media.dvpp_get_pic_desc(wanted, 1), (24, 32))
    assert np.array_equal(last[:16], picture[:16, :32])
    assert batch_crop(media.channel, given, [1], wanted, [crop], media.stream) == (0, 100000)


def test_jpege_gives_a_jpeg_that_opencv_reads(board):
    media = Media(board)
    picture = nv12(64, 32)
    source, config = media.picture(64, 32, 64, 32), media.media.dvpp_create_jpege_config()
    media.write(source, picture)
    board.ok(media.media.dvpp_set_jpege_config_level(config, 100))
    size = np.array([board.ok(media.media.dvpp_jpeg_predict_enc_size(source, config))], np.uint32)
    target = media.memory(int(size[0]))
    encode = media.media.dvpp_jpeg_encode_async
    media.done(encode(media.channel, source, target, size.ctypes.data, config, media.stream))
    decoded = cv2.imdecode(board.read(target, (int(size[0]),), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.abs(decoded.astype(int) - picture[:32]).max() <= 8


# -- himpi ------------------------------------------------------------------------------------------------------------


def test_rule_49_himpi_is_absent_on_the_310(board):
    board.reset(soc="Ascend310")
    assert not hasattr(board.acl, "himpi")
    board.reset(soc="Ascend310B1")
    assert hasattr(board.acl, "himpi")


def test_himpi_resizes(board):
    himpi = board.acl.himpi
    board.start()
    assert himpi.dvpp_malloc(0, 64)[1] != 0
    board.ok(himpi.sys_init())
    channel = board.ok(himpi.vpc_sys_create_chn({}))
    picture = nv12(64, 32)

    def described(width, height):
        size = width * height * 3 // 2
        values = {"picture_address": board.ok(himpi.dvpp_malloc(0, size)), "picture_buffer_size": size}
        values |= {"picture_width": width, "picture_height": height, "picture_format": NV12}
        return values | {"picture_width_stride": width, "picture_height_stride": height}

    source, target = described(64, 32), described(32, 16)
    board.write(source["picture_address"], picture)
    task = board.ok(himpi.vpc_resize(channel, source, target, 0, 0, 0, -1))
    board.ok(himpi.vpc_get_process_result(channel, task, -1))
    assert himpi.vpc_get_process_result(channel, task, -1) > 0xA0000000
    luma = board.read(target["picture_address"], (24, 32), np.uint8)[:16]
    expected = cv2.resize(picture[:32], (32, 16), interpolation=cv2.INTER_LINEAR)
    assert np.abs(luma.astype(int) - expected).max() <= 1
    for values in (source, target):
        board.ok(himpi.dvpp_free(values["picture_address"]))
    board.ok(himpi.vpc_destroy_chn(channel))
    board.ok(himpi.sys_exit())
