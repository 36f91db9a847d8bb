"""`python -m attacks FOLDER`: write every attack as a file, to try a reader or a server with."""

import sys
from pathlib import Path

from attacks.catalogue import attacks


def main() -> int:
    """Write the files; returns the exit code."""
    if len(sys.argv) != 2:
        print("usage: python -m attacks FOLDER", file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, attack in attacks().items():
        data = attack.build()
        (folder / f"{name}.sgolf").write_bytes(data)
        print(f"{name:24} {len(data):>12,} bytes  {attack.EXPECTED}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
