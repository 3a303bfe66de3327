"""hearback.yaml: the organisation, its connections, sources, keys, card profiles and campaigns."""

import codecs
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from marshmallow import ValidationError, fields

from connector.model.lead import FIELDS
from connector.settings import privacy, texts
from connector.settings.alerts import AlertsShape, alerts_of
from connector.settings.complaints import Complaints, suggestion
from connector.settings.dedupe import key_part
from connector.settings.pages import Page, read_page
from connector.settings.secrets import secret_name
from connector.settings.shapes import Keyed, Listing, Parts, Shape, Text, Whole, complain, fault, one_of
from connector.settings.values import Alerts, ApiKey, Campaign, Captcha, CardProfile, Connection, Mode, Source, Width

FILE = "hearback.yaml"

#: Kinds of source without a token of their own: a program's API key, a card's own page, a file at the command line.
DOORLESS = ("api", "card_page", "cards")

#: What a card's column may hold besides the targets of every source.
RECORD, KEY_CODE, TOKEN, ANSWERED_ON, KEYED_ON = "record", "key_code", "token", "answered_on", "keyed_on"
_OF_CARD = (RECORD, KEY_CODE, TOKEN, ANSWERED_ON, KEYED_ON)

#: What the page for keying cards asks for, its boxes last.
CARD_TEXTS = ("first_name", "last_name", "company", "street", "postal_code", "city", "email", "phone", "message")
CARD_BOXES = ("consent.email", "consent.phone")
CARD_FIELDS = CARD_TEXTS + CARD_BOXES

_OWN_FIELD = re.compile(r"custom\.[a-z0-9_]+")
_LISTED = re.compile(r"(custom|attribution|consent)\.[a-z0-9_]+")
_SECRETIVE = re.compile(r"(secret|password|passwd|token|api_?key|private_?key|credentials?)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Organisation:
    """What hearback.yaml says; defaults where it says nothing or cannot be read (then `page` is None)."""

    page: Page | None = None
    name: str = ""
    country: str = "US"
    timezone: str = "UTC"
    languages: tuple[str, ...] = ("en",)
    public_url: str = ""
    publish: str = "automatic"
    csv_encoding: str = "utf-8"
    connections: Mapping[str, Connection] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    api_keys: tuple[ApiKey, ...] = ()
    card_profiles: Mapping[str, CardProfile] = field(default_factory=dict)
    campaigns: Mapping[str, Campaign] = field(default_factory=dict)
    alerts: Alerts = field(default_factory=Alerts)
    retention: Mapping[str, int] = field(default_factory=dict)

    def keys(self, section: str) -> frozenset[str] | None:
        """Return the keys of a section, also of broken entries; None if the file could not be read."""
        return self.page.keys(section) if self.page else None


def encoding(text: str) -> str:
    """Return the name of a text encoding."""
    try:
        known = codecs.lookup(text)
        "".encode(text)
    except LookupError as err:
        raise fault(
            f"'{text}' is no text encoding", "files cannot be read in it", "write utf-8, cp1250 or cp1252"
        ) from err
    return known.name


def target(text: str) -> str:
    """Return what an incoming value may be mapped to: a field of a lead or one of its lists."""
    if text in FIELDS or text in ("lead_key", "ignore") or _LISTED.fullmatch(text):
        return text
    raise fault(
        f"'{text}' is no field of a lead",
        "the value would be lost to routing",
        suggestion(text, FIELDS, otherwise="write a field README.md lists, or custom.NAME for one of your own"),
    )


def card_target(text: str) -> str:
    """Return what a column of a mail house's file may hold: a target, or one of a card's own."""
    return text if text in _OF_CARD else target(text)


def keyed_field(text: str) -> str:
    """Return what a keyer types off a card: one of its usual fields, a box, or a field of one's own."""
    if text in CARD_FIELDS or _OWN_FIELD.fullmatch(text):
        return text
    raise fault(
        f"'{text}' is not keyed",
        "the page for keying cards has no such field",
        suggestion(text, CARD_FIELDS, otherwise="write custom.NAME for a field of your own"),
    )


def lead_field(text: str) -> str:
    """Return a field of a lead that may have a default."""
    return one_of(FIELDS)(text)


def date_format(text: str) -> str:
    """Return a strptime format with day, month and year in it."""
    moment = datetime(2026, 12, 31, tzinfo=UTC)
    try:
        back = datetime.strptime(moment.strftime(text), text).replace(tzinfo=UTC)
    except ValueError:
        back = None
    if back is None or back.date() != moment.date():
        raise fault(
            f"'{text}' is no date format",
            "day, month and year must be readable from it",
            'write it like "%d.%m.%Y" or "%Y-%m-%d"',
        )
    return text


def delimiter(text: str) -> str:
    """Return one character that separates columns; `tab` stands for the tab."""
    return one_of((",", ";", "\t", "|"))({"tab": "\t"}.get(text, text))


class _Texts(Keyed):
    """A table of plain values."""

    def __init__(self, value: Any = str, key: Any = str) -> None:
        super().__init__(Text(value), key, load_default=dict)


class _About(Shape):
    name = Text(required=True)
    country = Text(texts.country, required=True)
    timezone = Text(texts.timezone, required=True)
    languages = Listing(Text(texts.language), required=True)


class _Connection(Shape):
    later: ClassVar[frozenset[str]] = frozenset({"route_new", "mapping"})

    adapter = Text(texts.key, required=True)
    mode = Text(one_of(tuple(Mode)), required=True)
    options = _Texts()
    secrets = _Texts(secret_name)
    rep_tasks = fields.Boolean(truthy={True}, falsy={False}, load_default=True)


class _Captcha(Shape):
    provider = Text(texts.key, required=True)
    secret = Text(secret_name, required=True)
    site_key = Text(required=True)
    hosts = Listing(Text(texts.host), load_default=())
    action = Text(load_default="")


class _Source(Shape):
    later: ClassVar[frozenset[str]] = frozenset({"verification", "origins"})

    kind = Text(texts.key, required=True)
    token = Text(secret_name, load_default=None)
    secrets = Listing(Text(secret_name), load_default=())
    mapping = _Texts(target)
    defaults = _Texts(key=lead_field)
    return_hosts = Listing(Text(texts.host), load_default=())
    honeypot = Text(load_default="")
    oid = Text(load_default="")
    campaign = Text(load_default="")
    old_signatures = fields.Boolean(truthy={True}, falsy={False}, load_default=False)
    dedupe_key = Parts(Text(key_part), load_default=())
    quiet_after = Text(texts.minutes, load_default=0)
    form_token = fields.Boolean(truthy={True}, falsy={False}, load_default=False)
    captcha = fields.Nested(_Captcha, load_default=None)
    access_token = Text(secret_name, load_default=None)
    verify_token = Text(secret_name, load_default=None)
    applications = _Texts(secret_name)
    keying = _Texts(one_of(("single", "double")), keyed_field)


class _ApiKey(Shape):
    name = Text(texts.key, required=True)
    secret = Text(secret_name, required=True)
    signs = fields.Boolean(truthy={True}, falsy={False}, load_default=False)


class _CardProfile(Shape):
    later: ClassVar[frozenset[str]] = frozenset({"image", "format"})

    columns = Keyed(Text(card_target), required=True)
    encoding = Text(encoding, load_default="utf-8")
    delimiter = Text(delimiter, load_default=",")
    date_format = Text(date_format, load_default="%Y-%m-%d")
    country = Text(texts.country, load_default="")
    widths = Keyed(Whole(1), load_default=dict)
    trailer = Text(load_default="")


class _Campaign(Shape):
    name = Text(required=True)
    key_code = Text(required=True)
    product = Text(load_default="")
    crm_ids = _Texts()


class _File(Shape):
    later: ClassVar[frozenset[str]] = frozenset({"retention"})

    organisation = fields.Nested(_About, required=True)
    public_url = Text(texts.web_address, required=True)
    publish = Text(one_of(("automatic", "manual")), load_default="automatic")
    csv_encoding = Text(encoding, load_default="utf-8")
    connections = Keyed(fields.Nested(_Connection), texts.key, required=True)
    sources = Keyed(fields.Nested(_Source), texts.key, load_default=dict)
    api_keys = Listing(fields.Nested(_ApiKey), load_default=())
    card_profiles = Keyed(fields.Nested(_CardProfile), texts.key, load_default=dict)
    campaigns = Keyed(fields.Nested(_Campaign), texts.key, load_default=dict)
    alerts = fields.Nested(AlertsShape, load_default=None)
    privacy = privacy.SECTION


def read_organisation(folder: Path, complaints: Complaints) -> Organisation:
    """Read hearback.yaml; parts with mistakes are complained about and left out."""
    page = read_page(folder / FILE, FILE, complaints)
    if page is None:
        return Organisation()
    try:
        data: dict[str, Any] = _File().load(page.data)
    except ValidationError as err:
        complain(complaints, FILE, page.line, err)
        data = err.valid_data if isinstance(err.valid_data, dict) else {}
    organisation = replace(_organisation(page, data), alerts=alerts_of(data.get("alerts"), page, complaints))
    _check(organisation, page, complaints)
    return organisation


def _organisation(page: Page, data: dict[str, Any]) -> Organisation:
    about = data.get("organisation", {})
    plain = {name: data[name] for name in ("public_url", "publish", "csv_encoding") if name in data}
    return Organisation(
        page=page,
        connections={
            key: Connection(key=key, **{**each, "mode": Mode(each["mode"])})
            for key, each in data.get("connections", {}).items()
        },
        sources={key: _source(key, each) for key, each in data.get("sources", {}).items()},
        api_keys=tuple(ApiKey(**each) for each in data.get("api_keys", ())),
        card_profiles={key: _profile(key, each) for key, each in data.get("card_profiles", {}).items()},
        campaigns={key: Campaign(key=key, **each) for key, each in data.get("campaigns", {}).items()},
        retention=privacy.retention_of(data),
        **about,
        **plain,
    )


def _source(key: str, data: dict[str, Any]) -> Source:
    captcha = data.get("captcha")
    return Source(key=key, **{**data, "captcha": Captcha(**captcha) if captcha else None})


def _profile(key: str, data: dict[str, Any]) -> CardProfile:
    record = next((column for column, held in data["columns"].items() if held == RECORD), "")
    widths = tuple(Width(column, characters) for column, characters in data.get("widths", {}).items())
    return CardProfile(key=key, record=record, **{**data, "widths": widths})


def _check(organisation: Organisation, page: Page, complaints: Complaints) -> None:
    _check_about(page, complaints)
    _check_options(organisation, page, complaints)
    _check_sources(organisation, page, complaints)
    _check_card_profiles(organisation, page, complaints)
    _check_campaigns(organisation, page, complaints)
    names = [(key.name, ("api_keys", at, "name")) for at, key in enumerate(organisation.api_keys)]
    _check_single(names, "the API key name", page, complaints)


def _check_about(page: Page, complaints: Complaints) -> None:
    if isinstance(page.data.get("organisation"), dict) and page.data["organisation"].get("languages") == []:
        line = page.line(("organisation", "languages"))
        complaints.add(FILE, line, "organisation.languages: is empty", "tasks are written in them", "list at least one")
    if page.data.get("connections") == {}:
        line = page.line(("connections",))
        complaints.add(FILE, line, "connections: is empty", "leads go into a CRM", "add at least one connection")


def _check_options(organisation: Organisation, page: Page, complaints: Complaints) -> None:
    for key, connection in organisation.connections.items():
        for name in connection.options:
            if _SECRETIVE.search(name):
                complaints.add(
                    FILE,
                    page.line(("connections", key, "options", name)),
                    f"connections.{key}.options.{name}: looks like a secret",
                    "options stand in the file and in the database for all to read",
                    f"move it to secrets: and write ${{{name.upper()}}} there",
                )


def _check_sources(organisation: Organisation, page: Page, complaints: Complaints) -> None:
    campaigns = organisation.keys("campaigns")
    for key, source in organisation.sources.items():
        line = page.line(("sources", key))
        if source.kind not in DOORLESS and not source.token and not source.oid:
            complaints.add(
                FILE,
                line,
                f"sources.{key}: has no token",
                "no delivery could find it",
                "add token: ${NAME_OF_A_VARIABLE} with a long random value in the environment",
            )
        if source.keying and source.kind != "cards":
            at, what = page.line(("sources", key, "keying")), f"sources.{key}.keying: means nothing here"
            complaints.add(FILE, at, what, "only a source of kind cards is keyed by hand", "move it there")
        if source.campaign:
            at = page.line(("sources", key, "campaign"))
            kind = f"sources.{key}: campaign"
            complaints.unknown(FILE, at, kind, source.campaign, campaigns, home=f"campaigns in {FILE}")
    sources = organisation.sources
    tokens = [(str(s.token), ("sources", key, "token")) for key, s in sources.items() if s.token]
    oids = [(source.oid, ("sources", key, "oid")) for key, source in sources.items() if source.oid]
    kinds = [(s.kind, ("sources", key, "kind")) for key, s in sources.items() if s.kind in DOORLESS]
    _check_single(tokens, "the token", page, complaints)
    _check_single(oids, "the oid", page, complaints)
    _check_single(kinds, "the kind", page, complaints)


def _check_card_profiles(organisation: Organisation, page: Page, complaints: Complaints) -> None:
    for key, profile in organisation.card_profiles.items():
        held = list(profile.columns.values())
        line = page.line(("card_profiles", key, "columns"))
        where = f"card_profiles.{key}.columns"
        if KEY_CODE not in held:
            what, why = f"{where}: no column holds key_code", "a card belongs to the mailing its key code names"
            complaints.add(FILE, line, what, why, "add 'COLUMN OF THE FILE: key_code'")
        placed = {width.column for width in profile.widths}
        lacking = [column for column in profile.columns if column not in placed]
        if placed and lacking:
            what, why = f"{where}: widths lacks {', '.join(lacking)}", "nobody knows where the column stands"
            complaints.add(FILE, line, what, why, "add every column of the line to widths, in its order")
        for name in _OF_CARD:
            if held.count(name) > 1:
                what, why = f"{where}: several columns hold {name}", "only one can count"
                complaints.add(FILE, line, what, why, f"leave {name} to one column")


def _check_campaigns(organisation: Organisation, page: Page, complaints: Complaints) -> None:
    campaigns = organisation.campaigns
    codes = [(each.key_code.casefold(), ("campaigns", key, "key_code")) for key, each in campaigns.items()]
    ids = [
        (f"{connection} {record}", ("campaigns", key, "crm_ids", connection))
        for key, campaign in campaigns.items()
        for connection, record in campaign.crm_ids.items()
    ]
    _check_single(codes, "the key code", page, complaints)
    _check_single(ids, "the campaign id", page, complaints)
    for key, campaign in campaigns.items():
        for connection in campaign.crm_ids:
            line = page.line(("campaigns", key, "crm_ids", connection))
            kind = f"campaigns.{key}.crm_ids: connection"
            names = organisation.keys("connections")
            complaints.unknown(FILE, line, kind, connection, names, home=f"connections in {FILE}")


def _check_single(
    values: Iterable[tuple[str, tuple[str | int, ...]]], what: str, page: Page, complaints: Complaints
) -> None:
    """Complain about every value that stands at more than one place, there and not at the first."""
    places = defaultdict(list)
    for value, path in values:
        places[value].append(path)
    for value, paths in places.items():
        for path in paths[1:]:
            complaints.add(
                FILE,
                page.line(path),
                f"{what} '{value}' is used twice",
                f"line {page.line(paths[0])} has it already, and it must choose one",
                "give each its own",
            )
