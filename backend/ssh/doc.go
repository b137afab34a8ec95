// Package ssh is compute on a machine that is reached by SSH and runs nothing of
// azml otherwise: Linux or macOS, with a POSIX shell and the usual tools. It
// implements backend.Compute and backend.Remote.
//
// The azml program is put there once, known by its content, and does on the far
// machine what backend/process does on this one (see package jobs). So jobs are
// processes with a supervisor of their own: they go on when the connection is
// gone, and when the program that started them is.
//
// One connection with one session carries everything, whatever the number of
// calls, for servers bound both. When it is lost, it is made anew, and what was
// going on resumes: waiting waits on, output goes on behind what was given, a
// start whose answer was lost is asked about and never done twice.
//
// Jobs reach back through the same session, so the server may forbid forwarding,
// and what they connect to is a socket in a folder of the far user's alone.
//
// A machine that is not known is not talked to: its key is in a file of known
// hosts or in the configuration. KeyOf is for who wants trust at first use. No credential is stored by this package or sent to a machine before its
// key was found good.
package ssh
