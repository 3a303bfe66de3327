"""`hearback users`: accounts are made where the service runs, and no password stands in an argument."""

import json
import re
from pathlib import Path

import pytest
from cli_support import Desk, desk_on, refused

from connector.cli import users as command
from connector.flows import users

MADE = re.compile(r"One-time password, shown only now: (\S+)")


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Desk:
    return desk_on(database_url, tmp_path)


def test_without_a_terminal_a_one_time_password_is_printed_once(desk: Desk) -> None:
    made = desk.run("users", "add", "ada", "--role", "admin", "--language", "pl", "--timezone", "Europe/Warsaw")
    listed = json.loads(desk.run("users", "list", "--json").output)

    assert made.exit_code == 0, made.output
    password = MADE.findall(made.output)
    assert len(password) == 1
    assert [(each["name"], each["role"], each["language"]) for each in listed] == [("ada", "admin", "pl")]
    assert password[0] not in desk.run("users", "list").output
    with desk.services() as services:
        user = users.sign_in(services, "Ada", password[0])
    assert user is not None
    assert user.one_time


def test_at_a_terminal_the_password_is_asked_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "at_a_terminal", lambda: True)
    monkeypatch.setattr(command.click, "prompt", lambda *_args, **_options: "ore lantern seven")

    made = desk.run("users", "add", "ada", "--role", "manager")

    assert made.exit_code == 0, made.output
    assert "ore lantern" not in made.output
    with desk.services() as services:
        user = users.sign_in(services, "ada", "ore lantern seven")
    assert user is not None
    assert not user.one_time


def test_a_locked_account_cannot_sign_in_and_another_password_ends_the_old_one(desk: Desk) -> None:
    first = MADE.findall(desk.run("users", "add", "ada", "--role", "admin").output)[0]
    second = MADE.findall(desk.run("users", "password", "ada", "--one-time").output)[0]

    with desk.services() as services:
        assert users.sign_in(services, "ada", first) is None
        assert users.sign_in(services, "ada", second) is not None
        assert desk.run("users", "disable", "ADA").exit_code == 0
        assert users.sign_in(services, "ada", second) is None


def test_mistakes_are_one_clear_line(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.run("users", "add", "ada", "--role", "admin")

    refused(desk.run("users", "add", "ADA", "--role", "keyer"), "'ADA'", "hearback users list")
    refused(desk.run("users", "add", "  ", "--role", "keyer"), "1 to 80 characters")
    refused(desk.run("users", "disable", "nobody"), "'nobody'", "hearback users list")
    refused(desk.run("users", "add", "eve", "--role", "admin", "--timezone", "Mars/Olympus"), "Mars/Olympus")
    monkeypatch.setattr(command, "at_a_terminal", lambda: True)
    monkeypatch.setattr(command.click, "prompt", lambda *_args, **_options: "short")
    refused(desk.run("users", "add", "eve", "--role", "admin"), "12 to 200 characters")
