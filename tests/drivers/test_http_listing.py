"""Pages of links as listings, and what certification, the command line and large files make of HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.deadline import DEADLINE
from helpers.web import Place, web_view
from servers.double_answers import HTML, Answer
from servers.double_faults import instead, once, when
from servers.files import FileServer, plain_server

from remote_store import BackendUnavailable, Capability, PermissionDenied, Store
from remote_store.backends import HTTPBackend
from remote_store.certify import certify
from remote_store.drivers.http.index import names_in
from remote_store.drivers.objects.wire import Malformed

NGINX = """<html><head><title>Index of /d/</title></head><body><h1>Index of /d/</h1><hr><pre><a href="../">../</a>
<a href="sub/">sub/</a>                27-Nov-2026 10:00       -
<a href="a%20b%23c.txt">a b#c.txt</a>  27-Nov-2026 10:00      12
<a href="b%3Ac">b:c</a></pre></body></html>"""
APACHE = """<table><tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td><a href="/">Parent Directory</a></td></tr><tr><td><a href="sub/">sub/</a></td></tr>
<tr><td><a href="a%20b%23c.txt">a b#c.txt</a></td><td>12K</td></tr><tr><td><a href="./b:c">b:c</a></td></tr></table>"""
PYTHON = """<!DOCTYPE HTML><ul><li><a href="a%20b%23c.txt">a b#c.txt</a></li><li><a href="b%3Ac">b:c</a></li>
<li><a href="sub/">sub/</a></li></ul>"""
ABSOLUTE = """<A HREF='/x/d/sub/'>s</A><a class=x href=http://h:80/x/d/a%20b%23c.txt>a</a><a href="/x/%64/b:c">b</a>"""


@pytest.mark.parametrize("page", [NGINX, APACHE, PYTHON, ABSOLUTE])
def test_pages_of_servers(page: str) -> None:
    folder = "http://h:80/x/d/" if page is ABSOLUTE else "http://h/x/d/"
    assert names_in(page, folder) == {"sub": True, "a b#c.txt": False, "b:c": False}


@pytest.mark.parametrize(
    "link",
    [
        "../x", "/f", "//other/x/d/f", "http://other/x/d/f", "https://h/x/d/f", "http://h:81/x/d/f", "f?a=1",
        "?C=N;O=D",
        "mailto:me@h", "javascript:void(0)", "#top", "", "./", "sub/f", "sub/f/", "/x/d", "/x/d/", "/x/dd/f", "http://[bad/x",
    ],
)  # fmt: skip
def test_links_that_lead_elsewhere_are_ignored(link: str) -> None:
    assert names_in(f'<a href="{link}">x</a><a>y</a><a href>z</a><link href="f">', "http://h/x/d/") == {}


def test_names_that_no_path_spells_are_marked() -> None:
    page = '<a href="a%2Fb">1</a><a href="a%5Cb">2</a><a href="%FF">3</a><a href="&lt;&amp;">4</a>'
    assert names_in(page, "http://h/") == {"/a/b": False, "/a\\b": False, "\udcff": False, "<&": False}


@pytest.mark.parametrize("hostile", ["<a x=", "<!--", "<![", "<a href='", "<a ", "<script>", "<a b='\"", "<a href=&#"])
def test_hostile_pages_take_no_longer_than_others(hostile: str) -> None:
    """Time that grows with the square of the length would be hours here."""
    assert len(names_in(hostile * 1_000_000, "http://h/")) <= 1


def test_what_looks_like_a_link_is_none() -> None:
    page = """<!-- <a href="a"> --><script>"<a href='b'>"</script><img alt="<a href='c'>"><abbr href="d">
    <a title='"' data-href="e" HREF = f x="<a href='g'>" href="h">f</a><a href="i&amp;j">i</a><!--><a href=k>k</a>"""
    assert names_in(page, "http://h/") == {"f": False, "i&j": False, "k": False}


def test_too_many_links_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remote_store.drivers.http.index.MOST", 9)
    with pytest.raises(Malformed):
        names_in("<a href=./f>" * 10, "http://h/")
    assert names_in("<a href=./f>" * 9 + "<a href=f>" * 9, "http://h/") == {"f": False}


async def test_odd_pages_break_nothing(web: Place) -> None:
    web.put("f", b"1")
    digits = "9" * 5000
    for charset in ("idna", "punycode", "zlib", "no-such"):
        headers = {"Content-Type": f"text/html; charset={charset}"}
        page = Answer(200, f"<![<a href='f'>f</a><a href='&#{digits};'>g</a>".encode(), headers)
        with web.server.hooked(when(instead(page), "GET")):
            assert await listing(web) == [("f", 1)]


async def listing(place: Place, **options: object) -> list[tuple[str, int]]:
    url = f"{place.server.endpoint}/{place.folder.name}"
    async with web_view("async", url, index=True) as view:
        return sorted([(str(info.path), info.size) async for info in view.list_files("", **options)])


async def test_folders_are_listed(web: Place) -> None:
    for name in ("a", "d/b", "d/e/c#1", "d/e/ü"):
        web.put(name, name.encode())
    assert await listing(web) == [("a", 1)]
    web.server.forget()
    assert await listing(web, recursive=True) == [("a", 1), ("d/b", 3), ("d/e/c#1", 7), ("d/e/ü", 6)]
    assert sorted(web.lines)[:3] == ["GET ", "GET d/", "GET d/e/"]
    assert len(web.lines) == 3 + 4
    assert not [request for request in web.server.asked if "elsewhere" in request.path]


async def test_names_that_are_no_utf8_are_listed_and_read(web: Place) -> None:
    with open(os.fsencode(web.folder) + b"/\xff", "wb") as file:
        file.write(b"1")
    assert await listing(web) == [("\udcff", 1)]
    assert await web.view.read_bytes("\udcff") == b"1"


async def test_what_is_no_page_of_links_is_no_empty_folder(web: Place) -> None:
    web.put("d/f", b"1")
    for answer in (Answer(200, b"{}"), Answer(302, headers={"Location": "http://localhost:1/"}), Answer(500)):
        with web.server.hooked(when(instead(answer), "GET")), pytest.raises(BackendUnavailable):
            await listing(web)
    with web.server.hooked(when(instead(Answer(403, b"", HTML)), "GET")), pytest.raises(PermissionDenied):
        await listing(web)
    with web.server.hooked(instead(Answer(404, b"", HTML))):
        assert await listing(web) == []


async def test_names_that_no_path_spells_are_not_asked_for(web: Place) -> None:
    for link in ("%2e%2e", "%2e%2e/", "%2e", "%2e/", "a%00b", "a%00b/", "a%2fb", "a%5cb"):
        page = Answer(200, f'<a href="{link}">1</a>'.encode(), HTML)
        web.server.forget()
        with web.server.hooked(when(instead(page), "GET")), pytest.warns(UserWarning, match="no RemotePath can spell"):
            assert await listing(web, recursive=True) == []
        assert len(web.server.requests) == 1


async def test_a_folder_that_leads_to_another_page_is_not_listed(web: Place) -> None:
    login = f"/{web.folder.name}/login/"
    web.put("login/help", b"1")
    for location in (login, f"{web.server.endpoint}{login}", "login/"):
        away = instead(Answer(302, headers={"Location": location}))
        with web.server.hooked(once(away)), pytest.raises(BackendUnavailable):
            await listing(web, recursive=True)
    with web.server.hooked(once(instead(Answer(302, headers={"Location": "?session=1"})))):
        assert await listing(web, recursive=True) == [("login/help", 1)]


async def test_a_link_to_nothing_is_no_file(web: Place) -> None:
    page = Answer(200, b'<a href="f">f</a><a href="gone">gone</a>', HTML)
    web.put("f", b"1")
    with web.server.hooked(when(instead(page), "GET")):
        assert await listing(web) == [("f", 1)]


def test_certification_proves_what_a_server_with_pages_shows(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(b"content")
    with plain_server(tmp_path) as url:
        report = certify(Store(HTTPBackend(url, index=True)), workers=2)
        assert report.ok, report.to_markdown()
        proved = {Capability.READ, Capability.LIST, Capability.GLOB, Capability.METADATA}
        assert {finding.capability for finding in report.proved} == proved
        assert report.refuted == report.broken == ()
        alone = certify(Store(HTTPBackend(url)), workers=2)
        assert alone.refuted == alone.broken == ()


@pytest.mark.full
def test_the_command_line_reads_urls(web_server: FileServer) -> None:
    folder = web_server.fresh_folder()
    (folder / "a b#c.txt").write_bytes(b"content")

    def run(*arguments: str) -> tuple[str, str, int]:
        command = [sys.executable, "-m", "remote_store.cli", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
        return done.stdout, done.stderr, done.returncode

    url = f"{web_server.endpoint}/{folder.name}/a%20b%23c.txt"
    assert run("cat", url) == ("content", "", 0)
    with web_server.having(query="v2"):
        assert run("cat", f"{url}?v2") == ("content", "", 0)
    assert url in run("cat", f"{url}x")[1]
    assert "a b#c.txt" in run("info", url)[0]
    # Other processes would see the signature.
    told = run("cat", f"{url}?sig=hidden")
    assert told[2] == 2
    assert "hidden" not in told[1]


MEMORY = """
import sys
from remote_store import Store

def kib(name):
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1])

store = Store.from_url(sys.argv[1])
with store.read("warm") as file:
    file.read()
before, count = kib("VmHWM"), 0
with store.read("big") as file:
    while data := file.read(1 << 20):
        count += len(data)
print(count, (kib("VmHWM") - before) // 1024)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
@pytest.mark.parametrize(
    "size", [pytest.param(64 << 20, marks=pytest.mark.full), pytest.param(1 << 30, marks=pytest.mark.soak)]
)
def test_a_stream_holds_little_of_a_file(tmp_path: Path, size: int) -> None:
    (tmp_path / "warm").write_bytes(b"1" * (4 << 20))
    with open(tmp_path / "big", "wb") as file:
        file.truncate(size)
    with plain_server(tmp_path) as url:
        done = subprocess.run([sys.executable, "-c", MEMORY, url], capture_output=True, text=True, timeout=DEADLINE)
    count, grown = done.stdout.split()
    assert int(count) == size
    assert int(grown) <= 48, f"{grown} MiB for a file of {size >> 20} MiB"
