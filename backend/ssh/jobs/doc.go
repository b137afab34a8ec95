// Package jobs has the jobs of one machine done for another: Serve, at the far
// end of a pair of pipes, runs them by backend/process, and a Client asks it to.
// Whatever carries the bytes, such as a session of SSH, is not its business.
//
// The two speak HTTP/2 over the one connection, which has all that this needs:
// calls side by side, none of which holds up another, bounded buffers, an end
// that is told from a cut, and the word that a caller has lost interest. Before
// it, the far end says a line with the version of the protocol.
//
// What is kept lies in one folder of the far user:
//
//	jobs/                as backend/process has it
//	bin/azml-<sha256>    programs, by their content; other names are links to them
//	starts/              for each job, a token that says whose Start it was
//	locks/               files that are locked while a job is started or removed
package jobs
