"""The commands behind `./dev`: one idea a module."""
