"""What is raised when the user, not the code, has to change something."""


class InputError(ValueError):
    """Something given cannot be used; the message names the value, the rule and the way out."""


class TargetError(InputError, TypeError):
    """A target of a kind that the method cannot explain."""


class ArchitectureError(InputError):
    """A classifier of a kind that the method cannot explain."""
