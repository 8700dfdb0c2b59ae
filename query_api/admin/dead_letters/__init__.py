"""What could not become a row: listed, counted, looked at, put on the bus again."""
