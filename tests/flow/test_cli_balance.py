"""`hearback rules balance`: a fairer cut of areas, counted from stored decisions, that the check passes."""

import json
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result
from crash_driver import SECRET_KEY
from test_cli_rules import edit

from connector import publishing
from connector.cli.app import main
from connector.flows import route
from connector.model.identity import new_id
from connector.model.lead import Facets
from connector.routing.areas import cut_of, runs_of
from connector.routing.book import Book
from connector.routing.decide import Case
from connector.services import Services
from connector.settings import default_folder
from connector.settings.rewriting import Edit, rewritten
from connector.store import Store, decisions
from connector.vault import Vault

NOW = datetime.now(UTC)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def folder(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A published copy of the sample organisation."""
    folder = Path(shutil.copytree(default_folder(), tmp_path / "config"))
    monkeypatch.setenv("HEARBACK_CONFIG", str(folder))
    monkeypatch.setenv("HEARBACK_DATABASE_URL", database_url)
    monkeypatch.setenv("HEARBACK_DATA", str(tmp_path))
    return folder


class History:
    """Decisions as routing would have stored them, one second apart."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder, self._book = url, folder, Book({}, 0)

    def add(
        self, leads: Mapping[str, int], *, country: str = "DE", at: datetime = NOW, times: int = 1, **facets: Any
    ) -> None:
        """Decide so many leads from each code, each of them several times."""
        with Store(self._url, size=2) as store:
            publishing.publish(store, self._folder)
            services = Services(store, Vault(SECRET_KEY), environ={})
            with store.transaction() as tx:
                active = services.active(tx)
                rows = []
                for code in (code for code, number in leads.items() for _ in range(number)):
                    lead, said = str(new_id()), Facets(country=country, postal_code=code, **facets)
                    for assign_seq in range(1, times + 1):
                        case = Case(lead, assign_seq, at, said, snapshot="0")
                        rows.append(route.decided(active, case, self._book)[1])
                decisions.insert(tx, rows)


@pytest.fixture
def history(folder: Path, database_url: str) -> History:
    return History(database_url, folder)


#: Far too many of Poland's leads come from Warsaw and the north-east, where Zofia alone works a part.
POLAND = {
    "00-950": 30,
    "10-001": 40,
    "15-001": 45,
    "19-001": 40,
    "20-001": 15,
    "30-001": 10,
    "50-001": 10,
    "60-001": 10,
}


def balance(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["rules", "balance", *map(str, arguments)], catch_exceptions=False)


def test_the_proposal_is_fairer_and_passes_the_check(folder: Path, history: History, tmp_path: Path) -> None:
    history.add(POLAND, country="PL")
    before = (folder / "territories.csv").read_bytes()

    told = balance("PL", "--write", tmp_path / "new.csv", "--json")

    assert told.exit_code == 0, told.output
    found = json.loads(told.output)
    assert found["leads"] == sum(POLAND.values())
    assert found["deviation"]["after"] < found["deviation"]["before"]
    assert sum(share["leads_after"] for share in found["shares"]) == found["leads"]
    assert (folder / "territories.csv").read_bytes() == before
    old = cut_of(rule_set(folder), "PL")
    shutil.copy(tmp_path / "new.csv", folder / "territories.csv")
    checked = CliRunner().invoke(main, ["rules", "check"])
    assert checked.output == "0 errors, 0 warnings.\n"
    new = cut_of(rule_set(folder), "PL")
    assert covered(old) == covered(new)


def rule_set(folder: Path):
    settings = publishing.read(folder).settings
    assert settings is not None
    return settings.rule_set


def covered(cut) -> list[int]:
    return sorted(
        code for codes in cut.codes.values() for low, high in runs_of(codes, cut.width) for code in range(low, high + 1)
    )


def test_every_line_but_the_changed_ones_stays_byte_for_byte(folder: Path, history: History, tmp_path: Path) -> None:
    """A byte order mark, semicolons between cells, CRLF and quotes nobody needs are kept."""
    file = folder / "territories.csv"
    text = file.read_text("utf-8").replace(";", "\0").replace(",", ";").replace("\0", "|")
    rows = [";".join(f'"{cell.replace("|", ";")}"' for cell in line.split(";")) for line in text.splitlines()]
    file.write_bytes("\r\n".join(rows).encode("utf-8-sig"))
    history.add(POLAND, country="PL")

    told = balance("PL", "--write", tmp_path / "new.csv", "--json")

    assert told.exit_code == 0, told.output
    before, after = (path.read_bytes().split(b"\r\n") for path in (file, tmp_path / "new.csv"))
    new = [line.encode() for line in json.loads(told.output)["lines"]]
    assert new
    assert [line for line in after if line not in new] == [line for line in before if line in after]
    assert {line.split(b";")[0] for line in before if line not in after} <= {
        b'"' + line.split(b";")[0] + b'"' for line in new
    }


def test_the_table_names_shares_moves_and_lines(folder: Path, history: History) -> None:
    history.add(POLAND, country="PL")

    told = balance("pl").output

    for word in ("200 leads in", "zofia.krawczyk", "fair share", "then", "The largest deviation", "territories.csv:"):
        assert word in told
    assert "pl-north-east,pl," in told


def test_equal_histories_have_equal_proposals(folder: Path, history: History) -> None:
    history.add(POLAND, country="PL")

    assert balance("PL", "--json").output == balance("PL", "--json").output


def test_the_picture_says_in_words_what_it_shows_in_colours(folder: Path, history: History, tmp_path: Path) -> None:
    history.add(POLAND, country="PL")

    assert balance("PL", "--picture", tmp_path / "cut.svg").exit_code == 0

    svg = ET.parse(tmp_path / "cut.svg").getroot()
    assert svg.tag == f"{SVG}svg"
    assert svg.findtext(f"{SVG}title") == "Postal areas of PL, before and after"
    assert "200 leads" in (svg.findtext(f"{SVG}desc") or "")
    texts = [text.text or "" for text in svg.iter(f"{SVG}text")]
    assert any(text.endswith("zofia.krawczyk") for text in texts)
    assert any("fair" in text for text in texts)


def test_only_leads_of_these_rules_and_this_time_count(folder: Path, history: History) -> None:
    """Big customers have a rule of their own, Germans another country, and some came long ago."""
    history.add({"00-950": 7}, country="PL", at=NOW - timedelta(days=91))
    history.add({"00-950": 3, "60-001": 2}, country="PL")
    history.add({"00-950": 11}, country="PL", employees=900)
    history.add({"20095": 5})

    assert json.loads(balance("PL", "--json").output)["leads"] == 5
    assert json.loads(balance("PL", "--json", "--since", "100d").output)["leads"] == 12


def test_leads_of_a_rule_that_is_no_more_still_count(folder: Path, history: History) -> None:
    history.add({"00-950": 3}, country="PL")
    edit(folder / "territories.csv", "pl-warsaw,", "pl-capital,")

    assert json.loads(balance("PL", "--json").output)["leads"] == 3


def test_a_lead_decided_anew_counts_once(folder: Path, history: History) -> None:
    history.add({"00-950": 2, "60-001": 1}, country="PL", times=3)

    assert json.loads(balance("PL", "--json").output)["leads"] == 3


def test_areas_may_be_finer(folder: Path, history: History) -> None:
    history.add(POLAND, country="PL")

    coarse, fine = (json.loads(balance("PL", "--digits", digits, "--json").output) for digits in (1, 2))

    assert fine["areas"] > coarse["areas"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["AT"], "areas of AT cannot be told: only countries with postal codes of a fixed number of digits"),
        (["PL"], "no lead of that time was given by a postal rule of PL"),
        (["PL", "--digits", "5"], "a postal code of PL has 5 digits: give fewer with --digits"),
        (["PL", "--since", "1d"], "no lead of that time"),
    ],
)
def test_what_cannot_be_balanced_is_told_in_one_line(folder: Path, arguments: list[str], told: str) -> None:
    done = balance(*arguments)

    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert told in done.stderr


def test_a_country_of_one_rep_has_nothing_to_balance(folder: Path) -> None:
    file = folder / "territories.csv"
    kept = [line for line in file.read_text("utf-8").splitlines() if not line.startswith("pl-") or "poland" in line]
    file.write_text("\n".join(kept) + "\n", "utf-8")

    assert "fewer than two reps or pools divide PL" in balance("PL").stderr


def test_a_rule_nobody_reaches_is_corrected_first(folder: Path) -> None:
    file = folder / "territories.csv"
    header = file.read_text("utf-8").splitlines()[0].split(",")
    cells = {"rule": "late", "order": "800", "country": "PL", "postal": "00-950", "rep": "pawel.duda"}
    with file.open("a", encoding="utf-8") as stream:
        stream.write(",".join(cells.get(name, "") for name in header) + "\n")

    assert "rule 'late' is never reached: run `hearback rules check`" in balance("PL").stderr


def test_somebody_who_left_cannot_get_areas(folder: Path) -> None:
    edit(folder / "people.csv", "PL,pl;de,yes,1,40,U-1011", "PL,pl;de,no,1,40,U-1011")

    assert "nobody active stands behind zofia.krawczyk" in balance("PL").stderr


def test_a_time_is_hours_days_or_weeks_as_for_replay(folder: Path, history: History) -> None:
    history.add(POLAND, country="PL")

    assert balance("PL", "--since", "2w").exit_code == 0
    refused = balance("PL", "--since", "soon")

    assert refused.exit_code == 2
    assert "'soon' is no length of time: write hours, days or weeks, like 36h, 90d or 12w" in refused.stderr


def test_a_file_that_cannot_be_written_is_named(folder: Path, history: History, tmp_path: Path) -> None:
    history.add(POLAND, country="PL")

    done = balance("PL", "--write", tmp_path / "nowhere" / "new.csv")

    assert done.exit_code == 1
    assert "new.csv cannot be written: No such file or directory" in done.stderr


def test_without_the_optimiser_the_extra_is_named(
    folder: Path, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.add(POLAND, country="PL")
    monkeypatch.setitem(sys.modules, "scipy", None)

    done = balance("PL")

    assert done.exit_code == 1
    assert "pip install 'hearback-connector[balance]'" in done.stderr


def test_a_last_line_without_an_ending_takes_a_new_row_below_it(folder: Path) -> None:
    file = folder / "territories.csv"
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    last = file.read_text("utf-8").splitlines()[-1].split(",")[0]

    found = rewritten(folder, [Edit(last, {"rule": "new"}, added=True)])

    assert found.content.startswith(file.read_bytes() + b"\nnew,")
    assert found.new[0].startswith("new,")
