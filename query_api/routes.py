"""What this service serves, as a list: whoever puts several services behind one address dispatches by it.

Every method on these paths belongs here, also one that is not served: this service then answers 401 or 405.
"""

ROUTES = (
    ("GET", "/api/v1/requests"),
    ("GET", "/api/v1/requests/{record_id}"),
    ("GET", "/api/v1/requests/tail"),
    ("GET", "/api/v1/media/{sha256}"),
    ("GET", "/api/v1/requests/export"),
    ("GET", "/api/v1/requests/stats"),
    ("GET", "/api/v1/requests/histogram"),
    ("GET", "/api/v1/requests/facets"),
    ("GET", "/api/v1/models/unpriced"),
    ("GET", "/api/v1/status"),
    ("GET", "/api/v1/admin/dead-letters"),
    ("GET", "/api/v1/admin/dead-letters/counts"),
    ("GET", "/api/v1/admin/dead-letters/{position}"),
    ("POST", "/api/v1/admin/dead-letters/replay"),
    ("POST", "/api/v1/admin/delete"),
    ("GET", "/api/v1/admin/deletions"),
    ("GET", "/api/v1/admin/deletions/{deletion}"),
    ("GET", "/api/v1/admin/doctor"),
    ("GET", "/api/v1/admin/retention"),
    ("PUT", "/api/v1/admin/retention"),
)
