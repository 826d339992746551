"""Evidently's drift report at its defaults, from two Parquet files; runs in Evidently's environment."""

import sys
import warnings

import evidently
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
from peer_timing import report

warnings.simplefilter("ignore")


def job() -> str:
    reference, current = (pd.read_parquet(path) for path in sys.argv[1:3])
    result = Report([DataDriftPreset()]).run(current, reference).dict()
    count = next(item["value"]["count"] for item in result["metrics"] if "DriftedColumnsCount" in str(item))
    return f"{count:g} columns drift"


report(job, version=f"evidently {evidently.__version__}, pandas {pd.__version__}")
