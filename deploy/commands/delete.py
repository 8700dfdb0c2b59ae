"""`llmledger delete` and `llmledger deletions`: delete for good, and see when the bytes are gone."""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import rich_click as click

from deploy.admin_client import AdminClient, NotNow
from deploy.commands.context import Failed, json_option, show, tell
from deploy.commands.printable import printable_line
from deploy.commands.reaching import product, product_options

LOOK_EVERY_SECONDS = 0.25
MOST_TRIES, TRY_AGAIN_SECONDS = 5, 2.0

project_option = click.option("--project", help="Whose records; needed unless the key belongs to one project.")


@click.command()
@click.option("--id", "record_id", help="One record.")
@click.option("--user", "user_id", help="Every record of this user that was accepted until now.")
@click.option("--filter", "filter_text", help="Every record that fulfils this filter (JSON, as in lists) now.")
@project_option
@click.option("--idempotency-key", help="Of an earlier try that was not confirmed, so that it is the same deletion.")
@click.option("--dry-run", is_flag=True, help="Delete nothing: count what is stored and matches.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", "wait_seconds", type=click.FloatRange(0), default=0.0, help="Seconds to wait until applied.")
@product_options
@json_option
def delete(
    dry_run: bool,
    yes: bool,
    wait_seconds: float,
    as_json: bool,
    **given: Any,  # what is deleted, and which product is meant
) -> None:
    """Delete records for good: nothing brings them back.

    \b
    llmledger delete --user user:12345 --project acme --dry-run
    llmledger delete --user user:12345 --project acme --wait 60
    llmledger delete --project acme --filter \\
        '{"combinator":"and","rules":[{"field":"model","operator":"=","value":"gpt-4o"}]}'
    """
    asked = _asked(given["record_id"], given["user_id"], given["filter_text"], given["project"])
    with product(given["url"], given["key"], given["data"]) as llmledger:
        counted = llmledger.request("POST", "/api/v1/admin/delete", body={**asked, "dry_run": True})
        if dry_run:
            show(counted, as_json, lambda: _counted(counted))
            return
        if not yes:
            click.confirm(
                f"{_counted(counted)} Delete {counted['matching']} records for good?",
                abort=True,
                err=True,
            )
        accepted = _accepted(llmledger, asked, given["idempotency_key"] or uuid4().hex)
        runs = not llmledger.place.endswith("nothing runs")
        status = _status_within(llmledger, accepted, wait_seconds if runs else 0)
        show(status, as_json, lambda: _text(status))
        if not runs:
            tell("Nothing runs here: it is applied when llmledger is started.")
        elif wait_seconds and status["state"] == "waiting":
            raise Failed(f"Not applied within {wait_seconds:g} s. It is accepted and goes on by itself.")
        tell(f"How far it is: llmledger deletions {status['deletion']} --project {status['project']}")


@click.command()
@click.argument("deletion", required=False)
@project_option
@product_options
@json_option
def deletions(
    deletion: str | None,
    project: str | None,
    as_json: bool,
    **target: Any,  # url, key and data
) -> None:
    """List deletions, or say how far one of them is and where its bytes still are."""
    params = {"project": project} if project else {}
    with product(target["url"], target["key"], target["data"]) as llmledger:
        if deletion:
            one = llmledger.request("GET", f"/api/v1/admin/deletions/{quote(deletion, safe='')}", params=params)
            show(one, as_json, lambda: _text(one))
            return
        found = llmledger.request("GET", "/api/v1/admin/deletions", params=params)
        show(found, as_json, lambda: "\n".join(_line(one) for one in found["deletions"]) or "Nothing was deleted.")


def _accepted(llmledger: AdminClient, asked: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The deletion, asked for under one key until it is confirmed: some partitions may have it already."""
    tries = 0
    while True:
        tries += 1
        try:
            body = {**asked, "idempotency_key": key}
            accepted: dict[str, Any] = llmledger.request("POST", "/api/v1/admin/delete", body=body)
            return accepted
        except NotNow as error:
            if tries >= MOST_TRIES:
                raise Failed(f"{error.message} It may be half done: ask again with --idempotency-key {key}") from error
            time.sleep(TRY_AGAIN_SECONDS)


def _asked(record_id: str | None, user_id: str | None, filter_text: str | None, project: str | None) -> dict[str, Any]:
    given = {"id": record_id, "user_id": user_id, "filter": filter_text}
    asked: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if len(asked) != 1:
        raise click.UsageError("Give exactly one of --id, --user and --filter.")
    if filter_text is not None:
        asked["filter"] = _object(filter_text)
    return {**asked, "project": project} if project else asked


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"--filter is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise click.UsageError("--filter is not a JSON object.")
    return value


def _status_within(llmledger: AdminClient, accepted: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """How far the deletion is, once it is applied or the time is over."""
    path, until = f"/api/v1/admin/deletions/{accepted['deletion']}", time.monotonic() + seconds
    while True:
        status: dict[str, Any] = llmledger.request("GET", path, params={"project": accepted["project"]})
        if status["state"] != "waiting" or time.monotonic() >= until:
            return status
        time.sleep(LOOK_EVERY_SECONDS)


def _counted(counted: Mapping[str, Any]) -> str:
    dead = counted["dead_letters"]
    also = (
        "how many dead letters is not known, there are too many"
        if dead is None
        else f"{dead} dead letters go with them"
    )
    return f"{counted['matching']} records of {counted['project']} match; {also}."


def _line(one: Mapping[str, Any]) -> str:
    what = f"{one['scope']} {one['what']}" if one["scope"] else "not yet seen by the store"
    line = f"{one['deletion']}  {one['state']:7}  {one['records']:>8} records  {one['project']}  {what}"
    return printable_line(line)


def _text(one: Mapping[str, Any]) -> str:
    partitions = one["partitions"]
    of = "" if partitions["of"] is None else f" of {partitions['of']}"
    lines = [_line(one), f"  applied in {partitions['settled']}{of} partitions"]
    if one["erased_at"]:
        lines.append(f"  erased at {one['erased_at']}, with {one['dead_letters']} dead letters, {one['blobs']} blobs")
    return "\n".join([*lines, *(f"  remaining: {text}" for text in one["remaining"])])
