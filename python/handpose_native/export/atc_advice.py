"""What atc's messages mean, and what to do."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["ADVICE", "Advice", "explain"]


class Advice(NamedTuple):
    """One way for atc to fail.

    Attributes
    ----------
    pattern : str
        A regular expression found in atc's output.
    cause, remedy : str
        Sentences for users.
    """

    pattern: str
    cause: str
    remedy: str


#: In the order in which they are looked for; several may apply. The codes are those of the graph engine's own table of
#: errors (E1....), of the operator compiler (EC....) and of the choice of kernels (EZ....).
ADVICE: tuple[Advice, ...] = (
    Advice(
        r"libascend_hal\.so",
        "atc does not find the driver's library, which a machine without a chip does not have.",
        "Add CANN's stand-in for it: export LD_LIBRARY_PATH=$ASCEND_TOOLKIT_HOME/$(uname -m)-linux/devlib:"
        "$LD_LIBRARY_PATH, for atc only: programs that run models must not see it.",
    ),
    Advice(
        r"np\.(float|int|bool|object)_?\b|module 'numpy' has no attribute|removed in the NumPy 2|_ARRAY_API not found",
        "The Python that atc starts has a NumPy that is too new for this CANN.",
        "pip install 'numpy<1.24' into the python3 that stands first on PATH, or put another Python first.",
    ),
    Advice(
        r"No module named|EC0010|E40000|Failed to import",
        "The Python that atc starts lacks a module{module}.",
        "Install into the python3 that stands first on PATH: pip install 'numpy<1.24' decorator sympy scipy attrs "
        "psutil protobuf cloudpickle; and source CANN's set_env.sh.",
    ),
    Advice(
        r"E19010|No parser is registered for Op",
        "This CANN does not know an operator, or not at this opset.",
        "Export again at opset 11, which every CANN reads; newer operators need a newer CANN.",
    ),
    Advice(
        r"EZ3003|No supported Ops kernel and engine|E10501|IR for Op",
        "There is no kernel for an operator on this chip, or the operator packages of the chip are not installed.",
        "Check --soc against `npu-smi info`; from CANN 8.5 on, install the ops package of that chip beside the "
        "toolkit; else replace the operator (the message names it).",
    ),
    Advice(
        r"E10052|AIPP configuration is invalid|aipp.*(parse|invalid|fail)|insert_op_conf.*(parse|invalid|fail)",
        "atc does not accept the AIPP configuration.",
        "Try without --aipp. The file stands beside the model: CANN 8.3 reads mean_chn as integers, and the source "
        "size must be that of the network's input.",
    ),
    Advice(
        r"E10034",
        "An input with AIPP cannot be fp16 as well.",
        "Leave out input_fp16_nodes, or --aipp.",
    ),
    Advice(
        r"soc_version.*(invalid|not support|unsupport)|E10001.*soc_version|E10014.*soc_version",
        "This CANN does not know the chip named by --soc.",
        "It is Ascend and the Name of `npu-smi info`, as Ascend310B4; Ascend310 ended with CANN 8.2.",
    ),
    Advice(
        r"Value \[?-1\]? for parameter|maybe you should set input_shape|E10016|E10011|E10002",
        "The model leaves a size of its input open, or an input has another name.",
        "Give input_hw in the spec, or export with static shapes; --atc input_shape=NAME:1,3,H,W names it by hand.",
    ),
    Advice(
        r"dtype is not same|CheckTwoInputDtypeSame",
        "Two inputs of an operator have different integer types.",
        "Mostly int64 indices beside int32: export again with static shapes, so that they are folded to constants.",
    ),
    Advice(
        r"E10041|Failed to load the model",
        "The file is no ONNX model that atc can read.",
        "Check it with onnx.checker, keep its external data beside it, and export at an opset that this CANN knows.",
    ),
    Advice(
        r"E10047|mutually exclusive|E10056",
        "Two options exclude each other.",
        "--precision sets precision_mode: do not give precision_mode_v2 with --atc as well.",
    ),
    Advice(
        r"AscendDequant",
        "A quantised operator wants float32 where the precision mode keeps another type.",
        "Convert without --precision origin.",
    ),
    Advice(
        r"No space left on device",
        "The disk is full; atc also writes into its working folder.",
        "Make room, or change to a folder on another disk.",
    ),
    Advice(
        r"[Cc]annot allocate memory|MemoryError|std::bad_alloc|Out of memory|\bKilled\b",
        "There was not enough memory.",
        "Convert on a PC with the same version of CANN; or add swap, end other programs, set TE_PARALLEL_COMPILER=1.",
    ),
)

_KILLED = (-9, 137)
_MODULE = r"No module named '?([\w.]+)"


def explain(output: str, return_code: int) -> list[Advice]:
    """Return what is known about a failure of atc.

    Parameters
    ----------
    output : str
        What atc printed.
    return_code : int
        Negative for the number of a signal.

    Returns
    -------
    list of Advice
        Empty where nothing is known.
    """
    module = re.search(_MODULE, output)
    found = []
    for advice in ADVICE:
        if re.search(advice.pattern, output):
            found.append(advice._replace(cause=advice.cause.replace("{module}", f": {module[1]}" if module else "")))
    if return_code in _KILLED and ADVICE[-1] not in found:
        found.append(ADVICE[-1])
    return found
