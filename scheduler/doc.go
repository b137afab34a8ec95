// Package scheduler gives the nodes of clusters to the runs that wait for them, and
// starts and stops nodes as runs need them. Any number of processes may do so for a
// workspace; of those one at a time decides for a cluster, and another takes its
// place when it is gone.
package scheduler
