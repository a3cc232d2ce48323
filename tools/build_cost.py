#!/usr/bin/env python3
"""What the crate costs a user's build: CPU time and memory of rustc, and the size of a program.

    python3 tools/build_cost.py [--check]

Builds a program of one LSTM with default features from nothing, in release and in debug, and an empty one beside it.
`--check` builds in release only, and fails beyond the limits. Sizes are the same everywhere; time depends on the machine,
and its limit leaves room for a slow or busy one: it is there to notice a doubling.
"""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "target" / "build_cost"
LOG = FOLDER / "rustc.log"

# What a stripped program takes above an empty one, in bytes; rustc's CPU seconds and memory in MiB, in release.
LIMITS = {"bytes": 1_000_000, "seconds": 360, "mebibytes": 1800}

HELLO = """use ndarray::Array3;
use recurrent::{Layer, Lstm};
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{}", Lstm::new(3, 4).forward(&Array3::<f32>::ones((1, 4, 3)))?.last());
    Ok(())
}
"""


def as_rustc(command):
    """Runs rustc, and writes down what compiling this crate took."""
    status = subprocess.call(command, close_fds=False)  # cargo's jobserver among them
    name = command[command.index("--crate-name") + 1] if "--crate-name" in command else ""
    if name == "recurrent":
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        with LOG.open("a") as log:
            log.write(f"{used.ru_utime + used.ru_stime} {used.ru_maxrss / 1024}\n")
    return status


def program(name, main, dependencies):
    folder = FOLDER / name
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "main.rs").write_text(main)
    (folder / "Cargo.toml").write_text(
        f'[package]\nname = "{name}"\nversion = "0.0.0"\nedition = "2024"\n[dependencies]\n{dependencies}'
        "[profile.release]\nstrip = true\n[workspace]\n"
    )
    return folder


def build(folder, *options):
    own = {"RUSTC_WRAPPER": str(Path(__file__).resolve()), "CARGO_TARGET_DIR": str(FOLDER / "built"), "CARGO_INCREMENTAL": "0"}
    subprocess.check_call(["cargo", "build", "--quiet", *options], cwd=folder, env={**os.environ, **own})
    return (FOLDER / "built" / "release" / folder.name).stat().st_size if "--release" in options else 0


def cost(debug):
    shutil.rmtree(FOLDER, ignore_errors=True)
    crate = f'ndarray = "0.17"\nrecurrent = {{ path = "{ROOT}" }}\n'
    hello = program("hello", HELLO, crate)
    size = build(hello, "--release") - build(program("empty", "fn main() {}\n", ""), "--release")
    if debug:
        build(hello)
    taken = [tuple(map(float, line.split())) for line in LOG.read_text().splitlines()]
    print(f"above an empty program: {size} bytes")
    for profile, (seconds, mebibytes) in zip(["release", "debug"], taken):
        print(f"rustc in {profile}: {seconds:.1f} s of CPU, {mebibytes:.0f} MiB")
    return {"bytes": size, "seconds": taken[0][0], "mebibytes": taken[0][1]}


if __name__ == "__main__":
    if len(sys.argv) > 1 and "rustc" in Path(sys.argv[1]).name:
        sys.exit(as_rustc(sys.argv[1:]))
    check = "--check" in sys.argv
    found = cost(debug=not check)
    if check:
        above = [f"{what}: {found[what]} of at most {most}" for what, most in LIMITS.items() if found[what] > most]
        sys.exit("\n".join(above) or 0)
