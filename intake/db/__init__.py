"""The database: engine, types, SQLite's writer lock, migrations, snapshots."""
