"""Which media engines a board has: VDEC decodes H.264 and H.265, JPEGD JPEGs, VPC crops and scales."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import DeviceError

if TYPE_CHECKING:
    from contextlib import ExitStack

    from .pictures import PictureBlock
    from .runtime import AclLibrary

__all__ = ["ENGINES", "PictureChannel", "require_engine"]

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


class PictureChannel:
    """What JPEGD and VPC are asked through.

    Parameters
    ----------
    library : AclLibrary
        With a context in this thread, now, when it is used and when `keep` is closed.
    keep : ExitStack
        Takes it over.

    Attributes
    ----------
    stream : int
        Its own.
    """

    def __init__(self, library: AclLibrary, keep: ExitStack) -> None:
        self._library = library
        (self.stream,) = library.values("rt.create_stream")
        keep.callback(library.status, "rt.destroy_stream", self.stream)
        self._channel = library.result("media.dvpp_create_channel_desc")
        keep.callback(library.status, "media.dvpp_destroy_channel_desc", self._channel)
        library.status("media.dvpp_create_channel", self._channel)
        keep.callback(library.status, "media.dvpp_destroy_channel", self._channel)

    def fill(self, block: PictureBlock, function: str, *arguments: Any) -> int:
        """Call a function that makes a picture, and wait until the CPU can read it.

        Parameters
        ----------
        block : PictureBlock
            Where the picture goes; its description is among the arguments.
        function : str
            Of ``acl.media``.
        *arguments
            Those between the channel and the stream.

        Returns
        -------
        int
            What the engine says of its work; 0 is success.

        Raises
        ------
        DeviceError
            If the call, the copy with a card, or the stream fails.
        """
        try:
            self._library.status(f"media.{function}", self._channel, *arguments, self.stream)
            block.memory.queue_download(block.memory.nbytes, self.stream)
        except DeviceError:
            with suppress(DeviceError):  # the first error is the one to tell
                self._library.status("rt.synchronize_stream", self.stream)
            raise
        self._library.status("rt.synchronize_stream", self.stream)
        return block.code()
