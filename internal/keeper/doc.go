// Package keeper answers on this side for runs that agents drive elsewhere: it
// starts the agent on the compute target, lends it the workspace through a gateway,
// and ends the run when the target says that the agent is gone.
//
// A run has one keeper at a time, by a lock on this machine, and for others by the target's
// listening where only one can; elsewhere changes of the record tell who acts. It is the
// run's owner until the agent is, and holds no state: one that dies then is followed by the next process that waits for the run,
// and the agent works on meanwhile. For a run that was submitted without Detach it is a goroutine of the
// submitting program.
package keeper
