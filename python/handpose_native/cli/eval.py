"""``handpose-native eval``: how good a model is on a data set of annotated hands."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import VideoError
from .common import EXIT_CODES, positive
from .pipeline import add_backend_arguments, backend_options_of

if TYPE_CHECKING:
    from ..evaluate import Dataset, Predictions

__all__ = ["add_parser"]

_EXAMPLES = """\
examples:
  handpose-native eval FreiHAND_pub_v2 --split evaluation -o result/ --freihand pred.json
  handpose-native eval onehand10k_test.json --images OneHand10K --model unet.onnx --spec unet -o result/
  handpose-native eval coco_wholebody_val_v1.0.json --images val2017 --max-hands 500
"""
_FORMATS = ("freihand", "coco", "coco-wholebody", "rhd", "handpose-x")


def add_parser(commands: Any) -> None:
    """Add ``eval`` to the commands."""
    parser = commands.add_parser(
        "eval",
        help="measure a model on a data set of annotated hands",
        description="Measure a model on a data set of annotated hands: PCK, AUC, EPE, MPJPE, PA-MPJPE.",
        epilog=_EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "dataset", metavar="DATASET", help="a folder (freihand, handpose-x) or a JSON file (the others)"
    )
    parser.add_argument("--model", default="hands", metavar="NAME|FILE|DIR", help="as for run; hands unless given")
    parser.add_argument("--spec", metavar="NAME|FILE", help="what a model file expects, as for run")
    parser.add_argument("--format", choices=_FORMATS, help="of the data set; found out unless given")
    parser.add_argument("--images", metavar="DIR", help="where the pictures of a JSON file are; beside it unless given")
    parser.add_argument("--split", choices=("training", "evaluation"), help="of freihand")
    parser.add_argument(
        "--region",
        type=_region,
        metavar="N|picture",
        help="what the model is shown: a square N times the hand, or the whole picture (else the model's own)",
    )
    parser.add_argument("--max-hands", type=positive, metavar="N", help="only the first N hands")
    parser.add_argument("--threads", type=positive, metavar="N", help="threads of each network on the CPU")
    add_backend_arguments(parser)
    parser.add_argument("-o", "--output", metavar="DIR", help="write eval.json and pck.png there")
    parser.add_argument("--freihand", metavar="FILE", help="write the joints in FreiHAND's submission format")
    parser.set_defaults(function=_eval)


def _region(text: str) -> float | str:
    if text == "picture":
        return text
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, or picture; got {text!r}")
    return value


def _eval(options: argparse.Namespace) -> int:
    from ..evaluate import measure, read_dataset, write_curves, write_submission

    dataset = read_dataset(options.dataset, format=options.format, images=options.images, split=options.split)
    if options.max_hands is not None:
        dataset = dataclasses.replace(dataset, samples=dataset.samples[: options.max_hands])
    predictions = _predicted(dataset, options)
    evaluation = measure(dataset, predictions)
    print(evaluation)
    if options.freihand:
        write_submission(predictions, options.freihand)
        print(f"wrote {options.freihand}")
    if options.output:
        folder = Path(options.output)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "eval.json").write_text(evaluation.to_json(), encoding="utf-8")
        except OSError as error:
            raise VideoError(f"eval: {folder / 'eval.json'} cannot be written: {error.strerror}") from error
        print(f"wrote {folder / 'eval.json'}")
        write_curves(evaluation, folder / "pck.png")
        print(f"wrote {folder / 'pck.png'}")
    return 0


def _predicted(dataset: Dataset, options: argparse.Namespace) -> Predictions:
    from tqdm import tqdm

    from ..evaluate import predict

    hidden = not sys.stderr.isatty()
    with tqdm(total=len(dataset.samples), unit="hand", disable=hidden, file=sys.stderr, leave=False) as progress:
        return predict(
            dataset,
            options.model,
            spec=options.spec,
            region=options.region,
            threads=options.threads,
            backend_options=backend_options_of(options),
            on_sample=lambda _: progress.update() and None,
        )
