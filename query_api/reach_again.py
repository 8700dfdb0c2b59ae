"""What a request may read by now: for answers that go on long after their key was looked at."""

from ledger.errors import UnknownKey
from ledger.filtering.reach import Reach
from query_api.auth import Doorkeeper
from query_api.errors import AnyRequest


async def reach_again(door: Doorkeeper, request: AnyRequest, begun: Reach) -> Reach:
    """The reach of this moment, of the same project. Raises `Refused` when the key is out of force or another's."""
    reach = await door.reach_now(request)
    if reach.project != begun.project:
        raise UnknownKey
    return reach
