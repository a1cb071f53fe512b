"""PostgreSQL: the bot's orders table, and the record beside it."""
