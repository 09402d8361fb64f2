# SPDX-License-Identifier: MIT
"""A small HUB: serves the /api/el routes from a migrated database, in the HUB's shape, on 127.0.0.1.

    with HubApi("hub.db") as hub: ... hub.url ...        python3 hub_api.py hub.db: prints its URL, serves until interrupted
"""

import contextlib
import http.server
import json
import pathlib
import sqlite3
import sys
import threading
import urllib.parse

MAPPING = pathlib.Path(__file__).resolve().parents[2] / "mappings" / "el-to-hub.json"
LIST = "/api/el/dashboard/audits"
AUDIT = "/api/el/audit/"


class Reply:
    """What is sent: a status, headers, and the body's pieces (any iterable of bytes)."""

    def __init__(self, pieces, status=200, **headers):
        self.pieces = [pieces] if isinstance(pieces, bytes) else pieces
        self.status = status
        self.headers = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}


class HubApi:
    """A server with a thread of its own. tamper(path, document) may change what is answered, or return a Reply instead."""

    def __init__(self, database, tamper=None):
        self.database = str(database)
        self.tamper = tamper or (lambda path, document: document)
        self.asked = []  # the paths, in order
        self.agents = set()
        # The legacy words: the value map backwards; the first of several with the same result, as they are never told apart.
        words = json.loads(MAPPING.read_text())["value_maps"]["defect_type"]
        self.word_of = {defect: word for word, defect in reversed(words.items())}

    def __enter__(self):
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802, the library's name
                path = urllib.parse.unquote(self.path)
                hub.asked.append(path)
                hub.agents.add(self.headers["User-Agent"])
                reply = hub.reply(path)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # they may hang up at any time
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    for piece in reply.pieces:
                        self.wfile.write(piece)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def reply(self, path):
        document = self.tamper(path, self.document(path))
        if isinstance(document, Reply):
            return document
        if document is None:
            return Reply(b'{"error": "not found"}', 404)
        return Reply(json.dumps(document, ensure_ascii=False).encode())

    def document(self, path):
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            if path == LIST:
                return self.list_of(db)
            if path.startswith(AUDIT):
                return self.audit_of(db, path[len(AUDIT):])
        return None

    def counts(self, db, token):
        rows = db.execute("SELECT defect_type, count(*) AS n FROM el_modules WHERE audit_token = ? GROUP BY 1", (token,)).fetchall()
        found = dict.fromkeys(self.word_of.values(), 0)
        for row in rows:
            if row["defect_type"] in self.word_of:
                found[self.word_of[row["defect_type"]]] += row["n"]
        total = sum(row["n"] for row in rows)
        return {"total": total, "completed": total - found["pending"], **found}

    def list_of(self, db):
        audits = []
        for row in db.execute("SELECT * FROM el_audits ORDER BY id"):
            counts = {f"modules_{name}": count for name, count in self.counts(db, row["audit_token"]).items()}
            audits.append({"token": row["audit_token"], "project_name": row["project_name"], "client_name": row["client_name"],
                           "location": row["location"], "status": row["status"], "total_modules": row["total_modules"],
                           "completion_rate": row["completion_rate"], **counts})
        return {"success": True, "audits": audits, "stats": {"total_audits": len(audits)}}

    def audit_of(self, db, token):
        row = db.execute("SELECT * FROM el_audits WHERE audit_token = ?", (token,)).fetchone()
        if row is None:
            return None
        modules = [{**dict(module), "module_id": module["module_identifier"], "status": self.word_of.get(module["defect_type"])}
                   for module in db.execute("SELECT * FROM el_modules WHERE audit_token = ? ORDER BY id", (token,))]
        return {"audit": {**dict(row), "token": row["audit_token"]}, "modules": modules, "progress": self.counts(db, token)}


if __name__ == "__main__":
    with HubApi(sys.argv[1]) as served:
        print(served.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            served.thread.join()
