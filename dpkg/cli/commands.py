"""The one static table of commands: name, and its line in `dpk --help`. Nothing is imported to print it."""

PORCELAIN, PLUMBING = "porcelain", "plumbing"

# Groups in the order of --help; within a group, in the order of use.
TABLE: dict[str, dict[str, str]] = {
    "make": {
        "init": "make a store",
        "generate": "write a build.yml from a folder",
        "build": "build a package from a file, a folder or a build.yml",
        "check": "check data as a build.yml says, without building",
        "tag": "give a commit a name that never moves",
    },
    "look": {
        "ls": "list packages, or what is in one",
        "show": "show a package, table or file",
        "log": "show a package's history",
        "diff": "show what changed between two revisions, or would be",
        "blame": "show which commit last changed a row",
        "review": "accept what changed, and see who did",
    },
    "share": {
        "push": "send a package to another store",
        "install": "bring a package from another store",
        "export": "write a package's tables and files into a folder",
        "remote": "name other stores",
    },
    "keep": {
        "verify": "check that everything stored is whole",
        "repack": "gather small files of the store into packs",
        "repair": "bring back what is damaged or missing",
        "rm": "remove a package or tag",
        "gc": "remove what no branch or tag reaches",
        "config": "read and set options",
        "completion": "print a script for a shell's TAB key",
    },
    "plumbing": {
        "hash-object": "compute an object id, and with -w store the object",
        "cat-object": "print an object",
        "verify-object": "check objects and fragments, each to its last value",
        "count-objects": "count what a store holds",
        "pack-objects": "make packs of objects",
        "index-pack": "check packs and store them",
        "verify-pack": "check packs, and list what is in them",
        "unpack-objects": "store the objects of a pack one by one",
        "write-table": "store a table from a file or stdin",
        "apply-diff": "store the table that a row diff makes of another",
        "read-table": "print the rows of a table",
        "ls-fragments": "list the fragments of a table",
        "cat-fragment": "print the rows of a fragment",
        "write-tree": "store a folder as a tree, as build does",
        "mktree": "make a tree of a listing",
        "ls-tree": "list a tree",
        "diff-tree": "list the entries that differ between two trees",
        "commit-tree": "make a commit of a tree",
        "rev-parse": "print the object id that an expression names",
        "rev-list": "list commits, and what they reach",
        "update-ref": "move a branch, if it is where you think it is",
        "show-ref": "list branches and tags",
        "for-each-ref": "print what is asked of each branch and tag",
        "check-ref-format": "say whether a name can be one",
        "ls-remote": "list the branches and tags of another store",
        "fetch-objects": "bring objects and fragments from another store",
        "send-objects": "send objects and fragments to another store",
        "update-server-info": "list the refs for web servers without listings",
    },
}


def module_of(name: str) -> str | None:
    """The module of a command, or None if there is no such command."""
    for group, commands in TABLE.items():
        if name in commands:
            return f"dpkg.{PLUMBING if group == PLUMBING else PORCELAIN}._{name.replace('-', '_')}"
    return None


def names(layer: str | None = None) -> list[str]:
    """All commands, or those of PLUMBING or of PORCELAIN."""
    layers = {group: PLUMBING if group == PLUMBING else PORCELAIN for group in TABLE}
    return [name for group, commands in TABLE.items() for name in commands if layer in (None, layers[group])]
