"""Graphs for models, and the description of one."""

from __future__ import annotations

from onnx import TensorProto, helper


def network(inputs, outputs, nodes, constants=()):
    graph = helper.make_graph(nodes, "network", inputs, outputs, list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)


def info(name, shape, element=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, element, shape)


def identity(shape=(1, 3, 8, 8)):
    return network([info("x", shape)], [info("y", shape)], [helper.make_node("Identity", ["x"], ["y"], name="id")])


def describe(board, model):
    description = board.acl.mdl.create_desc()
    board.ok(board.acl.mdl.get_desc(description, model))
    return description
