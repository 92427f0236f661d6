"""Memory that a pass on the CPU frees, kept for the next pass."""

import ctypes

# Parameters of mallopt, from glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_NEVER = 2**31 - 1  # bytes; the largest that mallopt takes


def keep_freed_memory() -> None:
    """Let the C library keep freed memory instead of handing it back to the system.

    A pass frees its feature maps, and glibc gives blocks of that size back at once; the system
    clears them again, page by page, for the next pass. Kept, EfficientNet-Lite0 passes 20 images
    in about half of the time on two cores (`benchmarks/allocator.py`). The process stays as large
    as it was at its largest. Commands call this once; it changes the whole process, so an import
    does not. Does nothing where the C library is not glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc; on Windows, not even a C library
        return
    mallopt(_MMAP_THRESHOLD, _NEVER)
    mallopt(_TRIM_THRESHOLD, _NEVER)
    mallopt(_TOP_PAD, 64 << 20)  # bytes; asked from the system at once


def release_freed_memory() -> None:
    """Hand all memory that is free now back to the system, whatever is kept from then on.

    Does nothing where the C library is not glibc.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return
    trim(0)
