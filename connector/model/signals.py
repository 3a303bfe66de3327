"""What may speak against a submission: small observations that are added up elsewhere (requirement I25)."""

from enum import StrEnum


class Signal(StrEnum):
    """One observation about a submission or its sender. None of them is a proof."""

    HONEYPOT = "honeypot"
    TOO_FAST = "too_fast"
    STALE = "stale"
    TOKEN_MISSING = "token_missing"  # noqa: S105 (a name, no secret)
    TOKEN_FORGED = "token_forged"  # noqa: S105 (the same)
    ORIGIN_UNTOLD = "origin_untold"
    ORIGIN_FOREIGN = "origin_foreign"
    CAPTCHA_MISSING = "captcha_missing"
    CAPTCHA_DOUBTFUL = "captcha_doubtful"
    CAPTCHA_SPENT = "captcha_spent"
    CAPTCHA_ELSEWHERE = "captcha_elsewhere"
    CAPTCHA_FAILED = "captcha_failed"
    SAME_ADDRESS = "same_address"
    LINK = "link"
    LINKS = "links"
    LINK_IN_NAME = "link_in_name"
    MARKUP = "markup"
    REPEATED_TEXT = "repeated_text"
    DISPOSABLE_MAIL = "disposable_mail"
    FREE_MAIL = "free_mail"
    ROLE_ADDRESS = "role_address"
    UNLIKE_NAME = "unlike_name"
