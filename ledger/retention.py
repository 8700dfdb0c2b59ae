"""How long calls are kept: days per project, a default, and what a disk cap has cut off. Pure.

Days are whole days of UTC: with N days a call is shown for at least N days, and gone from every answer a day later at
the latest. So the bound moves once a day, and answers about the past stay the same in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.filtering.retained import Retained
from ledger.ids import ProjectId

DEFAULT = ProjectId("*")
"""The name under which the default of all projects is set."""

DAY_MS = 24 * 3600 * 1000
SHORTEST_DAYS, LONGEST_DAYS = 1, 36_500

KEY_DAYS = 30
"""An idempotency key is known for at least so long, also where calls are kept for less."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What was set for a project, or for all that have nothing of their own (`DEFAULT`)."""

    project: ProjectId
    days: int | None  # None: for ever
    set_at: int  # milliseconds since 1970
    set_by: str  # the id of the key


@dataclass(frozen=True, slots=True)
class Installation:
    """What the installation was told at its start."""

    default_days: int | None = None  # counts until a default is set; None: for ever
    max_bytes: int | None = None  # of the store's tables; None: no cap
    cap_is_default: bool = False  # nobody has set it: what was larger from the start is not cut


@dataclass(frozen=True, slots=True)
class Policies:
    """All that says what is kept."""

    set_ones: Sequence[Policy] = ()
    fallback_days: int | None = None
    cut_before: int | None = None  # older calls of all projects were deleted to stay below the disk cap

    def own(self, project: ProjectId) -> Policy | None:
        """What was set for exactly this project, or for `DEFAULT`."""
        return next((policy for policy in self.set_ones if policy.project == project), None)

    @property
    def default_days(self) -> int | None:
        """Days of a project without a policy of its own; None: for ever."""
        default = self.own(DEFAULT)
        return default.days if default else self.fallback_days

    def days_of(self, project: ProjectId) -> int | None:
        """Days of this project; None: for ever."""
        own = self.own(project)
        return own.days if own else self.default_days

    def retained(self, now: int) -> Retained:
        """What is kept at this moment (milliseconds since 1970)."""
        of = {policy.project: self._since(policy.days, now) for policy in self.set_ones if policy.project != DEFAULT}
        return Retained.by(self._since(self.default_days, now), of)

    def changed(self, project: ProjectId, policy: Policy | None) -> "Policies":
        """The same with this policy instead of the project's own; None: it has none."""
        others = [of for of in self.set_ones if of.project != project]
        return Policies([*others, policy] if policy else others, self.fallback_days, self.cut_before)

    def _since(self, days: int | None, now: int) -> int | None:
        if days is None:
            return self.cut_before
        return max(first_kept(days, now), self.cut_before or 0)


def first_kept(days: int, now: int) -> int:
    """The beginning of the first day that is kept, in milliseconds since 1970."""
    return max(0, day_of(now) - days * DAY_MS)


def day_of(ms: int) -> int:
    """The beginning of an instant's day in UTC."""
    return ms - ms % DAY_MS
