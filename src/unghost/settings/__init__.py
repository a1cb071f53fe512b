"""Settings: what the environment and the profiles' file say, checked before anything runs."""

from unghost.settings.profiles import (
    MarketKind,
    Profile,
    Profiles,
    QuantityUnit,
    load_profiles,
)
from unghost.settings.variables import (
    LONGEST_REASON,
    LogFormat,
    LogLevel,
    LoopMode,
    Settings,
    VariableInfo,
    known_variables,
    load_settings,
    unknown_variables,
)

__all__ = [
    "LONGEST_REASON",
    "LogFormat",
    "LogLevel",
    "LoopMode",
    "MarketKind",
    "Profile",
    "Profiles",
    "QuantityUnit",
    "Settings",
    "VariableInfo",
    "known_variables",
    "load_profiles",
    "load_settings",
    "unknown_variables",
]
