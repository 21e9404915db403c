"""Where countries are, coarsely: enough to say that a journey cannot have been made."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import asin, cos, radians, sin, sqrt
from typing import Final

#: ISO 3166-1 alpha-2 (and XK) → latitude, longitude in degrees and radius in km of a circle
#: around the whole country, far islands left out (US: the 48 states; FR, NO: Europe). Source:
#: smallest enclosing circle of each outline in Natural Earth 1:110m (public domain), computed
#: once; places missing there are from general knowledge, to about 50 km.
PLACES: Final[Mapping[str, tuple[float, float, int]]] = {
    "AD": (42.5, 1.6, 25), "AE": (24.5, 54, 267), "AF": (33.8, 67.6, 777), "AG": (17.3, -61.8, 60),
    "AI": (18.2, -63.1, 25), "AL": (41.2, 19.9, 171), "AM": (39.9, 45.1, 179),
    "AO": (-11.2, 17.6, 932), "AQ": (-88.8, -84.2, 2852), "AR": (-38.5, -65.9, 1858),
    "AS": (-13.3, -170, 200), "AT": (47.9, 13.2, 291), "AU": (-27.9, 133.9, 2116),
    "AW": (12.5, -70, 20), "AX": (60.2, 20, 70), "AZ": (40.2, 47.5, 243), "BA": (44, 17.4, 178),
    "BB": (13.2, -59.6, 20), "BD": (23.6, 90.5, 375), "BE": (50.4, 4.2, 144),
    "BF": (11.6, -1.6, 432), "BG": (42.9, 25.4, 269), "BH": (26, 50.5, 45),
    "BI": (-3.5, 29.9, 132), "BJ": (9.2, 2.4, 343), "BL": (17.9, -62.8, 10),
    "BM": (32.3, -64.8, 20), "BN": (4.8, 115, 92), "BO": (-16.3, -64.5, 809),
    "BQ": (14.9, -65.8, 450), "BR": (-13, -54.9, 2318), "BS": (25.4, -78, 186),
    "BT": (27.3, 90.5, 163), "BV": (-54.4, 3.4, 10), "BW": (-22.5, 23.9, 569),
    "BY": (53.2, 27.7, 334), "BZ": (17.2, -88.8, 153), "CA": (61.7, -88.1, 2776),
    "CC": (-12.1, 96.8, 20), "CD": (-4.3, 23.2, 1228), "CF": (5.2, 20.9, 715),
    "CG": (-0.8, 15.2, 598), "CH": (46.6, 8.2, 172), "CI": (7.4, -5.6, 412),
    "CK": (-15.5, -160, 900), "CL": (-36.6, -69.1, 2116), "CM": (7, 13.2, 662),
    "CN": (40.9, 104, 2575), "CO": (4.1, -70.9, 936), "CR": (9.6, -84.4, 221),
    "CU": (21.2, -79.5, 567), "CV": (15.9, -24.1, 190), "CW": (12.2, -69, 40),
    "CX": (-10.5, 105.6, 15), "CY": (35.1, 33.3, 120), "CZ": (49.9, 15.6, 241),
    "DE": (51.1, 10.4, 445), "DJ": (11.9, 42.4, 117), "DK": (56.1, 10.5, 179),
    "DM": (15.4, -61.4, 30), "DO": (18.8, -70.2, 195), "DZ": (28.4, 2.5, 1101),
    "EC": (-1.9, -78.2, 373), "EE": (58.6, 25.8, 155), "EG": (26.6, 30.9, 788),
    "EH": (24.4, -13, 564), "ER": (14.8, 40, 410), "ES": (40.7, -3.4, 563), "ET": (8.2, 40.4, 817),
    "FI": (65, 24.8, 585), "FJ": (-17.1, 178.8, 192), "FK": (-51.7, -59.5, 120),
    "FM": (6.9, 152, 1350), "FO": (62, -6.9, 60), "FR": (46.5, 2.5, 650), "GA": (-0.8, 12, 365),
    "GB": (54.3, -3.8, 490), "GD": (12.2, -61.7, 40), "GE": (42.4, 43.4, 302), "GF": (4, -53, 280),
    "GG": (49.5, -2.5, 40), "GH": (8, -1.4, 371), "GI": (36.1, -5.4, 5), "GL": (71.9, -41.6, 1327),
    "GM": (13.3, -15.3, 163), "GN": (9.8, -11.5, 423), "GP": (16.2, -61.5, 70),
    "GQ": (1.7, 10.3, 126), "GR": (38.4, 24.5, 405), "GS": (-55, -33, 600),
    "GT": (15.9, -90.4, 248), "GU": (13.4, 144.8, 30), "GW": (12.3, -15.2, 164),
    "GY": (4.9, -58.6, 405), "HK": (22.4, 114.1, 40), "HM": (-53.1, 73.5, 30),
    "HN": (14.7, -86.3, 335), "HR": (44.3, 16.5, 257), "HT": (18.9, -73, 165),
    "HU": (47.5, 19.4, 252), "ID": (-2, 118.1, 2663), "IE": (53.5, -8.8, 201),
    "IL": (31.4, 35.4, 214), "IM": (54.2, -4.5, 30), "IN": (21.9, 82.6, 1643),
    "IO": (-6.5, 72, 150), "IQ": (32.9, 44.3, 519), "IR": (32.8, 53.7, 1139),
    "IS": (65.5, -18.9, 250), "IT": (41.5, 11.5, 625), "JE": (49.2, -2.1, 15),
    "JM": (18.1, -77.3, 115), "JO": (31.4, 36.8, 288), "JP": (37.9, 137.3, 980),
    "KE": (0.5, 37.6, 607), "KG": (41.1, 74.7, 480), "KH": (12.8, 105, 297),
    "KI": (-2, -172, 2600), "KM": (-12.2, 43.8, 110), "KN": (17.3, -62.7, 25),
    "KP": (40.4, 127.5, 357), "KR": (36.5, 127.4, 249), "KW": (29.2, 47.6, 103),
    "KY": (19.5, -80.6, 100), "KZ": (50.6, 66.7, 1480), "LA": (18.3, 104.6, 543),
    "LB": (33.8, 35.8, 104), "LC": (13.9, -61, 25), "LI": (47.1, 9.5, 15), "LK": (7.9, 80.3, 215),
    "LR": (6.3, -9.1, 265), "LS": (-29.7, 28.2, 118), "LT": (55.5, 23.8, 181), "LU": (49.8, 6, 38),
    "LV": (56.3, 24.6, 222), "LY": (26.7, 18.6, 991), "MA": (28.5, -10.1, 1053),
    "MC": (43.7, 7.4, 5), "MD": (47, 28, 171), "ME": (42.7, 19.3, 92), "MF": (18.1, -63.1, 10),
    "MG": (-18.8, 47.4, 780), "MH": (8, 168, 550), "MK": (41.5, 21.7, 108),
    "ML": (16.8, -4.2, 937), "MM": (19.1, 98.3, 1024), "MN": (49.1, 104.1, 1188),
    "MO": (22.2, 113.6, 15), "MP": (17, 145.5, 350), "MQ": (14.6, -61, 45),
    "MR": (20.6, -10.7, 785), "MS": (16.7, -62.2, 10), "MT": (35.9, 14.4, 30),
    "MU": (-18, 59.5, 560), "MV": (2, 73.4, 450), "MW": (-13, 33.9, 439),
    "MX": (26.1, -101.6, 1664), "MY": (6, 109.6, 1058), "MZ": (-18.6, 36.4, 1011),
    "NA": (-21.5, 18.3, 835), "NC": (-21.1, 165.6, 197), "NE": (17.9, 7.8, 918),
    "NF": (-29, 168, 10), "NG": (9.2, 8.6, 728), "NI": (13.1, -85, 290), "NL": (52.3, 5.3, 172),
    "NO": (65, 14, 950), "NP": (27.9, 84.2, 416), "NR": (-0.5, 166.9, 10),
    "NU": (-19.1, -169.9, 15), "NZ": (-40.7, 171.2, 714), "OM": (21.5, 54.7, 567),
    "PA": (8.7, -80.1, 324), "PE": (-9.3, -73.2, 1051), "PF": (-17.5, -144, 1300),
    "PG": (-5.8, 148.2, 871), "PH": (12, 123.1, 762), "PK": (30.5, 69.2, 973),
    "PL": (51.7, 19, 400), "PM": (46.9, -56.3, 30), "PN": (-24.7, -127, 350),
    "PR": (18.3, -66.4, 88), "PS": (31.9, 35.1, 67), "PT": (39.6, -8.2, 304), "PW": (6, 133, 420),
    "PY": (-23.5, -58.8, 531), "QA": (25.3, 51.2, 87), "RE": (-21.1, 55.5, 40),
    "RO": (45.7, 25, 371), "RS": (44.1, 20.7, 245), "RU": (67.7, 90, 3959), "RW": (-2, 29.8, 123),
    "SA": (25, 45.4, 1136), "SB": (-8.7, 159.5, 399), "SC": (-6.5, 52.5, 700),
    "SD": (15.6, 30, 1020), "SE": (62.3, 15.9, 789), "SG": (1.3, 103.8, 30),
    "SH": (-22, -10, 2200), "SI": (46.2, 15, 127), "SJ": (78.5, 17, 450), "SK": (48.6, 19.7, 212),
    "SL": (8.4, -11.6, 186), "SM": (43.9, 12.5, 10), "SN": (13.7, -14.5, 354),
    "SO": (6, 46.5, 1000), "SR": (4.1, -55.7, 264), "SS": (7.4, 29.7, 654), "ST": (0.7, 7, 120),
    "SV": (13.8, -88.9, 128), "SX": (18, -63.1, 10), "SY": (35, 38.9, 393),
    "SZ": (-26.5, 31.4, 91), "TC": (21.7, -71.8, 100), "TD": (15.4, 16.6, 897),
    "TF": (-49.2, 69.5, 79), "TG": (8.5, 0.8, 290), "TH": (13.1, 100.7, 821),
    "TJ": (38.3, 71.3, 343), "TK": (-9, -171.8, 100), "TL": (-8.9, 126.2, 135),
    "TM": (39.8, 59.7, 648), "TN": (33.8, 9.5, 392), "TO": (-19, -174.8, 400),
    "TR": (39.9, 35.8, 840), "TT": (10.5, -61.4, 72), "TV": (-8, 178, 400),
    "TW": (23.6, 121.1, 189), "TZ": (-5.7, 35.3, 749), "UA": (49.1, 31, 659),
    "UG": (1.5, 31.8, 397), "UM": (10, -170, 3500), "US": (39.5, -98.5, 2350),
    "UY": (-32.4, -55.9, 295), "UZ": (42.9, 64.6, 734), "VA": (41.9, 12.5, 2),
    "VC": (13, -61.2, 50), "VE": (7.6, -66.6, 762), "VG": (18.5, -64.5, 50), "VI": (18, -64.8, 50),
    "VN": (16, 105.2, 821), "VU": (-15.5, 167.2, 121), "WF": (-13.8, -177.2, 150),
    "WS": (-13.8, -172.1, 90), "XK": (42.6, 20.8, 80), "YE": (15.7, 47.8, 577),
    "YT": (-12.8, 45.2, 30), "ZA": (-28.3, 25.1, 910), "ZM": (-12.9, 27.6, 710),
    "ZW": (-18.7, 29.3, 439),
}  # fmt: skip

EARTH_KM: Final = 6371.0
#: Degrees of longitude the sun passes in an hour.
DEGREES_PER_HOUR: Final = 15.0

#: Countries in which one language is at home or in everyday use. A region named by Accept-Language
#: says nothing against an address in the same group. Source: general knowledge, wide on purpose.
SPOKEN: Final[tuple[frozenset[str], ...]] = tuple(
    frozenset(group.split())
    for group in (
        # Arabic
        "AE BH DZ EG IQ JO KW LB LY MA MR OM PS QA SA SD SY TN YE DJ KM SO TD ER IL",
        # Chinese
        "CN HK MO SG TW MY",
        # Dutch
        "NL BE SR AW CW SX BQ",
        # French
        "FR BE CH LU MC CA SN CI ML BF NE TG BJ GN CM GA CG CD CF TD MG DJ KM RW BI HT MA DZ TN LB \
        GP MQ GF RE YT NC PF WF PM BL MF MU SC VU",
        # German
        "DE AT CH LI LU BE IT",
        # Italian
        "IT CH SM VA MT HR SI",
        # Malay and Indonesian
        "ID MY SG BN TL",
        # Persian
        "IR AF TJ",
        # Portuguese
        "PT BR AO MZ CV GW ST TL MO",
        # Romanian
        "RO MD",
        # Russian
        "RU BY KZ KG UA MD UZ TJ TM AM AZ GE LV EE LT IL",
        # Scandinavian, Finnish
        "DK NO SE FI FO GL IS AX SJ",
        # Spanish
        "ES MX AR CO PE VE CL EC GT CU BO DO HN PY SV NI CR PA UY PR GQ AD US",
        # South Slavic
        "RS HR BA ME SI MK XK",
        # Albanian, Greek, Turkish
        "AL XK MK ME",
        "GR CY",
        "TR CY DE",
        # Hindi, Urdu, Bengali, Tamil, Nepali
        "IN PK BD LK NP SG",
        # Swahili
        "KE TZ UG CD RW BI",
        # Korean
        "KR KP",
        # Czech and Slovak
        "CZ SK",
        # Hungarian
        "HU RO SK",
    )
)

#: Regions that software names by default or that stand for English as such: they say nothing.
EVERYWHERE: Final = frozenset(("US", "GB", "AU", "CA", "IN", "IE", "NZ", "ZA"))


@lru_cache(maxsize=4096)
def apart(one: str, other: str) -> float | None:
    """Kilometres that a traveller from one country to the other covers at the very least.

    The distance between the two circles: 0 for neighbours and for the same country. None when
    either code is not in `PLACES`.
    """
    if one == other:
        return 0.0
    here = PLACES.get(one)
    there = PLACES.get(other)
    if here is None or there is None:
        return None
    lat1, lat2 = radians(here[0]), radians(there[0])
    half_lat, half_lon = (lat2 - lat1) / 2, radians(there[1] - here[1]) / 2
    chord = sin(half_lat) ** 2 + cos(lat1) * cos(lat2) * sin(half_lon) ** 2
    between = 2 * EARTH_KM * asin(min(1.0, sqrt(chord)))
    return max(0.0, between - here[2] - there[2])


def speaks(country: str, region: str) -> bool:
    """Whether a language of `region` is at home in `country` too, or is used everywhere."""
    if country == region or region in EVERYWHERE:
        return True
    return any(country in group and region in group for group in SPOKEN)


@lru_cache(maxsize=8192)
def clock_error(country: str, utc_offset: int) -> float | None:
    """Hours by which a claimed UTC offset (minutes) misses the sun's time anywhere in `country`.

    0 when it fits somewhere in the country's circle. Legal time strays up to about 3 hours from the
    sun's (summer time in Spain, one zone in China). None when the country is not in `PLACES`.
    """
    place = PLACES.get(country)
    if place is None:
        return None
    lat, lon, radius = place
    # A degree of longitude is shorter away from the equator; near the poles any clock fits.
    width = 2 * EARTH_KM * asin(1.0) / 180.0 * max(0.05, cos(radians(lat)))
    slack = radius / width / DEGREES_PER_HOUR
    away = abs(utc_offset / 60.0 - lon / DEGREES_PER_HOUR) % 24.0
    return max(0.0, min(away, 24.0 - away) - slack)
