"""What generates: each module has `generate(spec) -> dict`, run by the environment that has the runtime."""
