"""What viewers cost the run: frames per second and latency with nobody looking, with several, and with some that stall.

    python benchmarks/viewers.py VIDEO [--model hands-lite] [--seconds 2.5] [--rounds 3]

The same pipeline and video, all cases in turn: at full speed, each frame (`--no-realtime` of the command), and in real
time, as from a camera. Medians of the rounds. The viewers are a process of their own on the same machine, so at full
speed they also take processor time that they would take elsewhere in real life; the time shown is the run's alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import handpose_native as hp
from handpose_native.web import Access, load_server

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Reads streams of a server until told to stop; prints how much each took.
VIEWERS = """
import json, socket, sys, threading, time

port, watching, stalled, listening = map(int, sys.argv[1:])
ended, sizes = threading.Event(), []

def open_stream(path):
    stream = socket.create_connection(("127.0.0.1", port), 10)
    stream.sendall(f"GET {path} HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n".encode())
    return stream

def read(path):
    stream, pictures, tail = open_stream(path), 0, b""
    stream.settimeout(0.2)
    mark = b"Content-Type: image/jpeg" if "mjpeg" in path else b"event: frame"
    while not ended.is_set():
        try:
            data = stream.recv(1 << 20)
        except socket.timeout:
            continue
        if not data:
            break
        pictures += (tail + data).count(mark)
        tail = (tail + data)[-len(mark) + 1 :]
    sizes.append(pictures)

paths = ["/video.mjpeg"] * watching + ["/events"] * listening
threads = [threading.Thread(target=read, args=(path,)) for path in paths]
began = time.monotonic()
for thread in threads:
    thread.start()
asleep = [open_stream("/video.mjpeg") for _ in range(stalled)]
print("ready", flush=True)
sys.stdin.read()
ended.set()
for thread in threads:
    thread.join()
print(json.dumps([size / (time.monotonic() - began) for size in sizes]))
"""

CASES = {
    "nobody": (0, 0, 0),
    "1 viewer": (1, 0, 0),
    "4 viewers": (4, 0, 0),
    "8 viewers": (8, 0, 0),
    "8 that stopped reading": (0, 8, 0),
    "4 programs with events": (0, 0, 4),
}


@contextmanager
def viewers(port: int, counts: tuple[int, int, int], rates: list[float]) -> Iterator[None]:
    command = [sys.executable, "-c", VIEWERS, str(port), *map(str, counts)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        text, _ = process.communicate("")
        rates.extend(json.loads(text))


def measure(
    pipe: hp.Pipeline, video: str, realtime: bool, counts: tuple[int, int, int], seconds: float
) -> tuple[float, ...]:
    """Return fps, median and 95th percentile of the latency, CPU ms per frame, dropped frames, the slowest viewer."""
    rates: list[float] = []
    stop = threading.Event()
    with (
        hp.open_source(video, loop=True, realtime=realtime) as source,
        load_server()(source, lambda: pipe.last_report, Access("127.0.0.1"), port=0, max_viewers=16) as server,
        viewers(server.port, counts, rates),
    ):
        timer = threading.Timer(seconds, stop.set)
        timer.start()
        began_s = time.process_time()
        report = pipe.run(source, on_frame=server.show, stop=stop)
        cpu_ms = (time.process_time() - began_s) * 1e3 / report.frames
        timer.cancel()
    latency = report.latency
    slowest = min(rates) if rates else float("nan")
    return (
        report.fps, latency.percentile_ms(50), latency.percentile_ms(95), cpu_ms, report.ledger.replaced, slowest
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--model", default="hands-lite")
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    titles = "".join(f"{title:>10}" for title in ("fps", "median ms", "p95 ms", "CPU ms", "dropped", "viewer fps"))
    with hp.Pipeline(options.model) as pipe:
        for result in pipe.stream(options.video, max_frames=30):  # so that loading is over
            del result
        for realtime in (False, True):
            print(f"{'in real time' if realtime else 'at full speed':<24}{titles}")
            found: dict[str, list[tuple[float, ...]]] = {name: [] for name in CASES}
            for _ in range(options.rounds):
                for name, counts in CASES.items():
                    found[name].append(measure(pipe, options.video, realtime, counts, options.seconds))
            for name, rows in found.items():
                figures = "".join(f"{statistics.median(column):>10.2f}" for column in zip(*rows))
                print(f"{name:<24}{figures}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
