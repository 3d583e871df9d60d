"""The cases: what is done to the receiver, and what must hold all the same. `all_cases` lists them."""
import os
import random
import shutil
import socket
import subprocess
import time

from harness import Outcome, Receiver, Skipped, free_port, load_command, load_environment, start_load

ROOM = 6000  # Spans under way at most: what the default queue takes of them from one thread.
RUN_SECONDS = 600


def records_of(machine):
    return machine.size(1_000_000, 20_000)


# ---------------------------------------------------------------- a receiver that misbehaves

def mistreated(name, *faults, every=(20, 5), backoff_ms=50, environment=None, lost_as=None, stored=True,
               duplicates=False, timeout_ms=10000, rejects=False):
    """All records through a receiver that mistreats every so manieth request (in full, in short).

    lost_as: the reason under which whole requests are dropped, because the answer was final; stored: whether the receiver
    keeps what it mistreats; duplicates: whether the sender cannot know that it does.
    """
    def run(machine):
        records = records_of(machine)
        outcome = Outcome(name, records)
        arguments = [item for fault in faults for item in ("--fault", fault)]
        receiver = Receiver(machine, *arguments, "--every", str(machine.size(*every)), records=records)
        load = start_load(
            machine, receiver.url, "--spans", records, "--room", ROOM, "--backoff-ms", backoff_ms,
            environment={"OTEL_EXPORTER_OTLP_TIMEOUT": str(timeout_ms), **(environment or {})})
        outcome.check_load(load.result(RUN_SECONDS), machine)
        outcome.check_received(receiver.stop())
        check_mistreated(outcome)
        return outcome

    def check_mistreated(outcome):
        ledger, received = outcome.ledger(), outcome.received
        dropped = sum(ledger["dropped"].values())
        outcome.require(received["faulted"] > 0 or not faults, "no request was mistreated: the case tests nothing")
        outcome.require(set(ledger["dropped"]) <= {lost_as}, f"dropped {ledger['dropped']}")
        outcome.require(dropped > 0 or lost_as is None, "nothing was dropped: the answer was not final")
        outcome.require(outcome.lost() == (0 if stored else dropped),
                        f"{outcome.lost()} records are lost, {dropped} are said to be")
        outcome.require(ledger["rejected"] == received["rejected"],
                        f"{received['rejected']} rejected, the ledger says {ledger['rejected']}")
        outcome.require(received["rejected"] > 0 or not rejects, "nothing was rejected: the case tests nothing")
        outcome.require(ledger["exported"] <= received["unique"], "more exported than received")
        if duplicates:
            outcome.require(received["duplicates"] > 0, "no record came twice: no acknowledgement was lost")
        else:
            outcome.require(received["duplicates"] == 0, f"{received['duplicates']} records came twice")

    return name, run


MISTREATED = [
    mistreated("no fault"),
    mistreated("429", "status=429"),
    mistreated("429, Retry-After 1", "status=429,1", every=(250, 25)),
    mistreated("503", "status=503"),
    mistreated("503, Retry-After 1", "status=503,1", every=(250, 25)),
    mistreated("400", "status=400", environment={"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
               lost_as="rejected_by_status", stored=False),
    mistreated("zstd refused with 415", "refuse-zstd", every=(1, 1)),
    mistreated("reset before the body", "reset-before"),
    mistreated("reset amid the body", "reset-during"),
    mistreated("reset behind the body", "reset-after", duplicates=True),
    mistreated("accepted, never answered", "silence", every=(100, 10), timeout_ms=300, duplicates=True),
    mistreated("answered a byte a second", "trickle", every=(100, 10), timeout_ms=300, duplicates=True),
    mistreated("answered slowly, in time", "trickle=2", every=(100, 10)),
    mistreated("answered with garbage", "garbage", duplicates=True),
    mistreated("200 with a web page", "content-type"),
    mistreated("200 with garbage for a body", "garbage-body"),
    mistreated("200 with a gzip bomb", "gzip-bomb", every=(200, 10)),
    mistreated("200 with 64 MiB of body", "huge-body", every=(200, 10), lost_as="response_too_large"),
    mistreated("200 with 10 MiB of header", "huge-header", every=(200, 10), lost_as="response_too_large"),
    mistreated("partial success", "partial=7", rejects=True),
    mistreated("all that may be retried, in turn", "status=429", "reset-before", "status=502", "reset-during",
               "reset-after", "status=504", "garbage", "status=503", every=(7, 3), duplicates=True),
]


# What the harness must find wrong. A receiver that forgets; duplicates and drops where none are allowed.
MUST_FAIL = [
    mistreated("a receiver that forgets", "forget"),
    mistreated("duplicates that nobody expects", "reset-after"),
    mistreated("drops that nobody expects", "status=500"),
    mistreated("a fault that never happens", "reset-before", every=(1 << 20, 1 << 20)),
]


# ---------------------------------------------------------------- no receiver to speak of

def check_nothing_arrived(outcome):
    """Every record is dropped, and said to be."""
    ledger = outcome.ledger()
    outcome.require(ledger["exported"] + ledger["rejected"] == 0, "exported, but to whom?")
    outcome.require(sum(ledger["dropped"].values()) == outcome.records, f"dropped {ledger['dropped']}")
    outcome.require(set(ledger["dropped"]) <= {"queue_full", "shutdown"}, f"dropped {ledger['dropped']}")


def unreachable(name, url_of, environment=None):
    """Nothing can arrive. The shutdown must keep its deadline, and the memory its bound."""
    def run(machine):
        outcome = Outcome(name, records_of(machine))
        with url_of(machine) as url:
            load = start_load(machine, url, "--spans", outcome.records, "--deliver-ms", 500, "--deadline-ms", 300,
                              "--backoff-ms", 50, environment=environment)
            outcome.check_load(load.result(RUN_SECONDS), machine)
        check_nothing_arrived(outcome)
        return outcome
    return name, run


class FixedUrl:
    def __init__(self, url):
        self.url = url

    def __enter__(self):
        return self.url

    def __exit__(self, *_):
        pass


class FullBacklog(FixedUrl):
    """A port whose queue of connections is full: a connect never ends."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.waiting = []
        address = self.listener.getsockname()
        for _ in range(8):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(address)
            self.waiting.append(one)
        super().__init__(f"http://127.0.0.1:{address[1]}")

    def __exit__(self, *_):
        for one in [*self.waiting, self.listener]:
            one.close()


class Silent(FixedUrl):
    """Takes every request and answers none."""

    def __init__(self, machine):
        self.receiver = Receiver(machine, "--fault", "silence", records=records_of(machine))
        super().__init__(self.receiver.url)

    def __exit__(self, *_):
        self.receiver.stop()


UNREACHABLE = [
    unreachable("refuses connections", lambda machine: FixedUrl(f"http://127.0.0.1:{free_port()}")),
    unreachable("connections never complete", lambda machine: FullBacklog()),
    unreachable("name that does not resolve", lambda machine: FixedUrl("http://collector.invalid:4318")),
    unreachable("shutdown against silence", Silent),
]


# ---------------------------------------------------------------- TLS

def tls(name, kind, refused):
    def run(machine):
        machine.need("tls")
        records = records_of(machine)
        outcome = Outcome(name, records)
        authority = machine.path("authority.pem")
        receiver = Receiver(machine, "--tls", kind, "--ca-file", authority, records=records)
        url = f"https://localhost:{receiver.url.rsplit(':', 1)[1]}"
        waits = ["--deliver-ms", 1000, "--deadline-ms", 300, "--backoff-ms", 50] if refused else ["--room", ROOM]
        load = start_load(machine, url, "--spans", records, *waits,
                          environment={"OTEL_EXPORTER_OTLP_CERTIFICATE": authority})
        outcome.check_load(load.result(RUN_SECONDS), machine)
        outcome.check_received(receiver.stop())
        outcome.require(outcome.received["connections"] > 0, "nobody tried: the case tests nothing")
        if refused:
            outcome.require(outcome.received["requests"] == 0, "a request was sent to a server that is not to be trusted")
            check_nothing_arrived(outcome)
        else:
            outcome.require(outcome.lost() == 0 and outcome.received["duplicates"] == 0, f"{outcome.lost()} lost")
        return outcome
    return name, run


TLS = [
    tls("TLS", "valid", refused=False),
    tls("TLS, expired certificate", "expired", refused=True),
    tls("TLS, another host's certificate", "wrong-host", refused=True),
    tls("TLS, self-signed certificate", "self-signed", refused=True),
]


# ---------------------------------------------------------------- a receiver that comes and goes

class Restarted:
    """A receiver that can be killed and started again on its port, and goes on counting."""

    def __init__(self, machine, records, name):
        self.machine = machine
        self.records = records
        self.port = free_port()
        self.state = machine.path(name.replace(" ", "-") + ".state")
        self.url = f"http://127.0.0.1:{self.port}"
        self.running = None

    def start(self):
        self.running = Receiver(self.machine, "--state", self.state, records=self.records, port=self.port)

    def kill(self):
        self.running.kill()
        self.running = None

    def stop(self):
        return self.running.stop()


def collector_restarts(machine):
    records = records_of(machine)
    outcome = Outcome("collector killed every second", records)
    receiver = Restarted(machine, records, "restarts")
    receiver.start()
    load = start_load(machine, receiver.url, "--spans", records, "--room", ROOM, "--rate",
                      machine.size(50_000, 8_000), "--backoff-ms", 50)
    kills = 0
    while load.process.poll() is None:
        time.sleep(1)  # This is the case: it is killed once a second.
        receiver.kill()
        kills += 1
        receiver.start()
    outcome.notes["kills"] = kills
    outcome.check_load(load.result(RUN_SECONDS), machine)
    outcome.check_received(receiver.stop())
    outcome.require(kills > 1, "it was over before the second kill")
    outcome.require(outcome.lost() == 0, f"{outcome.lost()} lost")
    outcome.require(not outcome.ledger()["dropped"], f"dropped {outcome.ledger()['dropped']}")
    return outcome


def spool_environment(machine, name, megabytes):
    folder = machine.path(name)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return {"WEFT_SPOOL_DIR": folder, "WEFT_SPOOL_BYTES": str(megabytes << 20)}


def rings_environment(machine, name):
    folder = machine.path(f"{name}.rings")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return {"WEFT_DURABLE_RINGS": folder}


def outage(name, spool):
    """10 minutes at 10 000 spans a second, ten times as fast: nobody listens for the first part of it.

    The queue is four times the default: how long a disk stalls is not compressed.
    """
    def run(machine):
        if spool:
            machine.need("spool")
        records = machine.size(6_000_000, 60_000)
        outcome = Outcome(name, records)
        environment = {"OTEL_BSP_MAX_QUEUE_SIZE": "16384", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "512",
                       **spool_environment(machine, "outage", 2048)} if spool else {}
        receiver = Restarted(machine, records, name)
        load = start_load(machine, receiver.url, "--spans", records, "--rate", machine.size(100_000, 60_000),
                          "--deliver-ms", 240_000, environment=environment)
        time.sleep(machine.size(60, 1))  # This is the outage.
        receiver.start()
        outcome.check_load(load.result(RUN_SECONDS), machine)
        outcome.check_received(receiver.stop())
        dropped = outcome.ledger()["dropped"]
        outcome.require(outcome.lost() == sum(dropped.values()), f"{outcome.lost()} lost, dropped {dropped}")
        if spool:
            outcome.require(outcome.lost() == 0, f"{outcome.lost()} lost although the spool was on")
        else:
            outcome.require(set(dropped) <= {"queue_full"}, f"dropped {dropped}")
        return outcome
    return name, run


# ---------------------------------------------------------------- the clock

def clock_steps(machine):
    """The wall clock is an hour ahead, then an hour behind, while spans are recorded."""
    library = next((path for path in (f"/usr/lib/{folder}/faketime/libfaketimeMT.so.1" for folder in
                                      sorted(os.listdir("/usr/lib"))) if os.path.exists(path)), None)
    if library is None:
        raise Skipped("no libfaketime on this machine (package faketime)")
    records = records_of(machine)
    outcome = Outcome("clock stepped by an hour", records)
    rate = machine.size(100_000, 3_000)
    steps = machine.path("clock")

    def step(text):
        with open(steps + ".new", "w", encoding="ascii") as file:
            file.write(text)
        os.replace(steps + ".new", steps)

    step("+0")
    receiver = Receiver(machine, records=records)
    load = start_load(machine, receiver.url, "--spans", records, "--room", ROOM, "--rate",
                      rate,
                      environment={"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": steps, "FAKETIME_NO_CACHE": "1",
                                   "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"})
    part = records / rate / 4  # More than a second, which is how often the library looks at the wall clock.
    for text in ("+3600", "-3600", "+0"):
        time.sleep(part)  # This is the case: the clock is stepped while it runs.
        step(text)
    outcome.check_load(load.result(RUN_SECONDS), machine)
    outcome.check_received(receiver.stop())
    outcome.require(outcome.lost() == 0 and outcome.received["duplicates"] == 0, f"{outcome.lost()} lost")
    seconds = (outcome.received["latest_ns"] - outcome.received["earliest_ns"]) / 1e9
    outcome.notes["times differ by s"] = round(seconds, 1)
    outcome.require(seconds > 7000, f"the times differ by {seconds} s: the clock was not stepped by an hour both ways")
    return outcome


# ---------------------------------------------------------------- the disk

class SmallDisk:
    """A file system of its own, which can be full or read-only without harm to anybody."""

    def __init__(self, machine, name, megabytes):
        self.folder = machine.path(name)
        os.makedirs(self.folder, exist_ok=True)
        if not shutil.which("mount") or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "weft-faults", self.folder],
                capture_output=True, check=False).returncode != 0:
            raise Skipped("no tmpfs can be mounted here (not root?)")

    def make_read_only(self):
        subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.folder], check=False)


def disk(name, read_only):
    """Half an outage on a disk that takes nothing (more). What does not fit is dropped and counted, the rest arrives."""
    def run(machine):
        machine.need("spool")
        records = machine.size(1_000_000, 100_000)
        outcome = Outcome(name, records)
        with SmallDisk(machine, name.replace(" ", "-"), machine.size(8, 1)) as small:
            if read_only:
                small.make_read_only()
            receiver = Restarted(machine, records, name)
            load = start_load(machine, receiver.url, "--spans", records, "--rate", machine.size(200_000, 100_000),
                              environment={"WEFT_SPOOL_DIR": small.folder, "WEFT_SPOOL_BYTES": str(64 << 20)})
            time.sleep(machine.size(4, 1))  # This is the outage.
            receiver.start()
            outcome.check_load(load.result(RUN_SECONDS), machine)
            outcome.check_received(receiver.stop())
        dropped = outcome.ledger()["dropped"]
        outcome.require(outcome.lost() == sum(dropped.values()), f"{outcome.lost()} lost, dropped {dropped}")
        outcome.require(outcome.lost() > 0, "nothing was lost: the disk was not full")
        outcome.require(outcome.received["unique"] > 0, "nothing arrived")
        return outcome
    return name, run


def corrupted(machine):
    """1000 random bytes of a filled spool are changed. It starts all the same, and what it lost it says."""
    machine.need("spool")
    records = records_of(machine)
    outcome = Outcome("1000 bytes of the spool corrupted", records)
    environment = spool_environment(machine, "corrupted", 512)
    receiver = Restarted(machine, records, "corrupted")
    load = start_load(machine, receiver.url, "--spans", records, "--rate", 200_000, "--deliver-ms", 500, "--deadline-ms",
                      1000, environment=environment)
    outcome.check_load(load.result(RUN_SECONDS), machine)
    spooled = outcome.ledger()["spooled"]
    outcome.require(spooled == records, f"{spooled} of {records} spooled")
    seed = random.randrange(1 << 32)
    outcome.notes["seed"] = seed
    corrupt(environment["WEFT_SPOOL_DIR"], machine.size(1000, 20), random.Random(seed))
    receiver.start()
    load = start_load(machine, receiver.url, "--spans", 0, environment=environment)
    outcome.check_load(load.result(RUN_SECONDS), machine, resumed=spooled)
    outcome.check_received(receiver.stop())
    dropped = outcome.ledger()["dropped"]
    outcome.require(outcome.received["unique"] > 0, "nothing arrived")
    outcome.require(outcome.received["duplicates"] == 0, f"{outcome.received['duplicates']} records came twice")
    outcome.require(outcome.lost() > 0, "nothing was lost: the bytes did not matter")
    outcome.require(outcome.lost() == sum(dropped.values()) and set(dropped) <= {"spool_corrupt"},
                    f"{outcome.lost()} lost, dropped {dropped}")
    return outcome


def corrupt(folder, count, chance):
    """Changes `count` bytes, each file hit in proportion to its size."""
    files = sorted(os.path.join(where, name) for where, _, names in os.walk(folder) for name in names)
    sizes = [os.path.getsize(name) for name in files]
    for name in chance.choices(files, weights=sizes, k=count):
        with open(name, "r+b") as file:
            file.seek(chance.randrange(os.path.getsize(name)))
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ chance.randrange(1, 256)]))


# ---------------------------------------------------------------- kill -9

def killed(name, spool, rings):
    """The program dies at random moments and is started again; what ended before its death must arrive."""
    def run(machine):
        for feature, wanted in (("spool", spool), ("rings", rings)):
            if wanted:
                machine.need(feature)
        kills = machine.size(200, 8)
        room = machine.size(1_000_000, 50_000)
        outcome = Outcome(name, 0)
        where = name.replace(" ", "-")
        environment = {**(spool_environment(machine, where, 256) if spool else {}),
                       **(rings_environment(machine, where) if rings else {})}
        progress = machine.path(where + ".progress")
        receiver = Receiver(machine, records=2 * room)
        seed = random.randrange(1 << 32)
        outcome.notes["seed"] = seed
        chance = random.Random(seed)
        ended = 0
        for _ in range(kills):
            load = subprocess.Popen(
                load_command(machine, "--spans", room, "--first", ended, "--rate", 40_000, "--progress", progress),
                env={**os.environ, **load_environment(receiver.url, environment)},
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(chance.uniform(0, 0.25))  # This is the case: a random moment.
            load.kill()
            load.wait()
            if os.path.exists(progress) and os.path.getsize(progress) == 8:
                with open(progress, "rb") as file:
                    ended = max(ended, int.from_bytes(file.read(), "little"))
        outcome.records = ended
        last = start_load(machine, receiver.url, "--spans", 0, environment=environment)
        outcome.check_load(last.result(RUN_SECONDS), machine, resumed=None)
        # A number that had ended but was not noted is used again; and what was acknowledged at the moment of death is
        # sent again: two requests in flight.
        outcome.check_received(receiver.stop(), unexplained_max=kills * (1 + 2 * 512))
        outcome.notes["kills"] = kills
        outcome.require(ended > 0, "nothing was recorded before the kills: the case tests nothing")
        lost = ended - outcome.received["unique"]
        if rings:
            outcome.require(lost <= 0, f"{lost} lost although rings were on")
        else:
            outcome.notes["lost in memory"] = max(lost, 0)  # What had not reached the spool: rings are for that.
        return outcome
    return name, run


DURABLE = [
    outage("outage of 10 min, no spool", spool=False),
    outage("outage of 10 min, spool", spool=True),
    disk("disk full", read_only=False),
    disk("disk read-only", read_only=True),
    ("1000 bytes of the spool corrupted", corrupted),
    killed("killed 200 times, spool", spool=True, rings=False),
    killed("killed 200 times, rings", spool=False, rings=True),
    killed("killed 200 times, spool and rings", spool=True, rings=True),
]


def all_cases():
    """(name, function of the machine that gives an Outcome)."""
    return [*MISTREATED, *UNREACHABLE, *TLS, ("collector killed every second", collector_restarts),
            ("clock stepped by an hour", clock_steps), *DURABLE]
