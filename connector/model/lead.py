"""Leads: what a source said, and what we made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from connector.model.signals import Signal

#: Canonical names a source may use in `Submission.fields`; all else goes to `extra`.
FIELDS = (
    "first_name",
    "last_name",
    "full_name",
    "email",
    "phone",
    "company",
    "job_title",
    "street",
    "postal_code",
    "city",
    "region",
    "country",
    "message",
    "product",
    "industry",
    "employees",
    "segment",
    "language",
    "campaign",
)


@dataclass(frozen=True, slots=True)
class Consent:
    """A person allowed (or refused) one purpose, with the text they saw.

    `ticked` is the state the box was shown in, None where the sender does not tell. `basis` is the lawful basis the
    sender names. `form_version` and `url` say which form, on which page.
    """

    purpose: str
    given: bool
    text: str = ""
    channel: str = ""
    basis: str = "consent"
    form_version: str = ""
    ticked: bool | None = None
    url: str = ""

    @property
    def counts(self) -> bool:
        """Tell whether it may be acted upon: a box that was ticked already proves nothing (I31)."""
        return self.given and self.ticked is not True


@dataclass(frozen=True, slots=True)
class Submission:
    """One lead's worth of raw values out of a delivery, before normalising.

    `lead_key` is the sender's own identity of the submission, as a string; None asks for
    the content hash of requirement I10. `version` orders newer versions of the same
    submission (an edit, a final after a partial): higher wins.
    """

    fields: Mapping[str, str]
    lead_key: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    attribution: Mapping[str, str] = field(default_factory=dict)
    consents: tuple[Consent, ...] = ()
    occurred_at: datetime | None = None
    version: int = 1
    is_test: bool = False
    #: Why this submission must wait for a person, whatever else speaks for it; empty: nothing.
    suspicions: tuple[str, ...] = ()
    #: Of the response card this answers; its recipient's data fill what the answer leaves out (C10).
    token: str = ""
    keyed_at: datetime | None = None
    #: Fields the sender said nothing about, filled by the source's defaults.
    defaulted: frozenset[str] = frozenset()
    #: What the submission itself shows that people's rarely do; it is added up with what its sender shows.
    signals: tuple[Signal, ...] = ()
    #: The signed token of our own form snippet, and what each captcha widget left, by field name.
    form_token: str = ""
    captcha: Mapping[str, str] = field(default_factory=dict)
    #: Keys under which later news of the same submission may come (the vendor gives it a new id each time).
    also_keys: tuple[str, ...] = ()
    #: The key a vendor's notice of erasure names it by, where that is another than `lead_key` and may come years later.
    notice_key: str = ""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A vendor's notice that a submission must be erased; `lead_key` is the key it came under, or its `notice_key`."""

    lead_key: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something in a delivery that is none of a lead's business; `reason` says in plain words what and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lead:
    """A normalised lead. Empty string means "not known"; every value is safe to store."""

    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    company: str = ""
    domain: str = ""
    job_title: str = ""
    street: str = ""
    postal_code: str = ""
    city: str = ""
    region: str = ""
    country: str = ""
    message: str = ""
    product: str = ""
    industry: str = ""
    employees: int | None = None
    segment: str = ""
    language: str = ""
    campaign: str = ""
    source: str = ""
    custom: Mapping[str, str] = field(default_factory=dict)
    attribution: Mapping[str, str] = field(default_factory=dict)
    consents: tuple[Consent, ...] = ()
    #: Of the response card that made the lead: whatever carries it again belongs here (C7, C16).
    token: str = ""
    #: What normalising changed or could not read, in plain words ("phone '12' is not a number in DE").
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facets:
    """All that routing may know of a lead: no name, e-mail, phone or domain (promise P4).

    `domain_rules` are the keys of the rules whose domain test the lead passes.
    """

    country: str = ""
    region: str = ""
    postal_code: str = ""
    industry: str = ""
    employees: int | None = None
    product: str = ""
    segment: str = ""
    language: str = ""
    source: str = ""
    campaign: str = ""
    custom: Mapping[str, str] = field(default_factory=dict)
    domain_rules: tuple[str, ...] = ()
