// Package agent is the code that runs beside the user's script on a compute
// target. It prepares the environment, restores the snapshot, runs the command
// in its own process group, streams its output, reads the metrics it writes,
// samples the machine, collects its outputs, keeps the heartbeat, carries out
// a cancel, and writes the run's last status. For the local target it is a
// goroutine of the submitting process.
//
// It also ends runs whose process is gone: whoever meets such a run takes it
// over by compare-and-swap, saves what its process left on this machine, and
// marks it Failed with that reason.
package agent
