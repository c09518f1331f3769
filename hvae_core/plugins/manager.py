"""Finding components by name and loading them, so that a broken plugin harms nothing else.

pluggy loads all entry points of a group at once, stops at the first that fails and silently
keeps the first of two with one name; here each is loaded when a configuration names it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Iterable, Iterator
from typing import Any

import pluggy

from hvae_core.errors import HvaeError, PluginError, did_you_mean, one_line
from hvae_core.plugins.entries import PluginEntry, installed_entries, is_strict
from hvae_core.plugins.hookspecs import PROJECT, Hooks
from hvae_core.plugins.specs import API_VERSIONS, KINDS, ComponentSpec

REGISTERED = "(registered in this process)"


class PluginManager:
    """The components of this process, by kind and name.

    Args:
        entries: the entry points; those installed if None.
    """

    def __init__(self, entries: list[PluginEntry] | None = None) -> None:
        self._entries = installed_entries() if entries is None else entries
        self._specs: dict[tuple[str, str, str], ComponentSpec] = {}
        self._registered: dict[tuple[str, str], Any] = {}
        self._loaded: dict[tuple[str, str, str], Any] = {}
        self._hooks = pluggy.PluginManager(PROJECT)
        self._hooks.add_hookspecs(Hooks)

    def entries(self, kind: str | None = None) -> list[PluginEntry]:
        """Every component, of one kind if given; imports nothing.

        Raises:
            PluginError: ``HVAE_STRICT_PLUGINS`` is set and one is broken or in conflict.
        """
        self._check_strictly()
        return [entry for entry in self._entries if kind in (None, entry.kind)]

    def _check_strictly(self) -> None:
        if not is_strict():
            return
        for entry in self._entries:
            if entry.status in ("broken", "conflict"):
                raise PluginError(
                    f"The plugin {entry.full_name} of {entry.distribution} is in state "
                    f"{entry.status}: {entry.reason}.",
                    "Mend or uninstall it, or unset HVAE_STRICT_PLUGINS.",
                )

    def names(self, kind: str) -> list[str]:
        """The names of a kind's components that are not disabled."""
        return sorted({e.name for e in self._entries if e.kind == kind and e.status != "disabled"})

    def register(self, plugin: Any) -> ComponentSpec:
        """Add a component of this process: a module or object with the hook `hvae_component`.

        Raises:
            PluginError: it has no such hook, its spec is wrong, or its name is taken.
        """
        name = getattr(plugin, "__name__", type(plugin).__name__)
        is_known = self._hooks.is_registered(plugin)
        spec = self._spec_of(plugin, name, None)
        if spec.name in self.names(spec.kind):
            if not is_known:
                self._hooks.unregister(plugin)
            raise PluginError(f"There is a {spec.kind} named {spec.name!r} already.")
        entry = PluginEntry(spec.kind, spec.name, REGISTERED, "", name, "loaded")
        self._entries.append(entry)
        self._specs[entry.kind, entry.name, entry.distribution] = spec
        self._registered[entry.kind, entry.name] = plugin
        return spec

    def unregister(self, kind: str, name: str) -> None:
        """Take back what `register` added."""
        self._specs.pop((kind, name, REGISTERED), None)
        plugin = self._registered.pop((kind, name), None)
        if plugin is not None and all(plugin is not p for p in self._registered.values()):
            self._hooks.unregister(plugin)
        self._entries = [
            e for e in self._entries if (e.kind, e.name, e.distribution) != (kind, name, REGISTERED)
        ]

    def find(self, kind: str, name: str) -> PluginEntry:
        """The entry that ``name`` (or ``distribution:name``) means.

        Raises:
            PluginError: there is none, it is disabled, or two distributions provide it; or see
                `entries`, of any plugin.
        """
        self._check_strictly()
        distribution, colon, plain = name.rpartition(":")
        of_kind = [entry for entry in self._entries if entry.kind == kind]
        matching = [
            entry
            for entry in of_kind
            if entry.name == plain and (not colon or entry.distribution == distribution)
        ]
        if not matching:
            hint = did_you_mean(plain, {entry.name for entry in of_kind})
            raise PluginError(
                f"There is no {kind} named {name!r}.",
                f"{hint} If a package provides {kind}.{plain}, install that package.".strip(),
            )
        active = [entry for entry in matching if entry.status != "disabled"]
        if not active:
            raise PluginError(
                f"The {kind} {name!r} is disabled: {matching[0].reason}.",
                "Take it out of HVAE_DISABLE_PLUGINS.",
            )
        if len(active) > 1:
            providers = " and ".join(f"{e.distribution}:{plain}" for e in active)
            raise PluginError(
                f"The {kind} {plain!r} is provided by {len(active)} distributions.",
                f"Write {providers.replace(' and ', ' or ')}.",
            )
        return active[0]

    def get(self, kind: str, name: str) -> ComponentSpec:
        """The component's spec; loads its module the first time.

        Raises:
            PluginError: see `find`; or the module cannot be loaded, which names the distribution
                and the reason.
        """
        entry = self.find(kind, name)
        key = (entry.kind, entry.name, entry.distribution)
        if key not in self._specs:
            with self.guarding(kind, name):
                if entry.kind not in KINDS:
                    raise PluginError(f"{entry.kind!r} is no kind of component")
                plugin = _load(entry.module)
                self._specs[key] = self._spec_of(plugin, entry.module, entry)
                self._loaded[key] = plugin
            # A conflict stays visible although the qualified name was loaded.
            if entry.status != "conflict":
                entry.status, entry.reason = "loaded", ""
        return self._specs[key]

    @contextlib.contextmanager
    def guarding(self, kind: str, name: str) -> Iterator[None]:
        """Run what a plugin brings; where that fails, the plugin is listed as broken, and why.

        Args:
            kind: the component's.
            name: the component's, or ``distribution:name``.

        Raises:
            PluginError: see `find`; or in place of whatever was raised, which names the
                distribution and the reason.
        """
        entry = self.find(kind, name)
        try:
            yield
        except (Exception, SystemExit) as error:
            entry.status, entry.reason = "broken", _reason(error)
            raise PluginError(
                f"The plugin {entry.full_name} of {entry.distribution} {entry.version} "
                f"cannot be loaded: {entry.reason}.",
                f"Update or uninstall {entry.distribution}.",
            ) from error

    def training_callbacks(self, config: Any, specs: Iterable[ComponentSpec]) -> list[Any]:
        """The callbacks that the plugins of these components add to a run.

        Args:
            config: the run's `Config`, handed to the hook `hvae_training_callbacks`.
            specs: of the components that it names.

        Raises:
            PluginError: the hook of one fails.
        """
        chosen = {id(spec) for spec in specs}
        asked: dict[int, tuple[str, Any]] = {}  # one module may describe several components
        for key, spec in self._specs.items():
            if id(spec) in chosen:
                plugin = self._loaded.get(key) or self._registered[key[:2]]
                asked.setdefault(id(plugin), (f"{key[0]}.{key[1]} of {key[2]}", plugin))
        callbacks: list[Any] = []
        for name, plugin in asked.values():
            others = [other for other in self._hooks.get_plugins() if other is not plugin]
            hook = self._hooks.subset_hook_caller("hvae_training_callbacks", others)
            try:
                callbacks += [callback for found in hook(config=config) for callback in found]
            except HvaeError:
                raise
            except Exception as error:
                raise PluginError(
                    f"The plugin {name} gives no callbacks for training: {error!r}.",
                    "Update it, or do without the component.",
                ) from error
        return callbacks

    def _spec_of(self, plugin: Any, name: str, entry: PluginEntry | None) -> ComponentSpec:
        """Ask a plugin for its spec and check it."""
        hook = getattr(plugin, "hvae_component", None)
        if hook is None or not hasattr(hook, f"{PROJECT}_impl"):
            raise PluginError(f"{name} defines no hook hvae_component (marked with hookimpl)")
        if self._hooks.is_registered(plugin):
            return self._checked(hook(), entry)
        try:
            # Two objects may share a name; the hooks tell them apart by identity.
            self._hooks.register(plugin, name=f"{name} at {id(plugin)}")
            self._hooks.check_pending()
            return self._checked(hook(), entry)
        except Exception as error:
            if self._hooks.is_registered(plugin):
                self._hooks.unregister(plugin)
            if isinstance(error, pluggy.PluginValidationError):
                reason = " ".join(str(error).split())
                raise PluginError(f"{name} has a hook that does not fit: {reason}") from error
            raise

    @staticmethod
    def _checked(spec: Any, entry: PluginEntry | None) -> ComponentSpec:
        """What a hook returned, if it is the spec of ``entry``."""
        if not isinstance(spec, ComponentSpec):
            raise PluginError(f"its hook returned {type(spec).__name__}, not a ComponentSpec")
        if spec.api_version not in API_VERSIONS:
            raise PluginError(
                f"it was written for version {spec.api_version} of the plugin interface; "
                f"this is version {API_VERSIONS[-1]}"
            )
        if spec.kind not in KINDS:
            raise PluginError(f"its kind {spec.kind!r} is none of {', '.join(KINDS)}")
        if entry is not None and (spec.kind, spec.name) != (entry.kind, entry.name):
            raise PluginError(
                f"its spec says {spec.kind}.{spec.name}, its entry point {entry.full_name}"
            )
        return spec


def _reason(error: BaseException) -> str:
    """What went wrong in a plugin, on one line."""
    try:
        if isinstance(error, HvaeError):
            return error.message.rstrip(".")
        # An OSError's repr leaves out which file it is of.
        told = f"{type(error).__name__}: {error}" if isinstance(error, OSError) else repr(error)
        return one_line(told).rstrip(".")
    except Exception:  # the plugin's own class of errors
        return type(error).__name__


def _load(place: str) -> Any:
    """The object that an entry point names, ``module`` or ``module:object``."""
    module, _, attributes = place.partition(":")
    return functools.reduce(
        getattr, filter(None, attributes.split(".")), importlib.import_module(module)
    )


@functools.cache
def manager() -> PluginManager:
    """The process's plugin manager; ``manager.cache_clear()`` looks for plugins anew."""
    return PluginManager()
