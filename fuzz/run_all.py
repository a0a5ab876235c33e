"""Run every harness for some seconds: ``python fuzz/run_all.py 60``."""

import subprocess
import sys
from pathlib import Path

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 60
FILES = ("tokenizer.json", "vocab.txt", "tokenizer_config.json")


def main() -> int:
    """Run them one after another; return 1 if there was a finding."""
    here = Path(__file__).parent
    runs = [[str(path)] for path in sorted(here.glob("fuzz_*.py")) if path.stem != "fuzz_tokenizer"]
    runs += [[str(here / "fuzz_tokenizer.py"), f"--file={name}"] for name in FILES]
    failed = 0
    for run in runs:
        print("==", *run, flush=True)
        command = [sys.executable, *run, f"-max_total_time={SECONDS}", "-print_final_stats=1"]
        failed |= subprocess.run(command, check=False).returncode
    return int(failed != 0)


if __name__ == "__main__":
    sys.exit(main())
