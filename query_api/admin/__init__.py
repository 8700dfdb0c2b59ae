"""What an operator does to the product: `/api/v1/admin/…`, for keys with the scope `admin`.

An endpoint is a controller in a module of its own here, named in `CONTROLLERS` and in `query_api.routes`. It gets what
it needs as named dependencies: `admin_reach` (whose data the key may act on; ask for it in every handler), `reader`
(read-only and under the caps), `pool` (writes), `bus` (puts events on the bus), `blobs`, `clock`, `caller`.
"""

from litestar import Controller

from query_api.admin.dead_letters.controller import DeadLetterController
from query_api.admin.deletions.reporting import DeletionController
from query_api.admin.deletions.requesting import DeleteController
from query_api.admin.doctor import DoctorController
from query_api.admin.retention.controller import RetentionController

CONTROLLERS: tuple[type[Controller], ...] = (
    DoctorController,
    DeadLetterController,
    DeleteController,
    DeletionController,
    RetentionController,
)
