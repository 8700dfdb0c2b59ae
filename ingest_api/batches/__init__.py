"""Many events in one request: each is judged, stamped and made durable as if it had been sent alone."""
