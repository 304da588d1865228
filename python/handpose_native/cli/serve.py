"""``handpose-native serve``: a run as a live picture in browsers, and as keypoints and figures for other programs."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from ..errors import HandposeError
from .common import EXIT_CODES, positive
from .job import Signals, add_job_arguments, run_job
from .pipeline import add_pipeline_arguments, open_pipeline_of
from .source import add_source_arguments, open_source_of

if TYPE_CHECKING:
    from ..pipeline import Pipeline
    from ..video import Source
    from ..web.server import Server

__all__ = ["EXAMPLES", "add_parser"]

EXAMPLES = """\
examples:
  handpose-native serve 0
  handpose-native serve clip.mp4 --loop --max-hands 2
  handpose-native serve rtsp://camera/stream --host 0.0.0.0 --keypoints out.jsonl
"""

_TOKEN_VARIABLE = "HANDPOSE_NATIVE_TOKEN"
#: How long an open page gets to learn why the run has ended.
_LINGER_S = 1.5


def add_parser(commands: Any) -> None:
    """Add ``serve`` to the commands."""
    serve = commands.add_parser(
        "serve",
        help="show a camera, stream or file with its hands in a browser; keypoints and figures over HTTP",
        description="Show a camera, stream or file with its hands in a browser; keypoints and figures over HTTP.",
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source_arguments(serve)
    add_job_arguments(serve)
    _add_server_arguments(serve)
    add_pipeline_arguments(serve)
    serve.set_defaults(function=_serve)


def _add_server_arguments(parser: argparse.ArgumentParser) -> None:
    server = parser.add_argument_group("of the server")
    server.add_argument(
        "--host", default="127.0.0.1", metavar="HOST", help="where to listen (else this machine only); 0.0.0.0: for all"
    )
    server.add_argument("--port", type=_port, default=8080, metavar="N", help="0 for any that is free (else 8080)")
    server.add_argument(
        "--token",
        default=os.environ.get(_TOKEN_VARIABLE) or None,
        metavar="TOKEN",
        help=f"what viewers must bring, at least 16 characters (else {_TOKEN_VARIABLE}; else made, where others than "
        "this machine may look)",
    )
    server.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name under which browsers find the server, as behind a proxy; may be given several times",
    )
    server.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="pages that may read the answers, as https://example.org; may be given several times",
    )
    server.add_argument("--max-viewers", type=positive, default=8, metavar="N", help="streams at a time (else 8)")
    server.add_argument("--view-fps", type=float, default=30.0, metavar="N", help="pictures a second at most (else 30)")
    server.add_argument("--quality", type=positive, default=80, metavar="N", help="of the pictures, 1..100 (else 80)")
    server.add_argument("--keep", action="store_true", help="when the source ends, show its last picture until Ctrl-C")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"expected a whole number 0..65535; got {text!r}")
    return int(text)


def _serve(options: argparse.Namespace) -> int:
    from ..web import Access, load_server

    make_server = load_server()  # before anything is fetched or loaded
    access = Access(options.host, token=options.token, names=options.allow_host, origins=options.allow_origin)
    signals = Signals()
    with (
        open_pipeline_of(options) as pipeline,
        signals.handled(),
        open_source_of(options, realtime=True) as opened,
        make_server(
            opened,
            lambda: pipeline.last_report,
            access,
            port=options.port,
            draws=not options.output,
            max_viewers=options.max_viewers,
            quality=options.quality,
            fps=options.view_fps,
        ) as server,
    ):
        # Made tokens are told once, here; given ones are known to whoever gave them, and stay out of logs.
        print(f"serving on {server.url_with_token if access.made_token else server.url} (Ctrl-C ends)", flush=True)
        return _run(pipeline, opened, server, signals, options)


def _run(pipeline: Pipeline, opened: Source, server: Server, signals: Signals, options: argparse.Namespace) -> int:
    """Run the job; say on the page why it ended."""
    try:
        code = run_job(pipeline, opened, options, signals, on_frame=server.show)
    except HandposeError as error:
        server.end(str(error), linger_s=_LINGER_S)
        raise
    if signals.received:
        return code
    report = pipeline.last_report
    is_cut = report is not None and report.frames == options.max_frames
    ending = f"{options.max_frames} frames are done, as asked." if is_cut else "The source has ended."
    server.end(ending, linger_s=0.0 if options.keep else _LINGER_S)
    if options.keep:
        signals.stop.wait()
        return 128 + signals.received[0]
    return code
