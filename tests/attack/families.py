"""The families of cases that workers run: data, one place."""

from __future__ import annotations

from typing import NamedTuple


class Family(NamedTuple):
    """Cases of a kind.

    Attributes
    ----------
    case : module and function, which takes a generator and an empty folder of the process.
    sanitized : whether they run under AddressSanitizer and UBSan.
    many : cases that one process makes before the next takes over.
    megabytes : how much a process may grow; 0 for no limit (sanitizers reserve all of it).
    cpu_seconds : of one case, at most.
    silent_seconds : without a case ending, after which a process counts as hanging.
    """

    name: str
    case: str
    sanitized: bool = False
    many: int = 5_000
    megabytes: int = 0
    cpu_seconds: float = 30.0
    silent_seconds: float = 60.0


_FILES = {"many": 5_000, "megabytes": 1024, "cpu_seconds": 10.0}

FAMILIES = {
    family.name: family
    for family in (
        Family("native", "attack.fuzz.native:case", sanitized=True),
        Family("torch", "attack.fuzz.torch_modules:case", sanitized=True),
        Family("sparse", "attack.fuzz.hostile_sparse:case", sanitized=True),
        Family("texts", "attack.fuzz.texts:case", cpu_seconds=10.0),
        Family("onnx-graphs", "attack.fuzz.onnx_graphs:case"),
        Family("tables", "attack.files.tables:tables", **_FILES),
        Family("json-lines", "attack.files.tables:json_lines", **_FILES),
        Family("archives", "attack.files.archives:case", **_FILES),
        Family("run-folders", "attack.files.runs:run_folders", **_FILES),
        Family("checkpoints", "attack.files.runs:checkpoints", **_FILES),
        Family("safetensors", "attack.files.runs:weights", **_FILES),
        Family("joined-runs", "attack.files.joined:case", **_FILES),
        Family("vectors", "attack.files.vectors:case", **_FILES),
        Family("own-models", "attack.files.models:own", **_FILES),
        Family("state-dicts", "attack.files.models:state_dict", **_FILES),
        Family("torch-files", "attack.files.torch_models:torch_file", **_FILES),
        Family("rtneural", "attack.files.models:rtneural", **_FILES),
        Family("keras-files", "attack.files.models:keras", **_FILES),
        Family("hdf5", "attack.files.models:hdf5", **_FILES),
        Family("onnx", "attack.files.onnx_models:case", **_FILES),
        Family("kills", "attack.kills:case", many=50, cpu_seconds=60.0),
        Family("full-disk", "attack.trouble:full_disk", many=10),
        Family("read-only", "attack.trouble:read_only", many=10),
        Family("folder-removed", "attack.trouble:folder_removed", many=10),
        Family("two-writers", "attack.trouble:two_writers", many=10),
        Family("sigterm", "attack.trouble:sigterm", many=10),
        Family("no-memory", "attack.trouble:no_memory", many=10),
        Family("planted", "attack.planted:case", many=10, cpu_seconds=0.5, silent_seconds=15.0),
    )
}
