"""The units of measurement that follow a number, by their symbols."""

from __future__ import annotations

from dtc.text.rules import INNER_STOP, any_of, table

LENGTHS = table(
    "nm nanometer, µm micrometer, μm micrometer, mm millimeter, cm centimeter, dm decimeter, m meter, km kilometer, "
    "KM kilometer, ft foot, in inch, yd yard, mi mile"
)
_MASSES = table(
    "µg microgram, μg microgram, mcg microgram, mg milligram, g gram, kg kilogram, KG kilogram, oz ounce, lb pound, "
    "lbs pound"
)
_VOLUMES = table(
    "µl microliter, μl microliter, ml milliliter, mL milliliter, ML milliliter, cl centiliter, cL centiliter, "
    "dl deciliter, dL deciliter, l liter, L liter, hl hectoliter, gal gallon, qt quart, pt pint, tsp teaspoon, "
    "tbsp tablespoon, Tbsp tablespoon, cc cubic centimeter"
) | {"fl oz": "fluid ounce"}
_TIMES = table(
    "ns nanosecond, µs microsecond, μs microsecond, ms millisecond, s second, sec second, secs second, min minute, "
    "mins minute, h hour, hr hour, hrs hour, wk week, wks week, mo month, mos month, yr year, yrs year"
)
_BYTES = {
    prefix + symbol: name + unit
    for symbol, unit in table("B byte, b bit, bps bit per second, bit bit").items()
    for prefix, name in table("k kilo, K kilo, M mega, G giga, T tera, P peta").items()
}
_ELECTRIC = {
    prefix + symbol: name + unit
    for symbol, unit in table("W watt, Wh watt hour, V volt, Ah ampere hour, eV electronvolt").items()
    for prefix, name in ({"": ""} | table("m milli, k kilo, M mega, G giga, T tera")).items()
}
_OTHERS = table(
    "% percent, ¢ cent, °C degree Celsius, °F degree Fahrenheit, ° degree, K kelvin, Hz hertz, kHz kilohertz, "
    "MHz megahertz, GHz gigahertz, dB decibel, mA milliamp, J joule, kJ kilojoule, MJ megajoule, cal calorie, "
    "kcal kilocalorie, kN kilonewton, Nm newton meter, Pa pascal, hPa hectopascal, kPa kilopascal, MPa megapascal, "
    "psi pound per square inch, hp horsepower, rpm revolution per minute, RPM revolution per minute, "
    "bpm beat per minute, fps frame per second, dpi dot per inch, ppm part per million, ppb part per billion, "
    "mph mile per hour, mpg mile per gallon, kph kilometer per hour, kmh kilometer per hour, kn knot, kt knot, "
    "px pixel, MP megapixel, ha hectare, ac acre, lx lux, lm lumen, mol mole, Ω ohm, kΩ kilohm, doz dozen"
)
# What comes before a unit of length.
_POWERS = {"sq": "square", "cu": "cubic"}
UNITS = LENGTHS | _MASSES | _VOLUMES | _TIMES | _BYTES | _ELECTRIC | _OTHERS
# kg · sq ft · cu. m
UNIT = rf"(?:(?:{any_of(_POWERS)})\.? (?:{any_of(LENGTHS)})|{any_of(UNITS)})"
# What follows a unit: no letter, and the full stop of an abbreviation.
UNIT_END = rf"(?![\w'°/]){INNER_STOP}"


def unit_in_words(symbol: str) -> str:
    """Return the singular of a unit in words: "sq. ft" → "square foot", "GB/s" → "gigabyte per second"."""
    first, slash, second = symbol.partition("/")
    if slash:
        return f"{unit_in_words(first)} per {unit_in_words(second)}"
    if first in UNITS:
        return UNITS[first]
    power, _, length = first.partition(" ")
    return f"{_POWERS[power.rstrip('.')]} {LENGTHS[length]}"
