"""Which canonical field a sender means by a name (requirement I20)."""

import re
from collections.abc import Mapping
from functools import lru_cache

from connector.model.lead import FIELDS
from connector.model.text import fold

# Names as people write them; compared in lower case without separators and accents.
_ALIASES: Mapping[str, str] = {
    "first_name": "firstname fname givenname forename vorname imie prenom nombre",
    "last_name": "lastname lname surname familyname nachname familienname nazwisko nom nomdefamille apellido apellidos",
    "full_name": "fullname name yourname contactname imieinazwisko nomcomplet nombrecompleto",
    "email": "email mail workemail emailaddress mailadresse emailadresse courriel correo correoelectronico "
    "adresemail businessemail",
    "phone": "phone tel telephone mobile cell phonenumber telefon telefonnummer telefono mobil handy komorka "
    "numertelefonu portable workphone mobilephone",
    "company": "company companyname organization organisation firma firmenname unternehmen societe entreprise "
    "empresa nazwafirmy",
    "job_title": "jobtitle title position funktion stanowisko poste cargo",
    "street": "street streetaddress address address1 addressline1 strasse ulica adresse rue calle direccion adres",
    "postal_code": "postalcode postcode zip zipcode plz postleitzahl kodpocztowy cp codepostal codigopostal",
    "city": "city town ort stadt miasto miejscowosc ville ciudad",
    "region": "region state province bundesland wojewodztwo provincia departement stateprovince",
    "country": "country land kraj pays pais countrycode",
    "message": "message comments comment nachricht wiadomosc mensaje description bemerkung kommentar",
    "product": "product products produkt produit producto",
    "industry": "industry branche branza secteur sector",
    "employees": "employees employeecount numberofemployees companysize mitarbeiter mitarbeiterzahl pracownicy "
    "liczbapracownikow teamsize",
    "segment": "segment",
    "language": "language lang locale sprache jezyk langue idioma",
    "campaign": "campaign kampagne kampania",
    "attribution.utm_source": "utmsource",
    "attribution.utm_medium": "utmmedium",
    "attribution.utm_campaign": "utmcampaign",
    "attribution.utm_term": "utmterm",
    "attribution.utm_content": "utmcontent",
    "attribution.utm_id": "utmid",
    "attribution.gclid": "gclid gclidfld",
    "attribution.fbclid": "fbclid",
    "attribution.msclkid": "msclkid",
    "attribution.lead_source": "leadsource source",
    "attribution.page_url": "pageurl pageuri",
    "attribution.referrer": "referrer referer",
    "consent.contact": "consent optin einwilligung zgoda consentement consentimiento",
    "consent.newsletter": "newsletter",
}
_TARGETS: Mapping[str, str] = {alias: target for target, aliases in _ALIASES.items() for alias in aliases.split()}
_CANONICAL = frozenset(FIELDS)
# A whole question as a name is no alias of anything.
_LONGEST = 60
# Folders senders put the person's fields in: `lead.email`, `fields[email][value]`.
_WRAPPERS = frozenset(
    ("lead", "contact", "person", "customer", "data", "payload", "body", "fields", "properties", "value")
) | {"submission", "answers", "address"}
_PREFIX = re.compile(r"^(?:your|q\d+|field|input)[-_ ](?=.)", re.IGNORECASE)
_SEGMENT = re.compile(r"[^.\[\]]+")


def target_of(name: str) -> str | None:
    """Return the target a name stands for (grammar: `Reading.mapping`), None when we do not know it."""
    if name in _CANONICAL:
        return name
    return _alias(name) if len(name) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _alias(name: str) -> str | None:
    parts = [_PREFIX.sub("", part.strip()) for part in _SEGMENT.findall(name) if not part.isdigit()]
    telling = [part for part in parts if fold(part) not in _WRAPPERS] or parts[-1:]
    return _TARGETS.get(fold("".join(telling)))
