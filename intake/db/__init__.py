"""The database: engine, column types, SQLite's writer lock, migrations, snapshots."""
