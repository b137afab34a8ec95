// Package docker is a Docker engine of this machine as compute: it starts jobs as
// containers and implements backend.Compute and backend.Remote.
//
// A job is a container, named after a digest of the driver's name and the job's
// ID, both of which are also its labels, and a folder, named likewise:
//
//	start   the script that starts the command
//	output  what the command wrote, which it does straight into this file
//	socket  where the job reaches who listens for it
//
// The engine alone knows a job's state, so any process that reaches the engine and
// the folder finds it. What is in the folder is there until Remove. An engine on
// another machine is refused: nothing of the folder would be there.
//
// An image has to have /bin/sh and /usr/bin/env. A job's command, folder and
// environment are in its script, byte by byte: descriptions of the container don't
// have them, and what the image sets changes nothing. Its input goes through the
// engine to the command and is stored nowhere. The first process of a container is
// the engine's init, which reaps, and the command its child; when the command ends,
// what it left behind ends with the container.
//
// The output is not in the engine's logs, whose drivers change bytes that are no
// UTF-8, lose the end of long lines, or take turns with the order of standard output
// and standard error.
//
// An engine is told a command's exit code alone, so a command killed by signal n
// can't be told from one that exits with 128+n; both are JobKilled.
package docker
