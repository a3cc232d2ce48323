#!/usr/bin/env bash
# Runs the examples on Spark, with the wheel that bindings/python/test.sh has built. Needs Java 17 or later and a Python 3;
# gets Spark (450 MB) from pip. Before releases, not in CI.
set -euo pipefail
cd "$(dirname "$0")"
target="${CARGO_TARGET_DIR:-$(cd ../../../.. && pwd)/target}"
environment=$target/spark
java -version 2>/dev/null || { apt-get update && apt-get install -y --no-install-recommends openjdk-17-jre-headless; }
rm -rf "$environment"
"${PYTHON:-python3}" -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check \
    pyspark==4.1.3 pandas==2.3.3 pyarrow==22.0.0 "$target"/wheels/*.whl
timeout 600 "$environment/bin/python" on_spark.py
