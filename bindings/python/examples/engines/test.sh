#!/usr/bin/env bash
# Runs the examples on Sail, with the wheel that bindings/python/test.sh has built.
set -euo pipefail
cd "$(dirname "$0")"
target="${CARGO_TARGET_DIR:-$(cd ../../../.. && pwd)/target}"
environment=$target/engines
rm -rf "$environment"
"${PYTHON:-python3}" -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check \
    pysail==0.7.2 pyspark-client==4.1.3 pandas==2.3.3 pyarrow==22.0.0 "$target"/wheels/*.whl
timeout 300 "$environment/bin/python" on_sail.py
