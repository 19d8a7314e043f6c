"""The command line: argv, the terminal, exit codes. The only place that writes to either."""
