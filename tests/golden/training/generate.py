"""Losses, metrics and training runs by Keras: writes losses.json, metrics.json, runs.json, models.json, noise.json,
activity.json, attention.json, zoneout.json, stateful.json and their models beside this file."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "keras"))

import activity  # noqa: E402
import attention  # noqa: E402
import losses  # noqa: E402
import metrics  # noqa: E402
import models  # noqa: E402
import runs  # noqa: E402
import stateful  # noqa: E402
import zoneout  # noqa: E402

losses.main()
metrics.main()
runs.main()
models.main()
stateful.main()
zoneout.main()
activity.main()
attention.main()
