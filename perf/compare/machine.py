"""What was measured on: whoever compares two results needs it."""

import datetime
import os
import pathlib
import platform
import re
import subprocess

import servers


def first(pattern, path):
    found = re.search(pattern, pathlib.Path(path).read_text(), re.MULTILINE)
    return found[1].strip() if found else ""


def git(*words):
    result = subprocess.run(
        ["git", "-C", str(servers.ROOT), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    return result.stdout.strip() if result.returncode == 0 else ""


def facts(contenders):
    commit = git("rev-parse", "--short", "HEAD")
    return {
        "time": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": commit + (" with changes" if commit and git("status", "--porcelain") else ""),
        "processor": first(r"^model name\s*:\s*(.*)", "/proc/cpuinfo") or platform.machine(),
        "cores": os.cpu_count(),
        "virtual": "hypervisor" in first(r"^flags\s*:\s*(.*)", "/proc/cpuinfo").split(),
        "memory_bytes": int(first(r"^MemTotal:\s*(\d+)", "/proc/meminfo")) * 1024,
        "kernel": platform.release(),
        "distribution": first(r'^PRETTY_NAME="?([^"\n]*)', "/etc/os-release"),
        "servers": {name: {"label": servers.label(name), "version": servers.version(name)} for name in contenders},
    }
