"""The networks against functions of the same parameters, and their ONNX models against both."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="checkpoints are PyTorch's: pip install torch")

from tests.checkpoints import randomised, save  # noqa: E402
from tests.reference import torch_networks as reference  # noqa: E402
from torch import nn  # noqa: E402

from handpose_native.backends import open_backend  # noqa: E402
from handpose_native.errors import ArgumentError, ModelError  # noqa: E402
from handpose_native.export.checkpoint_models import export_checkpoint, open_network  # noqa: E402
from handpose_native.export.graph import GraphWriter  # noqa: E402
from handpose_native.export.networks.hourglass import DepthNetwork, HeatmapNetwork  # noqa: E402
from handpose_native.export.networks.resnet import ResNet  # noqa: E402
from handpose_native.export.networks.squeezenet import SqueezeNet  # noqa: E402
from handpose_native.export.networks.tracing import write_network  # noqa: E402
from handpose_native.export.networks.unet import UNet  # noqa: E402
from handpose_native.export.operators import ATC_OPERATORS  # noqa: E402
from handpose_native.models import KNOWN_MODELS, ModelSpec, find_spec  # noqa: E402


def noise(side: int, seed: int = 5) -> Any:
    return torch.randn((1, 3, side, side), generator=torch.Generator().manual_seed(seed))


def doubles(network: Any) -> dict[str, Any]:
    """The state dict in float64, the numbers that a checkpoint holds."""
    return {key: value.double() for key, value in network.state_dict().items()}


def assert_close(given: Any, wanted: Any, parts: float = 2e-5) -> None:
    wanted = wanted.numpy()
    given = given.numpy() if torch.is_tensor(given) else given
    assert given.shape == wanted.shape
    assert np.abs(wanted).max() > 0.01  # else nothing is shown
    assert np.ptp(wanted) > 0.01
    assert np.abs(given - wanted).max() <= parts * max(1.0, np.abs(wanted).max())


@torch.no_grad()
def test_unet_is_the_network_described() -> None:
    network = randomised(UNet(), 1)
    assert_close(network(noise(64)), reference.unet(doubles(network), noise(64).double()))


@torch.no_grad()
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_resnets_are_the_networks_described(backbone: str) -> None:
    network = randomised(ResNet(backbone), 2)
    assert_close(network(noise(256)), reference.resnet(doubles(network), noise(256).double()))


@torch.no_grad()
@pytest.mark.parametrize(("backbone", "pools"), [("squeezenet1_0", (5, 10)), ("squeezenet1_1", (4, 7))])
def test_squeezenets_are_the_networks_described(backbone: str, pools: tuple[int, ...]) -> None:
    network = randomised(SqueezeNet(backbone), 3)
    assert_close(network(noise(256)), reference.squeezenet(doubles(network), noise(256).double(), pools))


@pytest.mark.parametrize(
    ("network", "backbone", "parameters"),
    # As published for torchvision's with 1000 classes.
    [
        (ResNet, "resnet18", 11_689_512),
        (ResNet, "resnet34", 21_797_672),
        (ResNet, "resnet50", 25_557_032),
        (ResNet, "resnet101", 44_549_160),
        (SqueezeNet, "squeezenet1_0", 1_248_424),
        (SqueezeNet, "squeezenet1_1", 1_235_496),
    ],
)
def test_backbones_have_as_many_parameters_as_torchvisions(network: Any, backbone: str, parameters: int) -> None:
    with torch.device("meta"):
        built = network(backbone, outputs=1000)
    assert sum(one.numel() for one in built.parameters()) == parameters


@torch.no_grad()
def test_hourglass_and_depths_are_the_networks_described() -> None:
    heatmaps, depth = randomised(HeatmapNetwork(), 4), randomised(DepthNetwork(), 5)
    state = doubles(heatmaps)
    wanted = reference.heatmap_network(state, noise(256).double())
    given = heatmaps(noise(256))
    for one, other in zip(given, wanted):
        assert_close(one, other)
    assert given[0].shape == (1, 21, 64, 64)
    assert_close(depth(*given), reference.depth_network(doubles(depth), *wanted), 1e-4)


def run(path: Path, image: np.ndarray) -> dict[str, np.ndarray]:
    with open_backend(path, threads=1) as backend:
        backend.input_buffer(0).array[...] = image  # type: ignore[attr-defined]
        backend.submit(0)
        return {info.name: one.copy() for info, one in zip(backend.outputs, backend.wait(0))}


@pytest.fixture(scope="module")
def unet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(randomised(UNet(), 6), tmp_path_factory.mktemp("unet") / "unet.pth", prefix="module.")


@torch.no_grad()
@pytest.mark.parametrize("opset", [11, 13, 17])
def test_an_exported_model_is_what_was_asked_for(tmp_path: Path, unet_file: Path, opset: int) -> None:
    done = export_checkpoint("unet", unet_file, tmp_path / "u.onnx", opset=opset)
    model = onnx.load(str(done.path))
    onnx.checker.check_model(model, full_check=True)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", opset)]
    operators = {node.op_type for node in model.graph.node}
    assert operators <= ATC_OPERATORS
    assert not operators & {"BatchNormalization", "Resize", "Constant", "Shape"}
    values = {one.name: one for one in (*model.graph.value_info, *model.graph.input, *model.graph.output)}
    for node in model.graph.node:
        for name in node.output:
            assert all(size.dim_value > 0 for size in values[name].type.tensor_type.shape.dim), name
    network = open_network("unet", unet_file)
    image = noise(128)
    assert_close(run(done.path, image.numpy())["heatmaps"], network(image), 1e-5)
    assert done.differences["heatmaps"] < 1e-5
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["u.json", "u.onnx"]


def test_the_spec_beside_an_exported_model_says_what_it_is(tmp_path: Path, unet_file: Path) -> None:
    done = export_checkpoint("unet", unet_file, tmp_path / "u.onnx")
    spec = find_spec(done.path)
    assert spec == done.spec == ModelSpec.from_json(tmp_path / "u.json")
    assert spec is not None
    assert spec.sha256 == hashlib.sha256(done.path.read_bytes()).hexdigest()
    assert spec.weights_sha256 == (hashlib.sha256(unet_file.read_bytes()).hexdigest(),)
    assert spec.output == "heatmaps"
    known = dataclasses.asdict(KNOWN_MODELS["unet"])
    changed = {name for name, value in dataclasses.asdict(spec).items() if value != known[name]}
    assert changed == {"sha256", "weights_sha256", "output"}
    with open_backend(done.path) as backend:
        inside = ModelSpec.from_dict(json.loads(backend.metadata["handpose_native.spec"]))
    assert dataclasses.replace(inside, sha256=spec.sha256) == spec


@pytest.mark.parametrize("backbone", ["resnet18", "squeezenet1_1"])
def test_handpose_x_runs_from_a_checkpoint(tmp_path: Path, backbone: str) -> None:
    network: Any = SqueezeNet(backbone) if backbone.startswith("squeeze") else ResNet(backbone)
    file = save(randomised(network, 7), tmp_path / "x.pth")
    done = export_checkpoint("handpose-x", file, tmp_path / "x.onnx", backbone=backbone, half=True)
    assert (done.spec.family, done.spec.output) == ("regression", "joints")
    given = run(done.path, noise(256).half().numpy())["joints"]
    assert (given.dtype, given.shape) == (np.float16, (1, 42))
    with torch.no_grad():
        assert_close(given.astype(np.float32), network(noise(256)), 1e-2)
    with pytest.raises(ModelError, match="not a checkpoint of ResNet: missing"):
        export_checkpoint("handpose-x", save(UNet(), tmp_path / "u.pth"), tmp_path / "u.onnx")
    assert not (tmp_path / "u.onnx").exists()


@torch.no_grad()
def test_hourglass_3d_runs_from_two_checkpoints(tmp_path: Path) -> None:
    heatmaps, depth = randomised(HeatmapNetwork(), 8), randomised(DepthNetwork(), 9)
    files = save(heatmaps, tmp_path / "h.pth"), save(depth, tmp_path / "d.pth", prefix="module.")
    done = export_checkpoint("hourglass-3d", files[0], tmp_path / "f.onnx", depth_weights=files[1], fold_decode=True)
    assert (done.spec.family, done.spec.output, done.spec.depth_output) == ("keypoints", "joints", "depth")
    assert len(done.spec.weights_sha256) == 2
    given = run(done.path, noise(256).numpy())
    assert {name: one.shape for name, one in given.items()} == {"joints": (1, 21, 3), "depth": (1, 20)}
    assert_close(given["depth"], depth(*heatmaps(noise(256))))
    assert done.differences["joints_px"] < 0.01


def test_wrong_options_are_named(tmp_path: Path, unet_file: Path) -> None:
    target = tmp_path / "u.onnx"
    for options, message in (
        ({"backbone": "resnet50"}, "backbone is for handpose-x; got 'resnet50' for unet"),
        ({"depth_weights": "d.pth"}, "depth_weights are those of hourglass-3d"),
        ({"opset": 10}, r"opset must be 11\.\.17; got 10"),
        ({"opset": 18}, r"opset must be 11\.\.17; got 18"),
    ):
        with pytest.raises(ArgumentError, match=message):
            export_checkpoint("unet", unet_file, target, **options)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="model must be one of unet, handpose-x, hourglass-3d; got 'yolo'"):
        export_checkpoint("yolo", unet_file, target)
    with pytest.raises(ArgumentError, match=r"backbone must be one of resnet50, .*; got 'vgg'"):
        export_checkpoint("handpose-x", unet_file, target, backbone="vgg")
    with pytest.raises(ArgumentError, match="handpose-x returns its joints as numbers"):
        export_checkpoint("handpose-x", unet_file, target, fold_decode=True)
    with pytest.raises(ArgumentError, match=r"depth_weights are those of .*; model is hourglass-3d"):
        export_checkpoint("hourglass-3d", unet_file, target)
    with pytest.raises(ModelError, match=r"the output must be a \.onnx file; got u\.om"):
        export_checkpoint("unet", unet_file, "u.om")
    with pytest.raises(ModelError, match="there is no folder"):
        export_checkpoint("unet", unet_file, tmp_path / "none" / "u.onnx")
    assert list(tmp_path.iterdir()) == []


def test_values_too_large_for_float16_are_named(tmp_path: Path) -> None:
    network = randomised(UNet(), 6)
    network.conv_up1.double_conv[1].weight.data[0, 0, 0, 0] = 1e6
    file = save(network, tmp_path / "u.pth")
    with pytest.raises(
        ModelError, match=r"conv_up1.double_conv.1.weight has values up to 1e\+06, too large for float16"
    ):
        export_checkpoint("unet", file, tmp_path / "u.onnx", half=True)


def write(network: nn.Module, shape: tuple[int, ...] = (1, 3, 8, 8)) -> Any:
    graph = GraphWriter("g")
    (result,) = write_network(graph, network, graph.input("image", shape), shape)
    graph.output(result.value, "result", result.shape)
    return graph.model({})


def operators(model: Any) -> list[str]:
    return [node.op_type for node in model.graph.node]


class _Shared(nn.Module):
    """A convolution that a BatchNorm reads, and something else too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.bn = nn.BatchNorm2d(3)

    def forward(self, x: Any) -> Any:
        y = self.conv(x)
        return y + self.bn(y)


def test_batch_norm_is_folded_only_where_that_is_exact() -> None:
    after = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    assert operators(write(randomised(after))) == ["Conv", "Relu"]
    without_bias = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, affine=False))
    assert operators(write(without_bias.eval())) == ["Conv"]
    before = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=1))
    assert operators(write(randomised(before))) == ["Mul", "Add", "Conv"]
    assert operators(write(randomised(_Shared()))) == ["Conv", "Mul", "Add", "Add"]


def test_layers_that_cannot_be_written_are_named() -> None:
    with pytest.raises(ModelError, match=r"layer 0 \(Softplus\) cannot be written as ONNX"):
        write(nn.Sequential(nn.Softplus()).eval())
    with pytest.raises(ModelError, match=r"layer 0 \(Upsample\) must double"):
        write(nn.Sequential(nn.Upsample(scale_factor=3, mode="bilinear")).eval())
    with pytest.raises(ModelError, match="Sequential is in training mode"):
        write(nn.Sequential(nn.ReLU()))
