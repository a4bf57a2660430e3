"""The contract, once: every operation as a coroutine over driver verbs, and the ways to run one."""
