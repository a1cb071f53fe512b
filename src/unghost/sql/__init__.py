"""The statements of unghost: named blocks, and numbered migrations."""
