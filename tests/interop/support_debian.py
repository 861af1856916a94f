"""Programs of Debian's next release, for what this one's are too old: unpacked beside the build, not
installed. The lists of packages are kept apart from the machine's own."""

import os
import pathlib
import shutil
import subprocess

MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
CONFIG = """\
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
Acquire::Languages "none";
"""


def use_next(package, program):
    """Puts the program in front of the path."""
    folder = pathlib.Path(os.environ["INTEROP_WORK"]) / "debian" / f"{package}-next"
    binaries = folder / "root" / "usr" / "bin"
    if not (binaries / program).exists():
        shutil.rmtree(folder, ignore_errors=True)
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True)
        (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {MIRROR} testing main\n")
        (folder / "apt.conf").write_text(CONFIG.format(folder=folder))
        environment = os.environ | {"APT_CONFIG": str(folder / "apt.conf")}
        with (folder / "apt.log").open("w") as log:
            for command in (["apt-get", "update"], ["apt-get", "download", package]):
                status = subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=log).returncode
                assert status == 0, f"{' '.join(command)} failed, see {folder}/apt.log"
        archive = next(folder.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg-deb", "--extract", archive, folder / "root"], check=True)
        shutil.rmtree(folder / "lists")
    os.environ["PATH"] = f"{binaries}:{os.environ['PATH']}"
