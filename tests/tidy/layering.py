#!/usr/bin/env python3
"""Checks of the source tree that no compiler makes: who may include whom, what may not be written.

Usage: layering.py <root of the repository>. Prints a line for each fault; ends with 1 if there is
any.

A tree is a dict from a path, relative to the root, to the text of the file, so that each check can
be shown a faulty tree (layering_test.py).
"""

import pathlib
import re
import sys

# A room includes only rooms of smaller height; rooms of equal height do not know each other.
LAYERS = [
    ["base"],
    ["event", "metrics"],
    ["flow"],
    ["disk", "mysql", "gate"],
    ["journal", "statement"],
    ["writer", "diagnosis", "inspect"],
    ["pipeline"],
    ["ingress", "admin"],
    ["daemon"],
]
HEIGHT = {room: height for height, rooms in enumerate(LAYERS, 1) for room in rooms}

# A foreign library belongs to its rooms: the beginning of what is included, and who may.
OWNERS = {
    "mysql.h": {"mysql"},
    "mysql/": {"mysql"},
    "mariadb/": {"mysql"},
    "errmsg.h": {"mysql"},
    "mysqld_error.h": {"mysql"},
    "sql/": {"mysql", "diagnosis"},
    "grpc/": {"ingress", "admin", "daemon"},
    "grpcpp/": {"ingress", "admin", "daemon"},
    "prometheus/": {"metrics", "admin"},
    "civetweb.h": {"admin"},
    "CivetServer.h": {"admin"},
    "spdlog/": {"base"},
    "fmt/": {"base"},
    "openssl/": {"event", "statement", "gate"},
    "xxhash.h": {"event", "journal"},
}
STUBS = re.compile(r"\.grpc\.pb\.h$")
STUB_OWNERS = {"ingress", "admin", "daemon"}

# What only some rooms may say in code (comments are not looked at), why, and who may.
CALLS = [
    (r"\babsl::Now\s*\(", "ask the injected base::Clock", {"base"}),
    (r"\b(std::chrono::steady_clock::now|clock_gettime|gettimeofday)\s*\(",
     "ask the injected base::Clock", {"base"}),
    # gRPC's deadlines are times of the system's clock.
    (r"\bstd::chrono::system_clock::now\s*\(", "ask the injected base::Clock", {"base", "ingress"}),
    (r"\b(absl::SleepFor|std::this_thread::sleep_\w+|usleep|nanosleep|sleep)\s*\(",
     "wait through base::Clock", {"base"}),
    # What the simulation runs (tests/sim/) starts no thread and waits nowhere else; libraries,
    # sockets and signals force their own on the rooms above.
    (r"\bstd::j?thread\b", "start it through base::Clock",
     {"base", "gate", "ingress", "admin", "daemon", "diagnosis"}),
    (r"\bmu_?(\.|->)Await\w*\(", "wait through base::Clock",
     {"base", "gate", "ingress", "admin", "daemon"}),
    (r"\b(fdatasync|fsync|pread|pwrite|fallocate|ftruncate|openat|std::ofstream|std::fstream)\b",
     "files are written through disk::Disk", {"disk"}),
]

# What is never said in code.
FORBIDDEN = [
    (r"\bstd::string_view\b", "absl::string_view is what our interfaces have; the two do not mix"),
    (r"\babsl::optional\b", "std::optional is what our interfaces have; the two do not mix"),
    (r"\bstd::(recursive_|shared_|timed_)?mutex\b", "clang checks only absl::Mutex"),
    (r"\bstd::(lock_guard|unique_lock|scoped_lock|condition_variable)\b",
     "clang checks only absl::Mutex"),
    (r"\bthrow\b", "errors are absl::Status"),
]
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

LINES_MAX = 400
COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 70

SOURCE = re.compile(r"\.(h|cc)$")
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.M)
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)


def sources(tree, *tops):
    """The C++ files below the folders named."""
    for path, text in sorted(tree.items()):
        if path.split("/")[0] in tops and SOURCE.search(path):
            yield path, text


def room_of(path):
    """The room of a path below server/, or None where it lies in none."""
    parts = path.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "server" else None


def code_of(text):
    """`text` with comments emptied and literals replaced, line for line."""
    def emptied(match):
        kept = "\n" * match.group().count("\n")
        return kept if match.group().startswith("/") else '""' + kept
    # Numbers with separators look like characters: 1'000.
    return NOT_CODE.sub(emptied, re.sub(r"(?<=\d)'(?=\d)", "", text))


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def check_rooms(tree):
    """Every file of server/ lies in a room that has a height."""
    for path, _ in sources(tree, "server"):
        if room_of(path) not in HEIGHT:
            yield f"{path}: lies in no room that LAYERS knows"


def check_heights(tree):
    """Rooms include and link only what is below them."""
    for path, text in sources(tree, "server"):
        room = room_of(path)
        for target in INCLUDE.findall(text):
            parts = target.split("/")
            if parts[0] != "server" or parts[1] == room:
                continue
            if HEIGHT.get(parts[1], 99) >= HEIGHT.get(room, 0):
                yield f"{path}: includes {target}, which is not below {room}"
    for path, text in sorted(tree.items()):
        room = room_of(path)
        if not path.endswith("/CMakeLists.txt") or room not in HEIGHT:
            continue
        for target in re.findall(r"\bholdfast_(\w+)", text):
            if target in HEIGHT and target != room and HEIGHT[target] >= HEIGHT[room]:
                yield f"{path}: links holdfast_{target}, which is not below {room}"


def check_libraries(tree):
    """Foreign libraries stay in their rooms."""
    for path, text in sources(tree, "server"):
        room = room_of(path)
        for target in INCLUDE.findall(text):
            owners = STUB_OWNERS if STUBS.search(target) else None
            for beginning, rooms in OWNERS.items():
                if target.startswith(beginning):
                    owners = rooms
            if owners is not None and room not in owners:
                yield f"{path}: includes {target}, which belongs to {' and '.join(sorted(owners))}"


def check_client(tree):
    """client/ knows the contract and nothing of the server."""
    for path, text in sources(tree, "client"):
        for target in INCLUDE.findall(text):
            if target.startswith("server/"):
                yield f"{path}: includes {target}; a client knows only the proto"
    for path, text in sorted(tree.items()):
        if not path.startswith("client/") or not path.endswith("CMakeLists.txt"):
            continue
        for target in re.findall(r"\bholdfast_(\w+)", text):
            if target in HEIGHT:
                yield f"{path}: links holdfast_{target}; a client knows only the proto"


def check_named(tree):
    """Every source is named in the CMakeLists.txt of its folder, or of one above it."""
    for path, _ in sources(tree, "server", "client", "tests"):
        if not path.endswith(".cc"):
            continue
        folder, name = path.rsplit("/", 1)
        while folder and f"{folder}/CMakeLists.txt" not in tree:
            name = folder.rsplit("/", 1)[-1] + "/" + name
            folder = folder.rpartition("/")[0]
        named = re.sub(r"#[^\n]*", "", tree.get(f"{folder}/CMakeLists.txt", "")).replace("(", " ")
        if name not in named.replace(")", " ").split():
            yield f"{path}: is named by no CMakeLists.txt, so it is not built"


def check_sizes(tree):
    """Files, lines and functions stay readable."""
    for path, text in sources(tree, "server", "client"):
        lines = text.split("\n")
        if len(lines) - 1 > LINES_MAX:
            yield f"{path}: has {len(lines) - 1} lines; at most {LINES_MAX}"
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX:
                yield f"{path}:{number}: has {len(line)} columns; at most {COLUMNS_MAX}"


def check_functions(tree):
    """A function fits a screen. What is in a namespace is not indented, so a function lies between
    a line that begins at the margin and a lone brace there; a class or a table ends with "};"."""
    for path, text in sources(tree, "server", "client"):
        begin = 0
        for number, line in enumerate(code_of(text).split("\n"), 1):
            if line.rstrip() == "}" and begin and number - begin + 1 > FUNCTION_LINES_MAX:
                yield (f"{path}:{begin}: a function of {number - begin + 1} lines; "
                       f"at most {FUNCTION_LINES_MAX}")
            if line.startswith("}"):
                begin = 0
            elif re.match(r"[A-Za-z_]", line):
                begin = 0 if line.startswith("namespace") else number


def check_words(tree):
    """What is not said, or not here."""
    for path, text in sources(tree, "server", "client"):
        code = code_of(text)
        for pattern, reason in FORBIDDEN:
            for match in re.finditer(pattern, code):
                yield f"{path}:{line_of(code, match.start())}: {match.group()}: {reason}"
        if not path.startswith("server/"):
            continue
        for pattern, reason, rooms in CALLS:
            for match in re.finditer(pattern, code):
                if room_of(path) not in rooms:
                    yield f"{path}:{line_of(code, match.start())}: {match.group()}: {reason}"


def check_finished(tree):
    """Nothing is left for later."""
    for path, text in sorted(tree.items()):
        if path.startswith("tests/tidy/"):
            continue
        for match in UNFINISHED.finditer(text):
            line = line_of(text, match.start())
            yield f"{path}:{line}: {match.group()}: finish it or leave it out"


def check_headers(tree):
    """A header guards itself, and a room's header speaks in the room's namespace, or names ahead
    what a room below it has."""
    for path, text in sources(tree, "server", "client"):
        if not path.endswith(".h"):
            continue
        if not re.search(r"^#pragma once$", text, re.M):
            yield f"{path}: has no #pragma once"
        room = room_of(path)
        namespaces = re.findall(r"^namespace (holdfast::\w+)", code_of(text), re.M)
        for namespace in namespaces:
            other = namespace.removeprefix("holdfast::")
            if room is not None and other != room and HEIGHT.get(other, 99) >= HEIGHT.get(room, 0):
                yield f"{path}: declares {namespace}; its room is holdfast::{room}"


CHECKS = [check_rooms, check_heights, check_libraries, check_client, check_named, check_sizes,
          check_functions, check_words, check_finished, check_headers]


def read(root):
    """The tree below `root`, what is built left out."""
    tree = {}
    for top in ["CMakeLists.txt", "server", "client", "tests", "proto", "sql"]:
        path = root / top
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and file.suffix in {".h", ".cc", ".txt", ".proto", ".sql", ".cmake",
                                                  ".py", ".md"}:
                tree[file.relative_to(root).as_posix()] = file.read_text(encoding="utf-8")
    return tree


def main():
    tree = read(pathlib.Path(sys.argv[1]))
    if not any(sources(tree, "server")):
        sys.exit(f"{sys.argv[1]} holds no server/")
    faults = [fault for check in CHECKS for fault in check(tree)]
    print("\n".join(faults))
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
