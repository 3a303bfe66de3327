"""Bodies at rest (P10)."""

import hmac
import json
import stat
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import ConfigurationError
from connector.vault import Vault, secret_key

OLD, NEW = "o" * 40, "n" * 40
ID = UUID("01980000-0000-7000-8000-000000000001")
HEAD = {"headers": {"content-type": "text/plain"}, "query": {"profile": "Bremen ✓"}, "from": {"ip": "192.0.2.1"}}


@given(
    st.dictionaries(st.text(), st.dictionaries(st.text(), st.text(), max_size=3), max_size=3), st.binary(max_size=500)
)
def test_what_was_sealed_opens_to_the_same_bytes(head: dict[str, dict[str, str]], body: bytes) -> None:
    vault = Vault(NEW)

    assert vault.open(ID, vault.seal(ID, head, body)) == (head, body)


def test_neither_head_nor_body_can_be_read_at_rest() -> None:
    sealed = Vault(NEW).seal(ID, HEAD, b"jan@kowalski.example")

    assert b"kowalski" not in sealed
    assert b"192.0.2.1" not in sealed


def test_sealing_the_same_twice_shows_nothing_in_common_but_the_key() -> None:
    first, second = (Vault(NEW).seal(ID, HEAD, b"same") for _ in range(2))

    assert first[:4] == second[:4]
    assert first[4:16] != second[4:16]
    assert first[16:] != second[16:]


def test_a_body_does_not_open_for_another_delivery() -> None:
    vault = Vault(NEW)

    with pytest.raises(ConfigurationError, match="does not fit its key or its delivery"):
        vault.open(uuid4(), vault.seal(ID, HEAD, b"body"))


@pytest.mark.parametrize("place", [4, 15, 16, -1], ids=["nonce", "end of nonce", "text", "tag"])
def test_a_single_changed_bit_is_noticed(place: int) -> None:
    sealed = bytearray(Vault(NEW).seal(ID, HEAD, b"body"))

    sealed[place] ^= 1

    with pytest.raises(ConfigurationError, match="does not fit"):
        Vault(NEW).open(ID, bytes(sealed))


def test_after_a_rotation_old_bodies_open_and_new_ones_need_the_new_key() -> None:
    before, between, after = Vault(OLD), Vault(f"{NEW}, {OLD}"), Vault(NEW)
    old = before.seal(ID, HEAD, b"old")
    new = between.seal(ID, HEAD, b"new")

    assert between.open(ID, old)[1] == b"old"
    assert after.open(ID, new)[1] == b"new"
    with pytest.raises(ConfigurationError, match="add the old key after the new one"):
        after.open(ID, old)
    with pytest.raises(ConfigurationError, match="another HEARBACK_SECRET_KEY"):
        before.open(ID, new)


@pytest.mark.parametrize(
    ("keys", "message"),
    [("", "is empty"), (" , ,", "is empty"), ("short", "at least 32 characters"), (f"{NEW},short", "too short")],
)
def test_a_missing_or_short_key_is_refused_without_being_shown(keys: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as refused:
        Vault(keys)

    assert "short," not in str(refused.value)
    assert NEW not in str(refused.value)


def test_the_environments_key_comes_first_and_leaves_no_file(tmp_path: Path) -> None:
    assert secret_key({"HEARBACK_SECRET_KEY": NEW}, tmp_path) == NEW
    assert list(tmp_path.iterdir()) == []


def test_without_one_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"

    made = secret_key({}, folder)

    assert secret_key({}, folder) == made
    assert len(made) >= 32
    assert [path.name for path in folder.iterdir()] == ["secret.key"]
    assert stat.S_IMODE((folder / "secret.key").stat().st_mode) == 0o600


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    script = "import sys, pathlib, connector.vault as v; input(); print(v.secret_key({}, pathlib.Path(sys.argv[1])))"
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdin=PIPE, stdout=PIPE, text=True)
        for _ in range(3)
    ]

    keys = {process.communicate("\n")[0] for process in processes}

    assert len(keys) == 1
    assert len(keys.pop().strip()) >= 32
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_a_mark_is_the_hash_of_its_parts_as_json(parts: list[str]) -> None:
    """P10: marks are kept for years, so their bytes must never change."""
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"hearback marks").derive(NEW.encode())

    assert Vault(NEW).marks(*parts) == (hmac.digest(key, json.dumps(parts).encode(), "sha256"),)


def test_marks_are_known_again_under_a_rotated_key_and_by_nobody_else() -> None:
    """I33: a suppression outlives the rotation of HEARBACK_SECRET_KEY."""
    before, rotated, other = Vault("a" * 40), Vault("b" * 40 + "," + "a" * 40), Vault("c" * 40)
    (mark,) = before.marks("email", "jan@kos.example")

    assert mark in rotated.marks("email", "jan@kos.example")
    assert rotated.marks("email", "jan@kos.example")[0] != mark
    assert mark not in other.marks("email", "jan@kos.example")
    # Parts do not run into one another.
    assert before.marks("a", "bc") != before.marks("ab", "c")
