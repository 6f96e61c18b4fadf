"""The names of months and weekdays, and their abbreviations."""

from __future__ import annotations

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
MONTH_OF = {month[:3]: month for month in MONTHS if month != "May"} | {"Sept": "September"}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEKDAY_OF = {day[:3]: day for day in WEEKDAYS} | {"Tues": "Tuesday", "Weds": "Wednesday"}
WEEKDAY_OF |= {"Thur": "Thursday", "Thurs": "Thursday"}

FULL_NAMES = {name: name for name in (*MONTHS, *WEEKDAYS)}
NAME_OF = FULL_NAMES | MONTH_OF | WEEKDAY_OF
NAME_OF |= {short.upper(): name for short, name in NAME_OF.items()}
# The longest first, so that none is read as the beginning of a longer one.
NAMES = "|".join(sorted(NAME_OF, key=len, reverse=True))
MONTH_NAMES = "|".join([*MONTHS, *(month.upper() for month in MONTHS)])
