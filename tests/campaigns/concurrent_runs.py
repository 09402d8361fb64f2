# SPDX-License-Identifier: MIT
"""Commands that get into each other's way: the same target, the same run folder, the same spool, at the same time.

One does the work; the others wait, find nothing left to do, or say who is in their way, and change nothing. In the end the content is that of one
run alone, and of a spool each set was replayed once.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import time

import support.campaign as campaign
import support.state as state

import managed

pipeline = campaign.pipeline

MODULES = 500
TRAPS = [f"--trap={trap}" for trap in ("unknown-status=3", "orphan-module=2", "duplicate-module=2")]
QUICK = {"resend_ms": 100, "linger_ms": 200, "heartbeat_ms": 20, "window_bytes": 65536}


def prepare(folder):
    exports = [pipeline.generate(folder / name, "--modules", MODULES, "--modules-per-audit", 100, "--revision", revision, *TRAPS)
               for name, revision in (("first", 0), ("second", 2))]
    targets, expected = [], []
    for number in range(2):
        target = folder / f"{number}.db"
        if number:
            shutil.copy(targets[-1], target)
        pipeline.run(exports[number], target, "--run-dir", folder / "r", expect=3)
        targets.append(target)
        expected.append({name: rows for name, rows in state.of(target, number + 1).items() if name not in state.BOOKS})
    return exports, targets, expected


def configure(case, name="c", **settings):
    path = case.folder / f"{name}.json"
    path.write_text(json.dumps({**QUICK, "batch_bytes": case.chance.choice((1000, 4000, 20000)), "transformers": case.chance.randint(1, 2),
                                **settings}))
    return path


def at_once(case, commands, codes):
    """All commands, begun within some milliseconds, each to its end. Each ends with a code of `codes` and, if that is a refusal, says why."""
    started = []
    for number, command in enumerate(commands):
        log = open(case.folder / f"log-{number}", "w+", encoding="utf-8", errors="replace")
        started.append((command, case.start(command, stderr=log, stdout=log), log))
        time.sleep(case.chance.choice((0, case.chance.expovariate(200), case.chance.expovariate(10))))
    ended = []
    for command, process, log in started:
        code = process.wait(timeout=pipeline.DEADLINE)
        log.seek(0)
        text = log.read()
        said = f"{' '.join(map(str, command))} ended with {code}\n{text[-3000:]}"
        assert code in codes, said
        # A verify that reads when another's run has ended may well find that the target is not as its own export says: its last line says so.
        reason = r"^The target does not hold what was exported: " if code == 4 and "verify" in command else r"^pvrelay: [A-Z_]+: \S"
        assert code in (0, 3) or re.search(reason, text, re.MULTILINE), f"no reason given: {said}"
        ended.append(code)
    case.count(inputs=len(commands), faults=len(commands) - 1)
    return ended


def same_target(case):
    """Several runs of one export on one target, each with a run folder of its own."""
    exports, _, expected = case.shared
    target = case.folder / "hub.db"
    commands = [pipeline.run_command(exports[0], target, "--config", configure(case, f"c{number}"), "--run-dir", case.folder / f"r{number}")
                for number in range(case.chance.randint(2, 4))]
    ended = at_once(case, commands, {3, 5})
    assert 3 in ended, f"nobody came through: {ended}"
    state.assert_idle_after(target, 1)
    state.assert_same(expected[0], pipeline.dump(target), "same target")


def same_run_folder(case):
    """Runs with one run folder: on one target, or each on its own. Who was refused comes through when it is given again."""
    exports, _, expected = case.shared
    own = case.chance.random() < 0.5
    targets = [case.folder / (f"hub{number}.db" if own else "hub.db") for number in range(case.chance.randint(2, 3))]
    config = configure(case)
    commands = [pipeline.run_command(exports[0], target, "--config", config, "--run-dir", case.folder / "r") for target in targets]
    ended = at_once(case, commands, {3, 5, 1})
    assert 3 in ended, f"nobody came through: {ended}"
    for command, target, code in zip(commands, targets, ended):
        if code != 3:
            again = case.run(command)
            assert again.returncode == 3, f"given again: {again.returncode}\n{again.stderr[-3000:]}"
        state.assert_same(expected[0], pipeline.dump(target), "same run folder")


def all_commands(case):
    """Load, rollback, retry, name, verify, status on one target at once; then, alone, the load once more."""
    exports, targets, expected = case.shared
    target, chance = case.folder / "hub.db", case.chance
    shutil.copy(targets[0], target)
    pvrelay = pipeline.BIN / "pvrelay"
    run = pipeline.run_command(exports[1], target, "--config", configure(case), "--run-dir", case.folder / "r")
    checkpoint = pipeline.query(target, "SELECT max(checkpoint) FROM pvrelay_checkpoint")[0][0]
    rest = [[pvrelay, "rollback", "--target", target, "--to", checkpoint], [pvrelay, "retry-rejects", "--target", target],
            [pvrelay, "checkpoint", f"name{chance.randrange(9)}", "--target", target], [pvrelay, "verify", *exports[0], "--target", target],
            [pvrelay, "status", "--target", target], [pvrelay, "checkpoints", "--target", target], [pvrelay, "migrate", "--target", target],
            [pvrelay, "inspect", target], [pvrelay, "rejects", "--target", target]]
    commands = [run, *chance.choices(rest, k=chance.randint(2, 5))]
    chance.shuffle(commands)
    # verify may see rows of the second export (4), a name may be taken (1), a load be met in the middle by a rollback (1, 6).
    at_once(case, commands, {0, 1, 3, 4, 5, 6})
    end = time.monotonic() + pipeline.DEADLINE
    while (again := case.run(run)).returncode != 3:
        assert again.returncode == 6 and time.monotonic() < end, f"the load alone: {again.returncode}\n{again.stderr[-3000:]}"
    content = pipeline.dump(target)
    state.assert_same(expected[1], content, "all commands")
    state.assert_sound(target, "all commands")


def same_spool(case):
    """Two managers of one spool and one target; one of them may be killed while the other waits."""
    exports, _, expected = case.shared
    target, spool = case.folder / "hub.db", case.folder / "in"
    spool.mkdir()
    names = ("1-first", "2-second")
    for number, name in enumerate(names):
        (spool / name).mkdir()
        for path in exports[number]:
            shutil.copy(path, spool / name)
    with contextlib.ExitStack() as ended:
        managers = []
        for place in ("a", "b"):
            (case.folder / place).mkdir()
            managers.append(ended.enter_context(managed.Managed(case.folder / place, {"spool": str(spool)}, target, **QUICK, batch_bytes=4000)))
        for manager in managers:
            manager.start_manager()

        def serve():
            """Daemons for whoever has a configuration; a manager that was refused is asked again, as systemd would."""
            for manager in managers:
                manager.turn()
                if (manager.run_dir / "config.json").exists() and "manager" not in manager.ended:
                    for name in managed.STAGES:
                        if name not in manager.processes or name in manager.ended:
                            manager.start_stage(name)
                elif manager.ended.get("manager", 0) > 0:
                    assert re.search(r"pvrelay: [A-Z_]+: \S", manager.text()), manager.text()[-3000:]
                    manager.start_manager()
                    case.count(faults=1)
            return all((spool / "done" / name).exists() for name in names)

        try:
            pipeline.wait_until(serve, "both sets to be done", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n==\n".join(manager.text()[-3000:] for manager in managers)) from None
        for manager in managers:
            for process in manager.processes.values():
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)
    case.count(inputs=2, faults=1)
    state.assert_same(expected[1], pipeline.dump(target), "same spool")
    assert sorted(os.listdir(spool / "done")) == list(names), os.listdir(spool / "done")
    assert pipeline.query(target, "SELECT state, outcome FROM pvrelay_run") == [("complete", 3)] * 2


KINDS = (same_target, same_run_folder, all_commands, same_spool)


def one_meeting(case):
    KINDS[case.number % len(KINDS)](case)


campaign.main(one_meeting, __doc__, prepare)
