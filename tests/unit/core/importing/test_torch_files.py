"""Tensors of kinds that no weight has, in files that PyTorch reads."""

import pytest

from hvae_core.errors import WeightsError
from hvae_core.importing import read_state_dict
from hvae_core.weights import read_header

torch = pytest.importorskip("torch")


def unusual():
    values = torch.rand(3, 4)
    yield "sparse", values.to_sparse()
    yield "sparse", values.to_sparse_csr()
    yield "quantized", torch.quantize_per_tensor(values, 0.1, 0, torch.qint8)
    yield "nested", torch.nested.nested_tensor([torch.rand(2), torch.rand(3)])
    yield "valueless", torch.empty(3, device="meta")
    yield "repeats few values", torch.zeros(1).expand(10**12)
    yield "holds complex64 values", torch.zeros(3, dtype=torch.complex64)
    yield "holds int64 values", torch.zeros(3, dtype=torch.int64)
    yield "holds bool values", torch.zeros(3, dtype=torch.bool)
    yield "no tensor", "text"
    yield "no tensor", {"inner": values}


@pytest.mark.filterwarnings("ignore")
def test_unusual_tensors_are_one_sentence(tmp_path):
    for says, tensor in unusual():
        torch.save({"weight": tensor}, tmp_path / "x.pt")
        with pytest.raises(WeightsError, match=says) as caught:
            read_state_dict(tmp_path / "x.pt")
        assert len(str(caught.value)) < 400


def test_plain_ones_are_read(tmp_path):
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
        torch.save({"weight": torch.ones(4, 3, dtype=dtype).T}, tmp_path / "x.pt")
        assert read_state_dict(tmp_path / "x.pt")["weight"].tolist() == [[1.0] * 4] * 3


def test_a_git_lfs_pointer_is_told(tmp_path):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    for name, read in (("x.pt", read_state_dict), ("x.safetensors", read_header)):
        (tmp_path / name).write_text(text)
        with pytest.raises(WeightsError, match=r"git-lfs pointer.*git lfs pull"):
            read(tmp_path / name)
