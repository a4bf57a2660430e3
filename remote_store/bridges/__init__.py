"""Sync over async and async over sync."""
