"""The bot as the operating system sees it: a process, its signals, its exit codes, and what a person reads."""
