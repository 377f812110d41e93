"""The Home Assistant app: from its options and the services of the Supervisor to the settings, and then the daemon."""
