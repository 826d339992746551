"""What is measured on a breast mass. Owns the ten measurements with their units and plausible values; holds no data.

Each describes the nuclei of the cells of one fine-needle aspirate, as a mean over the nuclei (Wolberg, Street and
Mangasarian, Wisconsin Diagnostic Breast Cancer). The published set states no unit of length; this demonstration reads
lengths as micrometres, which is where nuclei of 7 to 28 belong.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One column.

    Attributes:
        column: its name in the data.
        unit: ``1`` for ratios.
        lowest: below it the value is no measurement, in ``unit``.
        highest: above it the value is no measurement, in ``unit``.
        median_range: ends between which the median of every site must lie, in ``unit``.
        zero_means_missing: whether 0 is what an empty field becomes, because no nucleus has it.
    """

    column: str
    unit: str
    lowest: float
    highest: float
    median_range: tuple[float, float]
    zero_means_missing: bool


def _measurement(column: str, unit: str, ends: tuple[float, float], median_range: tuple[float, float]) -> Measurement:
    return Measurement(
        column=column,
        unit=unit,
        lowest=ends[0],
        highest=ends[1],
        median_range=median_range,
        zero_means_missing=ends[0] > 0,
    )


MEASUREMENTS = (
    _measurement("mean_radius", "µm", (4.0, 35.0), (9.0, 19.0)),
    _measurement("mean_texture", "1", (5.0, 50.0), (14.0, 25.0)),
    _measurement("mean_perimeter", "µm", (25.0, 230.0), (58.0, 125.0)),
    _measurement("mean_area", "µm²", (50.0, 3500.0), (250.0, 1150.0)),
    _measurement("mean_smoothness", "1", (0.03, 0.25), (0.08, 0.12)),
    _measurement("mean_compactness", "1", (0.005, 0.6), (0.06, 0.15)),
    _measurement("mean_concavity", "1", (0.0, 0.8), (0.02, 0.15)),
    _measurement("mean_concave_points", "1", (0.0, 0.4), (0.01, 0.08)),
    _measurement("mean_symmetry", "1", (0.05, 0.5), (0.15, 0.22)),
    _measurement("mean_fractal_dimension", "1", (0.03, 0.15), (0.05, 0.075)),
)
FEATURES = tuple(each.column for each in MEASUREMENTS)

# How many of the declared unit one unit of a site that works in millimetres is worth.
PER_MILLIMETRE = {"µm": 1_000.0, "µm²": 1_000_000.0}
LENGTHS = tuple(each.column for each in MEASUREMENTS if each.unit in PER_MILLIMETRE)
