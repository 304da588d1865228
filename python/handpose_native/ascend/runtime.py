"""The ACL runtime of this process: initialised once, a context per device, errors in words, an orderly end."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
from contextlib import ExitStack, contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from ..errors import DeviceError, DeviceMemoryError, MissingDependencyError
from .codes import OUT_OF_MEMORY, REPEATED_FINALIZE, REPEATED_INIT, describe_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import FrameType

__all__ = ["AclDevice", "AclLibrary", "Holdings", "acquire_device", "interrupts_held"]

logger = logging.getLogger(__name__)

#: ``acl.rt.get_run_mode()``: 0 where the program runs on the board itself, 1 where the NPU is a card in the machine.
RUN_MODES = {0: "RC", 1: "EP"}


class AclLibrary:
    """The module ``acl``, initialised.

    Attributes
    ----------
    acl : module
    owned : bool
        Whether `acl.init` was called here first. Where the program has called it, the end is its business, too.
    version : str
    soc : str
        Name of the chip, as ``atc --soc_version`` takes it.
    run_mode : {"RC", "EP"}

    Raises
    ------
    MissingDependencyError
        If there is no pyACL.
    DeviceError
        If the runtime does not start.
    """

    def __init__(self) -> None:
        self.acl = _import_acl()
        self._functions: dict[str, Callable[..., Any]] = {}
        code = self.acl.init()
        if code != REPEATED_INIT:
            self.check("init", code)
        self.owned = code != REPEATED_INIT
        try:
            self.version = ".".join(map(str, self.values("get_version")))
            self.soc = str(self.result("get_soc_name"))
            (mode,) = self.values("rt.get_run_mode")
            if mode not in RUN_MODES:
                raise DeviceError(f"acl.rt.get_run_mode: the run mode must be one of {RUN_MODES}; got {mode}")
        except BaseException:
            self.finalize()
            raise
        self.run_mode = RUN_MODES[mode]
        whose = "" if self.owned else ", initialised by the program itself"
        logger.info("acl %s on %s: run mode %s%s", self.version, self.soc, self.run_mode, whose)

    def status(self, name: str, *arguments: Any) -> None:
        """Call a function that returns a code only.

        Raises
        ------
        DeviceError
            With the function, the code, its name and meaning, and what the runtime says of it.
        """
        self.check(name, self._function(name)(*arguments))

    def values(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        """Call a function that returns values and a code; return the values. Raises as `status`."""
        *values, code = self._function(name)(*arguments)
        self.check(name, code)
        return tuple(values)

    def result(self, name: str, *arguments: Any, failure: object = 0) -> Any:
        """Call a function that returns no code, but another value where it fails. Raises as `status`."""
        result = self._function(name)(*arguments)
        if result is None or result == failure:
            raise DeviceError(f"acl.{name}: failed, it returned {result!r}{self._recent()}")
        return result

    def has(self, name: str) -> bool:
        """Tell whether this version of CANN has a function."""
        try:
            self._function(name)
        except DeviceError:
            return False
        return True

    def finalize(self) -> None:
        """End the runtime, where it was started here."""
        if not self.owned:
            return
        self.owned = False
        code = self.acl.finalize()
        if code != REPEATED_FINALIZE:  # somebody else has, which is all that is wanted
            self.check("finalize", code)

    def _function(self, name: str) -> Callable[..., Any]:
        if name not in self._functions:
            try:
                self._functions[name] = attrgetter(name)(self.acl)
            except AttributeError:
                raise DeviceError(f"acl.{name}: this version of CANN has no such function") from None
        return self._functions[name]

    def check(self, name: str, code: int | None) -> None:
        """Raise as `status` unless a code says success."""
        if not code:  # setters of some versions return None
            return
        kind = DeviceMemoryError if code in OUT_OF_MEMORY else DeviceError
        raise kind(f"acl.{name}: {describe_code(code)}{self._recent()}", code)

    def _recent(self) -> str:
        """What the runtime says of the last failure in this thread, where this version of CANN can."""
        text = self.acl.get_recent_err_msg() if self.has("get_recent_err_msg") else None
        return f": {' '.join(text.split())}" if text else ""


class AclDevice:
    """One device with one context, which all models on it share; use :func:`acquire_device`.

    Attributes
    ----------
    library : AclLibrary
    index : int
    """

    def __init__(self, library: AclLibrary, index: int) -> None:
        self.library = library
        self.index = index
        self._pid = os.getpid()
        self._users: dict[int, Callable[[], None]] = {}
        self._resources = ExitStack()
        with ExitStack() as undo:
            before = _context_to_keep(library)
            # Who initialised the runtime has chosen the devices, too; a context of our own does not touch that.
            if library.owned:
                library.status("rt.set_device", index)
                undo.callback(library.status, "rt.reset_device", index)
            (self._context,) = library.values("rt.create_context", index)
            _living.add(self._context)
            undo.callback(self._destroy_context)
            if before:
                library.status("rt.set_context", before)
            else:
                _thread.context = self._context
            self._resources = undo.pop_all()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context the thread's own for a while.

        A thread that had none keeps it, so that it is set once; where the program has one of its own, it is put back.

        Raises
        ------
        DeviceError
            In a process made by fork after the runtime was started.
        """
        if not self.is_usable():
            raise DeviceError(_FORKED)
        before = _context_to_keep(self.library)
        if before == self._context:
            yield
            return
        self.library.status("rt.set_context", self._context)
        if not before:
            _thread.context = self._context
        try:
            yield
        finally:
            if before and self.library.acl.rt.set_context(before):
                logger.warning("acl: the context that this thread had before could not be put back")

    def _destroy_context(self) -> None:
        _living.discard(self._context)
        if _thread.context == self._context:
            _thread.context = 0
        self.library.status("rt.destroy_context", self._context)

    def is_usable(self) -> bool:
        """Tell whether this is the process that started the runtime, not one forked from it."""
        return os.getpid() == self._pid

    def release(self, user: int) -> None:
        """Give the device back; the last user's call destroys the context and resets the device."""
        with _lock:
            if not self.is_usable() or self._users.pop(user, None) is None or self._users:
                return
            del _devices[self.index]
            self._resources.close()

    def _close_users(self) -> None:
        for close in list(self._users.values()):
            try:
                close()
            except DeviceError as error:
                logger.warning("at exit: %s", error)


class Holdings:
    """What one user has on a device; given back once, in the reverse order of its making, at the latest at exit.

    Attributes
    ----------
    library : AclLibrary
        From `made_on` on.
    keep : ExitStack
        Takes over what is made.
    """

    library: AclLibrary

    def __init__(self) -> None:
        self.keep = ExitStack()
        self._device: AclDevice | None = None

    @contextmanager
    def made_on(self, index: int) -> Iterator[None]:
        """Make things in this block, on the device, with its context; where that fails all is given back.

        Ctrl-C waits for the end of the block. Raises as :func:`acquire_device`.
        """
        with ExitStack() as undo:
            undo.callback(self.close)
            with interrupts_held():
                self._device = acquire_device(index, id(self), self.close)
                self.library = self._device.library
                with self._device.current():
                    yield
            undo.pop_all()

    def current(self) -> AbstractContextManager[None]:
        """Make the context the thread's own for a while; see :meth:`AclDevice.current`.

        Raises
        ------
        DeviceError
            Also after `close`.
        """
        if self._device is None:
            raise DeviceError("the device was given back already")
        return self._device.current()

    def close(self) -> None:
        """Give everything back; does nothing the second time, nor in a forked process, where it is the parent's."""
        with interrupts_held():
            device, self._device = self._device, None
            resources = self.keep.pop_all()
            if device is None or not device.is_usable():
                return
            with ExitStack() as last:  # all of it, whatever fails
                last.callback(device.release, id(self))
                last.callback(resources.close)  # what is left where the context could not be set
                with device.current():
                    resources.close()


_FORKED = (
    "this process was made by fork after the ACL runtime was started, and a forked process cannot use it: start "
    "processes with multiprocessing's 'spawn', or open models after the fork only"
)
_lock = threading.RLock()
_library: AclLibrary | None = None
_started_in: int | None = None
_devices: dict[int, AclDevice] = {}
#: Contexts made here that are not destroyed.
_living: set[int] = set()


class _Thread(threading.local):
    """What is known of each thread: the context of ours that it was left with."""

    context = 0


_thread = _Thread()


def acquire_device(index: int, user: int, close: Callable[[], None]) -> AclDevice:
    """Return a device of this process, starting the runtime and the device where they are not.

    The device is released with its last user. The runtime ends with the interpreter: older versions of CANN are not
    known to start twice in a process.

    Parameters
    ----------
    index : int
    user : int
        Stands for who asks; for `AclDevice.release`.
    close : callable
        Called when the interpreter exits, unless the device was released before.

    Raises
    ------
    MissingDependencyError
        If there is no pyACL.
    DeviceError
        If the runtime or the device does not start, or this is a forked process.
    """
    global _library, _started_in
    if _started_in not in (None, os.getpid()):
        raise DeviceError(_FORKED)
    with _lock:
        if _library is None:
            _library, _started_in = AclLibrary(), os.getpid()
            atexit.register(_end)
        if index not in _devices:
            _devices[index] = AclDevice(_library, index)
        _devices[index]._users[user] = close
        return _devices[index]


def _end() -> None:
    """Release what is still open, then end the runtime; called when the interpreter exits."""
    global _library, _started_in
    if _library is None or _started_in != os.getpid():
        return
    with _lock:
        for device in list(_devices.values()):
            device._close_users()
        library, _library, _started_in = _library, None, None
        try:
            library.finalize()
        except DeviceError as error:
            logger.warning("at exit: %s", error)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let Ctrl-C wait until the block is over, so that what it acquires or releases is known.

    Only the main thread is ever interrupted; elsewhere this does nothing.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    received: list[FrameType | None] = []
    signal.signal(signal.SIGINT, lambda _, frame: received.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if received:
            before(signal.SIGINT, received[0])


def _context_to_keep(library: AclLibrary) -> int:
    """Return the thread's context, 0 for none or one of ours that is gone, which the runtime must not be asked for."""
    if _thread.context and _thread.context not in _living:
        _thread.context = 0
        return 0
    context, code = library.acl.rt.get_context()
    return 0 if code else int(context)  # the code for none differs by version


def _import_acl() -> Any:
    need = (
        "acl (pyACL) is needed to use an Ascend NPU; it comes with Huawei's CANN, not from pip: install CANN and "
        "source its set_env.sh, as in 'source /usr/local/Ascend/ascend-toolkit/set_env.sh', with a Python that it "
        "supports"
    )
    try:
        import acl
    except ImportError as error:
        raise MissingDependencyError(f"{need} ({error})") from error
    if not all(hasattr(acl, name) for name in ("init", "rt", "mdl")):
        where = getattr(acl, "__file__", None) or list(getattr(acl, "__path__", []))
        raise MissingDependencyError(f"{need}; another package is called acl here: {where}")
    return acl
