"""The service: API, console, and what both of them share."""
