"""What a valid configuration says, as frozen values. No secret is in here, only its name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from connector.model.followup import Plan
from connector.model.goals import Goal
from connector.model.people import Person, Team
from connector.model.routing import RuleSet
from connector.model.working import Leave, SpecialDay, Week

#: In `Settings.retention`: what CRMs tell us, and every kind that is not named.
CRM_NEWS = "crm"
ALL_KINDS = "default"
#: How many days bodies are kept where nothing is said (requirement I32: 30 to 90).
KEPT_DAYS = 90


class Mode(StrEnum):
    """Whether a connection is written to, or only shown what would be written."""

    WRITE = "write"
    OBSERVE = "observe"


@dataclass(frozen=True, slots=True)
class Connection:
    """One configured CRM account. `options` go to the adapter; `secrets` are names of variables."""

    key: str
    adapter: str
    mode: Mode
    options: Mapping[str, str]
    secrets: Mapping[str, str]
    rep_tasks: bool = True


@dataclass(frozen=True, slots=True)
class Captcha:
    """The captcha on a source's forms. `secret` is the name of the variable that holds the provider's secret.

    A token counts only if it was solved on one of `hosts`, and for `action` unless that is empty.
    """

    provider: str
    secret: str
    site_key: str
    hosts: tuple[str, ...] = ()
    action: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One configured lead source.

    `token` is the name of the variable that holds the path token; `secrets` name the signing
    secrets (several during a rotation). `mapping` renames incoming fields to canonical ones.
    """

    key: str
    kind: str
    token: str | None
    secrets: tuple[str, ...] = ()
    mapping: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    #: https hosts a browser may be sent back to after a form post (I28).
    return_hosts: tuple[str, ...] = ()
    honeypot: str = ""
    #: The organisation id in a generated form that chooses this source at the Web-to-Lead door.
    oid: str = ""
    campaign: str = ""
    #: Whether signatures without a time are accepted too, where a sender has such.
    old_signatures: bool = False
    #: Where the sender's own id of a submission stands: `header:NAME`, `body:PATH`, `query:NAME`, joined (I8).
    dedupe_key: tuple[str, ...] = ()
    #: Minutes of working time after which no delivery means that something is wrong; 0: nobody watches.
    quiet_after: int = 0
    #: The pages of this source's forms load our snippet, so that a post without its token says something.
    form_token: bool = False
    captcha: Captcha | None = None
    #: How each field of a card is keyed in the console: `single` or `double`, those of one's own among them (C12).
    keying: Mapping[str, str] = field(default_factory=dict)
    #: Names of variables: what reads the vendor's answers, what its handshake shows, the secret of each application.
    access_token: str | None = None
    verify_token: str | None = None
    applications: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Width:
    """How many characters a column takes in a line of fixed width."""

    column: str
    characters: int


@dataclass(frozen=True, slots=True)
class CardProfile:
    """How one mail house's batch file is read: column names, encoding, dates.

    With `widths`, the columns in the order of the line, it is of fixed width. Its last record begins with
    `trailer`, if that is set, and tells how many came before it.
    """

    key: str
    columns: Mapping[str, str]
    encoding: str
    delimiter: str
    date_format: str
    record: str
    country: str = ""
    widths: tuple[Width, ...] = ()
    trailer: str = ""


@dataclass(frozen=True, slots=True)
class Campaign:
    """A mailing with its key code, and the campaign's id in each connection."""

    key: str
    name: str
    key_code: str
    product: str = ""
    crm_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A program that may post leads; `secret` is the name of the variable that holds its key.

    One that `signs` never sends the key: it signs what it posts, as Standard Webhooks says.
    """

    name: str
    secret: str
    signs: bool = False


@dataclass(frozen=True, slots=True)
class WorkCalendar:
    """One entry of calendars.yaml; without a country public holidays are worked. The zone is each person's own."""

    key: str
    week: Week
    country: str = ""
    subdivision: str = ""
    special_days: tuple[SpecialDay, ...] = ()


@dataclass(frozen=True, slots=True)
class RampUp:
    """New people begin with `start` percent of their weight and reach the whole after `days`."""

    start: int
    days: int


@dataclass(frozen=True, slots=True)
class Response:
    """How soon an owner answers a lead, in minutes of their working time.

    `remind_at` are percentages of `due`. After `max_moves` owners (None: no limit) a manager gets the lead.
    With `accept_due` an owner must also accept it.
    """

    due: int
    remind_at: tuple[int, ...] = (50, 80)
    max_moves: int | None = 3
    accept_due: int | None = None


@dataclass(frozen=True, slots=True)
class AlertMail:
    """Who gets alerts by mail, and through which server; `password` is the name of a variable."""

    to: tuple[str, ...]
    sender: str
    host: str
    port: int = 587
    username: str = ""
    password: str | None = None


@dataclass(frozen=True, slots=True)
class AlertWebhook:
    """Where alerts are posted to; `secret` is the name of the variable that holds the signing secret."""

    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Alerts:
    """When people are told that something needs them, and how; times in minutes."""

    mail: AlertMail | None = None
    webhook: AlertWebhook | None = None
    #: How often an alert that lasts is told again.
    repeat: int = 240
    #: So many deliveries set aside within 24 hours, by source.
    quarantine: int = 10
    #: The longest a delivery or a command should wait.
    backlog: int = 15


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole organisation. `hash` is SHA-256 of the canonical document this was built from."""

    name: str
    country: str
    timezone: str
    languages: tuple[str, ...]
    public_url: str
    publish: str
    people: Mapping[str, Person]
    teams: Mapping[str, Team]
    connections: Mapping[str, Connection]
    sources: Mapping[str, Source]
    api_keys: tuple[ApiKey, ...]
    card_profiles: Mapping[str, CardProfile]
    campaigns: Mapping[str, Campaign]
    rule_set: RuleSet
    plans: Mapping[str, Plan]
    goals: tuple[Goal, ...]
    #: Units of goals.yaml's currency for one unit of each ("EUR" -> "1", "PLN" -> "0.2353"), as decimal text.
    rates: Mapping[str, str] = field(default_factory=dict)
    #: By the names a person's `calendar` may have besides the code of a place.
    calendars: Mapping[str, WorkCalendar] = field(default_factory=dict)
    #: By person.
    leaves: Mapping[str, tuple[Leave, ...]] = field(default_factory=dict)
    ramp_up: RampUp | None = None
    #: None: nobody watches what becomes of an assignment.
    response: Response | None = None
    alerts: Alerts = field(default_factory=Alerts)
    #: Days that bodies of deliveries are kept, by kind of source, `crm` and `default`.
    retention: Mapping[str, int] = field(default_factory=dict)
    hash: str = ""
