"""The standalone product with a log that is pruned all the time: `python -m tests.faults.quick_pruning --data …`.

What the product prunes after a day goes after a second here, so that a crash can meet it. Nothing else differs.
"""

from functools import partial

import deploy.standalone
from deploy.cli import main
from ledger.bus.sqlite_log import Retention

_EVERY_SECONDS = 0.2
_ROWS = 50

if __name__ == "__main__":
    setattr(deploy.standalone, "PRUNE_EVERY_SECONDS", _EVERY_SECONDS)  # noqa: B010  it is final for everybody else
    setattr(deploy.standalone, "Retention", partial(Retention, seconds=1.0, max_rows=_ROWS))  # noqa: B010
    main()
