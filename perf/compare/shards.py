"""Two shards: the time of a crossing between them, and what the second core brings (`apus sim --rings`, `--scale`)."""

import re
import subprocess

import servers


def measure():
    """{"crossing_ns": {messages at once: [median, p99]}, "two_over_one": {"pipeline P, own|random keys": ratio}}"""
    crossing = re.findall(r"^\s*(\d+)\s+(\d+)\s+(\d+)\s*$", told("--rings"), re.MULTILINE)
    scale = re.findall(r"^\s*(\d+)\s+(own|random)\s+\d+\s+\d+\s+([\d.]+)\s*$", told("--scale"), re.MULTILINE)
    if not crossing or not scale:
        raise RuntimeError("apus sim --rings and --scale told nothing that is understood")
    return {
        "crossing_ns": {messages: [int(median), int(p99)] for messages, median, p99 in crossing},
        "two_over_one": {f"pipeline {pipeline}, {keys} keys": float(ratio) for pipeline, keys, ratio in scale},
    }


def told(option):
    result = subprocess.run(
        [str(servers.APUS), "sim", option],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    if result.returncode != 0:
        raise RuntimeError(f"apus sim {option}: exit status {result.returncode}\n{result.stdout[-500:]}")
    return result.stdout
