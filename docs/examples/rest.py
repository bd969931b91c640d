#!/usr/bin/env python3
"""Starts containers on Weir by HTTP and JSON, follows them, and takes them away again.

    docs/examples/rest.py --server http://127.0.0.1:7400 --pool pool2 --network myvlan --image busybox --count 3

The exit code is 0 only if every container became ready and every one is gone again. docs/rest.md explains what is done
here. Needs Python 3.9 and nothing else.
"""

import argparse
import concurrent.futures
import http.client
import json
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid


class Refused(Exception):
    """A request that was refused, in the controller's words."""

    def __init__(self, problem):
        super().__init__(f"{problem['code']}: {problem['detail']}")
        self.code = problem["code"]


def ask(method, url, body=None, headers=None):
    """Sends a request and returns the JSON of its answer. What could not be sent, or not now, is sent again: that is safe,
    since a create has a key."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **(headers or {})}
    for pause in (0.2, 0.5, 1, 2, None):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=70) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 503 or pause is None:
                raise Refused(json.load(error)) from error
        except OSError:
            if pause is None:
                raise
        time.sleep(pause)


def events(url, stopped):
    """The events of a watch, one after the other: its kind and its message. Goes on where it was cut off."""
    last = None
    while not stopped.is_set():
        request = urllib.request.Request(url, headers={"Last-Event-ID": last} if last else {})
        kind = None
        try:
            # The controller says something at least every 15 s.
            with urllib.request.urlopen(request, timeout=40) as stream:
                for line in stream:
                    field, _, value = line.decode().rstrip("\n").partition(": ")
                    if field == "event":
                        kind = value
                    elif field == "id":
                        last = value
                    elif field == "data" and kind == "error":
                        break
                    elif field == "data":
                        yield kind, json.loads(value)
        except (OSError, http.client.HTTPException):
            stopped.wait(1)


def follow(url, stopped):
    """Prints how containers are whenever that changes."""
    known = {}
    for kind, event in events(url, stopped):
        container = event.get("container", {})
        name, status = container.get("name"), container.get("status", {})
        now = "gone" if kind == "DELETED" else f"{status.get('phase')} {status.get('reason', '')}".strip()
        if name and known.get(name) != now:
            known[name] = now
            print(f"{name}: {now} on {container.get('node')} with {container.get('address')}", flush=True)


def run(containers, wanted):
    """Creates a container and deletes it, and returns what went wrong."""
    # The name is the controller's choice; the key has it made once, however often it is asked for.
    key, name = {"Idempotency-Key": str(uuid.uuid4())}, None
    try:
        name = ask("POST", containers, wanted, key)["name"]
        created = ask("POST", f"{containers}?wait=true", wanted, key)
        phase = created["status"]["phase"]
        return None if phase == "READY" else f"{name} is not ready: {created['status']}"
    except (Refused, OSError) as error:
        return f"{name or 'a container'} is not ready: {error}"
    finally:
        if name:
            ask("DELETE", f"{containers}/{name}?wait=true")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="http://127.0.0.1:7400")
    parser.add_argument("--pool", required=True)
    parser.add_argument("--network", required=True)
    parser.add_argument("--image", default="", help="without it: bare network namespaces")
    parser.add_argument("--count", type=int, default=3, help="how many containers")
    arguments = parser.parse_args()
    pool = f"{arguments.server}/v1/pools/{arguments.pool}"
    stopped = threading.Event()
    threading.Thread(target=follow, args=(f"{pool}/watch", stopped), daemon=True).start()
    wanted = {"network": arguments.network, "image": arguments.image}
    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as executor:
        failures = list(executor.map(lambda _: run(f"{pool}/containers", wanted), range(arguments.count)))
    stopped.set()
    failures = [failure for failure in failures if failure]
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    if not failures:
        print(f"all {arguments.count} became ready and are gone")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
