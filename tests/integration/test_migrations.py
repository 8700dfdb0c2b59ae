"""The migrations on a real engine: each is good, all of them twice are nothing, a crash between two is harmless."""

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver import Client

from ledger.store.clickhouse import open_client
from ledger.store.migrations import Execute, available, check, drive, migrate

VERSIONS = [version for version, _ in available()]


@pytest.fixture
def client_chdb(chdb_dsn: str) -> Iterator[Client]:
    client = open_client(chdb_dsn)
    yield client
    client.close()


@pytest.fixture
def client_clickhouse(clickhouse_database: str) -> Iterator[Client]:
    client = open_client(clickhouse_database)
    yield client
    client.close()


@pytest.fixture(params=["chdb", pytest.param("clickhouse", marks=pytest.mark.clickhouse)])
def client(request: pytest.FixtureRequest) -> Client:
    client: Client = request.getfixturevalue(f"client_{request.param}")
    return client


def tables(client: Client) -> set[str]:
    return {name for (name,) in client.query("SHOW TABLES").result_rows}


def test_a_new_database_gets_everything_and_the_second_time_nothing(client: Client) -> None:
    assert drive(migrate(available()), client) == VERSIONS
    assert drive(migrate(available()), client) == []


def test_each_migration_makes_what_its_name_says(client: Client) -> None:
    drive(migrate(available()), client)
    assert tables(client) >= {
        "request_logs",
        "request_bodies",
        "request_patches",
        "request_keys",
        "request_deletions",
        "dead_letters",
        "schema_version",
    }


def test_checking_tells_what_is_missing_and_changes_nothing(client: Client) -> None:
    assert drive(check(available()), client) == VERSIONS
    assert tables(client) == set()
    drive(migrate(available()[:2]), client)
    assert drive(check(available()), client) == VERSIONS[2:]
    drive(migrate(available()), client)
    assert drive(check(available()), client) == []


@pytest.mark.parametrize("steps", range(2, 12, 3))
def test_a_crash_between_any_two_steps_is_made_good_by_the_next_start(client: Client, steps: int) -> None:
    workflow = migrate(available())
    step = next(workflow)
    for _ in range(steps):
        answer = client.query(step.sql).result_rows if not isinstance(step, Execute) else ()
        if isinstance(step, Execute):
            client.command(step.sql)
        step = workflow.send(answer)
    workflow.close()
    drive(migrate(available()), client)
    assert drive(check(available()), client) == []
    (count,) = client.query("SELECT count() = uniqExact(version) FROM schema_version").result_rows[0]
    assert count


def test_every_table_is_synced_to_the_disk_with_every_insert(client: Client) -> None:
    drive(migrate(available()), client)
    for table in tables(client):
        ((ddl,),) = client.query(f"SHOW CREATE TABLE {table}").result_rows
        assert "fsync_after_insert = 1" in ddl, table
        assert "fsync_part_directory = 1" in ddl, table
