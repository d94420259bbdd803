"""The few errors that a caller can act upon.

Every message names the thing, the value and the way out. The exit code tells an orchestrator
whether trying again can help: a refusal never gets better by itself, a held lease or a lost
connection does.
"""

from __future__ import annotations

EXIT_FAILED = 1  # something is wrong: a person has to look
EXIT_REFUSED = 3  # a gate said no: never retried
EXIT_TRY_AGAIN = 75  # transient (sysexits' EX_TEMPFAIL): retried with back-off
EXIT_NOTHING_TO_DO = 99  # the step does not apply today: the orchestrator skips what follows


class ForetasteError(Exception):
    """Base of everything that Foretaste raises on purpose."""

    exit_code = EXIT_FAILED


class SettingInvalid(ForetasteError):
    """A setting has a value that cannot work."""


class FeedInvalid(ForetasteError):
    """A feed, or a file that an importer was given, does not follow its contract."""


class ProjectInvalid(ForetasteError):
    """The dbt project does not say of a model what Foretaste has to know."""


class PartitionMissing(ForetasteError):
    """A step needs a partition that nobody has built yet."""


class PartitionTorn(ForetasteError):
    """A partition's bytes are not what its manifest says."""


class GateRefused(ForetasteError):
    """A gate found the data unfit; what is served stays served."""

    exit_code = EXIT_REFUSED


class DayRefused(ForetasteError):
    """A delivery is missing, too dirty or of an implausible size; an operator may accept the day."""

    exit_code = EXIT_REFUSED


class ModelRefused(ForetasteError):
    """An artifact is not a model that we can trust: wrong digest, wrong shape or not finite."""

    exit_code = EXIT_REFUSED


class KeyRefused(ForetasteError):
    """A key to the API cannot be made, or there is none to be revoked."""

    exit_code = EXIT_REFUSED


class BlockRefused(ForetasteError):
    """An item cannot be blocked, or is not."""

    exit_code = EXIT_REFUSED


class LeaseHeld(ForetasteError):
    """Another run holds the one lease; it is named in the message."""

    exit_code = EXIT_TRY_AGAIN


class FenceStale(ForetasteError):
    """A newer attempt has taken over; this one must not write any more."""


class ServiceUnreachable(ForetasteError):
    """A server does not answer."""

    exit_code = EXIT_TRY_AGAIN


class JournalUnavailable(ForetasteError):
    """What the API was told is not durable: the disk is full, failing or too slow. Whoever sends it again loses nothing."""

    exit_code = EXIT_TRY_AGAIN


class StoreUnfit(ForetasteError):
    """A server answers but is configured so that it would lose data."""


class JavaMissing(ForetasteError):
    """Spark needs a Java that is not there, or is too old."""


class NothingToDo(ForetasteError):
    """The step does not apply to this day (a cool-down, say)."""

    exit_code = EXIT_NOTHING_TO_DO
