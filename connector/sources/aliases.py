"""Which canonical field a sender means by a name (requirement I20)."""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from connector.model.lead import FIELDS
from connector.model.text import fold

# Names as people write them, in English, German, Polish, then others; compared in lower case without separators
# and accents. Umlauts stand here as both ways of writing them come out: `groesse` and `grosse`.
_ALIASES: Mapping[str, str] = {
    "first_name": "firstname fname givenname forename vorname rufname imie imiona prenom nombre",
    "last_name": "lastname lname surname familyname nachname familienname zuname nazwisko nom nomdefamille "
    "apellido apellidos",
    "full_name": "fullname name yourname contactname contactperson vorundnachname vornamenachname vornameundnachname "
    "vollstandigername vollstaendigername ansprechpartner kontaktperson imieinazwisko imienazwisko pelneimieinazwisko "
    "osobakontaktowa nomcomplet nombrecompleto",
    "email": "email mail workemail emailaddress mailadresse emailadresse geschaftlicheemail geschaeftlicheemail "
    "courriel correo correoelectronico adresemail mejl emailsluzbowy adrespocztyelektronicznej businessemail "
    "companyemail",
    "phone": "phone tel telephone telephonenumber mobile cell cellphone phonenumber mobilenumber workphone mobilephone "
    "telefon telefonnummer telefonnr telnr rufnummer festnetz mobil mobilnummer mobiltelefon handy handynummer komorka "
    "numertelefonu nrtelefonu telefonkomorkowy telefonkontaktowy telefono portable",
    "company": "company companyname businessname organization organisation employer firma firmenname firmaorganisation "
    "unternehmen unternehmensname betrieb arbeitgeber nazwafirmy przedsiebiorstwo organizacja societe entreprise "
    "empresa",
    "job_title": "jobtitle title role jobrole position funktion berufsbezeichnung jobtitel stanowisko funkcja poste "
    "cargo",
    "street": "street streetaddress streetname address address1 addressline1 strasse strassehausnummer "
    "strasseundhausnummer strasseundnr strassenr strassehausnr anschrift adresse adressenzeile ulica ulicainumer "
    "ulicainumerdomu ulicanumer adres rue calle direccion",
    "postal_code": "postalcode postcode zip zipcode postalzip zippostalcode plz postleitzahl kodpocztowy cp codepostal "
    "codigopostal",
    "city": "city town locality ort stadt wohnort miasto miejscowosc ville ciudad",
    "region": "region state province county stateprovince bundesland kanton wojewodztwo provincia departement",
    "country": "country countrycode countryregion land herkunftsland kraj panstwo pays pais",
    "message": "message comments comment inquiry enquiry yourmessage question questions nachricht mitteilung anfrage "
    "anliegen bemerkung bemerkungen anmerkung anmerkungen kommentar wiadomosc trescwiadomosci tresc uwagi pytanie "
    "komentarz zapytanie mensaje description",
    "product": "product products productinterest produkt produkte produktinteresse produktgruppe produkty "
    "interesujacyprodukt produit producto",
    "industry": "industry branche wirtschaftszweig branza sektor secteur sector",
    "employees": "employees employeecount numberofemployees companysize teamsize mitarbeiter mitarbeiterzahl "
    "mitarbeiteranzahl anzahlmitarbeiter anzahldermitarbeiter unternehmensgrosse unternehmensgroesse firmengrosse "
    "firmengroesse pracownicy liczbapracownikow wielkoscfirmy iloscpracownikow",
    "segment": "segment kundensegment",
    "language": "language lang locale preferredlanguage sprache sprachwahl jezyk langue idioma",
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
    "consent.contact": "consent optin contactconsent einwilligung zustimmung einverstandnis einverstaendnis zgoda "
    "zgodanakontakt consentement consentimiento",
    "consent.newsletter": "newsletter newsletteroptin newsletteranmeldung zapisdonewslettera",
}
_TARGETS: Mapping[str, str] = {alias: target for target, aliases in _ALIASES.items() for alias in aliases.split()}
_CANONICAL = frozenset(FIELDS)
# A whole question as a name is no alias of anything.
_LONGEST = 60
# Folders senders put the person's fields in: `lead.email`, `fields[email][value]`.
_WRAPPERS = frozenset(
    ("lead", "contact", "person", "customer", "data", "payload", "body", "fields", "properties", "value")
) | {"submission", "answers", "address"}
_PREFIX = re.compile(r"^(?:(?:your|ihre?|deine?|tw[oó]j[ae]?|pa[nń]stwa|q\d+|field|input)[-_ ](?=.))+", re.IGNORECASE)
_SEGMENT = re.compile(r"[^.\[\]]+")


def target_of(name: str) -> str | None:
    """Return the target a name stands for (grammar: `Reading.mapping`), None when we do not know it."""
    if name in _CANONICAL:
        return name
    return _alias(name) if len(name) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _alias(name: str) -> str | None:
    composed = unicodedata.normalize("NFC", name)
    parts = [_PREFIX.sub("", part.strip()) for part in _SEGMENT.findall(composed) if not part.isdigit()]
    telling = [part for part in parts if fold(part) not in _WRAPPERS] or parts[-1:]
    return _TARGETS.get(fold("".join(telling)))
