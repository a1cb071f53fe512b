"""The proofs work at the bench of the cycle's tests."""

from tests.cycle.conftest import bench, own_bench, roles, shared_service_url, shared_url, street

__all__ = ["bench", "own_bench", "roles", "shared_service_url", "shared_url", "street"]
