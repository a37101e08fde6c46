"""Where weights come from: each module has `fetch(Fetch) -> Fetched`."""
