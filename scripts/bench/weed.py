"""Object stores for the benchmarks: SeaweedFS servers that speak S3, on loopback, stopped whatever happens."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

import lab

ACCESS_KEY, SECRET_KEY = "bench", "bench-secret"
SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "seaweedfs"


class Store:
    """One server; `base` is the first of its ports."""

    def __init__(self, work, name, base):
        self.home = work / name
        self.base = base
        self.endpoint = f"http://127.0.0.1:{base}"
        self.process = None

    def start(self):
        program = subprocess.run([SCRIPT], capture_output=True, text=True, check=False)
        if program.returncode:
            raise lab.Failed(program.stderr.strip())
        (self.home / "data").mkdir(parents=True)
        config = self.home / "s3.json"
        config.write_text(json.dumps({"identities": [{
            "name": "bench", "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}))
        ports = iter(range(self.base + 1, self.base + 20))
        arguments = ["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self.home / 'data'}",
                     f"-master.port={next(ports)}", f"-master.port.grpc={next(ports)}", "-master.volumeSizeLimitMB=1024",
                     "-master.telemetry=false", f"-volume.port={next(ports)}", f"-volume.port.grpc={next(ports)}",
                     "-volume.max=100", "-filer", f"-filer.port={next(ports)}", f"-filer.port.grpc={next(ports)}",
                     "-s3", f"-s3.port={self.base}", f"-s3.port.grpc={next(ports)}", "-s3.port.iceberg=0",
                     "-s3.port.lance=0", f"-s3.config={config}"]
        with open(self.home / "log", "wb") as log:
            self.process = subprocess.Popen([program.stdout.strip(), *arguments], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.home, start_new_session=True)
        for _ in range(300):
            if self.answers():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise lab.Failed(f"the object store did not start: {(self.home / 'log').read_text()[-500:]}")

    def answers(self):
        try:
            urllib.request.urlopen(self.endpoint, timeout=2).close()
        except urllib.error.HTTPError:
            return True  # it refuses strangers
        except OSError:
            return False
        return True

    def stop(self):
        """Its data are thrown away: nothing to wait for but the end of the process."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


def rclone_config(work, stores):
    """A configuration that names each store; rclone is found in the PATH."""
    if not shutil.which("rclone"):
        raise lab.Failed("rclone was not found: apt-get install rclone")
    # What this machine's user has for AWS concerns nobody here.
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY, AWS_EC2_METADATA_DISABLED="true")
    lines = []
    for name, store in stores.items():
        lines += [f"[{name}]", "type = s3", "provider = SeaweedFS", f"access_key_id = {ACCESS_KEY}",
                  f"secret_access_key = {SECRET_KEY}", f"endpoint = {store.endpoint}", "force_path_style = true", ""]
    path = work / "rclone.conf"
    path.write_text("\n".join(lines))
    os.environ["RCLONE_CONFIG"] = str(path)


def rclone(*arguments):
    """Runs rclone; the figures of the process."""
    return lab.Child(["rclone", "--stats=0", "--log-level=ERROR", *arguments])
