"""Lets webhooks go to loopback, which the real CRM rightly refuses. Call it once Django is set up."""


def allow() -> None:
    from webhooks import ssrf  # noqa: PLC0415 - not before Django is set up

    ssrf.is_blocked = lambda ip: False  # noqa: ARG005 - the name is the CRM's
    ssrf._allowed_ports = lambda: range(65536)
    ssrf._allowed_schemes = lambda: ("https", "http")
