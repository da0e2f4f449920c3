"""Hostile requests, each by the name of its trick, as the bytes that go over the wire."""

# ruff: noqa: E501 (one trick a line)

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

HOST = b"127.0.0.1"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class HostileRequest:
    """sent: what goes over the wire; a piece at a time with a wait between where there are several.

    allowed: statuses that are right; empty takes any below 500, and a connection that is closed.
    """

    sent: tuple[bytes, ...]
    allowed: frozenset[int] = frozenset()


def _http(
    method: str,
    path: str | bytes,
    body: bytes = b"",
    headers: list[bytes] | None = None,
    *,
    kind: bytes | None = b"application/json",
    host: bytes | None = HOST,
    length: bool = True,
) -> bytes:
    lines = [method.encode() + b" " + (path if isinstance(path, bytes) else path.encode()) + b" HTTP/1.1"]
    if host is not None:
        lines.append(b"Host: " + host)
    if kind is not None and (body or method == "POST"):
        lines.append(b"Content-Type: " + kind)
    if length and (body or method in ("POST", "PUT", "PATCH")):
        lines.append(b"Content-Length: %d" % len(body))
    lines += [*(headers or []), b"Connection: close"]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _bodies() -> dict[str, bytes]:
    def question(value: object) -> bytes:
        return json.dumps({"question": value}).encode()

    deep = 50_000
    return {
        "half an object": b'{"question": "a',
        "a comma too many": b'{"question": "a",}',
        "single quotes": b"{'question': 'a'}",
        "a comment": b'{"question": "a"} // b',
        "two objects": b'{"question": "a"}{"question": "b"}',
        "an array": b"[]",
        "a number": b"7",
        "null": b"null",
        "nothing": b"",
        "blanks": b"   ",
        "a zero byte": b"\0",
        "bytes that are no text": b"\xff\xfe\x00",
        "UTF-16": '{"question": "a"}'.encode("utf-16"),
        "a byte order mark": b"\xef\xbb\xbf" + question("a"),
        "arrays nested deep": b"[" * deep,
        "objects nested deep": b'{"a":' * deep,
        "closed arrays nested deep": b'{"question": ' + b"[" * deep + b"]" * deep + b"}",
        "a number of 100,000 digits": b'{"question": ' + b"9" * 100_000 + b"}",
        "a number past all floats": b'{"question": 1e999999}',
        "NaN": b'{"question": NaN}',
        "infinity": b'{"question": -Infinity}',
        "a lone surrogate": b'{"question": "\\ud800"}',
        "a zero in the text": b'{"question": "a\\u0000b"}',
        "a broken escape": b'{"question": "\\u12"}',
        "a raw line break": b'{"question": "a\nb"}',
        "the key twice": b'{"question": "a", "question": 7}',
        "a key of a prototype": b'{"question": "a", "__proto__": {"admin": true}}',
        "a class for a key": b'{"question": "a", "__class__": {"__init__": {"__globals__": 1}}}',
        "100,000 keys": b"{" + b",".join(b'"k%d":1' % n for n in range(60_000)) + b"}",
        "a list for a text": question(["a"]),
        "an object for a text": question({"$ne": None}),
        "a truth for a text": question(True),
        "SQL": question("'; drop table documents; -- ' or '1'='1"),
        "a path": question("../../../../etc/passwd"),
        "a template": question("{{7*7}} ${7*7} #{7*7} <%= 7*7 %>"),
        "a format string": question("%s%n%x {0.__class__} {settings}"),
        "a script": question("<script>alert(1)</script>"),
        "terminal codes": question("\x1b[2J\x1b]0;pwned\x07"),
        "turned letters": question("\u202e\u2066abc"),
        "unseen letters": question("\u200b\u2060\ufeff"),
        "a pile of marks": question("e" + "\u0301" * 3000),
        "too long": question("a" * 5000),
        "far too long": question("a" * 1_200_000),
        "an unknown key": b'{"question": "a", "admin": true, "role": "admin"}',
        "a session that is a path": b'{"question": "a", "session_id": "../../x"}',
        "a filter of SQL": json.dumps({"question": "a", "filter": {"types": ["' or 1=1 --"], "tags": ["\\"]}}).encode(),
        "a filter of huge ids": b'{"question": "a", "filter": {"document_ids": [99999999999999999999999]}}',
        "a filter of 100,000 ids": json.dumps({"question": "a", "filter": {"document_ids": [*range(100_000)]}}).encode(),
        "a huge k": b'{"question": "a", "k": 1e308, "top_n": -1}',
        "a reranker that is a module": b'{"question": "a", "reranker": "os.system"}',
        "a pipeline that is code": b'{"question": "a", "pipeline": "__import__(\'os\')"}',
    }  # fmt: skip


_JSON_ROUTES = (
    "/api/ask",
    "/chat/ask",
    "/api/search",
    "/api/chat/sessions",
    f"/api/chat/sessions/{UNKNOWN}/messages",
    "/v1/chat/completions",
)


def _json() -> Iterator[tuple[str, HostileRequest]]:
    for route in _JSON_ROUTES:
        for trick, body in _bodies().items():
            short = route.replace(UNKNOWN, "ID")
            yield f"POST {short}: {trick}", HostileRequest((_http("POST", route, body),))


def _paths() -> Iterator[tuple[str, HostileRequest]]:
    for path in [
        "/../../../../etc/passwd", "/..%2f..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/....//....//etc/passwd",
        "/..%5c..%5cetc%5cpasswd", "/..%c0%af..%c0%afetc/passwd", "/%252e%252e%252fetc%252fpasswd", "//etc/passwd",
        "/static/../../../../etc/passwd", "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/static/..%2f..%2fconfig.toml",
        "/app/static/../../engine/settings.py", "/app/static/%2e%2e/server.py", "/media/../../../etc/passwd",
        "/media/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/media/nothing.html", "/component/../../etc/passwd",
        "/component/streamlit/..%2f..%2f..%2fetc%2fpasswd", "/component/x/%2fetc%2fpasswd", "/_stcore/../../etc/passwd",
        "/_stcore/bidi-components/../../../etc/passwd", "/_stcore/upload_file/x/../../etc/passwd",
        "/.env", "/.git/config", "/.git/HEAD", "/.streamlit/secrets.toml", "/.streamlit/config.toml", "/.dossier/postgres/PG_VERSION",
        "/engine/settings.py", "/requirements.txt", "/server-status", "/actuator/env", "/debug/pprof", "/console", "/phpinfo.php",
        "/api/../.env", "/api/docs/../../../../etc/passwd", "/api/docs/..%2f..%2fetc%2fpasswd", "/api/docs/%00", "/api/docs/.env",
        "/api/documents/..%2f..%2fetc%2fpasswd", "/api/documents/1%00", "/api/documents/-1", "/api/documents/0",
        "/api/documents/99999999999999999999999999", "/api/documents/1e3", "/api/documents/1;drop%20table%20documents",
        "/api/documents/1%20or%201=1", "/api/documents/%F0%9F%92%A9", "/api/documents/%ff%fe", "/api/documents/NaN",
        "/api/documents/0x10", "/api/documents/%D9%A1", "/api/documents/1/../2", "/api/documents//1", "/api/documents/1/",
        "/api/jobs/not-an-id", "/api/jobs/%27%20or%201=1--", "/api/jobs/" + UNKNOWN, "/api/chat/sessions/1",
        "/api/chat/sessions/" + UNKNOWN, f"/api/chat/sessions/{UNKNOWN}/history", "/api/chat/sessions/%2e%2e/x",
        "/api/chat/sessions/{" + UNKNOWN + "}", "/api/chat/sessions/urn:uuid:" + UNKNOWN, "/api%2fdocuments", "/API/documents",
        "/api", "/api/", "/api//", "/v1", "/v1/", "/v1/models/../../etc/passwd", "/metrics/../api/documents", "/health/x",
        "/features/../.env", "/" + "a" * 60_000, "/" + "a/" * 5_000, "/%", "/%zz", "/%00", "/\x7f", "/é", "/?" + "a=1&" * 20_000,
        "/api/documents?" + "tag=x&" * 20_000, "/api/documents#x", "http://evil.example/api/documents", "http://127.0.0.1:22/",
        "*", "?", "api/documents", "/api/documents HTTP/1.1\r\nX: y", "/_stcore/agent/interact", "/_stcore/agent/mcp",
        "/_stcore/metrics", "/_stcore/host-config", "/_stcore/allowed-message-origins", "/oauth2callback?state=x&code=y",
        "/auth/login", "/auth/logout", "/%2f%2fevil.example", "//evil.example/%2e%2e", "/\\evil.example", "/chat?session=<script>",
        "/documents?doc=1%27%20or%201=1", "/documents?doc=99999999999999999999",
    ]:  # fmt: skip
        sent = _http("GET", path.encode("latin-1", "replace"), kind=None)
        yield f"GET {path[:60]!r}", HostileRequest((sent,))


def _queries() -> Iterator[tuple[str, HostileRequest]]:
    for query in [
        "limit=0", "limit=-1", "limit=201", "limit=99999999999999999999", "limit=1e3", "limit=abc", "limit=", "limit=1&limit=2",
        "limit=%00", "limit[]=1", "cursor=x", "cursor=" + "A" * 5_000, "cursor=..%2f..%2f", "cursor=eyJhIjoxfQ", "cursor=%00",
        "sort=updated;drop table documents", "sort=__class__", "sort=", "descending=maybe", "type=%27%20or%201%3d1--", "type=%00",
        "status=admin", "status=%27", "language=%25", "language=_", "tag=%27%29%3b--", "tag=" + "x" * 1_000, "text=%27%20or%20%27",
        "text=%25%25%25%25", "text=%00", "text=" + "x" * 500, "text=%ff%fe", "text=%ed%a0%80", "text=\\", "text=*%3f_", "published_from=now",
        "published_from=0000-00-00", "published_from=9999-99-99", "published_to=-1", "unknown=1", "__proto__=1", "&&&&", "=", "%",
    ]:  # fmt: skip
        yield (
            f"GET /api/documents?{query[:50]}",
            HostileRequest((_http("GET", f"/api/documents?{query}", kind=None),)),
        )


def _methods() -> Iterator[tuple[str, HostileRequest]]:
    routes = ("/api/ask", "/api/documents", "/api/documents/1", "/v1/chat/completions", "/features", "/health", "/metrics",
              "/", "/_stcore/health", "/media/x", "/static/x")  # fmt: skip
    for method in (
        "PUT",
        "PATCH",
        "DELETE",
        "TRACE",
        "CONNECT",
        "OPTIONS",
        "HEAD",
        "PROPFIND",
        "FOO",
        "get",
        "G" * 300,
    ):
        for route in routes:
            if (method, route) == ("DELETE", "/api/documents/1"):
                continue
            yield f"{method[:12]} {route}", HostileRequest((_http(method, route, kind=None),))


def _headers() -> Iterator[tuple[str, HostileRequest]]:
    body = b'{"question": "Who?"}'
    for trick, host in {
        "of another site": b"evil.example",
        "of another site, with our port": b"evil.example:8501",
        "that begins like ours": b"127.0.0.1.evil.example",
        "that ends like ours": b"evil-localhost",
        "with a user": b"127.0.0.1@evil.example",
        "with a path": b"127.0.0.1/evil",
        "with a blank": b"127.0.0.1 evil.example",
        "with a wrong port": b"127.0.0.1:99999",
        "with a port that is none": b"127.0.0.1:x",
        "that is empty brackets": b"[]",
        "that is half an address": b"[::1",
        "of letters that look alike": "lоcalhost".encode(),
        "of a local domain": b"dossier.local",
        "of a rebinding service": b"127.0.0.1.nip.io",
    }.items():
        for route in ("/", "/api/documents", "/metrics", "/_stcore/health"):
            yield (
                f"GET {route}, a host {trick}",
                HostileRequest((_http("GET", route, kind=None, host=host),), frozenset({400, 421})),
            )
    for trick, lines in {
        "two hosts": [b"Host: evil.example"],
        "a forwarded host": [b"X-Forwarded-Host: evil.example", b"Forwarded: host=evil.example"],
        "a forwarded address": [b"X-Forwarded-For: 127.0.0.1, ::1, '; drop table x"],
        "another address for itself": [b"X-Original-URL: /api/documents", b"X-Rewrite-URL: /metrics"],
        "another method for itself": [b"X-HTTP-Method-Override: DELETE", b"X-Method-Override: DELETE"],
        "a request id with a line break": [b"X-Request-ID: a\r\n Set-Cookie: pwned=1"],
        "a request id with markup": [b"X-Request-ID: <script>alert(1)</script>"],
        "a request id of 50,000 letters": [b"X-Request-ID: " + b"a" * 50_000],
        "a folded header": [b"X-A: a\r\n\tb"],
        "a header without a name": [b": x"],
        "a header without a colon": [b"nothing"],
        "a blank before the colon": [b"Content-Length : 5"],
        "a zero in a header": [b"X-A: a\0b"],
        "a bare carriage return": [b"X-A: a\rSet-Cookie: pwned=1"],
        "a bare line feed": [b"X-A: a\nSet-Cookie: pwned=1"],
        "bytes above ASCII": [b"X-A: \xff\xfe\xc3\x28"],
        "2,000 headers": [b"X-%d: y" % n for n in range(2_000)],
        "a header of 1 MB": [b"X-A: " + b"a" * 1_000_000],
        "a cookie of 60 kB": [b"Cookie: a=" + b"b" * 60_000],
        "a cookie that is none": [b"Cookie: ;;=;\x01=\x02; _streamlit_xsrf=2|x|y|z"],
        "a signed-in user made up": [b"Cookie: _streamlit_user=eyJpc19sb2dnZWRfaW4iOnRydWV9"],
        "an Authorization of noise": [b"Authorization: Bearer " + b"\xff" * 200],
        "an Authorization without a key": [b"Authorization: Bearer"],
        "Basic credentials": [b"Authorization: Basic YWRtaW46YWRtaW4="],
        "a token of none": [b"Authorization: Bearer eyJhbGciOiJub25lIn0.eyJyb2xlIjoiYWRtaW4ifQ."],
        "an Accept of everything": [b"Accept: " + b"a/b;q=0.1," * 2_000],
        "an Accept of noise": [b"Accept: ;;;q=x,\xff/*"],
        "an encoding that is a bomb": [b"Content-Encoding: gzip"],
        "ranges without end": [b"Range: bytes=" + b"0-,5-0," * 1_000],
        "an Idempotency-Key of SQL": [b"Idempotency-Key: '; drop table documents; --"],
        "an Idempotency-Key of 10 kB": [b"Idempotency-Key: " + b"k" * 10_000],
        "a traceparent of noise": [b"traceparent: 00-zz-zz-zz"],
        "a traceparent of 20 kB": [b"traceparent: 00-" + b"a" * 20_000 + b"-01"],
        "an Upgrade to h2c": [b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"],
        "an Upgrade to a websocket": [b"Upgrade: websocket"],
        "Expect of something else": [b"Expect: 200-maybe"],
        "an If-None-Match of noise": [b'If-None-Match: "\xff", W/', b"If-Modified-Since: never"],
        "a Shellshock": [b"User-Agent: () { :; }; /bin/true", b"Referer: ${jndi:ldap://127.0.0.1:1/a}"],
    }.items():  # fmt: skip
        for method, route in (("GET", "/api/documents"), ("POST", "/api/search"), ("GET", "/")):
            sent = _http(
                method,
                route,
                body if method == "POST" else b"",
                lines,
                kind=b"application/json" if method == "POST" else None,
            )
            yield f"{method} {route}, {trick}", HostileRequest((sent,))
    for origin in (
        b"https://evil.example",
        b"null",
        b"http://127.0.0.1.evil.example",
        b"http://127.0.0.1:1",
        b"file://",
        b"x",
    ):
        for method, route in (
            ("POST", "/api/chat/sessions"),
            ("POST", "/chat/ask"),
            ("DELETE", "/api/documents/1"),
            ("POST", "/v1/chat/completions"),
        ):
            sent = _http(method, route, b"{}", [b"Origin: " + origin])
            yield f"{method} {route} from {origin.decode()}", HostileRequest((sent,), frozenset({403}))
    for kind in (b"text/plain", b"application/x-www-form-urlencoded", b"text/html", b"application/xml", b"image/svg+xml",
                 b"multipart/form-data", b"multipart/form-data; boundary=", b"multipart/form-data; boundary=" + b"x" * 5_000,
                 b"application/json; charset=utf-7", b"application/json; charset=utf-16", b"application/jsonx", b"json", b"",
                 b"application/json, text/plain", b"application/json\t;x", b"*/*", b"\xff/\xff", b"application/x-pickle",
                 b"application/msgpack", b"application/x-yaml"):  # fmt: skip
        for route in ("/api/search", "/api/documents"):
            yield f"POST {route} as {kind[:40]!r}", HostileRequest((_http("POST", route, body, kind=kind),))


def _part(name: bytes, content: bytes = b"Some text.", more: bytes = b"") -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="' + name + b'"' + more
    return head + b"\r\nContent-Type: text/plain\r\n\r\n" + content + b"\r\n"


def _forms() -> Iterator[tuple[str, HostileRequest]]:
    end = b"--x--\r\n"
    for trick, body in {
        "nothing": b"",
        "no end": _part(b"a.txt"),
        "only its end": end,
        "another boundary": _part(b"a.txt").replace(b"--x", b"--y") + end,
        "no name": b"--x\r\n\r\nhello\r\n" + end,
        "no file name": b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\nhello\r\n' + end,
        "another field": b'--x\r\nContent-Disposition: form-data; name="admin"\r\n\r\ntrue\r\n' + end,
        "5,000 fields": b"".join(b'--x\r\nContent-Disposition: form-data; name="f%d"\r\n\r\n1\r\n' % n for n in range(5_000)) + end,
        "2,000 files": b"".join(_part(b"%d.exe" % n, b"") for n in range(2_000)) + end,
        "headers of a part without end": b"--x\r\n" + b"X: y\r\n" * 5_000 + b"\r\nhello\r\n" + end,
        "a header of a part of 200 kB": b"--x\r\nX: " + b"y" * 200_000,
        "a form in a form": _part(b"a.txt", b"--x\r\n" + _part(b"b.txt")) + end,
        "a disposition of noise": b'--x\r\nContent-Disposition: \xff; ;;name=;filename*=\r\n\r\nhello\r\n' + end,
        "a name in another encoding": _part(b"a.txt", more=b"; filename*=UTF-8''..%2f..%2fetc%2fpasswd") + end,
        "an encoding of transfer": _part(b"a.exe").replace(b"text/plain", b"text/plain\r\nContent-Transfer-Encoding: base64") + end,
        "more than allowed": _part(b"a.txt", b"word " * 100_000) + end,
        "noise": bytes((n * 7919) % 256 for n in range(20_000)),
    }.items():  # fmt: skip
        sent = _http("POST", "/api/documents", body, kind=b"multipart/form-data; boundary=x")
        yield f"a form: {trick}", HostileRequest((sent,))
    for name in (b"../../../etc/cron.d/x.exe", b"..\\..\\x.exe", b"/var/pwned.exe", b"C:\\pwned.exe", b"a\0.exe", b"nul.exe",
                 b"%2e%2e%2fx.exe", b"a.txt\r\nX: y", b"\xff\xfe.exe", b"x" * 5_000 + b".exe", b"", b".", b"..", b"a;b=c.exe",
                 "invoice\u202etxt.exe".encode(), b"<script>.exe", b"$(touch pwned).exe", b"`touch pwned`.exe", b"| touch pwned.exe"):  # fmt: skip
        sent = _http("POST", "/api/documents", _part(name) + end, kind=b"multipart/form-data; boundary=x")
        yield f"a file called {name[:40]!r}", HostileRequest((sent,))
    for route in (
        "/_stcore/upload_file/x/y",
        "/_stcore/upload_file/../../x",
        f"/_stcore/upload_file/{UNKNOWN}/{UNKNOWN}",
    ):
        sent = _http("PUT", route, _part(b"a.txt") + end, kind=b"multipart/form-data; boundary=x")
        yield f"PUT {route}", HostileRequest((sent,), frozenset({400, 403, 404, 405, 422}))


def _wire() -> Iterator[tuple[str, HostileRequest]]:
    search = b'{"question": "Who?"}'
    for trick, sent in {
        "noise": bytes(range(256)) * 4,
        "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500,
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0",
        "HTTP/0.9": b"GET /\r\n\r\n",
        "HTTP/1.0 without a host": b"GET /health HTTP/1.0\r\n\r\n",
        "HTTP/9.9": b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
        "no host": _http("GET", "/api/documents", kind=None, host=None),
        "no method": b" / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "no version": b"GET /\r\nHost: 127.0.0.1\r\n\r\n",
        "line feeds only": b"GET /health HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n",
        "a first line of 200 kB": b"GET /" + b"a" * 200_000,
        "a blank first line": b"\r\n\r\n\r\nGET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        "an SMTP greeting": b"EHLO evil.example\r\nMAIL FROM:<a@b>\r\n",
        "a Redis command": b"*1\r\n$7\r\nFLUSHALL\r\n",
        "a PostgreSQL greeting": b"\0\0\0\x08\x04\xd2\x16\x2f",
        "a length that is none": _http("POST", "/api/search", search, [b"Content-Length: x"], length=False),
        "a negative length": _http("POST", "/api/search", search, [b"Content-Length: -1"], length=False),
        "a length with a sign": _http("POST", "/api/search", search, [b"Content-Length: +20"], length=False),
        "two lengths": _http("POST", "/api/search", search, [b"Content-Length: 5"]),
        "a list of lengths": _http("POST", "/api/search", search, [b"Content-Length: 20, 20"], length=False),
        "a length of 10^30": _http("POST", "/api/search", search, [b"Content-Length: 1" + b"0" * 30], length=False),
        "a length and chunks": _http("POST", "/api/search", b"0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", [b"Transfer-Encoding: chunked"]),
        "chunks spelt oddly": _http("POST", "/api/search", b"0\r\n\r\n", [b"Transfer-Encoding: xchunked"], length=False),
        "chunks twice": _http("POST", "/api/search", b"0\r\n\r\n", [b"Transfer-Encoding: chunked, chunked"], length=False),
        "a chunk of no number": _http("POST", "/api/search", b"zz\r\nhello\r\n0\r\n\r\n", [b"Transfer-Encoding: chunked"], length=False),
        "a chunk of minus one": _http("POST", "/api/search", b"-1\r\nhello\r\n0\r\n\r\n", [b"Transfer-Encoding: chunked"], length=False),
        "a chunk of 2^64": _http("POST", "/api/search", b"ffffffffffffffffff\r\nhello\r\n", [b"Transfer-Encoding: chunked"], length=False),
        "a chunk with an extension of 100 kB": _http("POST", "/api/search", b"5;" + b"x" * 100_000 + b"\r\nhello\r\n0\r\n\r\n", [b"Transfer-Encoding: chunked"], length=False),
        "a chunk without an end": _http("POST", "/api/search", b"5\r\nhelloworld", [b"Transfer-Encoding: chunked"], length=False),
        "a second request behind the first": _http("GET", "/health", kind=None).replace(b"close", b"keep-alive") + _http("DELETE", "/api/documents/1", kind=None),
        "a body for a GET": _http("GET", "/api/documents", search),
        "gzip that is none": _http("POST", "/api/search", b"\x1f\x8b\x08junk", [b"Content-Encoding: gzip"]),
    }.items():  # fmt: skip
        yield f"on the wire: {trick}", HostileRequest((sent,))
    half = _http("POST", "/api/search", search)
    yield "slowly: headers that never end", HostileRequest((half[:30],))
    yield "slowly: a body that never ends", HostileRequest((half[:-10],), frozenset({408, 504}))
    yield "slowly: a body in single bytes", HostileRequest((half[:-3], half[-3:-2], half[-2:-1], half[-1:]))
    upload = _http(
        "POST", "/api/documents", _part(b"a.txt") + b"--x--\r\n", kind=b"multipart/form-data; boundary=x"
    )
    yield "slowly: an upload that never ends", HostileRequest((upload[:-20],), frozenset({408, 504}))


def _websockets() -> Iterator[tuple[str, HostileRequest]]:
    def upgrade(*lines: bytes, host: bytes = HOST, path: str = "/_stcore/stream") -> bytes:
        shake = [
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        return _http("GET", path, b"", [*shake, *lines], kind=None, host=host).replace(
            b"Connection: close", b"Connection: Upgrade"
        )

    refused = frozenset({400, 403, 404, 421})
    for origin in (
        b"https://evil.example",
        b"null",
        b"http://127.0.0.1.evil.example",
        b"http://127.0.0.1:1",
        b"https://x.streamlit.app",
        b"file://",
    ):
        yield f"a websocket from {origin.decode()}", HostileRequest((upgrade(b"Origin: " + origin),), refused)
    for host in (b"evil.example", b"127.0.0.1.nip.io"):
        same = upgrade(b"Origin: http://" + host, host=host)
        yield f"a websocket by rebinding {host.decode()}", HostileRequest((same,), refused)
    yield "a websocket elsewhere", HostileRequest((upgrade(path="/api/documents"),), refused)
    yield "a websocket at the metrics", HostileRequest((upgrade(path="/metrics"),), refused)
    yield (
        "a websocket without a key",
        HostileRequest((upgrade().replace(b"Sec-WebSocket-Key", b"X"),), frozenset({400, 403, 426})),
    )
    yield (
        "a websocket of another version",
        HostileRequest((upgrade().replace(b"Version: 13", b"Version: 99"),), frozenset({400, 403, 426})),
    )
    noise = upgrade() + b"\x82\xff" + b"\xff" * 500
    yield "a websocket of noise", HostileRequest((noise,), frozenset({101, 400, 403}))
    text = upgrade() + b"\x81\x85\0\0\0\0hello"
    yield "a websocket of text", HostileRequest((text,), frozenset({101, 400, 403}))


def hostile_requests() -> dict[str, HostileRequest]:
    """All of them, by the name of the trick."""
    listed: dict[str, HostileRequest] = {}
    for family in (_json(), _paths(), _queries(), _methods(), _headers(), _forms(), _wire(), _websockets()):
        for trick, request in family:
            assert trick not in listed, trick
            listed[trick] = request
    return listed
