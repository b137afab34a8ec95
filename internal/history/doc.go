// Package history is the run history: the records of runs and their legal
// transitions, the list of each run's files, its logs, its heartbeat, and what
// happens to a run whose process is gone. The agent drives runs through it and
// package run shows them to users; so both follow the same rules.
package history
