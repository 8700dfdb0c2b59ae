"""Reading at volume: every kind of query over millions of rows, beside the best plain SQL for the same answer."""
