"""PostgreSQL: the repository of sealed rows, and the migrations that make its schema."""
