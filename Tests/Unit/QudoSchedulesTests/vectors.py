#!/usr/bin/env python3
"""Writes vectors.txt: ticks of random cron expressions as PyPI's croniter finds them.

    pip install croniter==7.0.0 tzdata && vectors.py > vectors.txt

The file has lines of three forms:

- `zone NAME BASE64`: the TZif file of a time zone, from PyPI's tzdata, so that the test does not depend on the
  system's version of the (public-domain) time zone database;
- `ZONE|EXPRESSION|TIMES|TIMES…`: TIMES are a start, three next ticks and three previous ones, in base 36: the start
  in seconds since 1970, each tick as its distance in seconds from the one before it. `-` is no tick within 50 years.

croniter runs with the second first and with Vixie cron's rule for days (`implement_cron_bug`).
"""
import base64
import datetime
import importlib.resources
import io
import random
import sys
import zoneinfo

import croniter

EXPRESSIONS = 2000
STARTS = 2
TICKS = 3
NAMES = [
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Europe/Dublin", "Antarctica/Troll",
    "America/Sao_Paulo", "Asia/Gaza", "Africa/Casablanca", "Asia/Kathmandu", "America/Nuuk", "Pacific/Kwajalein",
]
# Needed by other tests only.
OTHERS = ["America/St_Johns"]
MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
DAYS = "SUN MON TUE WED THU FRI SAT".split()
UTC = datetime.timezone.utc
FIRST, LAST = 1972, 2090

random = random.Random(2026)


def base36(number):
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
        if number == 0:
            return digits


def number(low, high, names):
    value = random.randint(low, high)
    if names and random.random() < 0.4 and value - low < len(names):
        name = names[value - low]
        return random.choice([name, name.lower(), name.title()])
    return f"{value:02}" if random.random() < 0.05 else str(value)


def item(low, high, names):
    form = random.random()
    size = high - low + 1
    if form < 0.55:
        return number(low, high, names)
    step = f"/{random.randint(1, max(2, size // 2))}" if random.random() < 0.4 else ""
    if form < 0.65:
        return f"*/{random.randint(1, size)}"
    if form < 0.72:
        return f"{number(low, high, names)}/{random.randint(1, size)}"
    if form < 0.97:
        first, last = sorted(random.sample(range(low, high + 1), 2))
        return f"{first}-{last}{step}"
    if form < 0.992:
        first, last = sorted(random.sample(range(low, high + 1), 2))
        return f"{last}-{first}{step}"
    first = random.randint(low, high)
    return f"{first}-{first}"


def field(low, high, names=None, wild=0.4):
    if random.random() < wild:
        return "*"
    count = random.choice([1, 1, 1, 1, 2, 3])
    return ",".join(item(low, high, names) for _ in range(count))


def hour(wild):
    if wild > 0.5 and random.random() < 0.5:
        # Most clocks change at such hours.
        return ",".join(str(random.choice([0, 0, 1, 1, 2, 2, 3, 22, 23])) for _ in range(random.choice([1, 1, 2])))
    return field(0, 23, wild=0.3)


def day_of_month(wild):
    form = random.random() * (1 if random.random() > wild else 8)
    if form < 0.05:
        return "?"
    if form < 0.10:
        return random.choice(["L", "l", "L,15", "1,L"])
    if form < 0.14:
        return f"{random.randint(1, 31)}{random.choice('Ww')}"
    return field(1, 31, wild=wild)


def day_of_week(wild):
    form = random.random() * (1 if random.random() > wild else 8)
    if form < 0.05:
        return "?"
    if form < 0.10:
        return f"{random.choice(DAYS + list('1234567'))}#{random.randint(1, 5)}"
    if form < 0.14:
        return f"{random.randint(0, 7)}L"
    if form < 0.17:
        return random.choice(["7", "1-7", "5-7", "FRI-SUN", "MON-FRI", "6,7"])
    return field(0, 6, DAYS, wild=wild)


def expression(wild):
    if random.random() < 0.01:
        return random.choice(["@yearly", "@Monthly", "@WEEKLY", "@daily", "@hourly", "@midnight"])
    fields = [
        field(0, 59, wild=0.15), hour(wild), day_of_month(wild), field(1, 12, MONTHS, wild=max(0.6, wild)),
        day_of_week(wild),
    ]
    if random.random() < 0.3:
        fields.insert(0, field(0, 59, wild=0.2))
    return " ".join(fields)


def for_croniter(text):
    """croniter writes the last Friday as L5."""
    fields = text.split(" ")
    fields[-1] = ",".join(f"L{part[:-1]}" if part[:-1].isdigit() and part[-1] == "L" else part
                          for part in fields[-1].split(","))
    return " ".join(fields)


def changes(zone):
    """The instants at which the offset changes, in seconds since 1970, to the hour after it."""
    found = []
    start = datetime.datetime(FIRST, 1, 1, tzinfo=UTC)
    before = start.astimezone(zone).utcoffset()
    for day in range(1, 365 * (LAST - FIRST)):
        offset = (start + datetime.timedelta(days=day)).astimezone(zone).utcoffset()
        if offset != before:
            instant = start + datetime.timedelta(days=day)
            while (instant - datetime.timedelta(hours=1)).astimezone(zone).utcoffset() == offset:
                instant -= datetime.timedelta(hours=1)
            found.append(int(instant.timestamp()))
        before = offset
    return found


def ticks(text, start, tzinfo, backwards):
    cron = croniter.croniter(
        for_croniter(text), datetime.datetime.fromtimestamp(start, tzinfo), second_at_beginning=True,
        implement_cron_bug=True)
    before, found = start, []
    for _ in range(TICKS):
        try:
            tick = cron.get_prev(float) if backwards else cron.get_next(float)
        except croniter.CroniterBadDateError:
            found.append("-")
            break
        assert tick == int(tick) and (tick < before if backwards else tick > before), (text, start, tick)
        found.append(base36(abs(int(tick) - before)))
        before = int(tick)
    return " ".join(found)


def main():
    zones, near = {"UTC": UTC}, {}
    print("# Made by vectors.py.")
    for name in NAMES + OTHERS:
        data = importlib.resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).read_bytes()
        print("zone", name, base64.b64encode(data).decode())
        zones[name] = zoneinfo.ZoneInfo.from_file(io.BytesIO(data), key=name)
        if name in NAMES:
            near[name] = changes(zones[name])
    count = 0
    while count < EXPRESSIONS:
        name = "UTC" if random.random() < 0.4 else random.choice(NAMES)
        text = expression(0.5 if name == "UTC" else 0.8)
        groups = []
        try:
            for _ in range(STARTS):
                start = random.randint(FIRST * 31_556_952 - 62_167_219_200, LAST * 31_556_952 - 62_167_219_200)
                if name in near and random.random() < 0.8:
                    start = random.choice(near[name]) + random.randint(-16 * 3600, 10 * 3600)
                forward, backward = (ticks(text, start, zones[name], way) for way in (False, True))
                groups.append(f"{base36(start)} {forward} / {backward}")
        except croniter.CroniterBadCronError:
            continue
        except AssertionError as error:
            print("skipped", text, name, error, file=sys.stderr)
            continue
        count += 1
        print(name, text, *groups, sep="|")


main()
