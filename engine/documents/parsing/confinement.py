"""What a process that reads somebody's file gives up before it begins: the network, and most of the disk.

Three layers, each kept where the system has it:

- **seccomp** (Linux, x86-64 and arm64): no socket can be made, no other process looked into.
  Filters as in the kernel's Documentation/userspace-api/seccomp_filter.rst.
- **Landlock** (Linux ≥ 5.13): reads programs, packages and the file; writes into one folder.
  Documentation/userspace-api/landlock.rst; what a newer kernel can restrict is restricted there.
- **audit hook**: Python's own calls for sockets, programs and writing, on every system.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

Layer = Literal["seccomp", "landlock"]

_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER_MODE = 38, 22, 2
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # Landlock's, on every architecture
_AF_UNIX = 1

# architecture: (its number for audits, syscalls that are refused, socket, those that signal)
_MACHINES = {
    # ptrace, pivot_root, mount, umount2, init_module, add_key, request_key, keyctl, unshare, setns,
    # process_vm_readv, process_vm_writev, finit_module, bpf, userfaultfd, perf_event_open, io_uring_setup,
    # pidfd_send_signal; then kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo
    "x86_64": (
        0xC000003E,
        (101, 155, 165, 166, 175, 248, 249, 250, 272, 308, 310, 311, 313, 321, 323, 298, 425, 424),
        41,
        (62, 200, 234, 129, 297),
    ),
    "aarch64": (
        0xC00000B7,
        (117, 41, 40, 39, 105, 217, 218, 219, 97, 268, 270, 271, 273, 280, 282, 241, 425, 424),
        198,
        (129, 130, 131, 138, 240),
    ),
}
_X32 = 0x40000000  # x86-64's calls under other numbers

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
# What each version of Landlock can restrict of the disk: bits from 0.
_DISK_BITS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_TCP = 0b11  # bind and connect, from version 4
_SCOPES = 0b11  # abstract sockets and signals, from version 6


def available() -> set[Layer]:
    """The layers that this system has."""
    return {
        *(("seccomp",) if _seccomp_here() else ()),
        *(("landlock",) if _landlock_version() > 0 else ()),
    }


def confine(folder: Path, file: Path, *, programs: bool = False) -> set[Layer]:
    """Give up, for good and for every child: the network; writing outside `folder`; reading more
    than programs, packages, `folder` and `file`. Without `programs`, starting any.

    Returns the layers that hold beside the audit hook.
    """
    held: set[Layer] = set()
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        _drop_capabilities(libc)
        if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0:
            with contextlib.suppress(OSError):
                _restrict_disk(libc, folder, file, programs)
                held.add("landlock")
            with contextlib.suppress(OSError):
                _refuse_calls(libc, programs)
                held.add("seccomp")
    _watch_python(folder, programs)
    return held


def _seccomp_here() -> bool:
    return sys.platform == "linux" and platform.machine() in _MACHINES


def _landlock_version() -> int:
    if sys.platform != "linux":
        return 0
    return max(0, int(ctypes.CDLL(None, use_errno=True).syscall(_CREATE_RULESET, None, 0, 1)))


def _drop_capabilities(libc: Any) -> None:
    """Root without a capability (capset(2)) cannot look into others' memory past Landlock."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    libc.capset(header, ctypes.create_string_buffer(24))


def _refuse_calls(libc: Any, programs: bool) -> None:
    """LibreOffice's parts talk through unix sockets, and signal each other; nothing else has use for it.

    Others may signal themselves only: Landlock sees to that from version 6 on, this in any.
    """
    if not _seccomp_here():
        raise OSError(errno.ENOSYS, "no seccomp filter for this machine")
    architecture, refused, socket, signalling = _MACHINES[platform.machine()]

    def statement(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, if_true, if_false, value)

    load, equal, at_least, leave = 0x20, 0x15, 0x35, 0x06
    allow, deny = statement(leave, 0x7FFF0000), statement(leave, 0x00050000 | errno.EPERM)
    filters = [
        statement(load, 4),  # the architecture
        statement(equal, architecture, 1, 0), deny,
        statement(load, 0),  # the call
        statement(at_least, _X32, 0, 1), deny,
    ]  # fmt: skip
    for call in refused:
        filters += [statement(equal, call, 0, 1), deny]

    def only(call: int, first: int) -> list[bytes]:
        """Allow it with that first argument."""
        return [
            statement(equal, call, 0, 4),
            statement(load, 16),
            statement(equal, first, 1, 0), deny,
            allow,
        ]  # fmt: skip

    if programs:
        filters += only(socket, _AF_UNIX)
    else:
        filters += [statement(equal, socket, 0, 1), deny]
        filters += [part for call in signalling for part in only(call, os.getpid())]
    filters.append(allow)
    program = ctypes.create_string_buffer(b"".join(filters))
    description = ctypes.create_string_buffer(struct.pack("@HP", len(filters), ctypes.addressof(program)))
    _checked(libc.prctl(_SET_SECCOMP, _FILTER_MODE, description, 0, 0))


def _restrict_disk(libc: Any, folder: Path, file: Path, programs: bool) -> None:
    version = _landlock_version()
    if version == 0:
        raise OSError(errno.ENOSYS, "no Landlock")
    disk = (1 << _DISK_BITS.get(version, 16)) - 1
    tcp, scopes = (_TCP if version >= 4 else 0), (_SCOPES if version >= 6 else 0)
    attributes = struct.pack("=QQQ", disk, tcp, scopes)[: 8 if version < 4 else 16 if version < 6 else 24]
    rules = _checked(
        libc.syscall(_CREATE_RULESET, ctypes.create_string_buffer(attributes), len(attributes), 0)
    )
    try:
        read = _READ_FILE | _READ_DIR | (_EXECUTE if programs else 0)
        for path, access in [
            *((path, read) for path in _readable()),
            (Path("/dev"), _READ_FILE | _WRITE_FILE | _READ_DIR),
            (folder, disk if programs else disk & ~_EXECUTE),
            (file, _READ_FILE),
        ]:
            _allow(libc, rules, path, access & disk)
        _checked(libc.syscall(_RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)


def _readable() -> Iterable[Path]:
    """Programs, libraries and packages; of the project its code alone, not what lies beside it."""
    package = Path(__file__).resolve().parents[2]
    given = (Path(entry).resolve() for entry in sys.path if entry)
    return {
        package,
        *(path for path in given if path != package.parent),
        *map(Path, (sys.prefix, sys.base_prefix)),
        *map(
            Path, ("/usr", "/bin", "/lib", "/lib64", "/opt", "/etc", "/proc", "/sys", "/snap", "/nix/store")
        ),
    }


def _allow(libc: Any, rules: int, path: Path, access: int) -> None:
    try:
        opened = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no rule
    try:
        granted = access if path.is_dir() else access & _OF_FILES
        beneath = ctypes.create_string_buffer(struct.pack("=Qi", granted, opened))
        _checked(libc.syscall(_ADD_RULE, rules, 1, beneath, 0))
    finally:
        os.close(opened)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _watch_python(folder: Path, programs: bool) -> None:
    inside = f"{folder}{os.sep}"
    starting = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork")

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith("socket.") and event != "socket.__new__":
            raise PermissionError("a parser has no use for the network")
        if event in starting and not programs:
            raise PermissionError("a parser has no use for other programs")
        if event == "open" and isinstance(arguments[0], str) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            path = os.path.abspath(arguments[0])  # noqa: PTH100  (a hook must be quick)
            if not path.startswith((inside, "/dev/")):
                raise PermissionError("a parser may write into its folder only")

    sys.addaudithook(look)
