"""Names and values -> a submission: canonical fields, extras, attribution, consents, signals."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connector.errors import UnreadableDelivery
from connector.model.lead import FIELDS, Consent, Submission
from connector.model.signals import Signal
from connector.model.text import clean
from connector.signatures import unix_time
from connector.sources.aliases import target_of
from connector.sources.base import CONTENT_PREFIX, Reading
from connector.sources.bodies import Pair, dotted, within_caps
from connector.sources.captcha import TOKEN_FIELDS

_CANONICAL = frozenset(FIELDS)
_YES = frozenset(("on", "true", "yes", "1", "y", "ja", "tak", "oui", "si", "sí", "x", "checked", "accepted"))
_NO = frozenset(("off", "false", "no", "0", "n", "nein", "nie", "non", "unchecked"))
_REACHABLE_BY = ("email", "phone", "street", "postal_code")
#: Several values of one name, as the CRMs' multi-select fields write them.
JOINER = ";"
# A person does not fill in a form faster than this (requirement I25).
_HUMAN = timedelta(seconds=3)
_MAX_KEY = 200


@dataclass(slots=True)
class Placed:
    """Where the values of one lead went, while they are being put there."""

    fields: dict[str, str] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)
    attribution: dict[str, str] = field(default_factory=dict)
    consents: list[Consent] = field(default_factory=list)
    lead_key: str | None = None
    is_test: bool = False
    issued_at: datetime | None = None
    token: str = ""
    keyed_at: datetime | None = None
    defaulted: set[str] = field(default_factory=set)
    suspicions: list[str] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    form_token: str = ""
    captcha: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, target: str | None, values: list[str]) -> None:
        """Put the values of one name where its target says; what finds no place goes to `extra`."""
        kind, _, rest = (target or "").partition(".")
        if target in _CANONICAL:
            self._put_field(name, target or "", values)
        elif target == "lead_key":
            self.lead_key = self.lead_key or key_text(values[0])
        elif kind == "attribution" and rest not in self.attribution:
            self.attribution[rest] = JOINER.join(values)
        elif kind == "consent" and (given := yes_or_no(values[0])) is not None:
            self.consents.append(Consent(purpose=rest, given=given))
        elif target != "ignore":
            self.put_extra(rest if kind == "custom" and rest else name, values)

    def _put_field(self, name: str, target: str, values: list[str]) -> None:
        taken = target in self.fields
        if not taken:
            self.fields[target] = values[0]
        if taken or len(values) > 1:
            self.put_extra(name, values)

    def put_extra(self, name: str, values: list[str]) -> None:
        """Keep values under the sender's name, beside what is there already."""
        before = [self.extra[name]] if name in self.extra else []
        self.extra[name] = JOINER.join(before + values)

    def attribute(self, values: Mapping[str, str]) -> None:
        """Say where the lead came from, beside what the person's own values say of it."""
        for name, value in within_caps(list(values.items())):
            if text := value.strip():
                self.attribution.setdefault(name, text)

    def name_campaign(self, reading: Reading) -> None:
        """Name our campaign by the sender's id of it, where we know one."""
        known = reading.campaigns.get(self.attribution.get("campaign_id", ""))
        if known:
            self.fields["campaign"] = known

    def submission(
        self,
        reading: Reading,
        *,
        occurred_at: datetime | None = None,
        version: int = 1,
        also_keys: tuple[str, ...] = (),
        notice_key: str = "",
    ) -> Submission:
        """Fill in the source's defaults and freeze the result."""
        fill_defaults(self, reading)
        return Submission(
            fields=self.fields,
            lead_key=self.lead_key,
            extra=self.extra,
            attribution=self.attribution,
            consents=tuple(self.consents),
            occurred_at=occurred_at,
            version=version,
            is_test=self.is_test,
            suspicions=tuple(self.suspicions),
            token=self.token,
            keyed_at=self.keyed_at,
            defaulted=frozenset(self.defaulted),
            signals=tuple(self.signals),
            form_token=self.form_token,
            captcha=self.captcha,
            also_keys=also_keys,
            notice_key=notice_key,
        )

    def suspect(self, received_at: datetime) -> None:
        """Note what speaks against a form's submission: sent too fast; and what must be settled: nobody to answer."""
        if self.issued_at is not None and timedelta(0) <= received_at - self.issued_at < _HUMAN:
            self.signals.append(Signal.TOO_FAST)
        if not any(self.fields.get(name) for name in _REACHABLE_BY):
            self.suspicions.append("no e-mail, phone or address was recognised: check the source's mapping")


def place(pairs: list[Pair], reading: Reading) -> Placed:
    """Put each value where the mapping, its own name or an alias says, in this order of precedence."""
    placed = Placed()
    for _, name, target, values in sorted(_claims(pairs, reading.mapping), key=_rank):
        if name == reading.honeypot:
            placed.signals.append(Signal.HONEYPOT)
            placed.put_extra(name, values)
        elif not (target is None and _own_sign(placed, name, values[0])):
            placed.put(name, target, values)
    if not (placed.fields or placed.extra or placed.attribution or placed.consents):
        raise UnreadableDelivery("no field has a value")
    return placed


Claim = tuple[int, str, str | None, list[str]]


def _claims(pairs: list[Pair], mapping: Mapping[str, str]) -> list[Claim]:
    values: dict[str, list[str]] = {}
    for name, value in within_caps(pairs):
        if text := value.strip():
            values.setdefault(name, []).append(text)
    paths = {dotted(name): target for name, target in mapping.items()}
    return [_claim(name, given, mapping.get(name) or paths.get(dotted(name))) for name, given in values.items()]


def _claim(name: str, values: list[str], mapped: str | None) -> Claim:
    if mapped:
        return 0, name, mapped, values
    return (1 if name in _CANONICAL else 2), name, target_of(name), values


def _rank(claim: Claim) -> int:
    return claim[0]


def _own_sign(placed: Placed, name: str, value: str) -> bool:
    """Take the fields of our own form snippet: when it was shown, its nonce (I10), a test (I17); and a captcha's."""
    match name:
        case "_token":
            placed.form_token = value
        case "_ts":
            placed.issued_at = unix_time(value)
        case "_nonce":
            placed.lead_key = placed.lead_key or key_text(value)
        case "_test":
            placed.is_test = yes_or_no(value) is True
        case _ if name in TOKEN_FIELDS:
            placed.captcha[name] = value
        case _:
            return False
    return True


def fill_defaults(placed: Placed, reading: Reading) -> None:
    """Give a field the source's default where the sender said nothing, and the campaign its key."""
    for name, value in reading.defaults.items():
        home = placed.fields if name in _CANONICAL else placed.extra
        if name in _CANONICAL and name not in home:
            placed.defaulted.add(name)
        home.setdefault(name.removeprefix("custom."), value)
    code = placed.fields.get("campaign")
    if code:
        placed.fields["campaign"] = reading.campaigns.get(code, code)
    elif reading.campaign:
        placed.fields["campaign"] = reading.campaign


def yes_or_no(value: str) -> bool | None:
    """Read a check box; None when the text is neither yes nor no."""
    word = value.strip().casefold()
    if word in _YES:
        return True
    return False if word in _NO else None


def key_text(value: str) -> str | None:
    """Write a sender's id as a key; an over-long one is hashed, an empty one is none.

    So is one that would pass for a hash of content: anybody may send one ahead of somebody else's.
    """
    key = clean(value).strip()
    if len(key) > _MAX_KEY or key.startswith(CONTENT_PREFIX):
        return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    return key or None
