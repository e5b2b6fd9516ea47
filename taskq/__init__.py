"""taskq: a transactional task outbox for Django, run by a prefork pool under leases."""

__version__ = "0.1.0"
