"""The proofs work at the bench of the cycle's tests."""

from tests.cycle.conftest import (
    bench,
    fragile_bench,
    fragile_server,
    own_bench,
    roles,
    shared_service_url,
    shared_url,
    street,
)

__all__ = [
    "bench",
    "fragile_bench",
    "fragile_server",
    "own_bench",
    "roles",
    "shared_service_url",
    "shared_url",
    "street",
]
