from support.threads import one_thread  # noqa: F401 - a fixture for every test here
