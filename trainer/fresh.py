"""`python -m trainer.fresh`: score an artifact in a process that knows nothing but the file and the validation data.

What the end of a run starts to prove that the file alone carries the network: no config, no seed and no tensor of the
training process reaches it. Prints one JSON object.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from artifact.format import container
from artifact.format.errors import ArtifactError
from artifact.model.build import build
from artifact.model.scoring import for_scoring
from verifier.bytes_table import bytes_table
from verifier.data_errors import DataError
from verifier.numerics import set_canonical_numerics
from verifier.scoring import Score, score
from verifier.shards import read_stream
from verifier.tokenizer import load_tokenizer


def score_file(artifact: Path, *, tokenizer: Path, val: list[Path], device: torch.device, batch_windows: int) -> Score:
    """Rebuild the network of a file and score it in the windows that its manifest declares.

    Raises:
        ArtifactError: the file is no artifact.
        DataError: the data are not what it was made for.
        OSError: a file cannot be read.
    """
    set_canonical_numerics(device)
    read = container.read(artifact.read_bytes())
    table = bytes_table(load_tokenizer(tokenizer))
    return score(
        for_scoring(build(read, device=device)).logits,
        read_stream(val, vocab_size=read.manifest.model.vocab_size),
        table,
        seq_len=read.manifest.eval.seq_len,
        stride=read.manifest.eval.stride,
        device=device,
        batch_windows=batch_windows,
    )


def main(arguments: list[str]) -> int:
    """Parse, score, print; faults go to stderr in one line."""
    parser = argparse.ArgumentParser(prog="trainer.fresh", description=__doc__)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--val", type=Path, nargs="+", required=True)
    parser.add_argument("--device", type=torch.device, required=True)
    parser.add_argument("--batch-windows", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    try:
        result = score_file(
            given.artifact,
            tokenizer=given.tokenizer,
            val=given.val,
            device=given.device,
            batch_windows=given.batch_windows,
        )
    except (ArtifactError, DataError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(asdict(result)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
