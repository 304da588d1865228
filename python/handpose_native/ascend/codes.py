"""The return codes of ACL by name and meaning: what a board says, in words."""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "JPEG_NOT_SUPPORTED",
    "OUT_OF_MEMORY",
    "REPEATED_FINALIZE",
    "REPEATED_INIT",
    "REPORT_TIMEOUTS",
    "UNFIT_MODEL",
    "AclCode",
    "describe_code",
]


class AclCode(NamedTuple):
    """One return code.

    Attributes
    ----------
    name : str
        As in CANN's headers; empty where it has none there.
    meaning : str
    """

    name: str
    meaning: str


#: From acl/acl_base.h, acl/error_codes/rt_error_codes.h and ge_error_codes.h of CANN, and the page aclError of its
#: documentation; the meanings name what leads to them in programs of this kind.
CODES: dict[int, AclCode] = {
    100000: AclCode("ACL_ERROR_INVALID_PARAM", "an argument is wrong: null, of size 0, or another configuration"),
    100001: AclCode("ACL_ERROR_UNINITIALIZE", "acl.init has not been called, or acl.finalize already has"),
    100002: AclCode("ACL_ERROR_REPEAT_INITIALIZE", "acl.init was called before; harmless"),
    100003: AclCode("ACL_ERROR_INVALID_FILE", "the file cannot be read or is not what it should be"),
    100011: AclCode("ACL_ERROR_INVALID_MODEL_ID", "there is no such model: never loaded, or unloaded"),
    100017: AclCode("ACL_ERROR_MODEL_INPUT_NOT_MATCH", "the inputs do not match the model"),
    100018: AclCode("ACL_ERROR_MODEL_OUTPUT_NOT_MATCH", "the outputs do not match the model"),
    100037: AclCode("ACL_ERROR_REPEAT_FINALIZE", "acl.finalize was called before"),
    100039: AclCode(
        "ACL_ERROR_COMPILING_STUB_MODE", "the library is a stub for linking: lib64/stub is on LD_LIBRARY_PATH"
    ),
    107000: AclCode("ACL_ERROR_RT_PARAM_INVALID", "the runtime refuses an argument, as a size or an address"),
    107001: AclCode("ACL_ERROR_RT_INVALID_DEVICEID", "there is no device of this number"),
    107002: AclCode("ACL_ERROR_RT_CONTEXT_NULL", "this thread has no context"),
    107003: AclCode("ACL_ERROR_RT_STREAM_CONTEXT", "the stream belongs to another context"),
    107004: AclCode("ACL_ERROR_RT_MODEL_CONTEXT", "the model belongs to another context"),
    107008: AclCode("ACL_ERROR_RT_ADDR_UNALIGNED", "an address is not aligned"),
    107011: AclCode("ACL_ERROR_RT_STREAM_SUBSCRIBE", "no thread is subscribed to the stream"),
    107012: AclCode("ACL_ERROR_RT_THREAD_SUBSCRIBE", "the thread is not subscribed as it should be"),
    107015: AclCode("ACL_ERROR_RT_STREAM_NO_CB_REG", "no callback is registered for the stream"),
    107016: AclCode("ACL_ERROR_RT_INVALID_MEMORY_TYPE", "the memory is of another kind"),
    107017: AclCode("ACL_ERROR_RT_INVALID_HANDLE", "a handle is not valid: destroyed already"),
    107019: AclCode("ACL_ERROR_RT_WAIT_TIMEOUT", "waiting took too long"),
    107020: AclCode("ACL_ERROR_RT_TASK_TIMEOUT", "a task took too long"),
    145000: AclCode("ACL_ERROR_GE_PARAM_INVALID", "the model executor refuses an argument, as a buffer too small"),
    145001: AclCode("ACL_ERROR_GE_EXEC_NOT_INIT", "the model executor is not initialised"),
    145002: AclCode("ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID", "the path of the model is wrong"),
    145003: AclCode("ACL_ERROR_GE_EXEC_MODEL_ID_INVALID", "there is no such model: never loaded, or unloaded"),
    145006: AclCode("ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID", "the size of the model's data is wrong"),
    145009: AclCode("ACL_ERROR_GE_EXEC_LOAD_MODEL_REPEATED", "the model is loaded already"),
    145011: AclCode("ACL_ERROR_GE_DYNAMIC_INPUT_ADDR_INVALID", "the address of a dynamic input is wrong"),
    145012: AclCode("ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID", "the size of a dynamic input is wrong"),
    145013: AclCode("ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID", "the model has no such batch size"),
    145014: AclCode("ACL_ERROR_GE_AIPP_BATCH_EMPTY", "the batch of the dynamic AIPP is empty"),
    145015: AclCode("ACL_ERROR_GE_AIPP_NOT_EXIST", "the input has no AIPP"),
    145016: AclCode("ACL_ERROR_GE_AIPP_MODE_INVALID", "the AIPP of the input is of another mode"),
    148052: AclCode("", "the hardware cannot decode this JPEG, as a progressive one"),
    200000: AclCode("ACL_ERROR_BAD_ALLOC", "out of host memory"),
    200001: AclCode("ACL_ERROR_API_NOT_SUPPORT", "this function is not supported here"),
    200003: AclCode("ACL_ERROR_MEMORY_ADDRESS_UNALIGNED", "an address is not aligned"),
    200004: AclCode("ACL_ERROR_RESOURCE_NOT_MATCH", "handles do not belong together"),
    200005: AclCode("ACL_ERROR_INVALID_RESOURCE_HANDLE", "a handle is not valid"),
    207000: AclCode("ACL_ERROR_RT_FEATURE_NOT_SUPPORT", "this board or version of CANN cannot do that"),
    207001: AclCode("ACL_ERROR_RT_MEMORY_ALLOCATION", "out of device memory"),
    207002: AclCode("ACL_ERROR_RT_MEMORY_FREE", "device memory could not be freed"),
    207005: AclCode("ACL_ERROR_RT_RESOURCE_ALLOC_FAIL", "the driver has nothing left: too many streams or events"),
    207008: AclCode("ACL_ERROR_RT_NO_STREAM_RESOURCE", "no stream is left"),
    207009: AclCode("ACL_ERROR_RT_NO_NOTIFY_RESOURCE", "no notify is left"),
    207018: AclCode("ACL_ERROR_RT_DEVICE_OOM", "out of device memory"),
    500000: AclCode("ACL_ERROR_INTERNAL_ERROR", "a fault inside CANN; logs are in ~/ascend/log"),
    500001: AclCode("ACL_ERROR_FAILURE", "a fault inside CANN; logs are in ~/ascend/log"),
    500002: AclCode("ACL_ERROR_GE_FAILURE", "the model executor failed; logs are in ~/ascend/log"),
    500003: AclCode("ACL_ERROR_RT_FAILURE", "the runtime failed; logs are in ~/ascend/log"),
    500004: AclCode("ACL_ERROR_DRV_FAILURE", "the driver failed; logs are in ~/ascend/log"),
    507008: AclCode("ACL_ERROR_RT_SOC_VERSION", "the model was converted for another chip"),
    507010: AclCode("ACL_ERROR_RT_LOST_HEARTBEAT", "the device does not answer any more"),
    507011: AclCode("ACL_ERROR_RT_MODEL_EXECUTE", "the model failed on the device"),
    507012: AclCode("ACL_ERROR_RT_REPORT_TIMEOUT", "no report came in time"),
    507014: AclCode("ACL_ERROR_RT_AICORE_TIMEOUT", "the AI core took too long"),
    507015: AclCode(
        "ACL_ERROR_RT_AICORE_EXCEPTION", "the AI core failed: a wrong address, a buffer too small, a bad operator"
    ),
    507017: AclCode("ACL_ERROR_RT_AICPU_TIMEOUT", "the AI CPU took too long"),
    507018: AclCode("ACL_ERROR_RT_AICPU_EXCEPTION", "the AI CPU failed"),
    507046: AclCode("ACL_ERROR_RT_STREAM_SYNC_TIMEOUT", "waiting for a stream took too long"),
    507899: AclCode("ACL_ERROR_RT_DRV_INTERNAL_ERROR", "a fault inside the driver"),
}

REPEATED_INIT = 100002
REPEATED_FINALIZE = 100037
#: Codes by which waiting for a report says that none came.
REPORT_TIMEOUTS = frozenset({107019, 107020, 507012})
JPEG_NOT_SUPPORTED = 148052
#: Codes that say that memory has run out.
OUT_OF_MEMORY = frozenset({200000, 207001, 207018})
#: Codes by which loading says that the file is the matter, not the device.
UNFIT_MODEL = frozenset({100003, 145002, 145006, 507008})

#: What the first digit says of a code that is not in the table (page aclError).
_CLASSES = {"1": "wrong use", "2": "a resource is missing or the function is not supported"}


def describe_code(code: int) -> str:
    """Return a code with its name and meaning, as ``207001 ACL_ERROR_RT_MEMORY_ALLOCATION (out of device memory)``."""
    known = CODES.get(code)
    if known is None:
        return f"{code} ({_CLASSES.get(str(code)[:1], 'a fault inside CANN')}; not in the table of known codes)"
    return f"{code} {known.name} ({known.meaning})" if known.name else f"{code} ({known.meaning})"
