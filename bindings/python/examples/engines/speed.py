"""Series a second that an ensemble scores: on one core, on two by threads, and on Sail's local cluster.

    python speed.py        # what on_sail.py needs; Linux, for the cores that a process may use
"""

import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

os.environ["SAIL_EXECUTION__BATCH_SIZE"] = "256"
import on_sail
from checks import list_form, series, write_member
from ensemble import member, mean_and_spread, score

COUNT, MEMBERS, FEATURES, UNITS, LONGEST, BATCH, ROUNDS = 2000, 8, 5, 64, 365, 256, 5


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def here(models, rows, cores):
    """All rows, in batches, by as many threads as cores: a call lets the other threads run."""
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # of this thread and those that it starts
    batches = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    with ThreadPoolExecutor(len(cores)) as threads:
        for _ in threads.map(lambda batch: mean_and_spread(models, batch), batches):
            pass
    os.sched_setaffinity(0, all_cores)


def main():
    cores = sorted(os.sched_getaffinity(0))[:2]
    rows = series(COUNT, FEATURES, LONGEST)
    with tempfile.TemporaryDirectory() as folder, on_sail.session() as spark:
        paths = [f"{folder}/seed_{seed}.safetensors" for seed in range(MEMBERS)]
        for seed, path in enumerate(paths):
            write_member(path, seed, FEATURES, UNITS)
        models, all_rows = [member(path) for path in paths], list(rows.values())
        frame = list_form(spark, rows).cache()
        frame.count()
        ways = {
            "one core": lambda: here(models, all_rows, cores[:1]),
            "two cores": lambda: here(models, all_rows, cores),
            "Sail, local cluster": lambda: score(frame, paths, FEATURES).write.mode("overwrite").parquet(f"{folder}/y"),
        }
        times = {way: [] for way in ways}
        for _ in range(ROUNDS):  # in turn, so that a busy moment hits them all
            for way, run in ways.items():
                times[way].append(seconds(run))
    for way, taken in times.items():
        print(f"{way}: {COUNT / statistics.median(taken):.0f} series/s (rounds: {min(taken):.2f} to {max(taken):.2f} s)")


if __name__ == "__main__":
    main()
