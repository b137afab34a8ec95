// Package docker is a Docker engine as compute: it starts jobs as containers
// and implements backend.Compute and backend.Remote.
//
// A job is a container, named after a digest of the driver's name and the job's
// ID, both of which are also its labels. The engine alone knows the job's state,
// so any process that reaches the engine finds it, and nothing is kept beside it
// but a folder for the job's socket.
//
// An image has to have /bin/sh and /usr/bin/env. A job's command, folder and
// environment are put into its container as a script, byte by byte: they are
// neither in a description of the container nor changed by what an image sets.
// Its input goes through the engine to the command and is stored nowhere. The
// first process of a container is the engine's init, which reaps, and the command
// its child; when the command ends, what it left behind ends with the container.
//
// Standard output and standard error are one pipe, kept by the engine's "local"
// log driver without rotation: exact bytes, in the order written. They are on the
// engine's disk until Remove.
//
// An engine is told a command's exit code alone, so a command killed by signal n
// can't be told from one that exits with 128+n; both are JobKilled.
package docker
