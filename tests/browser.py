"""A headless Chromium, spoken to through a pipe (Chrome DevTools Protocol); the standard library is enough."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

CHROMIUM = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)


class Browser:
    """A context with one empty tab; `said` are messages of the console, exceptions and failed loads since the last `open`."""

    def __init__(self, profile: Path) -> None:
        self._profile, self._count, self._buffer = profile, 0, b""
        self.said: list[str] = []
        self.requested: list[str] = []

    def __enter__(self) -> "Browser":
        assert CHROMIUM is not None
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"]
        flags += [f"--user-data-dir={self._profile}", "--no-first-run", "--hide-scrollbars", "about:blank"]

        def place() -> None:  # the browser reads descriptor 3 and writes descriptor 4
            kept = [os.dup(theirs_in), os.dup(theirs_out)]
            for wanted, descriptor in zip((3, 4), kept, strict=True):
                os.dup2(descriptor, wanted)

        with (self._profile.with_suffix(".log")).open("w") as log:
            self._process = subprocess.Popen(
                [CHROMIUM, *flags], stdout=log, stderr=log, preexec_fn=place, close_fds=False, stdin=subprocess.DEVNULL
            )
        os.close(theirs_in)
        os.close(theirs_out)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        os.close(self._in)
        os.close(self._out)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if hasattr(self, "_session"):
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = os.read(self._in, 1 << 20)
            assert more, "the browser is gone"
            self._buffer += more
        line, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(line)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method: str | None, told: dict[str, Any]) -> None:
        if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Network.loadingFailed"):
            self.said.append(json.dumps(told))
        if method == "Network.requestWillBeSent":
            self.requested.append(told["request"]["url"])

    def open(self, page: Path, width: int, height: int, dark: bool = False) -> None:
        """Show a file in a window of this size and wait until it is loaded."""
        self.said, self.requested = [], []
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media="", features=[scheme])
        self.call("Page.navigate", url=page.absolute().as_uri())
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def value(self, script: str) -> Any:
        """What a JavaScript expression is, as JSON."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def picture(self, path: Path, top: int = 0, height: int | None = None) -> None:
        """Write the page, or a part of it from `top` on, to a PNG file."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": top, "width": size["width"], "height": height or size["height"] - top, "scale": 1}
        shot = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
