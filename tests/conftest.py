"""The fixtures that every test may ask for; each starts what it stands for on first use."""

pytest_plugins = [
    "tests.support.chdb_fixtures",
    "tests.support.clickhouse_fixtures",
    "tests.support.kafka_fixtures",
    "tests.support.ledger_fixtures",
]
