"""What lies where in each package."""
import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "packaging/deb"
UNITS = "usr/lib/systemd/system"


@dataclasses.dataclass(frozen=True)
class Package:
    """A package: its folder here has control data, scripts, manual pages and files of its own."""

    name: str
    # The profile of cross/build whose programs it has.
    profile: str
    # Folder of the crate whose programs it has.
    crate: str
    # Units, files below /etc with their modes, and what is copied to /usr/share/doc/PACKAGE and to `shared`.
    units: tuple
    settings: dict
    documents: tuple
    examples: tuple = ()
    shared: dict = dataclasses.field(default_factory=dict)

    @property
    def folder(self):
        return HERE / self.name

    def programs(self):
        """Names of its programs."""
        return [self.name] if self.profile != "lab" else sorted(file.stem for file in (ROOT / self.crate / "src/bin").glob("*.rs"))

    def files(self):
        """Path in the package, source and mode of all else, but for papers."""
        for unit in matching(self.units):
            yield f"{UNITS}/{unit.name}", unit, 0o644
        for path, (source, mode) in self.settings.items():
            for file in matching((source,)):
                yield f"etc/{path}{file.name if path.endswith('/') else ''}", file, mode
        for document in matching(self.documents):
            yield f"usr/share/doc/{self.name}/{document.name}", document, 0o644
        for example in matching(self.examples):
            yield f"usr/share/doc/{self.name}/examples/{example.name}", example, 0o644
        for path, source in self.shared.items():
            for file in matching((source,)):
                yield f"usr/share/{path}/{file.name}", file, 0o644

    def states(self):
        """Folders below /var that systemd makes for its units, which a purge removes."""
        names = set()
        for unit in matching(self.units):
            for line in re.findall(r"^(?:State|Logs|Cache)Directory=(.*)$", unit.read_text(), re.M):
                names.update(line.split())
        return [f"/var/{kind}/{name}" for name in sorted(names) for kind in ("lib/private", "lib")]


def matching(patterns):
    """The files of the checkout that match, in their order."""
    return [file for pattern in patterns for file in sorted(ROOT.glob(pattern))]


PACKAGES = (
    Package(
        name="ivt-agent",
        profile="full",
        crate="agent",
        units=("packaging/init/ivt-agent.service",),
        settings={"ivt/agent.toml": ("packaging/deb/ivt-agent/agent.toml", 0o640)},
        documents=("docs/firmware.md", "docs/packages.md", "docs/profiles*.md", "docs/technician*.md", "docs/files-and-log*.md"),
        examples=("configs/base.toml", "configs/cameras/*.toml"),
    ),
    Package(
        name="ivt-lab",
        profile="lab",
        crate="lab",
        units=("packaging/lab/*.service",),
        settings={"ivt-lab.toml": ("packaging/lab/ivt-lab.toml", 0o644), "default/": ("packaging/lab/default/*", 0o644)},
        documents=("docs/qa.md", "docs/packages.md", "docs/badnet.md"),
        shared={"ivt-lab/scenarios": "lab/scenarios/*.toml"},
    ),
)
