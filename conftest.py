pytest_plugins = ["tools.pytest_gates", "pytester"]
