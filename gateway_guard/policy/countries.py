"""Countries as policies write them: ISO 3166-1 alpha-2 in upper case, nothing else.

Source: ISO 3166-1 (249 codes, as of ISO/TC 46 N1108, 2023-04-05), with common English short names.
`XK` is user-assigned, not ISO: network databases emit it for Kosovo, so it must be matchable.
"""

from __future__ import annotations

import re
from typing import Final

from gateway_guard.policy.meant import bare

#: Code → short English name.
COUNTRIES: Final = {
    "AD": "Andorra", "AE": "United Arab Emirates", "AF": "Afghanistan",
    "AG": "Antigua and Barbuda", "AI": "Anguilla", "AL": "Albania", "AM": "Armenia",
    "AO": "Angola", "AQ": "Antarctica", "AR": "Argentina", "AS": "American Samoa", "AT": "Austria",
    "AU": "Australia", "AW": "Aruba", "AX": "Åland Islands", "AZ": "Azerbaijan",
    "BA": "Bosnia and Herzegovina", "BB": "Barbados", "BD": "Bangladesh", "BE": "Belgium",
    "BF": "Burkina Faso", "BG": "Bulgaria", "BH": "Bahrain", "BI": "Burundi", "BJ": "Benin",
    "BL": "Saint Barthelemy", "BM": "Bermuda", "BN": "Brunei", "BO": "Bolivia",
    "BQ": "Caribbean NL", "BR": "Brazil", "BS": "Bahamas", "BT": "Bhutan", "BV": "Bouvet Island",
    "BW": "Botswana", "BY": "Belarus", "BZ": "Belize", "CA": "Canada",
    "CC": "Cocos (Keeling) Islands", "CD": "DR Congo", "CF": "Central African Rep.", "CG": "Congo",
    "CH": "Switzerland", "CI": "Côte d'Ivoire", "CK": "Cook Islands", "CL": "Chile",
    "CM": "Cameroon", "CN": "China", "CO": "Colombia", "CR": "Costa Rica", "CU": "Cuba",
    "CV": "Cape Verde", "CW": "Curaçao", "CX": "Christmas Island", "CY": "Cyprus", "CZ": "Czechia",
    "DE": "Germany", "DJ": "Djibouti", "DK": "Denmark", "DM": "Dominica",
    "DO": "Dominican Republic", "DZ": "Algeria", "EC": "Ecuador", "EE": "Estonia", "EG": "Egypt",
    "EH": "Western Sahara", "ER": "Eritrea", "ES": "Spain", "ET": "Ethiopia", "FI": "Finland",
    "FJ": "Fiji", "FK": "Falkland Islands", "FM": "Micronesia", "FO": "Faroe Islands",
    "FR": "France", "GA": "Gabon", "GB": "United Kingdom", "GD": "Grenada", "GE": "Georgia",
    "GF": "French Guiana", "GG": "Guernsey", "GH": "Ghana", "GI": "Gibraltar", "GL": "Greenland",
    "GM": "Gambia", "GN": "Guinea", "GP": "Guadeloupe", "GQ": "Equatorial Guinea", "GR": "Greece",
    "GS": "South Georgia and the South Sandwich Islands", "GT": "Guatemala", "GU": "Guam",
    "GW": "Guinea-Bissau", "GY": "Guyana", "HK": "Hong Kong",
    "HM": "Heard Island and McDonald Islands", "HN": "Honduras", "HR": "Croatia", "HT": "Haiti",
    "HU": "Hungary", "ID": "Indonesia", "IE": "Ireland", "IL": "Israel", "IM": "Isle of Man",
    "IN": "India", "IO": "British Indian Ocean Territory", "IQ": "Iraq", "IR": "Iran",
    "IS": "Iceland", "IT": "Italy", "JE": "Jersey", "JM": "Jamaica", "JO": "Jordan", "JP": "Japan",
    "KE": "Kenya", "KG": "Kyrgyzstan", "KH": "Cambodia", "KI": "Kiribati", "KM": "Comoros",
    "KN": "Saint Kitts and Nevis", "KP": "North Korea", "KR": "South Korea", "KW": "Kuwait",
    "KY": "Cayman Islands", "KZ": "Kazakhstan", "LA": "Laos", "LB": "Lebanon", "LC": "Saint Lucia",
    "LI": "Liechtenstein", "LK": "Sri Lanka", "LR": "Liberia", "LS": "Lesotho", "LT": "Lithuania",
    "LU": "Luxembourg", "LV": "Latvia", "LY": "Libya", "MA": "Morocco", "MC": "Monaco",
    "MD": "Moldova", "ME": "Montenegro", "MF": "Saint Martin", "MG": "Madagascar",
    "MH": "Marshall Islands", "MK": "North Macedonia", "ML": "Mali", "MM": "Myanmar",
    "MN": "Mongolia", "MO": "Macau", "MP": "Northern Mariana Islands", "MQ": "Martinique",
    "MR": "Mauritania", "MS": "Montserrat", "MT": "Malta", "MU": "Mauritius", "MV": "Maldives",
    "MW": "Malawi", "MX": "Mexico", "MY": "Malaysia", "MZ": "Mozambique", "NA": "Namibia",
    "NC": "New Caledonia", "NE": "Niger", "NF": "Norfolk Island", "NG": "Nigeria",
    "NI": "Nicaragua", "NL": "Netherlands", "NO": "Norway", "NP": "Nepal", "NR": "Nauru",
    "NU": "Niue", "NZ": "New Zealand", "OM": "Oman", "PA": "Panama", "PE": "Peru",
    "PF": "French Polynesia", "PG": "Papua New Guinea", "PH": "Philippines", "PK": "Pakistan",
    "PL": "Poland", "PM": "Saint Pierre and Miquelon", "PN": "Pitcairn", "PR": "Puerto Rico",
    "PS": "Palestine", "PT": "Portugal", "PW": "Palau", "PY": "Paraguay", "QA": "Qatar",
    "RE": "Réunion", "RO": "Romania", "RS": "Serbia", "RU": "Russia", "RW": "Rwanda",
    "SA": "Saudi Arabia", "SB": "Solomon Islands", "SC": "Seychelles", "SD": "Sudan",
    "SE": "Sweden", "SG": "Singapore", "SH": "Saint Helena", "SI": "Slovenia",
    "SJ": "Svalbard and Jan Mayen", "SK": "Slovakia", "SL": "Sierra Leone", "SM": "San Marino",
    "SN": "Senegal", "SO": "Somalia", "SR": "Suriname", "SS": "South Sudan",
    "ST": "Sao Tome and Principe", "SV": "El Salvador", "SX": "Sint Maarten", "SY": "Syria",
    "SZ": "Eswatini (Swaziland)", "TC": "Turks and Caicos Is", "TD": "Chad",
    "TF": "French Southern Territories", "TG": "Togo", "TH": "Thailand", "TJ": "Tajikistan",
    "TK": "Tokelau", "TL": "East Timor", "TM": "Turkmenistan", "TN": "Tunisia", "TO": "Tonga",
    "TR": "Türkiye", "TT": "Trinidad and Tobago", "TV": "Tuvalu", "TW": "Taiwan", "TZ": "Tanzania",
    "UA": "Ukraine", "UG": "Uganda", "UM": "US minor outlying islands", "US": "United States",
    "UY": "Uruguay", "UZ": "Uzbekistan", "VA": "Vatican City", "VC": "Saint Vincent",
    "VE": "Venezuela", "VG": "British Virgin Islands", "VI": "US Virgin Islands", "VN": "Vietnam",
    "VU": "Vanuatu", "WF": "Wallis and Futuna", "WS": "Samoa", "YE": "Yemen", "YT": "Mayotte",
    "ZA": "South Africa", "ZM": "Zambia", "ZW": "Zimbabwe",
    "XK": "Kosovo",
}  # fmt: skip

#: What people and databases write that is no country code, and what to write instead.
NOT_COUNTRIES: Final = {
    "UK": "the United Kingdom is 'GB'",
    "EL": "Greece is 'GR'",
    "EU": "the European Union is no country: list its members in `regions:`",
    "AP": "'AP' is a vendor's code for Asia/Pacific: list the countries in `regions:`",
    "AN": "the Netherlands Antilles were dissolved: 'BQ', 'CW' and 'SX'",
    "CS": "Serbia and Montenegro split up: 'RS' and 'ME'",
    "YU": "Yugoslavia was dissolved: 'RS', 'ME', 'HR', 'SI', 'BA', 'MK'",
    "SU": "the Soviet Union was dissolved: 'RU' and others",
    "DD": "Germany is 'DE'",
    "BU": "Myanmar is 'MM'",
    "TP": "Timor-Leste is 'TL'",
    "ZR": "DR Congo is 'CD'",
    "FX": "France is 'FR'",
    "A1": "write `network: [proxy]` for anonymous proxies",
    "A2": "satellite providers have no country: write `unknown`",
    "O1": "write `unknown`",
    "T1": "write `network: [tor]` for Tor exits",
    "XX": "write `unknown`",
    "ZZ": "write `unknown`",
}


#: Codes reserved for what their owners call their country: registries and sign-up forms have them.
RESERVED: Final = {"UK": "GB", "EL": "GR"}


def known(code: str) -> str | None:
    """The country that a registry, a form or a database means by `code`, in upper case; or None."""
    code = RESERVED.get(code, code)
    return code if code in COUNTRIES else None


_PART: Final = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}", re.ASCII)
_NAMES: Final = {name.casefold(): code for code, name in COUNTRIES.items()}


def is_name(word: str) -> bool:
    """Whether the word is a country's English short name."""
    return word.casefold() in _NAMES


def is_part(word: str) -> bool:
    """Whether the word has the form of a part of a country, ISO 3166-2: `RU-43`, `US-CA`."""
    return _PART.fullmatch(word) is not None and word[:2] in COUNTRIES


def bad_code(word: str) -> str | None:
    """The hint for a word that is no country code; None when it is one."""
    if word in COUNTRIES:
        return None
    if word in NOT_COUNTRIES:
        return NOT_COUNTRIES[word]
    if is_part(word):
        country = word[:2]
        return (
            f"only whole countries (ISO 3166-1) can be told, as '{country}' for all of "
            f"{COUNTRIES[country]}: the network data has no parts of them"
        )
    upper = word.upper()
    if upper in COUNTRIES:
        return f"country codes are upper case: '{upper}' ({COUNTRIES[upper]})"
    if upper in NOT_COUNTRIES:
        return NOT_COUNTRIES[upper]
    if is_name(word):
        code = _NAMES[word.casefold()]
        return f"{COUNTRIES[code]} is '{code}'"
    if (meant := bare(word)) != word and meant.upper() in COUNTRIES:
        return f"write '{meant.upper()}'"
    if len(word) == 3 and word.isalpha():
        return "write the two-letter code (ISO 3166-1 alpha-2), not three letters"
    return "countries are two upper-case letters (ISO 3166-1 alpha-2), e.g. 'NO' for Norway"
