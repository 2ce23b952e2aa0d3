"""cuDNN's own answer for a GPU that is not there: as a program, it prints which samples of convolutions have plans.

cuDNN plans for the properties of a device, which it takes as text. It asks for the driver's library all the same; where
there is none, one without a function of use is compiled and shown to it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

H100 = {
    "deviceName": "NVIDIA H100 80GB HBM3", "cudaDeviceId": 0, "deviceVer": 900, "driverVer": 13000,
    "multiProcessorCount": 132, "warpSize": 32, "regsPerBlock": 65536, "maxSharedMemoryPerBlock": 49152,
    "maxSharedMemoryPerBlockOptin": 232448, "reservedSharedMemoryPerBlock": 1024, "oversizedSharedMemoryPerBlock": 0,
    "maxRegistersPerSM": 65536, "maxCtasPerSM": 32, "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048,
    "pciDeviceId": 9008, "isTccDriver": 0, "supportCoopLaunch": 1, "totalGlobalMem": 85017755648,
    "smClockRateKHz": 1980000, "memClockRateKHz": 2619000, "memoryBusWidth": 5120, "l2CacheSize": 52428800,
    "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64],
}  # fmt: skip

_DRIVER = """
#define F(n) int n(void) { return 3; }
F(cuGetErrorString) F(cuModuleGetFunction) F(cuModuleLoadData) F(cuModuleUnload) F(cuTensorMapEncodeIm2col)
F(cuTensorMapEncodeTiled)
"""
_RUNTIME = """
int cudaGetDevice(int *device) { *device = 0; return 0; }
int cudaDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 9 : attribute == 76 ? 0 : attribute == 16 ? 132 : 1024;
    return 0;
}
const char *cudaGetErrorString(int error) { return "a runtime of no use"; }
int cudaGetLastError(void) { return 0; }
int cudaRuntimeGetVersion(int *version) { *version = 13000; return 0; }
"""


def why_not(folder: Path) -> str:
    """Why this cannot be run here, if that is so; else the two libraries lie in the folder."""
    from kcore_cuda.libraries import cudnn

    if not cudnn.available():
        return f"cuDNN: {cudnn.library()}"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return "no C compiler for the stand-in of the driver"
    for name, text in (("libcuda.so.1", _DRIVER), ("libcudart_none.so", _RUNTIME)):
        source = folder / f"{name}.c"
        source.write_text(text)
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-o", folder / name, f"-Wl,-soname,{name}", source], check=True, timeout=60
        )
    return ""


def ask(folder: Path) -> dict[str, list[int]]:
    """For each op, dtype and choice of options, how many samples there are and how many of them have a plan."""
    env = {**os.environ, "CUDNN_FRONTEND_CUDART_LIB_NAME": str(folder / "libcudart_none.so")}
    env["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [str(folder), env.get("LD_LIBRARY_PATH", "")]))
    told = subprocess.run([sys.executable, __file__], env=env, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stderr[-2000:]
    return json.loads(told.stdout.splitlines()[-1])


def main() -> None:
    """Print what `ask` gives."""
    sys.path.insert(0, str(Path(__file__).parent))
    from library_stage import node_of

    import kcore.ops  # noqa: F401
    from kcore.graph.op import OPS
    from kcore_cuda.libraries import cudnn
    from kcore_cuda.libraries.convolution import OPERATIONS, convolution_of, takes

    device = cudnn.library().create_device_properties(json.dumps(H100))
    found = {}
    for dtype, options in (
        ("float32", cudnn.Options()),
        ("float32", cudnn.Options(tf32=True)),
        ("bfloat16", cudnn.Options()),
        ("float16", cudnn.Options(deterministic=False)),
    ):
        for name in OPERATIONS:
            nodes = [node_of(name, case, dtype)[0] for case in OPS[name].samples]
            asked = [convolution_of(node) for node in nodes if takes(node)]
            for description in asked if dtype == "bfloat16" else []:
                compare(description, [*description.operands, description.result], device)
            plans = [cudnn.plan(d, options, device_property=device) for d in asked]
            found[f"{name} {dtype} {options}"] = [len(asked), sum(p is not None for p in plans)]
    attention(device)
    normalization(device)
    print(json.dumps(found))


def compare(description: object, told: list, device: object) -> None:
    """Whether the frontend's tensors are those that were described, in order."""
    from kcore_cuda.libraries import cudnn

    _, tensors = cudnn.new_graph(description, device_property=device)
    assert [tuple(t.get_dim()) for t in tensors] == [t.dims for t in told], description
    assert [tuple(t.get_stride()) for t in tensors] == [t.strides for t in told], description
    assert [t.get_uid() for t in tensors] == list(range(1, len(told) + 1))


def attention(device: object) -> None:
    """The same for attention and its gradient, with and without a bias and the causal mask."""
    from library_stage import node_of

    from kcore.graph.op import sample
    from kcore_cuda.libraries.attention import attention_of

    shapes, out = ((2, 5, 3, 8), (2, 7, 3, 8), (2, 7, 3, 16)), (2, 5, 3, 16)
    for bias in (None, (1, 3, 5, 7)):
        for causal in (False, True):
            case = sample(*shapes, bias, None, scale=0.3, causal=causal)
            d = attention_of(node_of("attention", case, "bfloat16")[0])
            added = [] if d.bias is None else [d.bias]
            compare(d, [d.query, d.key, d.value, *added, d.out, d.stats], device)
            case = sample(out, *shapes, bias, None, out, (2, 3, 5), scale=0.3, causal=causal)
            d = attention_of(node_of("attention_grad", case, "bfloat16")[0])
            grads = [d.query, d.key, d.value]
            compare(d, [*grads, d.out, d.out, d.stats, *added, *grads], device)


def normalization(device: object) -> None:
    """The same for batch normalization and its gradient; cuDNN compiles their plans with the driver."""
    from kcore_cuda.libraries.cudnn import Tensor
    from kcore_cuda.libraries.normalization import batch_norm_of

    for dtype in ("float32", "float16", "bfloat16"):
        for shape in ((32, 16), (4, 7, 16), (4, 7, 5, 16), (2, 3, 7, 5, 16)):
            d = batch_norm_of(shape, dtype)
            c, number = d.channels, Tensor((1,) * len(d.image.dims), (1,) * len(d.image.dims))
            compare(d, [d.image, c, c, number, number, c, c, d.image, c, c, c, c], device)
            d = batch_norm_of(shape, dtype, backward=True)
            compare(d, [d.image, c, c, c, d.image, d.image, c, c], device)


if __name__ == "__main__":
    main()
