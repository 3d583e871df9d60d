"""What the cases of run.py are made of: the two programs, and the checks that every case must pass."""
import json
import os
import random
import signal
import socket
import subprocess
import threading

START_SECONDS = 20
STOP_SECONDS = 60
RSS_MIB_MAX = 64
SHUTDOWN_SLACK_MS = 10


class Skipped(Exception):
    """The machine or the build lacks what the case needs."""


def free_port():
    """Below the kernel's range for outgoing connections, so that it is still free when a receiver is started again."""
    for _ in range(100):
        port = random.randrange(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


class Machine:
    """Where the programs and their files are, and what this build can do."""

    def __init__(self, programs, folder, short, slack_ms):
        self.programs = programs
        self.folder = folder
        self.short = short
        self.slack_ms = slack_ms
        self.features = json.loads(subprocess.run(
            [f"{programs}/weft-fault-load", "--features"], check=True, capture_output=True, text=True).stdout)

    def need(self, feature):
        if not self.features[feature]:
            raise Skipped(f"{feature}: not built in")

    def path(self, name):
        return os.path.join(self.folder, name)

    def size(self, full, short):
        return short if self.short else full


class Program:
    """A child whose stdout is one JSON line; of its stderr the last lines are kept."""

    def __init__(self, command, environment=None, wanted_line=None):
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
            env={**os.environ, **(environment or {})})
        self.lines = []
        self.wanted_line = wanted_line
        self.ready = threading.Event()
        self.found = None
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            if self.wanted_line and self.found is None and line.startswith(self.wanted_line):
                self.found = line.removeprefix(self.wanted_line).strip()
                self.ready.set()
            self.lines = [*self.lines[-9:], line.rstrip("\n")]
        self.ready.set()

    def result(self, seconds):
        """What it printed when it ended. A program that does not end in time is killed, and that is an error."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired as late:
            self.kill()
            raise RuntimeError(f"{self.process.args[0]} did not end within {seconds} s: {self.lines}") from late
        if self.process.returncode != 0:
            raise RuntimeError(f"{self.process.args[0]} ended with {self.process.returncode}: {self.lines}")
        with self.process.stdout as out:
            return json.loads(out.read())  # One line: it fits into the pipe.

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.result(STOP_SECONDS)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Receiver(Program):
    def __init__(self, machine, *arguments, records, port=0):
        super().__init__(
            [f"{machine.programs}/weft-fault-receiver", "--port", str(port), "--numbers", str(records + 1000),
             *arguments], wanted_line="listening on ")
        if not self.ready.wait(START_SECONDS) or not self.found:
            self.kill()
            raise RuntimeError(f"the receiver did not start: {self.lines}")
        self.url = self.found


def load_command(machine, *arguments):
    return [f"{machine.programs}/weft-fault-load", *[str(argument) for argument in arguments]]


def load_environment(url, extra=None):
    """Metrics off: they would be requests that the counts do not know."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_COMPRESSION": "zstd",
            "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_LOG_LEVEL": "warn", **(extra or {})}


def start_load(machine, url, *arguments, environment=None):
    return Program(load_command(machine, *arguments), load_environment(url, environment))


class Outcome:
    """What one case saw, and what is wrong with it."""

    def __init__(self, case, records):
        self.case = case
        self.records = records
        self.loads = []
        self.received = {}
        self.problems = []
        self.notes = {}

    def require(self, condition, problem):
        if not condition:
            self.problems.append(problem)

    def ledger(self):
        """The last load's, whose process saw the end."""
        return self.loads[-1]["ledger"] if self.loads else None

    def check_load(self, load, machine, resumed=0):
        """What holds for every load, whatever became of its spans. resumed: what a process before has left to it; None:
        nobody knows, for it was killed."""
        self.loads.append(load)
        ledger = load["ledger"]
        right = (ledger["exported"] + ledger["rejected"] + sum(ledger["dropped"].values()) + ledger["queued"] +
                 ledger["in_flight"] + ledger["spooled"])
        self.require(ledger["created"] == right, f"the ledger does not add up: created {ledger['created']} != {right}")
        if resumed is not None:
            self.require(ledger["created"] == load["recorded"] + resumed,
                         f"created {ledger['created']}, but {load['recorded']} were recorded and {resumed} resumed")
        self.require(ledger["queued"] == 0 and ledger["in_flight"] == 0, "something is under way after the shutdown")
        self.require(load["shutdown_ms"] <= load["deadline_ms"] + machine.slack_ms,
                     f"the shutdown took {load['shutdown_ms']} ms, its deadline was {load['deadline_ms']} ms")
        self.require(load["peak_rss_kib"] <= RSS_MIB_MAX * 1024,
                     f"{load['peak_rss_kib'] // 1024} MiB of memory at the peak, allowed are {RSS_MIB_MAX}")

    def check_received(self, received, unexplained_max=0):
        """What holds for every receiver, whatever it did to its senders."""
        self.received = received
        for wrong in ("undecodable", "unnumbered", "backwards"):
            self.require(received[wrong] == 0, f"{received[wrong]} {wrong}")
        self.require(received["unexplained"] <= unexplained_max,
                     f"{received['unexplained']} records came again although they had been acknowledged"
                     + (f", explained are at most {unexplained_max}" if unexplained_max else ""))

    def lost(self):
        """Records that arrived nowhere and that the receiver did not refuse one by one."""
        return self.records - self.received.get("unique", 0) - self.received.get("rejected", 0)

    def row(self, status, seconds, detail=""):
        ledger = self.ledger() or {"created": 0, "exported": 0, "rejected": 0, "dropped": {}, "spooled": 0}
        return {
            "case": self.case, "status": status, "records": self.records,
            "received": self.received.get("unique", 0), "duplicates": self.received.get("duplicates", 0),
            "duplicates_unexplained": self.received.get("unexplained", 0), "lost": self.lost(),
            "exported": ledger["exported"], "rejected": ledger["rejected"], "dropped": ledger["dropped"],
            "spooled": ledger["spooled"], "requests": self.received.get("requests", 0),
            "faults": self.received.get("faulted", 0),
            "peak_rss_mib": round(max((load["peak_rss_kib"] for load in self.loads), default=0) / 1024, 1),
            "shutdown_ms": max((load["shutdown_ms"] for load in self.loads), default=0),
            "deadline_ms": self.loads[-1]["deadline_ms"] if self.loads else 0, "seconds": round(seconds, 1),
            "ledger": self.ledger(), "notes": self.notes, "problems": self.problems, "detail": detail}
