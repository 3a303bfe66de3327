"""Countries as ISO 3166-1 codes, regions as people write them in that country."""

import re
from collections.abc import Mapping
from functools import lru_cache

import pycountry

from connector.model.text import fold

# Names pycountry does not know: other languages, habits, the letters on cars.
_ALIASES: Mapping[str, str] = {
    "DE": "deutschland|niemcy|allemagne|alemania|germania|duitsland|brd|bundesrepublik deutschland|ger|d",
    "PL": "polska|polen|pologne|polonia|rzeczpospolita polska",
    "US": "usa|u.s.|u.s.a.|united states of america|vereinigte staaten|stany zjednoczone|etats-unis"
    "|estados unidos|america",
    "GB": "uk|u.k.|great britain|england|scotland|wales|northern ireland|grossbritannien|wielka brytania"
    "|vereinigtes königreich|royaume-uni|reino unido",
    "FR": "frankreich|francja|francia|f",
    "AT": "österreich|oesterreich|austria|autriche|a",
    "CH": "schweiz|suisse|svizzera|szwajcaria|suiza|die schweiz",
    "ES": "españa|spanien|hiszpania|espagne|e",
    "IT": "italia|italien|włochy|italie|i",
    "NL": "niederlande|holland|holandia|nederland|pays-bas|the netherlands|países bajos",
    "BE": "belgien|belgique|belgië|belgia|bélgica",
    "CZ": "czech republic|tschechien|czechy|česko|česká republika|tchéquie",
    "SK": "slowakei|słowacja|slovensko",
    "HU": "ungarn|węgry|magyarország|hongrie",
    "DK": "dänemark|dania|danmark|danemark",
    "SE": "schweden|szwecja|sverige|suède",
    "NO": "norwegen|norwegia|norge|norvège",
    "FI": "finnland|finlandia|suomi|finlande",
    "LU": "luxemburg|luksemburg",
    "LI": "fürstentum liechtenstein",
    "UA": "ukraine|ukraina|україна",
    "LT": "litauen|litwa|lietuva",
    "LV": "lettland|łotwa|latvija",
    "EE": "estland|estonia|eesti",
    "IE": "irland|irlandia|éire|irlande",
    "PT": "portugalia",
    "GR": "griechenland|grecja|el|grèce",
    "RO": "rumänien|rumunia|românia",
    "BG": "bulgarien|bułgaria",
    "HR": "kroatien|chorwacja|hrvatska",
    "SI": "slowenien|słowenia|slovenija",
    "TR": "turkey|türkei|turcja|türkiye",
    "RU": "russia|russland|rosja",
    "CA": "kanada",
    "MX": "mexiko|meksyk|méxico",
    "BR": "brasilien|brazylia|brasil",
    "CN": "china|chiny|volksrepublik china",
    "JP": "japonia",
    "IN": "indien|indie",
    "AU": "australien",
    "KR": "south korea|südkorea",
}
# Where addresses and CRMs use the short code; elsewhere the region's own name is what people write.
_BY_CODE = frozenset(("US", "CA", "AU"))
_REGION_ALIASES: Mapping[str, Mapping[str, str]] = {
    "DE": {
        "bavaria": "Bayern",
        "hesse": "Hessen",
        "lower saxony": "Niedersachsen",
        "north rhine-westphalia": "Nordrhein-Westfalen",
        "nrw": "Nordrhein-Westfalen",
        "rhineland-palatinate": "Rheinland-Pfalz",
        "saxony": "Sachsen",
        "saxony-anhalt": "Sachsen-Anhalt",
        "thuringia": "Thüringen",
    },
}
# The first three digits of a ZIP code name a sorting centre, and nearly all of those serve one state.
_ZIP_STATES: Mapping[str, str] = {
    "AA": "340",
    "AE": "090-099",
    "AK": "995-999",
    "AL": "350-352 354-369",
    "AP": "962-966",
    "AR": "716-729",
    "AZ": "850-853 855-857 859-860 863-865",
    "CA": "900-908 910-928 930-961",
    "CO": "800-816",
    "CT": "060-069",
    "DC": "200 202-205 569",
    "DE": "197-199",
    "FL": "320-339 341-342 344 346-347 349",
    "GA": "300-319 398-399",
    "GU": "969",
    "HI": "967-968",
    "IA": "500-516 520-528",
    "ID": "832-838",
    "IL": "600-620 622-629",
    "IN": "460-479",
    "KS": "660-662 664-679",
    "KY": "400-418 420-427",
    "LA": "700-701 703-708 710-714",
    "MA": "010-027 055",
    "MD": "206-212 214-219",
    "ME": "039-049",
    "MI": "480-499",
    "MN": "550-551 553-567",
    "MO": "630-631 633-641 644-658",
    "MS": "386-397",
    "MT": "590-599",
    "NC": "270-289",
    "ND": "580-588",
    "NE": "680-681 683-693",
    "NH": "030-038",
    "NJ": "070-089",
    "NM": "870-871 873-884",
    "NV": "889-891 893-895 897-898",
    "NY": "005 100-149",
    "OH": "430-459",
    "OK": "730-731 734-741 743-749",
    "OR": "970-979",
    "PA": "150-196",
    "PR": "006-007 009",
    "RI": "028-029",
    "SC": "290-299",
    "SD": "570-577",
    "TN": "370-385",
    "TX": "733 750-770 772-799 885",
    "UT": "840-847",
    "VA": "201 220-246",
    "VI": "008",
    "VT": "050-054 056-059",
    "WA": "980-986 988-994",
    "WI": "530-532 534-535 537-549",
    "WV": "247-268",
    "WY": "820-831",
}
_ALPHA2 = re.compile(r"[A-Z]{2}")


def read_country(text: str) -> str:
    """Return the ISO 3166-1 alpha-2 code; empty when the text names no country."""
    upper = text.upper()
    if upper in _names():
        return _names()[upper]
    return _names().get(fold(text), "")


@lru_cache(maxsize=1)
def _names() -> Mapping[str, str]:
    known: dict[str, str] = {}
    for country in pycountry.countries:
        for attribute in ("name", "official_name", "common_name", "alpha_3"):
            if name := getattr(country, attribute, None):
                known[fold(name)] = country.alpha_2
    for code, aliases in _ALIASES.items():
        known |= dict.fromkeys(map(fold, aliases.split("|")), code)
    return known | {country.alpha_2: country.alpha_2 for country in pycountry.countries}


def read_region(country: str, text: str) -> str:
    """Return a region's usual form in its country; text that names none we know stays as it is."""
    return _regions(country).get(fold(text), text) if _ALPHA2.fullmatch(country) else text


@lru_cache(maxsize=300)
def _regions(country: str) -> Mapping[str, str]:
    parts = sorted((part.code, part.name) for part in pycountry.subdivisions if part.country_code == country)
    names: dict[str, str] = {}
    codes: dict[str, str] = {}
    for iso, name in parts:
        code = iso.removeprefix(f"{country}-")
        usual = code if country in _BY_CODE else name
        names.setdefault(fold(name), usual)
        if code.isalpha():
            codes.setdefault(fold(code), usual)
    aliases = {fold(alias): name for alias, name in _REGION_ALIASES.get(country, {}).items()}
    return codes | aliases | names


@lru_cache(maxsize=1)
def _zip_prefixes() -> Mapping[str, str]:
    states: dict[str, str] = {}
    for state, ranges in _ZIP_STATES.items():
        for run in ranges.split():
            low, _, high = run.partition("-")
            states |= {f"{number:03}": state for number in range(int(low), int(high or low) + 1)}
    return states


def state_of_zip(zip_code: str) -> str:
    """Return the US state most of a ZIP code's sorting centre serves; empty when there is none."""
    return _zip_prefixes().get(zip_code[:3], "")
