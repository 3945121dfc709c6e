"""The common workload: one job with one right answer, in whole processes from files to result."""
