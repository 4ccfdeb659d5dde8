"""Find a Chromium, or get one. What the tests cannot do without, they must not skip in silence."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# The last list counts: this is Playwright's own, then the suggestions of an address bar that nobody sees. It draws them
# with a page, and a process, for each window: half of what a visitor costs.
_WITHOUT = (
    "AvoidUnnecessaryBeforeUnloadCheckSync,DestroyProfileOnBrowserClose,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,"
    "LensOverlay,MediaRouter,PaintHolding,ThirdPartyStoragePartitioning,AvoidCorsURLLoaderRestartOnRedirect,"
    "OptimizationHints,NetworkTimeServiceQuerying,AimEnabled,PreconnectToSearch,"
    "WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup"
)
ARGUMENTS = [
    "--no-sandbox",  # as root, in containers; only our own pages are opened
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={_WITHOUT}",
]
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/snap/bin/chromium",
)


class NoChromium(Exception):
    """One sentence that says what to do."""


def find_chromium(playwrights_own: str) -> str:
    """A browser's path: `CHROMIUM_PATH`, the usual places, Playwright's own, else a fresh one. Raises `NoChromium`."""
    if given := os.environ.get("CHROMIUM_PATH"):
        if Path(given).is_file():
            return given
        raise NoChromium(f"CHROMIUM_PATH names {given}, which is not there.")
    if found := _installed(playwrights_own):
        return found
    trouble = _install()
    if found := _installed(playwrights_own):
        return found
    raise NoChromium(
        "The browser tests need Chromium, and it could not be installed by itself "
        f"({trouble}): install Debian's `chromium` or run `playwright install chromium`, or set CHROMIUM_PATH."
    )


def _installed(playwrights_own: str) -> str | None:
    for name in _NAMES:
        if path := shutil.which(name):
            return path
    return next((place for place in (*_PLACES, playwrights_own) if Path(place).is_file()), None)


def _install() -> str:
    """Try the system's package as root, then Playwright's download. Answers what went wrong last."""
    commands = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        commands.insert(0, ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"])
        commands.insert(0, ["apt-get", "update", "--quiet"])
    trouble = ""
    for command in commands:
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            trouble = f"{command[0]}: {type(error).__name__}"
            continue
        if done.returncode == 0 and command[1] != "update":
            return ""
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        trouble = f"`{' '.join(command[-3:])}` ended with {done.returncode}{': ' + last[0] if last else ''}"
    return trouble
