from __future__ import annotations

from tests.support.processes import printed


def test_uploads_up_to_the_limit_never_touch_the_disk() -> None:
    program = """
import asyncio
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser
from xray_classifier.inputs.decoding import MAX_BYTES
from xray_classifier.app.uploads import keep_in_memory

async def body():
    yield b'--x\\r\\nContent-Disposition: form-data; name="f"; filename="f"\\r\\n\\r\\n'
    yield bytes(MAX_BYTES)
    yield b"\\r\\n--x--\\r\\n"

def on_disk():
    headers = Headers({"content-type": "multipart/form-data; boundary=x"})
    form = asyncio.run(MultiPartParser(headers, body()).parse())
    return form["f"].file._rolled

before = on_disk()
keep_in_memory()
print(before, on_disk())
"""
    assert printed(program).split() == ["True", "False"]
