"""Every mistake has a file, a line and an advice; all of them come at once; none is an exception."""

# ruff: noqa: E501 (a row of the table below is read as one line)

from dataclasses import dataclass
from pathlib import Path

import pytest

from connector.settings import Complaint, Installation, Loaded, Severity, load

FILES = {
    "hearback.yaml": """\
organisation:
  name: Probe
  country: DE
  timezone: Europe/Berlin
  languages: [en, de]
public_url: https://leads.example.com
connections:
  crm:
    adapter: sandbox
    mode: write
    options:
      base_url: http://127.0.0.1:1
    secrets:
      token: ${CRM_TOKEN}
sources:
  site:
    kind: form
    token: ${SITE_TOKEN}
    return_hosts:
      - www.example.com
    mapping:
      firma: company
api_keys:
  - name: portal
    secret: ${PORTAL_KEY}
campaigns:
  spring:
    name: Spring
    key_code: S1
    crm_ids:
      crm: "701"
""",
    "people.csv": """\
key,name,email,lane,role,team,timezone,languages,weight,max_open,user:crm
ann,Ann Ames,ann@example.com,sales,rep,north,Europe/Berlin,en,1,,u1
bob,Bob Beck,bob@example.com,sales,rep,north,Europe/Berlin,de;en,1,40,u2
meg,Meg Mann,meg@example.com,sales,manager,firm,Europe/Berlin,en,,,u3
""",
    "teams.csv": """\
key,name,parent,manager
firm,The firm,,meg
north,North,firm,meg
""",
    "territories.csv": """\
rule,parent,order,country,postal,employees,product,campaign,valid_from,valid_to,connection,pool,rep
de-east,,10,DE,01000..09999,,,,,,crm,all,
de-big,,20,DE,,250..9999,drills,spring,2026-01-01,2026-12-31,,,ann
us,,30,US,100*,,,,,,,all,
""",
    "routing.yaml": """\
fallback: meg
holding:
  max_hold: "4h"
pools:
  all:
    members:
      - ann
      - {person: bob, weight: 2}
""",
    "followups/plan.yaml": """\
schema: followup-plan/1
kind: FollowUpPlan
key: plan
version: 1
title: {en: Plan, de: Plan}
applies_to: {start_on: opportunity.won}
anchors:
  won: {event: opportunity.won}
steps:
  - key: call
    title: {en: Call, de: Anruf}
    lane: sales
    due: {anchor: won, add: 1bd}
    evidence: {any: [{type: crm_call, min_seconds: 60}]}
    escalation: slow
  - key: call_again
    title: {en: Call, de: Anruf}
    lane: sales
    due: {anchor: won, add: 3bd}
    requires: [call]
    mandatory: false
escalations:
  slow:
    - {at: due, do: [mark_overdue]}
""",
    "goals.csv": """\
person,metric,start,end,amount,currency
ann,bookings,2026-01-01,2026-12-31,100000,EUR
""",
    "goals.yaml": """\
currency: EUR
metrics: [bookings]
rates:
  PLN: "0.2353"
""",
}


def folder_with(tmp_path: Path, **changed: bytes | str | None) -> Path:
    """Write the files above; `changed` replaces whole files, None removes one."""
    for name, text in {**FILES, **changed}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if text is not None:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path


@dataclass(frozen=True, slots=True)
class Mistake:
    """In `file`, `old` was mistyped as `new`; line `line` must be named and `says` stand in the complaint."""

    id: str
    file: str
    old: str
    new: str
    line: int
    says: tuple[str, ...]


HEARBACK, PEOPLE, TEAMS, RULES = "hearback.yaml", "people.csv", "teams.csv", "territories.csv"
ROUTING, PLAN, GOALS, RATES = "routing.yaml", "followups/plan.yaml", "goals.csv", "goals.yaml"

MISTAKES = [
    # hearback.yaml
    Mistake("tab", HEARBACK, "    adapter:", "\tadapter:", 9, ("a tab stands", "indent with spaces")),
    Mistake("broken yaml", HEARBACK, "[en, de]", "[en, de", 6, ("cannot be read as YAML", "brackets")),
    Mistake("control character", HEARBACK, "Probe", "Pro\x07be", 2, ("control character", "delete it")),
    Mistake("tag", HEARBACK, "Probe", "!secret Probe", 2, ("has the tag !secret", "quote the value")),
    Mistake("alias", HEARBACK, "name: Spring", "name: &a Spring\n    product: *a", 29, ("is an alias", "write the value out")),
    Mistake("duplicate key", HEARBACK, "  country: DE", "  country: DE\n  country: PL", 4, ("twice, first on line 3", "remove or rename")),
    Mistake("unknown key", HEARBACK, "    adapter:", "    adaptor:", 9, ("connections.crm.adaptor", "did you mean 'adapter'")),
    Mistake("key without a place", HEARBACK, "    token: ${SITE_TOKEN}", "    token: ${SITE_TOKEN}\n    dedupe_key: entry.id", 19, ("sources.site.dedupe_key[1]: 'entry.id' is no part of a key", "body:entry.id")),
    Mistake("key without a name", HEARBACK, "    token: ${SITE_TOKEN}", "    token: ${SITE_TOKEN}\n    dedupe_key: ['query:', 'body:id']", 19, ("dedupe_key[1]: 'query:' is no part of a key", "query:id")),
    Mistake("key in a secret header", HEARBACK, "    token: ${SITE_TOKEN}", "    token: ${SITE_TOKEN}\n    dedupe_key: 'header:Authorization'", 19, ("the header Authorization is never kept", "name another header")),
    Mistake("key in no header", HEARBACK, "    token: ${SITE_TOKEN}", "    token: ${SITE_TOKEN}\n    dedupe_key: ['header:request id']", 19, ("'request id' is no name of a header", "x-request-id")),
    Mistake("quiet for no time", HEARBACK, "    token: ${SITE_TOKEN}", "    token: ${SITE_TOKEN}\n    quiet_after: 2 days", 19, ("quiet_after: '2 days' is no length of time", "hours or minutes")),
    Mistake("alerts to nobody", HEARBACK, "public_url:", "alerts: {mail: {to: [], from: a@b.com, host: m}}\npublic_url:", 6, ("alerts.mail.to: is empty", "list at least one address")),
    Mistake("alerts to no address", HEARBACK, "public_url:", "alerts: {mail: {to: [ops], from: a@b.com, host: m}}\npublic_url:", 6, ("alerts.mail.to[1]: 'ops' is no e-mail address", "name@company.com")),
    Mistake("alerts from nobody", HEARBACK, "public_url:", "alerts: {mail: {to: [a@b.com], host: m}}\npublic_url:", 6, ("alerts.mail.from: is missing", "fill it in")),
    Mistake("half a login", HEARBACK, "public_url:", "alerts: {mail: {to: [a@b.com], from: a@b.com, host: m, username: u}}\npublic_url:", 6, ("alerts.mail.username: stands without password", "remove username")),
    Mistake("a literal password", HEARBACK, "public_url:", "alerts: {mail: {to: [a@b.com], from: a@b.com, host: m, username: u, password: pw}}\npublic_url:", 6, ("not a reference like ${NAME}",)),
    Mistake("no port", HEARBACK, "public_url:", "alerts: {mail: {to: [a@b.com], from: a@b.com, host: m, port: 70000}}\npublic_url:", 6, ("'70000' is no port", "587")),
    Mistake("a webhook nowhere", HEARBACK, "public_url:", "alerts: {webhook: {url: 'ftp://x', secret: '${S}'}}\npublic_url:", 6, ("'ftp://x' is no web address",)),
    Mistake("an unsigned webhook", HEARBACK, "public_url:", "alerts: {webhook: {url: 'https://x.example'}}\npublic_url:", 6, ("alerts.webhook.secret: is missing",)),
    Mistake("an alert for nothing", HEARBACK, "public_url:", "alerts: {quarantine: 0}\npublic_url:", 6, ("not a whole number of at least 1",)),
    Mistake("key of a later version", HEARBACK, "public_url:", "retention: 30\npublic_url:", 6, ("not supported yet", "remove it")),
    Mistake("retention beyond 90 days (I32)", HEARBACK, "public_url:", "privacy:\n  retention:\n    form: 120\npublic_url:", 8, ("no number of days from 30 to 90", "write a whole number")),
    Mistake("retention of an unknown kind", HEARBACK, "public_url:", "privacy:\n  retention:\n    from: 60\npublic_url:", 8, ("no source is of this kind", "did you mean 'form'")),
    Mistake("missing key", HEARBACK, "public_url: https://leads.example.com\n", "", 1, ("public_url: is missing", "fill it in")),
    Mistake("literal secret", HEARBACK, "${CRM_TOKEN}", "s3cr3t", 14, ("not a reference like ${NAME}", "environment variable")),
    Mistake("literal token of a source", HEARBACK, "${SITE_TOKEN}", "abc", 18, ("not a reference", "environment variable")),
    Mistake("literal API key", HEARBACK, "${PORTAL_KEY}", "$PORTAL_KEY", 25, ("api_keys[1].secret", "environment variable")),
    Mistake("secret among the options", HEARBACK, "base_url:", "api_key:", 12, ("looks like a secret", "move it to secrets")),
    Mistake("unknown adapter", HEARBACK, "adapter: sandbox", "adapter: sandbx", 9, ("no such adapter", "did you mean 'sandbox'")),
    Mistake("unknown kind of source", HEARBACK, "kind: form", "kind: from", 17, ("no code here reads", "did you mean 'form'")),
    Mistake("unknown mode", HEARBACK, "mode: write", "mode: writ", 10, ("'writ' is not known", "did you mean 'write'")),
    Mistake("country by name", HEARBACK, "country: DE", "country: Germany", 3, ("no country code", "write 'DE'")),
    Mistake("time zone", HEARBACK, "Europe/Berlin", "Berlin", 4, ("no time zone", "Europe/Berlin")),
    Mistake("language", HEARBACK, "[en, de]", "[en, german]", 5, ("languages[2]", "two letters")),
    Mistake("no languages", HEARBACK, "[en, de]", "[]", 5, ("is empty", "list at least one")),
    Mistake("host with a path (I28)", HEARBACK, "- www.example.com", "- https://www.example.com/x", 20, ("no host name", "without https://")),
    Mistake("wildcard host (I28)", HEARBACK, "- www.example.com", '- "*.example.com"', 20, ("no host name", "wildcard")),
    Mistake("source without a token (I3)", HEARBACK, "    token: ${SITE_TOKEN}\n", "", 16, ("has no token", "add token")),
    Mistake("mapping to no field", HEARBACK, "firma: company", "firma: compny", 22, ("no field of a lead", "did you mean 'company'")),
    Mistake("campaign in no connection", HEARBACK, '      crm: "701"', '      crn: "701"', 31, ("connection 'crn' is unknown", "did you mean 'crm'")),
    Mistake("encoding", HEARBACK, "public_url:", "csv_encoding: windoof\npublic_url:", 6, ("no text encoding", "cp1250")),
    # What keeps bots out.
    Mistake("honeypot people fill in", HEARBACK, "kind: form", "kind: form\n    honeypot: firma", 18, ("'firma' is a field of the form", "hidden from people")),
    Mistake("honeypot that is a field", HEARBACK, "kind: form", "kind: form\n    honeypot: email", 18, ("'email' is a field of the form", "every lead would be set aside")),
    Mistake("captcha nobody can ask (I27)", HEARBACK, "kind: form", "kind: form\n    captcha: {provider: turnstyle, secret: '${C}', site_key: k}", 18, ("captcha.provider: 'turnstyle' is unknown", "did you mean 'turnstile'")),
    Mistake("literal captcha secret", HEARBACK, "kind: form", "kind: form\n    captcha: {provider: turnstile, secret: abc, site_key: k}", 18, ("captcha.secret", "environment variable")),
    Mistake("captcha without a site key", HEARBACK, "kind: form", "kind: form\n    captcha: {provider: turnstile, secret: '${C}'}", 18, ("captcha.site_key: is missing", "fill it in")),
    Mistake("captcha of any site", HEARBACK, "    return_hosts:\n      - www.example.com\n", "    captcha: {provider: turnstile, secret: '${C}', site_key: k}\n", 19, ("captcha: has no hosts", "under hosts")),
    Mistake("captcha for a program", HEARBACK, "sources:\n", "sources:\n  prog: {kind: api, captcha: {provider: turnstile, secret: '${C}', site_key: k, hosts: [a.example.com]}}\n", 16, ("a source of kind api has no form", "remove the line")),
    Mistake("form token for a program", HEARBACK, "sources:\n", "sources:\n  prog: {kind: api, form_token: true}\n", 16, ("form_token: a source of kind api has no form", "remove the line")),
    Mistake("form token that is no choice", HEARBACK, "kind: form", "kind: form\n    form_token: maybe", 18, ("neither true nor false", "write true or false")),
    # people.csv and teams.csv
    Mistake("unknown column", PEOPLE, "languages,weight", "langages,weight", 1, ("column 'langages'", "did you mean 'languages'")),
    Mistake("column of a later version", RULES, "rule,parent,order,country", "rule,parent,priority,country", 1, ("not supported yet", "remove it")),
    Mistake("missing column", PEOPLE, "key,name,email,lane", "key,name,mail,lane", 1, ("column 'email' is missing", "header")),
    Mistake("column twice", PEOPLE, "weight,max_open", "weight,weight", 1, ("stands twice", "remove one")),
    Mistake("ragged row", PEOPLE, "de;en,1,40,u2", "de;en,1,40", 3, ("10 cells, the header 11", "quote a cell")),
    Mistake("open quote", PEOPLE, "Bob Beck", '"Bob Beck', 3, ("cannot be read", "close the quote")),
    Mistake("person twice", PEOPLE, "bob,Bob", "ann,Bob", 3, ("key 'ann' stands twice", "rename or remove")),
    Mistake("user twice", PEOPLE, "de;en,1,40,u2", "de;en,1,40,u1", 3, ("user:crm 'u1' stands twice", "correct one")),
    Mistake("bad key", PEOPLE, "bob,Bob", "Bob B,Bob", 3, ("no key", "lower-case")),
    Mistake("bad e-mail", PEOPLE, "bob@example.com", "bob(at)example.com", 3, ("no e-mail address", "name@company.com")),
    Mistake("bad zone", PEOPLE, "rep,north,Europe/Berlin,de;en", "rep,north,CEST+1,de;en", 3, ("no time zone", "IANA")),
    Mistake("bad lane", PEOPLE, "bob@example.com,sales", "bob@example.com,sails", 3, ("'sails' is not known", "did you mean 'sales'")),
    Mistake("bad language", PEOPLE, "de;en,1,40", "de;xx,1,40", 3, ("no language code", "two letters")),
    Mistake("weight zero", PEOPLE, "de;en,1,40", "de;en,0,40", 3, ("weight: '0'", "whole number from 1")),
    Mistake("negative cap", PEOPLE, "de;en,1,40", "de;en,1,-1", 3, ("max_open: '-1'", "whole number from 0")),
    Mistake("rep without a user", PEOPLE, "de;en,1,40,u2", "de;en,1,40,", 3, ("no CRM user", "user:CONNECTION")),
    Mistake("user of an unknown connection", PEOPLE, "user:crm", "user:crn", 1, ("connection", "'crn' is unknown", "did you mean 'crm'")),
    Mistake("unknown team", PEOPLE, "bob@example.com,sales,rep,north", "bob@example.com,sales,rep,nort", 3, ("team 'nort'", "did you mean 'north'")),
    Mistake("team above itself", TEAMS, "firm,The firm,,", "firm,The firm,north,", 2, ("firm -> north -> firm", "clear or correct")),
    Mistake("unknown manager", TEAMS, "firm,meg", "firm,Meg Mann", 3, ("manager 'Meg Mann' is unknown", "correct it or add it to people.csv")),
    # territories.csv
    Mistake("lost leading zero", RULES, "01000..09999", "1067", 2, ("'1067' has 4 digits", "write '01067'", "as text")),
    Mistake("lost zero of a bound", RULES, "01000..09999", "1000..09999", 2, ("'1000' has 4 digits", "leading zero", "write '01000'")),
    Mistake("range backwards", RULES, "01000..09999", "09999..01000", 2, ("is empty", "write '01000..09999'")),
    Mistake("half a range", RULES, "01000..09999", "01000..", 2, ("half a range", "10000..19999")),
    Mistake("no postal code", RULES, "01000..09999", "0100O", 2, ("no postal code of DE", "prefix like")),
    Mistake("postal without a country", RULES, "10,DE,01000", "10,,01000", 2, ("exactly one country", "into the country cell")),
    Mistake("postal with two countries", RULES, "10,DE,01000", "10,DE;PL,01000", 2, ("exactly one country", "split the rule")),
    Mistake("star in the middle", RULES, "100*", "1*0", 4, ("may stand at the end only", "start followed by")),
    Mistake("range of a word", RULES, "drills", "drills..saws", 3, ("product has no order", "separated by ';'")),
    Mistake("empty alternative", RULES, "drills", "drills;", 3, ("an alternative is empty", "remove the extra ';'")),
    Mistake("negated (none)", RULES, "drills", "!(none)", 3, ("cannot be tested", "list the values")),
    Mistake("company size with a separator", RULES, "250..9999", "250..9.999", 3, ("no number of employees", "without separators")),
    Mistake("rule twice", RULES, "de-big,", "de-east,", 3, ("rule 'de-east' stands twice", "line 2", "rename or remove")),
    Mistake("unknown parent", RULES, "de-big,,", "de-big,de-wset,", 3, ("parent 'de-wset'", "did you mean 'de-east'")),
    Mistake("parent of itself", RULES, "de-big,,", "de-big,de-big,", 3, ("de-big -> de-big", "clear or correct")),
    Mistake("order", RULES, "us,,30", "us,,last", 4, ("no whole number", "10 or 200")),
    Mistake("unknown pool", RULES, "crm,all,", "crm,al,", 2, ("pool 'al' is unknown", "did you mean 'all'")),
    Mistake("unknown rep", RULES, ",,,ann", ",,,anne", 3, ("rep 'anne' is unknown", "did you mean 'ann'")),
    Mistake("rep that is a manager", RULES, ",,,ann", ",,,meg", 3, ("'meg' is a manager", "name a rep")),
    Mistake("pool and rep", RULES, "crm,all,", "crm,all,ann", 2, ("a pool and a rep", "either")),
    Mistake("neither pool nor rep", RULES, "crm,all,", "crm,,", 2, ("leads nowhere", "either")),
    Mistake("unknown connection", RULES, "crm,all,", "crn,all,", 2, ("connection 'crn'", "did you mean 'crm'")),
    Mistake("unknown campaign", RULES, "spring", "sprung", 3, ("campaign 'sprung'", "did you mean 'spring'")),
    Mistake("dates backwards", RULES, "2026-12-31", "2025-12-31", 3, ("lies after valid_to", "exchange")),
    Mistake("German date", RULES, "2026-12-31", "31.12.2026", 3, ("no date", "2026-01-31")),
    # routing.yaml
    Mistake("unknown member", ROUTING, "- ann", "- anna", 7, ("person 'anna' is unknown", "did you mean 'ann'")),
    Mistake("member twice", ROUTING, "person: bob", "person: ann", 8, ("a member twice", "higher weight")),
    Mistake("weight below one", ROUTING, "weight: 2", "weight: 0", 8, ("weight", "whole number from 1")),
    Mistake("quoted weight", ROUTING, "weight: 2", 'weight: "2"', 8, ("not a whole number", "without quotes")),
    Mistake("member that is no rep", ROUTING, "- ann", "- meg", 7, ("'meg' is a manager", "name a rep")),
    Mistake("unknown fallback", ROUTING, "fallback: meg", "fallback: mag", 1, ("'mag' is unknown", "did you mean 'meg'")),
    Mistake("pool that overflows into itself", ROUTING, "    members:", "    overflow: all\n    members:", 6, ("all -> all", "clear or correct")),
    Mistake("unknown overflow", ROUTING, "    members:", "    overflow: al\n    members:", 6, ("pool 'al' is unknown", "did you mean 'all'")),
    Mistake("pool without members", ROUTING, "pools:\n", "pools:\n  none:\n    members: []\n", 6, ("no members", "add at least one rep")),
    Mistake("hold", ROUTING, '"4h"', "4", 3, ("no length of time", '"4h"')),
    Mistake("matching", ROUTING, "holding:", "matching: [leads]\nholding:", 2, ("'leads' is not known", "did you mean 'lead'")),
    Mistake("off shift", ROUTING, "    members:", "    off_shift: wait\n    members:", 6, ("'wait' is not known", "hold")),
    Mistake("absence", ROUTING, "    members:", "    absence: lump\n    members:", 6, ("'lump' is not known", "none")),
    Mistake("unknown step", ROUTING, "holding:", "steps: [territory]\nholding:", 2, ("'territory' is not known", "did you mean 'territories'")),
    Mistake("step twice", ROUTING, "holding:", "steps: [territories, territories]\nholding:", 2, ("names one twice", "remove one")),
    Mistake("overflow before there is a pool", ROUTING, "holding:", "steps: [overflow, territories]\nholding:", 2, ("overflow stands before territories", "behind")),
    Mistake("cap without a number", ROUTING, "holding:", "caps:\n  big: {max: 0, per: week}\nholding:", 3, ("caps.big.max", "at least 1")),
    Mistake("cap per nothing", ROUTING, "holding:", "caps:\n  big: {max: 5, per: year}\nholding:", 3, ("'year' is not known", "hour")),
    Mistake("cap of a place", ROUTING, "holding:", "caps:\n  big: {max: 5, per: week, when: {postal: 1*}}\nholding:", 3, ("'postal' is not known",)),
    Mistake("cap of a bad test", ROUTING, "holding:", "caps:\n  big: {max: 5, per: week, when: {employees: many}}\nholding:", 3, ("no number of employees",)),
    Mistake("ramp-up beyond the whole", ROUTING, "holding:", "ramp_up: {start: 120, days: 10}\nholding:", 2, ("more than the whole", "1 to 100")),
    Mistake("response without a due time", ROUTING, "pools:\n", "response: {accept: yes}\npools:\n", 4, ("response.due: is missing", "fill it in")),
    Mistake("response due in days", ROUTING, "pools:\n", "response: {due: 2d}\npools:\n", 4, ("response.due", "no length of time", "4h")),
    Mistake("reminders in disorder", ROUTING, "pools:\n", "response: {due: 4h, remind_at: [80, 50]}\npools:\n", 4, ("no ascending list", "[50, 80]")),
    Mistake("reminder after the due time", ROUTING, "pools:\n", "response:\n  due: 4h\n  remind_at: [50, 120]\npools:\n", 6, ("no ascending list", "below 100")),
    Mistake("acceptance nobody asks for", ROUTING, "pools:\n", "response:\n  due: 4h\n  accept_due: 1h\npools:\n", 6, ("stands without accept", "add accept: yes")),
    Mistake("acceptance after the response", ROUTING, "pools:\n", "response:\n  due: 4h\n  accept: yes\n  accept_due: 5h\npools:\n", 7, ("due after the response", "shorter")),
    Mistake("moves by word", ROUTING, "pools:\n", "response:\n  due: 4h\n  max_moves: none\npools:\n", 6, ("response.max_moves", "whole number")),
    Mistake("accept by another word", ROUTING, "pools:\n", "response:\n  due: 4h\n  accept: maybe\npools:\n", 6, ("neither yes nor no", "write yes or no")),
    Mistake("unknown key of response", ROUTING, "pools:\n", "response:\n  due: 4h\n  remind: [50]\npools:\n", 6, ("response.remind", "did you mean 'remind_at'")),
    # followups/*.yaml (aftersales S12)
    Mistake("unknown anchor", PLAN, "anchor: won, add: 1bd", "anchor: wno, add: 1bd", 13, ("anchor 'wno' is unknown", "did you mean 'won'")),
    Mistake("missing language", PLAN, "title: {en: Call, de: Anruf}\n    lane: sales\n    due: {anchor: won, add: 1bd}", "title: {en: Call}\n    lane: sales\n    due: {anchor: won, add: 1bd}", 11, ("lacks de", "add de:")),
    Mistake("mandatory without evidence", PLAN, "    evidence: {any: [{type: crm_call, min_seconds: 60}]}\n", "", 10, ("mandatory without evidence", "mandatory: false")),
    Mistake("mandatory without escalation", PLAN, "    escalation: slow\n", "", 10, ("mandatory without escalation", "mandatory: false")),
    Mistake("cycle", PLAN, "    escalation: slow\n", "    escalation: slow\n    requires: [call_again]\n", 16, ("'call' requires itself", "remove one")),
    Mistake("unknown step", PLAN, "requires: [call]", "requires: [cal]", 20, ("step 'cal' is unknown", "did you mean 'call'")),
    Mistake("step twice", PLAN, "key: call_again", "key: call", 16, ("'call' stands twice", "rename")),
    Mistake("bad span", PLAN, "add: 3bd", "add: 3 days", 19, ("no span", "2bd (business days)")),
    Mistake("unit of a later version", PLAN, "add: 3bd", "add: 3mo", 19, ("not supported yet", "use bd, d or h")),
    Mistake("rung before the due instant", PLAN, "at: due,", "at: due-4h,", 24, ("no rung", "due+1bd")),
    Mistake("part of a full plan", PLAN, "version: 1", "version: 1\ngates: []", 5, ("gates: is not supported yet", "remove it")),
    Mistake("evidence of a later version", PLAN, "type: crm_call", "type: crm_email", 14, ("'crm_email' is not known", "did you mean 'crm_call'")),
    Mistake("start without an anchor", PLAN, "start_on: opportunity.won", "start_on: order.delivered", 6, ("has no anchor", "add an anchor")),
    # goals.csv and goals.yaml
    Mistake("goal of nobody", GOALS, "ann,", "anne,", 2, ("person 'anne' is unknown", "did you mean 'ann'")),
    Mistake("goal backwards", GOALS, "2026-12-31", "2025-12-31", 2, ("lies after end", "exchange")),
    Mistake("amount with separators", GOALS, "100000", '"100.000,00"', 2, ("no amount", "without spaces, currency or thousands")),
    Mistake("zero amount", GOALS, "100000", "0", 2, ("no amount", "above zero")),
    Mistake("currency code", GOALS, "EUR", "EURO", 2, ("no currency code", "EUR or PLN")),
    Mistake("currency without a rate", GOALS, "EUR", "USD", 2, ("currency 'USD' is unknown", "add it to rates in goals.yaml")),
    Mistake("goal twice", GOALS, "EUR\n", "EUR\nann,bookings,2026-01-01,2026-12-31,5,PLN\n", 3, ("stands twice", "remove or correct")),
    Mistake("rate of the currency itself", RATES, "PLN:", "EUR:", 4, ("always 1", "remove the line")),
    Mistake("metric", GOALS, "bookings", "booking", 2, ("'booking' is not known", "did you mean 'bookings'")),
    Mistake("rate", RATES, '"0.2353"', "0,2353", 4, ("no exchange rate", "0.2353")),
]  # fmt: skip


#: One mistake may spoil what refers to it, but must not bury itself in complaints.
MOST = 4


def the_folder(tmp_path: Path, mistake: Mistake) -> Path:
    text = FILES[mistake.file]
    assert mistake.old in text
    return folder_with(tmp_path, **{mistake.file: text.replace(mistake.old, mistake.new, 1)})


def read(folder: Path) -> Loaded:
    return load(folder, Installation(adapters=("sandbox",), kinds=("form", "api"), captchas=("turnstile",)))


def complaint_of(loaded: Loaded, file: str, line: int, *says: str) -> Complaint:
    for complaint in loaded.complaints:
        if (complaint.file, complaint.line) == (file, line) and all(part in str(complaint) for part in says):
            return complaint
    listed = "\n".join(str(complaint) for complaint in loaded.complaints)
    pytest.fail(f"nothing at {file}:{line} says {says}; complaints:\n{listed}")


def test_the_files_these_mistakes_are_made_in_are_right(tmp_path: Path) -> None:
    loaded = read(folder_with(tmp_path))

    assert loaded.complaints == ()
    assert loaded.settings is not None


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.id)
def test_a_mistake_is_named_with_file_line_and_advice(tmp_path: Path, mistake: Mistake) -> None:
    loaded = read(the_folder(tmp_path, mistake))

    found = complaint_of(loaded, mistake.file, mistake.line, *mistake.says)
    assert str(found).startswith(f"{mistake.file}:{mistake.line}: ")
    assert found.what
    assert found.why
    assert found.do
    assert (loaded.settings, loaded.document) == (None, None)
    assert len(loaded.complaints) <= MOST


@pytest.mark.parametrize(
    ("lines", "lacking"),
    [
        ([], ["secrets", "access_token"]),
        (['secrets: ["${A}"]'], ["access_token"]),
        (["secrets: []", "access_token: ${A}"], ["secrets"]),
        (['secrets: ["${A}"]', "access_token: ${B}", "verify_token: ${C}"], []),
    ],
)
def test_a_source_lacks_nothing_its_kind_cannot_work_without(
    tmp_path: Path, lines: list[str], lacking: list[str]
) -> None:
    settings = "".join(f"    {line}\n" for line in lines)
    changed = FILES["hearback.yaml"].replace("    kind: form\n", f"    kind: form\n{settings}")
    folder = folder_with(tmp_path, **{"hearback.yaml": changed})

    found = load(
        folder, Installation(adapters=("sandbox",), kinds=("form",), needs={"form": ("secrets", "access_token")})
    )

    assert [(each.file, each.line, each.what) for each in found.complaints] == [
        ("hearback.yaml", 16, f"sources.site: has no {name}") for name in lacking
    ]


def test_a_token_for_a_vendor_is_never_written_out(tmp_path: Path) -> None:
    changed = FILES["hearback.yaml"].replace("    kind: form\n", "    kind: form\n    access_token: EAAB-literal\n")

    found = load(
        folder_with(tmp_path, **{"hearback.yaml": changed}), Installation(adapters=("sandbox",), kinds=("form",))
    )

    assert found.settings is None
    assert not any("EAAB" in str(each) for each in found.complaints)


def test_a_literal_secret_is_never_repeated(tmp_path: Path) -> None:
    """Promise P10."""
    text = FILES[HEARBACK].replace("${CRM_TOKEN}", "hunter2-hunter2")

    loaded = read(folder_with(tmp_path, **{HEARBACK: text}))

    assert "hunter2" not in "".join(str(complaint) for complaint in loaded.complaints)


@pytest.mark.parametrize("name", [HEARBACK, PEOPLE, TEAMS, RULES, ROUTING])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    loaded = read(folder_with(tmp_path, **{name: None}))

    complaint_of(loaded, name, 1, "missing", "hearback init")


@pytest.mark.parametrize("name", [HEARBACK, PEOPLE, TEAMS, RULES, ROUTING, PLAN, GOALS, RATES])
def test_an_empty_file_is_named(tmp_path: Path, name: str) -> None:
    loaded = read(folder_with(tmp_path, **{name: "\n"}))

    complaint_of(loaded, name, 1, "empty")


@pytest.mark.parametrize("name", [HEARBACK, PEOPLE, TEAMS, RULES, ROUTING])
def test_one_missing_file_does_not_make_the_others_look_wrong(tmp_path: Path, name: str) -> None:
    loaded = read(folder_with(tmp_path, **{name: None}))

    assert {complaint.file for complaint in loaded.complaints} == {name}


def test_an_undeclared_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    text = FILES[PEOPLE].replace("Bob Beck", "Bób Bąk").encode("cp1250")

    loaded = read(folder_with(tmp_path, **{PEOPLE: text}))

    complaint_of(loaded, PEOPLE, 3, "is not utf-8", "csv_encoding: cp1250")


def test_a_declared_encoding_is_read(tmp_path: Path) -> None:
    people = FILES[PEOPLE].replace("Bob Beck", "Bób Bąk").encode("cp1250")
    hearback = f"csv_encoding: cp1250\n{FILES[HEARBACK]}".encode()

    settings = read(folder_with(tmp_path, **{PEOPLE: people, HEARBACK: hearback})).settings

    assert settings is not None
    assert settings.people["bob"].name == "Bób Bąk"


def test_utf_16_is_named(tmp_path: Path) -> None:
    loaded = read(folder_with(tmp_path, **{PEOPLE: FILES[PEOPLE].encode("utf-16")}))

    complaint_of(loaded, PEOPLE, 1, "UTF-16", "CSV UTF-8")


def test_yaml_in_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    text = FILES[HEARBACK].replace("Spring", "Frühling").encode("cp1252")

    loaded = read(folder_with(tmp_path, **{HEARBACK: text}))

    complaint_of(loaded, HEARBACK, 28, "not UTF-8", "save it as UTF-8")


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("start", ["", "\ufeff"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_a_table_is_read_as_a_spreadsheet_saves_it(tmp_path: Path, delimiter: str, start: str, end: str) -> None:
    expected = read(folder_with(tmp_path)).settings
    rows = [line.split(",") for line in FILES[PEOPLE].splitlines()]
    quoted = [delimiter.join(f'"{cell}"' if ";" in cell else cell for cell in row) for row in rows]
    table = start + end.join([*quoted, delimiter * (len(rows[0]) - 1), ""])

    settings = read(folder_with(tmp_path, **{PEOPLE: table})).settings

    assert settings == expected


def test_an_empty_column_at_the_edge_is_no_mistake(tmp_path: Path) -> None:
    table = "".join(f"{line},,\n" for line in FILES[PEOPLE].splitlines())

    assert read(folder_with(tmp_path, **{PEOPLE: table})).complaints == ()


def test_a_row_after_a_cell_of_several_lines_keeps_its_line_number(tmp_path: Path) -> None:
    table = FILES[PEOPLE].replace("Ann Ames", '"Ann\nAmes"').replace("bob@example.com", "bob")

    loaded = read(folder_with(tmp_path, **{PEOPLE: table}))

    complaint_of(loaded, PEOPLE, 4, "no e-mail address")


def test_goals_and_plans_may_be_absent(tmp_path: Path) -> None:
    settings = read(folder_with(tmp_path, **{GOALS: None, RATES: None, PLAN: None})).settings

    assert settings is not None
    assert (settings.goals, settings.plans, settings.rates) == ((), {}, {})


def test_the_currency_of_the_rates_has_a_rate_of_its_own(tmp_path: Path) -> None:
    settings = read(folder_with(tmp_path)).settings

    assert settings is not None
    assert settings.rates == {"EUR": "1", "PLN": "0.2353"}


def test_goals_without_their_measures_are_a_mistake(tmp_path: Path) -> None:
    complaint_of(read(folder_with(tmp_path, **{RATES: None})), RATES, 1, "missing")


def test_two_plans_of_one_key_are_a_mistake(tmp_path: Path) -> None:
    loaded = read(folder_with(tmp_path, **{"followups/second.yaml": FILES[PLAN]}))

    complaint_of(loaded, "followups/second.yaml", 3, "plan 'plan' stands twice", "followups/plan.yaml")


def test_a_plan_nobody_would_read_is_a_mistake(tmp_path: Path) -> None:
    loaded = read(folder_with(tmp_path, **{"followups/second.yml": FILES[PLAN]}))

    complaint_of(loaded, "followups/second.yml", 1, "is not read", "rename")


def test_a_file_nobody_reads_is_a_warning_that_stops_nothing(tmp_path: Path) -> None:
    loaded = read(folder_with(tmp_path, **{"territory.csv": "rule\n"}))

    [warning] = loaded.complaints
    assert warning.severity is Severity.WARNING
    assert (
        str(warning)
        == "territory.csv:1: nothing reads this, its name has no meaning here, did you mean 'territories.csv'?"
    )
    assert loaded.settings is not None


def test_a_pool_whose_members_are_all_away_is_a_warning(tmp_path: Path) -> None:
    table = (
        FILES[PEOPLE].replace("key,name", "active,key,name").replace("\nann", "\nno,ann").replace("\nbob", "\nno,bob")
    )
    table = table.replace("\nmeg", "\nyes,meg")

    loaded = read(folder_with(tmp_path, **{PEOPLE: table}))

    assert complaint_of(loaded, ROUTING, 5, "no active member").severity is Severity.WARNING
    assert loaded.settings is not None


def test_all_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    changed = dict(FILES)
    chosen = {
        mistake.file: mistake
        for mistake in MISTAKES
        if mistake.id
        in {"literal secret", "bad e-mail", "unknown manager", "lost leading zero", "weight below one"}
        | {"bad span", "zero amount", "rate"}
    }
    for name, mistake in chosen.items():
        changed[name] = changed[name].replace(mistake.old, mistake.new, 1)
    changed[HEARBACK] = changed[HEARBACK].replace("mode: write", "mode: writ").replace("country: DE", "country: XX")
    changed[RULES] = (
        changed[RULES].replace("de-big,,20", "de-big,,x").replace("us,,30,US,100*,,,,,,,all,", "us,,30,US,100*,,,,,,,")
    )

    loaded = read(folder_with(tmp_path, **changed))

    assert len(chosen) == len(FILES)
    for mistake in chosen.values():
        complaint_of(loaded, mistake.file, mistake.line, *mistake.says)
    complaint_of(loaded, HEARBACK, 3, "no country code")
    complaint_of(loaded, HEARBACK, 10, "'writ' is not known")
    complaint_of(loaded, RULES, 3, "no whole number")
    complaint_of(loaded, RULES, 4, "12 cells, the header 13")
    assert [(c.file, c.line) for c in loaded.complaints] == sorted((c.file, c.line) for c in loaded.complaints)


@pytest.mark.parametrize(
    "junk",
    [b"\x00\xff\xfe", b"- a\n- b\n", b"[" * 1200, b"? [a]\n: b\n", b"a: *b\n", b'"', b"plain", b"key\n\x00\n", b"{}"],
    ids=["binary", "list", "deep", "odd key", "no anchor", "quote", "word", "nul", "empty table"],
)
@pytest.mark.parametrize("name", sorted(FILES))
def test_junk_is_complained_about_and_never_raises(tmp_path: Path, name: str, junk: bytes) -> None:
    loaded = read(folder_with(tmp_path, **{name: junk}))

    assert any(complaint.file == name for complaint in loaded.complaints)
    assert loaded.settings is None
