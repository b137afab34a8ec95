// Package supervisor is the process between a program and a job of
// backend/process: the parent that learns how the job's command ended, and lives
// as long as the job does.
//
// It is the program itself, started anew. The package's init recognises Name in
// os.Args[0] and never lets main begin; it starts the command, gathers its exit
// code, ends what the command leaves behind, and ends itself. Each job waits for
// what is initialised before. Go initialises a package as soon as what it imports
// is, and of those that can be the first by import path: so this one imports
// little, and nothing that waits for packages with late paths itself, such as
// encoding/json or path/filepath. Then its init is done before those of the program's libraries.
//
// What the supervisor inherits: on standard input the Spec, on standard output a
// pipe for its answer, which stays open for as long as it lives, and the files
// RecordFD and OutputFD. It adds Begun and Ended to the first; what the command
// writes goes straight into the other.
package supervisor
