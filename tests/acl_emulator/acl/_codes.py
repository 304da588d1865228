"""Return codes and constants of ACL, by their meaning."""

from __future__ import annotations

SUCCESS = 0
INVALID_PARAM = 100000
UNINITIALIZED = 100001
REPEAT_INITIALIZE = 100002
INVALID_FILE = 100003
INVALID_MODEL_ID = 100011
REPEAT_FINALIZE = 100037
RT_PARAM_INVALID = 107000
RT_INVALID_DEVICE = 107001
RT_CONTEXT_NULL = 107002
RT_STREAM_CONTEXT = 107003
RT_MODEL_CONTEXT = 107004
RT_THREAD_NOT_SUBSCRIBED = 107011
RT_SUBSCRIBE = 107012
RT_INVALID_HANDLE = 107017
GE_PARAM_INVALID = 145000
GE_MODEL_PATH_INVALID = 145002
GE_MODEL_ID_INVALID = 145003
GE_MODEL_SIZE_INVALID = 145006
GE_LOAD_REPEATED = 145009
GE_DYNAMIC_INPUT_ADDRESS = 145011
GE_DYNAMIC_BATCH_INVALID = 145013
GE_AIPP_NOT_SET = 145015
GE_AIPP_MODE_INVALID = 145016
JPEG_NOT_SUPPORTED = 148052
RESOURCE_NOT_ALIGNED = 200003
FEATURE_NOT_SUPPORTED = 207000
RT_MEMORY_ALLOCATION = 207001
RT_DRIVER_RESOURCE = 207005
INTERNAL = 500000
GE_FAILURE = 500002
RT_SOC_MISMATCH = 507008
MODEL_EXECUTE = 507011
RT_REPORT_TIMEOUT = 507012
RT_STREAM_SYNC_TIMEOUT = 507046

MEANINGS = {
    INVALID_PARAM: "invalid parameter",
    UNINITIALIZED: "acl is not initialised",
    REPEAT_INITIALIZE: "repeated initialise",
    INVALID_FILE: "invalid file",
    INVALID_MODEL_ID: "invalid model id",
    REPEAT_FINALIZE: "repeated finalize",
    RT_PARAM_INVALID: "runtime parameter invalid",
    RT_INVALID_DEVICE: "invalid device id",
    RT_CONTEXT_NULL: "this thread has no context",
    RT_STREAM_CONTEXT: "stream is not in the current context",
    RT_MODEL_CONTEXT: "model is not in the current context",
    RT_THREAD_NOT_SUBSCRIBED: "thread is not subscribed",
    RT_SUBSCRIBE: "subscription is missing or doubled",
    RT_INVALID_HANDLE: "invalid handle",
    GE_PARAM_INVALID: "model executor: invalid parameter",
    GE_MODEL_PATH_INVALID: "model executor: invalid path",
    GE_MODEL_ID_INVALID: "model executor: invalid model id",
    GE_MODEL_SIZE_INVALID: "model executor: invalid size of the model data",
    GE_DYNAMIC_INPUT_ADDRESS: "model executor: the model has no such dynamic input",
    GE_DYNAMIC_BATCH_INVALID: "model executor: not one of the model's gears",
    GE_AIPP_NOT_SET: "model executor: AIPP parameters are missing",
    GE_AIPP_MODE_INVALID: "model executor: no dynamic AIPP at this input",
    JPEG_NOT_SUPPORTED: "JPEG is not supported by the hardware",
    RESOURCE_NOT_ALIGNED: "resource not aligned",
    FEATURE_NOT_SUPPORTED: "feature not supported",
    RT_MEMORY_ALLOCATION: "device memory allocation failed",
    RT_DRIVER_RESOURCE: "driver resources are used up",
    INTERNAL: "internal error",
    GE_FAILURE: "model executor failed",
    RT_SOC_MISMATCH: "SoC version mismatch",
    MODEL_EXECUTE: "model execute failed",
    RT_REPORT_TIMEOUT: "report timeout",
    RT_STREAM_SYNC_TIMEOUT: "stream synchronise timeout",
}

# Bytes per element by aclDataType.
DATA_TYPE_SIZES = {0: 4, 1: 2, 2: 1, 3: 4, 4: 1, 6: 2, 7: 2, 8: 4, 9: 8, 10: 8, 11: 8, 12: 1, 13: 8, 27: 2}
# aclDataType by NumPy's name.
DATA_TYPES = {
    "float32": 0,
    "float16": 1,
    "int8": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 6,
    "uint16": 7,
    "uint32": 8,
    "int64": 9,
    "uint64": 10,
    "float64": 11,
    "bool": 12,
}
FORMATS = {"NCHW": 0, "NHWC": 1, "ND": 2}

RUN_MODE_DEVICE, RUN_MODE_HOST = 0, 1
HOST_TO_HOST, HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE, DEFAULT_KIND = 0, 1, 2, 3, 4
