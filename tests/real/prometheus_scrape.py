#!/usr/bin/env python3
"""A real Prometheus scrapes the running shop, and PromQL gives the number of requests that were sent.

usage: prometheus_scrape.py BIN     BIN: the folder of weft-shop-orders, weft-shop-gateway and weft-shop-drive

Exits 77, which ctest takes for "skipped", where there is no Prometheus (Debian package prometheus).
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

SECONDS_MAX = 60  # For everything that is waited for.
ROUTE = "/shop/orders/{id}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(command, **environment):
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})


def url_of(program):
    """The address that a service of ours prints."""
    for line in program.stderr:
        for word in line.split():
            if word.startswith("http://"):
                threading.Thread(target=program.stderr.read, daemon=True).start()  # So that it never blocks.
                return "http://" + word.removeprefix("http://").split("/")[0]
    raise SystemExit(f"{program.args[0]} ended without an address")


def ask(prometheus, query):
    """The value of an instant query, or None while there is none."""
    url = f"{prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            result = json.load(answer)["data"]["result"]
    except (urllib.error.URLError, ConnectionError):
        return None
    return float(result[0]["value"][1]) if result else None


def wait_for(prometheus, query, wanted):
    end = time.monotonic() + SECONDS_MAX
    seen = None
    while time.monotonic() < end:
        seen = ask(prometheus, query)
        if seen == wanted:
            return
        time.sleep(0.2)  # Between two looks; the end is a condition.
    raise SystemExit(f"{query} is {seen}, wanted {wanted}")


def main():
    programs = sys.argv[1]
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        print("skipped: no Prometheus on this machine (Debian package prometheus)")
        return 77
    running = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            quiet = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
            orders = start([f"{programs}/weft-shop-orders", "--port", "0"], **quiet)
            running.append(orders)
            orders_url = url_of(orders)
            metrics_port = free_port()
            gateway = start(
                [f"{programs}/weft-shop-gateway", "--port", "0", "--orders", orders_url],
                **{**quiet, "OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
                   "OTEL_EXPORTER_PROMETHEUS_PORT": str(metrics_port), "OTEL_SERVICE_NAME": "gateway"})
            running.append(gateway)
            gateway_url = url_of(gateway)
            with open(f"{folder}/prometheus.yml", "w", encoding="utf-8") as file:
                file.write("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: shop\n"
                           f"  static_configs: [{{targets: ['127.0.0.1:{metrics_port}']}}]\n")
            server_port = free_port()
            server = f"http://127.0.0.1:{server_port}"
            log = open(f"{folder}/log", "w", encoding="utf-8")
            running.append(subprocess.Popen(
                [prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                 f"--web.listen-address=127.0.0.1:{server_port}", "--enable-feature=exemplar-storage"],
                stdout=log, stderr=log))
            wait_for(server, 'up{job="shop"}', 1)
            drive = subprocess.run(
                [f"{programs}/weft-shop-drive", "--url", gateway_url, "--seconds", "2", "--rate", "500"],
                stdout=subprocess.PIPE, text=True, check=True)
            sent = json.loads(drive.stdout)["requests"]
            count = f'http_server_request_duration_seconds_count{{http_route="{ROUTE}"}}'
            wait_for(server, f"sum({count})", sent)
            buckets = f'http_server_request_duration_seconds_bucket{{http_route="{ROUTE}",le="+Inf"}}'
            wait_for(server, f"sum({buckets})", sent)
            wait_for(server, 'count(target_info{service_name="gateway"})', 1)
            print(f"{sent} requests sent, {sent} counted by Prometheus")
            return 0
        finally:
            for program in reversed(running):
                program.send_signal(signal.SIGTERM)
            for program in running:
                try:
                    program.wait(10)
                except subprocess.TimeoutExpired:
                    program.kill()


if __name__ == "__main__":
    sys.exit(main())
