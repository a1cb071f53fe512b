"""The console: pages drawn on the server."""
