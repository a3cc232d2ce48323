#!/usr/bin/env bash
# Builds the wheel and tests it in a new environment: the one that is published, or with WHEEL_PROFILE=quick one that
# compiles in a third of the time. Needs Rust and a Python 3 of 3.10 or later; gets the rest from pip.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}" CARGO_INCREMENTAL=0
python=${PYTHON:-python3}
environment=$CARGO_TARGET_DIR/python
wheels=$CARGO_TARGET_DIR/wheels

rm -rf "$environment" "$wheels"
if ! "$python" -m venv "$environment"; then # Debian has venv in a package of its own
    apt-get update && apt-get install -y --no-install-recommends python3 python3-venv
    "$python" -m venv "$environment"
fi
"$environment/bin/pip" install --quiet --disable-pip-version-check maturin==1.16.0 pytest==9.2.0 mypy==2.4.1

cargo fmt --check
cargo clippy --locked -- -D warnings

profile=${WHEEL_PROFILE:-release}
"$environment/bin/maturin" build --profile "$profile" --locked --interpreter "$environment/bin/python" --out "$wheels"
size=$(stat -c %s "$wheels"/*.whl)
echo "the wheel: $size bytes"
# The aim is 5 MB: most of it is what the crate's generic code becomes, once for each type of numbers.
[ "$profile" != release ] || [ "$size" -lt 9437184 ]

"$environment/bin/pip" install --quiet --disable-pip-version-check "$wheels"/*.whl
"$environment/bin/python" -m pytest -q "$@"
# What the package says of its types is true of what it has.
"$environment/bin/python" -m mypy.stubtest recurrent_layers
