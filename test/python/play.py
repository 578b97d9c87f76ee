"""What the scripts have in common: where the gateway is, what it serves, and how a check is told."""

import asyncio
import inspect
import json
import os
import sys
import traceback

url = os.environ["GATEWAY_URL"]
key = os.environ["GATEWAY_KEY"]
upstreams = ["chat", "anthropic", "gemini", "responses"]
cities = ["Oslo", "Tromsø"]
thought = 'Both cities, "Oslo" and "Tromsø".'
last_word = "Rain in both."

elsewhere = set()


def guard(event, args):
    """These clients are tested on loopback: whatever else one tries to reach is refused, and told."""
    if event == "socket.connect":
        host = args[1][0] if isinstance(args[1], tuple) else "127.0.0.1"
    elif event == "socket.getaddrinfo":
        host = args[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in ("127.0.0.1", "localhost", "::1", "0.0.0.0", None):
        elsewhere.add(host)
        raise ConnectionRefusedError(f"{host} is not this machine")


sys.addaudithook(guard)


def model(upstream):
    return f"house-{upstream}"


def said(play, words="Hi"):
    """The scripted provider reads from the prompt what it is to do."""
    return f"{words} [play:{play}]"


checks = []


def check(name):
    def add(function):
        checks.append((name, function))
        return function

    return add


def raises(kind, run, **wanted):
    """The error that `run` fails with: of this class, and with these attributes."""
    try:
        run()
    except kind as error:
        for attribute, value in wanted.items():
            found = getattr(error, attribute, None)
            assert found == value, f"{attribute} is {found!r}, not {value!r}: {error}"
        return error
    raise AssertionError(f"{kind} was not raised")


def equal(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


def main():
    for name, function in checks:
        why = None
        try:
            if inspect.iscoroutinefunction(function):
                asyncio.run(function())
            else:
                function()
        except BaseException:
            why = traceback.format_exc()
        print("\n" + json.dumps({"check": name, "why": why}), flush=True)
    why = f"it tried to reach {sorted(elsewhere)}" if elsewhere else None
    print("\n" + json.dumps({"check": "nothing but this machine was reached", "why": why}), flush=True)
