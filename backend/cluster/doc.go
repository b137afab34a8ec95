// Package cluster makes one compute target of several: a job can run on as many
// nodes at once as there are targets. It holds no state, and adds nothing to the
// targets but the names of jobs on further nodes, "<id>.node<n>": any process that
// opens the same targets in the same order sees the same jobs.
//
// Node 0 is started first, so that the others can be told where it is, and a job
// is known by its being there. When one node fails, the others are ended by
// whoever waits for the job.
package cluster
