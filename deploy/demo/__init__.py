"""Believable traffic for a running LLM Ledger: what the calls say, how each API reports them, and the sending."""
