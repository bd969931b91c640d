#!/usr/bin/env python3
"""A platform in miniature: starts containers on Weir, follows them, and takes them away again.

    docs/examples/paas.py --server unix:/run/weir/weir.sock --pool pool2 --network myvlan \\
        --image busybox --count 5 -- httpd -f -p 80

Without --image the containers are bare network namespaces. The exit code is 0 only if every container became ready and
every one is gone again. docs/paas.md explains what is done here.

Needs Python 3.9, grpcio, and a protoc that knows `optional`: Debian's python3-grpcio, protobuf-compiler and
protobuf-compiler-grpc, or grpcio-tools of PyPI.
"""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import grpc

# Seconds before what is not there now is asked again.
PAUSE = 1
PROTO = pathlib.Path(__file__).resolve().parents[2] / "controller" / "api" / "proto"


def compile_api(folder):
    """Makes the modules of the package weir.v1 in `folder`. A platform would do this once, when it is built."""
    plugin = shutil.which("grpc_python_plugin")
    if plugin and shutil.which("protoc"):
        protoc = ["protoc", f"--plugin=protoc-gen-grpc_python={plugin}"]
    else:
        protoc = [sys.executable, "-m", "grpc_tools.protoc"]
    out = [f"-I{PROTO}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    subprocess.run(protoc + out + [str(file) for file in sorted(PROTO.glob("weir/v1/*.proto"))], check=True)
    sys.path.insert(0, folder)


class Watch(threading.Thread):
    """Follows a pool's containers, and knows the last that was heard of each."""

    def __init__(self, containers, pool):
        super().__init__(daemon=True)
        self.containers, self.pool = containers, pool
        self.changed = threading.Condition()
        self.known, self.synced, self.failure, self.call = {}, False, None, None
        self.trouble = ""

    def run(self):
        while True:
            # No deadline: a watch is open as long as the platform runs.
            self.call = self.containers.WatchContainers(api.WatchContainersRequest(pool=self.pool))
            present = {}
            try:
                for event in self.call:
                    self.take(event, present)
            except grpc.RpcError as error:
                # OUT_OF_RANGE: we read too slowly; UNAVAILABLE: the controller starts again. The next watch begins with
                # the present state, so that nothing is missed.
                if error.code() == grpc.StatusCode.UNAVAILABLE:
                    self.trouble = f" ({told(error)})"
                    time.sleep(PAUSE)
                elif error.code() != grpc.StatusCode.OUT_OF_RANGE:
                    with self.changed:
                        self.failure = f"the watch is refused: {told(error)}"
                        self.changed.notify_all()
                    return

    def take(self, event, present):
        """Takes one event. Until SYNCED comes, they are the present state: what is not in it is gone."""
        name, now = event.container.name, event.container
        with self.changed:
            if event.kind == api.ContainerEvent.SYNCED:
                self.known, self.synced, self.trouble = present, True, ""
            elif event.kind == api.ContainerEvent.DELETED:
                present.pop(name, None)
                print(f"{name}: gone", flush=True)
            else:
                # A container changes also in ways that are not shown.
                if name not in self.known or described(self.known[name]) != described(now):
                    print(f"{name}: {described(now)}", flush=True)
                present[name] = now
            self.changed.notify_all()

    def wait_until(self, what, condition, deadline):
        """Waits until `condition` holds of what is known."""
        with self.changed:
            holds = self.changed.wait_for(
                lambda: self.failure or (self.synced and condition(self.known)), deadline - time.monotonic())
            if self.failure or not holds:
                raise Failed(f"{what}: {self.failure or 'not in time' + self.trouble}")


class Failed(Exception):
    """What the platform was asked for did not come about."""


def described(container):
    status = container.status
    phase = api.ContainerStatus.Phase.Name(status.phase).lower()
    why = f" ({status.reason}{': ' if status.message else ''}{status.message})" if status.reason else ""
    return f"{phase} on {container.node or 'no node'} with {container.address}{why}"


def told(error):
    """A refusal in the controller's words."""
    return f"{error.code().name}: {error.details()}"


def ask(method, request, deadline):
    """Calls a method, again while nobody is there to answer. That is safe: a container has a name of our choice, and the
    same request again finds it as it is."""
    while True:
        try:
            return method(request, timeout=max(deadline - time.monotonic(), 0.001))
        except grpc.RpcError as error:
            # UNAVAILABLE passes by itself: a controller that starts again, nodes that are not connected yet. ABORTED: it
            # has been moved while it was waited for. Anything else would be the same the next time.
            passing = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED)
            if not passing or time.monotonic() + PAUSE > deadline:
                raise
            time.sleep(PAUSE)


def create(containers, container, deadline):
    """Creates a container and returns once it is ready, or has ended already, which is none of what we want."""
    request = api.CreateContainerRequest(container=container, wait=True)
    try:
        created = ask(containers.CreateContainer, request, deadline)
    except grpc.RpcError as error:
        raise Failed(f"{container.name} is not ready: {told(error)}") from error
    if created.status.phase != api.ContainerStatus.READY:
        raise Failed(f"{container.name} is not ready: {described(created)}")


def delete(containers, pool, name, deadline):
    """Deletes a container and returns once its port, flows and address are gone. What is not there is deleted."""
    try:
        ask(containers.DeleteContainer, api.DeleteContainerRequest(pool=pool, name=name, wait=True), deadline)
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise Failed(f"{name} is not deleted: {told(error)}") from error


def at_once(work, items):
    """Does `work` on all items at the same time and returns what went wrong."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(items)) as executor:
        tasks = [executor.submit(work, item) for item in items]
    return [task.exception() for task in tasks if task.exception()]


def run(arguments, containers):
    """Creates the containers, waits until all are ready, deletes them; returns what went wrong."""
    watch = Watch(containers, arguments.pool)
    watch.start()
    wanted = {}
    for n in range(arguments.count):
        name = f"{arguments.name}-{n}"
        wanted[name] = api.Container(pool=arguments.pool, name=name, network=arguments.network,
                                     image=arguments.image, command=arguments.command)
    deadline = time.monotonic() + arguments.timeout
    watch.wait_until("the present state", lambda known: True, deadline)
    try:
        failures = at_once(lambda container: create(containers, container, deadline), list(wanted.values()))
        if not failures:
            ready = api.ContainerStatus.READY
            watch.wait_until("all containers ready", lambda known: all(
                name in known and known[name].status.phase == ready for name in wanted), deadline)
            print(f"all {len(wanted)} are ready", flush=True)
    except Failed as failure:
        failures = [failure]
    finally:
        # Whatever happened, nothing of ours stays.
        deadline = time.monotonic() + arguments.timeout
        left = at_once(lambda name: delete(containers, arguments.pool, name, deadline), list(wanted))
    if not failures and not left:
        watch.wait_until("all containers gone", lambda known: not wanted.keys() & known.keys(), deadline)
        print(f"all {len(wanted)} are gone", flush=True)
    watch.call.cancel()
    return failures + left


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="127.0.0.1:7400", help="unix:/PATH or HOST:PORT")
    parser.add_argument("--pool", required=True)
    parser.add_argument("--network", required=True)
    parser.add_argument("--image", default="", help="without it: bare network namespaces")
    parser.add_argument("--count", type=int, default=3, help="how many containers")
    parser.add_argument("--name", default=f"paas-{os.getpid()}", help="what their names begin with")
    parser.add_argument("--timeout", type=float, default=60, help="seconds until all must be ready, and then gone")
    parser.add_argument("command", nargs="*", help="what runs instead of the image's own command, after --")
    arguments = parser.parse_args()
    if arguments.count < 1:
        parser.error("--count must be at least 1")
    try:
        with grpc.insecure_channel(arguments.server) as channel:
            failures = run(arguments, api_grpc.ContainersStub(channel))
    except Failed as failure:
        failures = [failure]
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as generated:
        compile_api(generated)
        from weir.v1 import container_pb2 as api
        from weir.v1 import container_pb2_grpc as api_grpc
    sys.exit(main())
