"""Which media engines a board has: VDEC decodes H.264 and H.265, JPEGD JPEGs, VPC crops and scales."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import DeviceError

if TYPE_CHECKING:
    from .runtime import AclLibrary

__all__ = ["ENGINES", "require_engine"]

#: Functions of ``acl.media`` without which an engine is of no use; ``handpose-native doctor`` asks for the same.
ENGINES = {
    "VDEC": ("vdec_create_channel_desc", "vdec_create_channel", "vdec_send_frame", "vdec_destroy_channel"),
    "JPEGD": ("dvpp_create_channel", "dvpp_jpeg_get_image_info", "dvpp_jpeg_decode_async"),
    "VPC": ("dvpp_create_channel", "dvpp_create_roi_config", "dvpp_vpc_crop_resize_async"),
}


def require_engine(library: AclLibrary, engine: str) -> None:
    """Raise DeviceError unless this version of CANN has an engine."""
    for name in ENGINES[engine]:
        if not library.has(f"media.{name}"):
            raise DeviceError(f"{engine} is not there: this version of CANN has no function acl.media.{name}")
