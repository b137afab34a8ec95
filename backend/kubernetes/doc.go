// Package kubernetes is a namespace of a Kubernetes cluster as compute: it starts
// jobs as Jobs of one pod, or Indexed Jobs of several, and implements backend.Compute
// and backend.Remote.
//
// A job is a Job, named after a digest of the driver's name and the job's ID, and
// a Secret that belongs to the Job and begins with its name: until the command runs it
// has that, its environment and its input, of which descriptions of the Job and
// its pod show nothing.
//
// The pod's container waits for a program, azml itself, which the starting process
// brings there by the way of "kubectl exec", so that neither a registry nor a
// network from the cluster to this machine is needed; where the job's image is in the
// target's registry, it is a layer of that. That program reads the Secret,
// starts the command, and sees it to its end, see jobs.Hold; how it ended is the
// pod's last message. Called in the pod once more, it serves who listens for the job,
// reads its output or cancels it, see jobs.Serve.
//
// An image has to have /bin/sh with cat, chmod, head, mkdir, mv, ln, rm, wc and sleep, better
// also dd, and gzip where Options.Unpacker gives none. While a job runs all its output can be read; after its end, what the
// cluster keeps of a pod's log, which by Kubernetes' defaults are its last 10 MiB.
//
// A Job has one pod at a time for each node and is never tried again: what became of a command
// that is gone with its node can't be known.
package kubernetes
