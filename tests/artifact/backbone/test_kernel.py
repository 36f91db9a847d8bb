"""The Triton kernel without a GPU: in Triton's interpreter it makes what numpy makes, and it compiles for GPUs."""

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from artifact.backbone.lookup import lookup
from tests.artifact.backbone.interpret import CASES

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def interpreted() -> dict[str, str]:
    pytest.importorskip("triton")
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.artifact.backbone.interpret"],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        check=True,
    )
    digests: dict[str, str] = json.loads(run.stdout)
    return digests


@pytest.mark.parametrize("name", CASES)
def test_the_interpreted_kernel_makes_what_numpy_makes(interpreted: dict[str, str], name: str) -> None:
    case = CASES[name]
    out = np.empty(case.size, case.table.dtype)
    lookup(case.stream, case.table, out, case.first_block)
    assert interpreted[name] == sha256(out.tobytes()).hexdigest()


@pytest.mark.parametrize("capability", [80, 90])  # A100 and H100, H200
@pytest.mark.parametrize(("width", "pattern"), [(8, "*i32"), (8, "*i16"), (1, "*i16")])
def test_the_kernel_compiles_for_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capability: int, width: int, pattern: str
) -> None:
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from artifact.backbone import kernel

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    integers = {"count": "i64", "first_block": "u64", "key": "u64", "counter": "u64"}
    constants = {"WIDTH": width, "VALUES": kernel.VALUES}
    signature = {"table": pattern, "out": pattern, **integers, **dict.fromkeys(constants, "constexpr")}
    source = ASTSource(
        kernel.lookup_kernel,
        signature=signature,
        constexprs=constants,
        attrs={(i,): [["tt.divisibility", 16]] for i in (0, 1, 2)},
    )
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32))
    assert "st.global.v" in compiled.asm["ptx"], "stores are not vectorised"
    assert any(tmp_path.iterdir())
