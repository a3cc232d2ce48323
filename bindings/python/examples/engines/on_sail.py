"""Runs the examples on Sail, in a local cluster: the results are those of one process, bit for bit.

    pip install pysail==0.7.2 pyspark-client==4.1.3 pandas==2.3.3 pyarrow==22.0.0
    python on_sail.py

The workers of a local cluster are threads of one process, which can't be killed one by one: here a worker dies by an
exception after it handed over a part of its rows. `on_spark.py` kills a process.
"""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("SAIL_MODE", "local-cluster")
os.environ.setdefault("SAIL_EXECUTION__BATCH_SIZE", "16")  # several batches for each worker
os.environ.setdefault("RUST_LOG", "error")
HERE = str(Path(__file__).resolve().parent)
# Workers import these modules by name.
os.environ["PYTHONPATH"] = f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
sys.path.insert(0, HERE)

from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

from checks import check
from dies_once import raises


@contextmanager
def session():
    server = SparkConnectServer("127.0.0.1", 0)
    server.start()
    spark = SparkSession.builder.remote("sc://%s:%s" % server.listening_address).getOrCreate()
    try:
        yield spark
    finally:
        spark.stop()
        server.stop()


if __name__ == "__main__":
    with session() as spark:
        check(spark, raises)
