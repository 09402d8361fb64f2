# SPDX-License-Identifier: MIT
"""A managed run in a really booted systemd: the package is installed, targets are started, units are killed, stopped and restarted.

Outside the sandbox (systemd_sandbox.sh): build the package, make exports, run what there is to compare with. Inside, as root: the tests.
There is no journal inside: the units write to a file."""

import http.client
import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import unittest

import pipeline

HERE = pathlib.Path(__file__).resolve()
STAGES = ("reader", "transformer", "writer", "validator")
ALL = ("manager", *STAGES)
MODULES = int(os.environ.get("PVRELAY_MANAGED_MODULES", "80000"))
STATE = pathlib.Path("/var/lib/pvrelay")
LOG = pathlib.Path("/run/units.log")
# Small commits make a long run of a small export.
SLOW = {"batch_bytes": 1024, "window_bytes": 65536, "resend_ms": 200}


# ---- Outside

def pack(work):
    """The package of the build tree; it has fault points, which sleep."""
    done = subprocess.run(["cpack", "-G", "DEB", "--config", pipeline.BIN.parent / "CPackConfig.cmake", "-B", work / "package",
                           "-D", "CPACK_DEBIAN_COMPRESSION_TYPE=gzip"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (package,) = (work / "package").glob("*.deb")
    package.rename(work / "pvrelay.deb")
    shutil.rmtree(work / "package")


def outside():
    for program in ("cpack", "dpkg-shlibdeps", "systemctl"):
        if shutil.which(program) is None:
            print(f"no {program} here (Debian packages cmake, dpkg-dev, systemd)")
            return 77
    sandbox = HERE.parent / "systemd_sandbox.sh"
    tried = subprocess.run([sandbox, "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        print(tried.stdout + tried.stderr)
        return tried.returncode
    with pipeline.folder() as work:
        pack(work)
        pipeline.run(pipeline.generate(work / "large", "--modules", MODULES), work / "large.db")
        for revision in range(3):
            exports = pipeline.generate(work / f"small-{revision}", "--modules", 1000, "--revision", revision)
            pipeline.run(exports, work / "small.db")
        return subprocess.run([sandbox, "--share", work, "--share", HERE.parent, sys.executable, "-B", HERE, "--inside", work,
                               *sys.argv[1:]], stderr=subprocess.STDOUT).returncode


# ---- Inside

def systemctl(*arguments, expect=0):
    done = subprocess.run(["systemctl", "--no-pager", *arguments], capture_output=True, text=True)
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"systemctl {arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}\n{log_tail()}")
    return done.stdout + done.stderr


def log_tail():
    return "\n".join(LOG.read_text().splitlines()[-40:]) if LOG.exists() else ""


def show(unit, *properties):
    values = systemctl("show", *(f"--property={name}" for name in properties), unit)
    found = dict(line.split("=", 1) for line in values.splitlines())
    return found[properties[0]] if len(properties) == 1 else tuple(found[name] for name in properties)


def state(unit):
    return show(unit, "ActiveState")


def service(name, instance):
    return f"pvrelay-{name}@{instance}.service"


def target(instance):
    return f"pvrelay@{instance}.target"


def failed(instance):
    return f"pvrelay-failed@{instance}.target"


def pids(instance):
    told = systemctl("show", "--property=MainPID", *(service(name, instance) for name in ALL))
    return {name: int(line.split("=")[1]) for name, line in zip(ALL, told.split("\n\n"))}


def wait_for(unit, wanted):
    try:
        pipeline.wait_until(lambda: state(unit) == wanted, f"{unit} to be {wanted}", 30)
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {state(unit)}\n{systemctl('list-units', '--all', 'pvrelay*')}\n{log_tail()}") from None


def drop_in(unit, name, text):
    folder = pathlib.Path("/etc/systemd/system") / f"{unit}.d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.conf").write_text(text)
    systemctl("daemon-reload")


def remember(instance):
    """systemd forgets a unit that is at rest and was not failed, and with it how it ended; unless an active one names it."""
    drop_in("sandbox.service", f"remember-{instance}", "[Unit]\n" + "".join(f"After={service(name, instance)}\n" for name in ALL))


def give(path):
    """Hand a file or a folder to the user of the units."""
    user = pwd.getpwnam("pvrelay")
    for each in (path, *path.rglob("*")):
        os.chown(each, user.pw_uid, user.pw_gid)
    return path


def copy(source, to):
    return give(pathlib.Path(shutil.copytree(source, to) if source.is_dir() else shutil.copy(source, to)))


def configure(instance, **settings):
    path = pathlib.Path(f"/etc/pvrelay/{instance}.json")
    path.write_text(json.dumps(settings))
    os.chown(path, 0, pwd.getpwnam("pvrelay").pw_gid)
    path.chmod(0o640)


class Managed(unittest.TestCase):
    work = None  # what was made outside

    @classmethod
    def setUpClass(cls):
        done = subprocess.run(["dpkg", "-i", cls.work / "pvrelay.deb"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        drop_in("pvrelay-@.service", "log", f"[Service]\nStandardOutput=append:{LOG}\nStandardError=append:{LOG}\n")

    def assert_at_rest(self, instance):
        """All of a run has ended, and well."""
        wait_for(target(instance), "inactive")
        for name in ALL:
            self.assertEqual(show(service(name, instance), "ActiveState", "Result"), ("inactive", "success"), f"{name}\n{log_tail()}")
        self.assertEqual(state(failed(instance)), "inactive")
        self.assertFalse(pathlib.Path(f"/run/pvrelay/{instance}").exists(), "the run folder is still there")

    def assert_only(self, instance, name, before):
        """Of the units only this one is another process than before."""
        now = pids(instance)
        self.assertNotEqual(now[name], before[name], name)
        self.assertEqual({**now, name: 0}, {**before, name: 0}, f"{name} has moved others")

    def report(self, database, run=1):
        return json.loads((STATE / f"{database}-reports/run-{run}/report.json").read_text())

    def strike(self, instance, database, name, how):
        """One unit is struck in the middle of the run; it comes back alone, and the run moves on."""
        done = pipeline.checkpoints(database)
        pipeline.wait_until(lambda: pipeline.checkpoints(database) > done, "a commit", 30)
        before = pids(instance)
        self.assertGreater(before[name], 1, f"{name}\n{log_tail()}")
        if how == "restart":
            systemctl("restart", service(name, instance))
        else:
            os.kill(before[name], how)
        pipeline.wait_until(lambda: pids(instance)[name] not in (0, before[name]), f"another {name}", 30)
        wait_for(service(name, instance), "active")
        self.assert_only(instance, name, before)
        self.assertEqual((state(target(instance)), state(failed(instance))), ("active", "inactive"))

    def test_1_every_unit_is_struck_and_the_run_completes(self):
        # What takes time in the real ones: a second between two starts, half a minute without a sign of life.
        drop_in("pvrelay-@demo.service", "quick", "[Service]\nRestartSec=100ms\nWatchdogSec=2s\n")
        copy(self.work / "large", STATE / "demo")
        database = STATE / "hub.db"
        settings = {"target": str(database), "sources": [str(path) for path in sorted((STATE / "demo").iterdir())], "transformers": 2}
        configure("demo", **settings, **SLOW)
        remember("demo")
        systemctl("start", target("demo"))
        pipeline.wait_until(lambda: pipeline.checkpoints(database) > 1, "the first commit", 30)
        self.assertEqual(show(service("reader", "demo"), "WatchdogUSec", "RestartUSec"), ("2s", "100ms"))
        for name in ALL:
            self.strike("demo", database, name, signal.SIGKILL)
            self.strike("demo", database, name, "restart")
        for name in ALL:
            self.strike("demo", database, name, signal.SIGSTOP)
        self.strike("demo", database, "validator", signal.SIGTERM)  # not by systemd: it is needed, and comes back
        self.assertRegex(show(service("writer", "demo"), "StatusText"), r"[0-9]")

        systemctl("stop", target("demo"))
        self.assert_at_rest("demo")
        self.assertEqual(pipeline.query(database, "SELECT run, state FROM pvrelay_run"), [(1, "streaming")], "the strikes came too late")
        configure("demo", **settings)  # enough of that: the rest in large commits
        systemctl("start", target("demo"))
        self.assert_at_rest("demo")
        self.assertEqual(pipeline.query(database, "SELECT run, state FROM pvrelay_run"), [(1, "complete")])
        pipeline.assert_accounted(self, database)
        pipeline.assert_same_dump(self, pipeline.dump(self.work / "large.db"), pipeline.dump(database))
        report = self.report("hub.db")
        self.assertEqual((report["verdict"], report["outcome"]), ("good", 0))
        for name in ALL:
            self.assertRegex("{} {}".format(*show(service(name, "demo"), "ExecMainStatus", "StatusText")), "^0 (1: )?complete", name)

    def test_2_a_bad_configuration(self):
        configure("bad", target=str(STATE / "bad.db"), sources=["/var/lib/pvrelay/none.json"], transformer=2)
        systemctl("start", target("bad"))
        wait_for(failed("bad"), "active")
        self.assertEqual(state(target("bad")), "inactive")
        self.assertEqual(show(service("manager", "bad"), "ActiveState", "Result", "NRestarts"), ("failed", "exit-code", "0"))
        status = systemctl("status", service("manager", "bad"), expect=3)
        self.assertRegex(status, r"ExecStartPre=/usr/bin/pvrelay manage --check --config /etc/pvrelay/bad.json \(code=exited, status=1/FAILURE\)")
        told = [line for line in LOG.read_text().splitlines() if "bad.json" in line]
        self.assertTrue(told and all("CONFIG: /etc/pvrelay/bad.json: " in line and '"transformer"' in line for line in told), told)
        for name in STAGES:
            self.assertIn(state(service(name, "bad")), ("inactive", "failed"))
        self.assertFalse((STATE / "bad.db").exists())
        self.assertIn("Assertion failed on job for pvrelay@nobody.target", systemctl("start", target("nobody"), expect=1))
        # The mapping is looked into as well.
        configure("bad", target=str(STATE / "bad.db"), sources=["/var/lib/pvrelay/none.json"], mapping="/etc/pvrelay/none.json")
        systemctl("start", target("bad"))
        wait_for(failed("bad"), "active")
        self.assertIn("/etc/pvrelay/none.json", log_tail())

    def test_3_an_export_that_is_malformed(self):
        good = self.work / "small-0"
        copy(good, STATE / "torn")
        modules = sorted((STATE / "torn").iterdir())[-1]
        whole = modules.read_bytes()
        modules.write_bytes(whole[:len(whole) // 2])
        database = STATE / "torn.db"
        configure("torn", target=str(database), sources=[str(path) for path in sorted((STATE / "torn").iterdir())])
        systemctl("start", target("torn"))
        wait_for(failed("torn"), "active")
        self.assertEqual(state(target("torn")), "inactive")
        self.assertEqual(show(service("reader", "torn"), "ActiveState", "Result", "ExecMainStatus", "NRestarts"), ("failed", "exit-code", "2", "0"))
        why = show(service("reader", "torn"), "StatusText")
        self.assertRegex(why, rf"^stopped: TRUNCATED: {modules}")
        self.assertIn(why, systemctl("status", service("reader", "torn"), expect=3))
        for name in ALL:
            self.assertIn(show(service(name, "torn"), "ActiveState", "NRestarts"), (("failed", "0"), ("inactive", "0")), name)
            # By itself (1) with 2 or 6; or killed (2) by SIGTERM: stopped by systemd before it listened to signals.
            self.assertIn(show(service(name, "torn"), "ExecMainCode", "ExecMainStatus"), (("1", "2"), ("1", "6"), ("2", "15")), name)
        self.assertEqual(show(service("manager", "torn"), "ExecMainStatus"), "2", log_tail())
        (path,) = STATE.glob("torn.db-reports/*/report.json")
        report = json.loads(path.read_text())
        self.assertEqual((report["error"]["exit_code"], report["error"]["name"]), (2, "TRUNCATED"))
        # Mended, and started again: the mark goes, and the run completes.
        modules.write_bytes(whole)
        systemctl("start", target("torn"))
        self.assert_at_rest("torn")
        reference = STATE / "reference.db"
        subprocess.run(["pvrelay", "run", *sorted(good.iterdir()), "--target", reference, "--progress", "none"], check=True, stdout=subprocess.DEVNULL)
        pipeline.assert_same_dump(self, pipeline.dump(reference), pipeline.dump(database))

    def test_4_a_stage_that_crashes_again_and_again(self):
        drop_in("pvrelay-reader@loop.service", "crash", "[Service]\nRestartSec=10ms\nExecStart=\nExecStart=/bin/sh -c 'kill -SEGV $$$$'\n")
        copy(self.work / "small-0", STATE / "loop")
        configure("loop", target=str(STATE / "loop.db"), sources=[str(path) for path in sorted((STATE / "loop").iterdir())])
        systemctl("start", target("loop"))
        wait_for(failed("loop"), "active")
        result, restarts = show(service("reader", "loop"), "ActiveState", "NRestarts")
        self.assertEqual((result, int(restarts)), ("failed", 20))
        for name in ("manager", "transformer", "writer", "validator"):
            self.assertEqual(show(service(name, "loop"), "ActiveState", "ExecMainStatus"), ("inactive", "6"), name)

    def test_5_spool_and_monitor(self):
        spool = STATE / "incoming"
        spool.mkdir()
        give(spool)
        database = STATE / "spool.db"
        configure("spool", target=str(database), sources={"spool": str(spool)})
        systemctl("start", target("spool"))
        systemctl("start", "pvrelay-monitor@spool.service")
        for revision in range(3):
            copy(self.work / f"small-{revision}", spool / f"set-{revision}.tmp").rename(spool / f"set-{revision}")
            if revision == 0:
                (spool / "torn.tmp").write_text('[{"id": 1,')
                give(spool / "torn.tmp").rename(spool / "torn.json")
                pipeline.wait_until(lambda: (spool / "failed/torn.json").exists(), "the torn set in failed/", 30)
        pipeline.wait_until(lambda: (spool / "done/set-2").exists(), f"the last set in done/\n{log_tail()}", 30)
        self.assertEqual(sorted(path.name for path in (spool / "done").iterdir()), ["set-0", "set-1", "set-2"])
        self.assertTrue(all((folder / "report.md").exists() for folder in (*(spool / "done").iterdir(), *(spool / "failed").iterdir())))
        self.assertEqual(json.loads((spool / "failed/torn.json/report.json").read_text())["error"]["exit_code"], 2)
        pipeline.assert_same_dump(self, pipeline.dump(self.work / "small.db"), pipeline.dump(database))
        self.assertEqual((state(target("spool")), state(failed("spool"))), ("active", "inactive"))
        before = pids("spool")
        self.assertTrue(all(before.values()), before)

        self.assertEqual(pipeline.wait_until(lambda: self.ask("/readyz")[0] == 200, "the monitor to be ready", 10), True)
        code, metrics = self.ask("/metrics")
        self.assertEqual(code, 200)
        for stage in STAGES:
            self.assertRegex(metrics, rf'(?m)^pvrelay_stage_up\{{stage="{stage}".*\}} 1$')
        systemctl("restart", "pvrelay-monitor@spool.service")
        self.assertEqual(pids("spool"), before)

        # An upgrade leaves alone what runs, and says so.
        done = subprocess.run(["dpkg", "-i", self.work / "pvrelay.deb"], capture_output=True, text=True, check=True)
        self.assertIn("pvrelay: these go on with the version that they were started with; when it suits you: systemctl restart"
                      " pvrelay-monitor@spool.service pvrelay@spool.target\n", done.stdout)
        self.assertEqual(pids("spool"), before)

        systemctl("stop", target("spool"))
        self.assert_at_rest("spool")
        self.assertEqual(state("pvrelay-monitor@spool.service"), "active")
        pipeline.wait_until(lambda: self.ask("/readyz")[0] == 503, "the monitor to say that nothing is up", 10)

    def ask(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", 9478, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def test_6_a_monitor_without_its_port_is_a_failed_start(self):
        configure("other", target=str(STATE / "spool.db"), sources={"spool": str(STATE / "incoming")})
        self.assertIn("pvrelay-monitor@other.service failed", systemctl("start", "pvrelay-monitor@other.service", expect=1))
        self.assertEqual(show("pvrelay-monitor@other.service", "ActiveState", "ExecMainStatus", "NRestarts"), ("failed", "1", "0"))
        self.assertIn("127.0.0.1:9478", log_tail())

    def test_7_removing_the_package_stops_what_runs(self):
        # In whatever order, and however soon.
        remember("spool")
        systemctl("start", target("spool"))
        for name in ALL:
            wait_for(service(name, "spool"), "active")
        systemctl("stop", service("manager", "spool"))  # with its folder; the others have nobody left to wait for
        self.assert_at_rest("spool")
        for _ in range(5):
            systemctl("start", target("spool"))
            systemctl("stop", target("spool"))
            self.assert_at_rest("spool")
        systemctl("start", target("spool"))
        done = subprocess.run(["dpkg", "--purge", "pvrelay"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(systemctl("list-units", "--no-legend", "--state=active,activating,deactivating", "pvrelay*"), "")
        self.assertIn("pvrelay: /var/lib/pvrelay is kept", done.stdout)
        self.assertTrue((STATE / "hub.db").exists())
        self.assertEqual(list(STATE.glob("*-reports")), [])
        self.assertFalse(pathlib.Path("/etc/pvrelay").exists())
        self.assertFalse(pathlib.Path("/run/pvrelay").exists())


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "--inside":
        assert os.environ.get("PVRELAY_SANDBOX") == "1"
        Managed.work = pathlib.Path(sys.argv[2])
        unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
    sys.exit(outside())
