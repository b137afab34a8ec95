package jobset

import (
	"fmt"
	"slices"
	"time"

	"github.com/azml-go/azml/backend"
)

// Failed tells whether a node has failed.
func Failed(s backend.JobStatus) bool {
	return s.State != backend.JobRunning && (s.State != backend.JobExited || s.ExitCode != 0)
}

// Together makes one status of those of the nodes of a job, which are in order of
// their numbers: that of the one that failed first, once all have ended.
func Together(id string, all []backend.JobStatus) backend.JobStatus {
	if len(all) == 1 {
		return all[0]
	}
	worst, ended := -1, time.Time{}
	for n, s := range all {
		if Failed(s) && (worst < 0 || before(s, all[worst])) {
			worst = n
		}
		if s.Ended.After(ended) {
			ended = s.Ended
		}
	}
	if s, ok := running(all); ok {
		s.ID, s.Started = id, all[0].Started
		if worst >= 0 {
			s.Reason = "the other nodes are to end: " + reason(worst, all[worst])
		}
		return s
	}
	result := all[max(worst, 0)]
	result.ID, result.Node, result.Started = id, max(worst, 0), all[0].Started
	if worst >= 0 {
		result.Reason = reason(worst, all[worst])
	}
	if result.State != backend.JobLost {
		result.Ended = ended
	}
	return result
}

// running gives the status of a node that has not ended, of one that waits for room where
// there is one: it is what the others wait for.
func running(all []backend.JobStatus) (s backend.JobStatus, ok bool) {
	n := slices.IndexFunc(all, func(s backend.JobStatus) bool { return s.WaitsForRoom })
	if n < 0 {
		n = slices.IndexFunc(all, func(s backend.JobStatus) bool { return s.State == backend.JobRunning })
	}
	if n < 0 {
		return s, false
	}
	return all[n], true
}

// before tells whether a failed earlier than b. One that ended by itself comes
// before one that was ended in the same moment, and a lost one has no time.
func before(a, b backend.JobStatus) bool {
	switch {
	case a.Ended.IsZero() != b.Ended.IsZero():
		return a.Ended.IsZero()
	case !a.Ended.Equal(b.Ended):
		return a.Ended.Before(b.Ended)
	}
	return a.State == backend.JobExited && b.State != backend.JobExited
}

// reason says how a node failed.
func reason(n int, s backend.JobStatus) string {
	switch {
	case s.State == backend.JobExited && s.Reason == "":
		return fmt.Sprintf("node %d ended with exit code %d", n, s.ExitCode)
	case s.State == backend.JobLost:
		return fmt.Sprintf("node %d was lost: %s", n, s.Reason)
	}
	return fmt.Sprintf("node %d: %s", n, s.Reason)
}
