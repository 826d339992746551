"""NannyML's univariate drift at its defaults (Jensen-Shannon, ten chunks), from two Parquet files; in its environment."""

import os
import sys
import warnings

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import pandas as pd
from peer_timing import report

warnings.simplefilter("ignore")


def job() -> str:
    reference, current = (pd.read_parquet(path) for path in sys.argv[1:3])
    calculator = nannyml.UnivariateDriftCalculator(column_names=list(reference.columns))
    result = calculator.fit(reference).calculate(current).filter(period="analysis").to_df()
    alerts = result.xs("alert", axis=1, level=2)
    return f"{int(alerts.all(axis=0).sum())} columns alert in every chunk"


report(job, version=f"nannyml {nannyml.__version__}, pandas {pd.__version__}")
