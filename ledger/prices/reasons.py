"""Why a call has no price, or why its price needs a second look. A closed set: it is stored and becomes a label."""

from enum import StrEnum


class CostReason(StrEnum):
    """The remark that stands beside a cost. Only `USAGE_READ_AS_EXCLUSIVE` stands beside a known one."""

    NO_USAGE = "no_usage"  # a count that the price needs was not reported, or cannot be true
    UNKNOWN_MODEL = "unknown_model"  # no single model of the price data goes by these names
    NO_RATE = "no_rate"  # the model is known, but something that it used has no rate
    NO_TIER_RATE = "no_tier_rate"  # the model is known, but not in the tier that served the call
    USAGE_READ_AS_EXCLUSIVE = "usage_read_as_exclusive"  # priced; the parts did not fit in the reported total
