"""`llmledger keys`: make, list and revoke API keys. Edits the key file only, so it works while the product runs."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import rich_click as click

from deploy.commands.context import Failed, data_option, folder, json_option, show, tell, values
from ledger.errors import LedgerError
from ledger.key_file import edit
from ledger.keys import KeyFileContent, NewKey, Scope, read_content, with_new_key, without_key

file_option = click.option(
    "--file", "key_file", type=click.Path(path_type=Path, dir_okay=False), help="The key file itself."
)


@click.group()
def keys() -> None:
    """Make, list and revoke API keys.

    \b
    llmledger keys create --project acme --scope ingest --scope query
    llmledger keys revoke 1a2b3c4d
    """


@keys.command()
@click.option("--project", required=True, help="The project whose data the key opens; '*' reads all projects.")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice([scope.value for scope in Scope]))
@data_option
@file_option
@json_option
def create(project: str, scopes: tuple[str, ...], data: Path | None, key_file: Path | None, as_json: bool) -> None:
    """Make a key and print it: this once, only its hash is kept."""
    made: list[NewKey] = []

    def add(content: KeyFileContent) -> KeyFileContent:
        wanted = [Scope(scope) for scope in dict.fromkeys(scopes)]
        made.append(with_new_key(content, project, wanted, datetime.now(UTC).isoformat(timespec="seconds")))
        return made[0].content

    _edit(_path(data, key_file), add)
    shown = {"id": made[0].key_id, "project": project, "scopes": list(scopes), "key": made[0].key}
    show(shown, as_json, lambda: made[0].key)
    tell("Keep it: it is not shown again. It works within a few seconds.")


@keys.command(name="list")
@data_option
@file_option
@json_option
def list_(data: Path | None, key_file: Path | None, as_json: bool) -> None:
    """List the keys: ids, projects and scopes."""
    try:
        content = read_content(_path(data, key_file))
    except LedgerError as error:
        raise Failed(str(error)) from error
    rows = [
        {
            "id": key.id,
            "project": key.project,
            "scopes": [str(scope) for scope in key.scopes],
            "created_at": key.created_at,
        }
        for key in content.keys
    ]
    show(rows, as_json, lambda: "\n".join(f"{row['id']}  {row['project']}  {','.join(row['scopes'])}" for row in rows))


@keys.command()
@click.argument("key_id")
@data_option
@file_option
def revoke(key_id: str, data: Path | None, key_file: Path | None) -> None:
    """Take a key out of force; services notice within 10 seconds."""
    _edit(_path(data, key_file), lambda content: without_key(content, key_id))
    tell(f"Revoked {key_id}.")


def _path(data: Path | None, key_file: Path | None) -> Path:
    """The file that was named, else the cluster's, else the standalone's."""
    if key_file is not None:
        return key_file
    named = None if data else values().get("LLMLEDGER_KEYS__FILE")
    return Path(named) if named else folder(data).keys


def _edit(path: Path, change: Callable[[KeyFileContent], KeyFileContent]) -> None:
    try:
        edit(path, change)
    except (LedgerError, OSError) as error:
        raise Failed(str(error)) from error
