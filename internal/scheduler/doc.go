// Package scheduler decides which runs of a cluster's queue get which nodes, and
// when nodes are started and stopped. It is a function of what is there and the
// time: it reads and writes nothing, so that the same code decides for real
// clusters and for simulated ones.
package scheduler
