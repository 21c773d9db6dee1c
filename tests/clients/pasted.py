"""What the pages tell people to paste, run as pasted by somebody who has nothing: an empty home and an empty environment."""

import pathlib
import subprocess
import sys

from deployment import BINARY


def blocks(page):
    """The shell blocks of a page."""
    return [part.split("```")[0] for part in page.read_text().split("```sh\n")[1:]]


def paste(text, directory, *options):
    """Runs it in a shell, in this directory; exit status and all that it said, in order. Nothing may be written to the home."""
    home = directory / "home"
    home.mkdir()
    tools = [pathlib.Path(BINARY).resolve().parent, pathlib.Path(sys.executable).parent, "/usr/local/bin", "/usr/bin", "/bin"]
    nothing = {"HOME": str(home), "PATH": ":".join(map(str, tools))}
    # A file and no pipe, which the processes that it starts would hold open.
    with open(directory / "said", "w+") as said:
        command = ["bash", *options, "-c", text]
        ran = subprocess.run(command, env=nothing, cwd=directory, stdout=said, stderr=subprocess.STDOUT, timeout=240)
        said.seek(0)
        heard = said.read()
    assert not any(home.rglob("*credentials*")), "nothing is written to the home"
    return ran.returncode, heard
