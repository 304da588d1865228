"""Huawei Ascend boards and cards through pyACL: the runtime, its memory, and the media engines beside the NPU."""
