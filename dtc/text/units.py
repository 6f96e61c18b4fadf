"""The units of measurement that follow a number, by their symbols."""

from __future__ import annotations

from collections.abc import Mapping

from dtc.text.rules import INNER_STOP, any_of, table

_SMALL = {"": ""} | table("n nano, µ micro, m milli")
_METRIC = _SMALL | table("c centi, d deci, h hecto, k kilo")
_LARGE = table("k kilo, K kilo, M mega, G giga, T tera")


def _prefixed(units: str, prefixes: Mapping[str, str]) -> dict[str, str]:
    """Return a table of units with each of the prefixes: "m meter" → {"mm": "millimeter", "km": "kilometer", …}."""
    return {p + symbol: prefixes[p] + unit for symbol, unit in table(units).items() for p in prefixes}


LENGTHS = _prefixed("m meter", _METRIC) | table(
    "KM kilometer, CM centimeter, MM millimeter, ft foot, in inch, yd yard, yds yard, mi mile"
)
UNITS = (
    LENGTHS
    | _prefixed("g gram, l liter, L liter", _METRIC)
    | _prefixed("s second, F farad", _SMALL)
    | _prefixed("W watt, Wh watt hour, V volt, Ah ampere hour, eV electronvolt, Hz hertz, J joule", _SMALL | _LARGE)
    | _prefixed("N newton, Pa pascal, cal calorie", _SMALL | _LARGE)
    | _prefixed("B byte, b bit, bps bit per second, bit bit", _LARGE | {"P": "peta"})
    | {"fl oz": "fluid ounce", "fl. oz": "fluid ounce"}
    | table(
        "mcg microgram, KG kilogram, oz ounce, lb pound, lbs pound, st stone, t tonne, ML milliliter, gal gallon, qt "
        "quart, pt pint, tsp teaspoon, tbsp tablespoon, Tbsp tablespoon, cc cubic centimeter, sec second, secs "
        "second, min minute, mins minute, h hour, hr hour, hrs hour, w week, wk week, wks week, mo month, mos month, "
        "y year, yr year, yrs year, ′ foot, ″ inch, % percent, ¢ cent, °C degree Celsius, °F degree Fahrenheit, ° "
        "degree, K kelvin, dB decibel, A amp, µA microamp, mA milliamp, hPa hectopascal, psi pound per square inch, "
        "hp horsepower, rpm revolution per minute, RPM revolution per minute, bpm beat per minute, fps frame per "
        "second, dpi dot per inch, ppm part per million, ppb part per billion, mph mile per hour, mpg mile per "
        "gallon, kph kilometer per hour, kmh kilometer per hour, kn knot, kt knot, kts knot, px pixel, MP megapixel, "
        "ha hectare, ac acre, lx lux, lm lumen, mol mole, Nm newton meter, Ω ohm, kΩ kilohm, MΩ megohm, doz dozen"
    )
)
del UNITS["TV"], UNITS["F"]  # 3 TV shows, 70 F
UNITS |= {
    f"{short} {symbol}": f"{power} {length}"
    for short, power in table("sq square, sq. square, cu cubic, cu. cubic").items()
    for symbol, length in LENGTHS.items()
}
UNIT = rf"(?:{any_of(UNITS)})"
# What follows a unit: no letter, and the full stop of an abbreviation.
UNIT_END = rf"(?![\w'°/]){INNER_STOP}"


def unit_in_words(symbol: str) -> str:
    """Return the singular of a unit in words: "sq. ft" → "square foot", "GB/s" → "gigabyte per second"."""
    return " per ".join(UNITS[part] for part in symbol.split("/"))
