"""The world: databases, exchanges, the bot's own status."""
