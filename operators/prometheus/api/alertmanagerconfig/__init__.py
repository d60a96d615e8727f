"""What both versions of AlertmanagerConfig share, and each by itself."""
