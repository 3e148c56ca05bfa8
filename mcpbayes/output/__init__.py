"""What people read: tables, figures, the report and the manifest."""
