// Package process is local compute: it starts jobs as processes of this
// machine and implements backend.Compute on Linux and macOS.
//
// Each job has a small supervisor process between the starting process and
// the command. Only the parent of a process learns its exit code, and the
// starting process may die before the job does; so the parent must be somebody
// who lives exactly as long as the job. The supervisor is the running program
// itself, started anew: the init of a package that this one imports recognises the
// supervisor's name in os.Args[0] and never lets main begin. It starts the
// command, gathers its exit code, ends what the command leaves behind, and ends
// itself.
//
// A job is a folder below the driver's one, named after the job's ID:
//
//	job.jsonl  what is known of the job: one JSON object a line, each adding
//	           fields to those before (created, started, ended)
//	output     what the command wrote, which it does straight into this file
//	cancel     how much time Cancel gave, while somebody cancels
//
// The supervisor holds an exclusive flock(2) on job.jsonl for as long as it
// lives. The lock is what says that a job runs: it ends with the supervisor
// and with the machine, and unlike a process ID it is never given to another.
//
// The environment's values and the input are handed to the supervisor through a
// pipe and are stored nowhere.
//
// It is a backend.Remote, too, as far as this machine can be one: programs are
// copied into the driver's folder, and what a job reaches is a Unix socket below
// /tmp/azml-<user>.
//
// On Linux the supervisor is a child subreaper, so every descendant of the
// command is the job's, also a daemon that forked twice and left its session.
// On macOS the job is the command's process group. A process that took another
// user's rights can't be ended. Who kills the supervisor by force loses the
// exit code: the job is then JobRunning as long as a process of the command's
// session is there, and JobLost after that.
//
// On a file system that folds letter case, IDs that differ only in case get in
// each other's way: the second Start gives ErrExists.
//
// On other systems New gives ErrUnsupported.
package process
