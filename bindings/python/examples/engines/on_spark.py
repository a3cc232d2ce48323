"""Runs the examples on Spark, in a cluster of two workers on this machine, one of which gets killed in the middle.

    pip install pyspark==4.1.3 pandas==2.3.3 pyarrow==22.0.0      # and Java 17
    python on_spark.py
"""

import os
import sys
from pathlib import Path

HERE = str(Path(__file__).resolve().parent)
os.environ["PYSPARK_PYTHON"] = sys.executable
sys.path.insert(0, HERE)

from pyspark.sql import SparkSession

from checks import check
from dies_once import is_killed


def main():
    spark = (
        SparkSession.builder.master("local-cluster[2,1,1024]")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.executorEnv.PYTHONPATH", HERE)  # workers import these modules by name
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "16")  # several batches for each worker
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    check(spark, is_killed)
    spark.stop()


if __name__ == "__main__":
    main()
