"""The commands of `llmledger`, one module each."""
