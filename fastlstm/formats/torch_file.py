"""torch's own files, ``.pt``: a state_dict is read without running any code, and written."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.files.opening import open_file
from fastlstm.files.writing import replacing
from fastlstm.formats.errors import BAD_ARCHIVE, package, reading
from fastlstm.formats.own import as_written, of_run, tensors_of
from fastlstm.formats.state_dict import layers_of

# Under which a checkpoint of a whole training keeps its state_dict.
INSIDE = ("state_dict", "model_state_dict", "model")
MOST_SHARED = 4  # times the file: tensors may share what is stored once, as tied weights do


def load_torch(path: Path, kinds: dict[str, str]) -> Any:
    """Return the layers of a state_dict."""
    torch = package("torch", "torch", f"{path}, a file of torch,")
    with reading(path, "a state_dict of torch"):
        _check_members(path)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of old and of foreign files
                found = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # its readers raise anything
            told = str(error).partition("\n")[0].partition(". ")[0]
            raise ValueError(
                f"torch refuses it with weights_only=True ({told}), expected tensors alone: save "
                "model.state_dict(), not the model"
            ) from error
        return layers_of(_arrays(torch, _state_dict(torch, found), path.stat().st_size), kinds)


def _check_members(path: Path) -> None:
    """Raise ValueError if an archive would unpack to more than it is: torch packs nothing."""
    with open_file(path) as file:
        if file.read(4) != b"PK\x03\x04":
            return
        file.seek(0)
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
        except BAD_ARCHIVE as error:
            raise ValueError(f"its archive is damaged: {error}") from error
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise ValueError("its members are packed or overlap, expected them stored as torch does")


def _state_dict(torch: Any, found: Any) -> dict[str, Any]:
    for name in INSIDE:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
            break
    if not isinstance(found, Mapping):
        raise ValueError(f"it holds a {type(found).__name__}, expected a dict of tensors")
    return {str(k): v for k, v in found.items() if isinstance(v, torch.Tensor)}


def _arrays(torch: Any, tensors: dict[str, Any], size: int) -> dict[str, NDArray[Any]]:
    """Return dense tensors as arrays: float16 and bfloat16 as float32."""
    total, found = 0, {}
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
            raise ValueError(f"{name} is a tensor of {tensor.dtype}, {tensor.layout}: no dense one")
        if tensor.device.type != "cpu":
            raise ValueError(f"{name} is on device {tensor.device}, expected numbers")
        total += tensor.numel() * tensor.element_size()
        if total > MOST_SHARED * size:
            raise ValueError(
                f"{name} and those before it are {count_of(total, 'byte')} of a file of {size:,}"
            )
        tensor = tensor.detach()
        if tensor.dtype in (torch.bfloat16, torch.float16):
            tensor = tensor.float()
        found[name] = np.array(tensor.numpy())
    return found


def save_torch(model: Any, path: Path) -> None:
    """Write the parameters of a model as a state_dict; see `fastlstm.save`."""
    arrays = tensors_of(as_written(of_run(model)))
    torch = package("torch", "torch", "a file of torch")
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    with replacing(path) as file:
        torch.save(tensors, file)
