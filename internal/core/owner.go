package core

import (
	"os"

	"github.com/azml-go/azml/internal/record"
)

// self describes this process.
func self() record.Owner {
	pid := os.Getpid()
	return record.Owner{ID: NewID(8), Host: hostname(), Boot: bootID(), Namespace: pidNamespace(), PID: pid, Started: startTime(pid)}
}

// Gone tells whether the owner's process is known to have ended. It can only
// be known on the owner's machine; elsewhere, and when in doubt, it is false.
func (h Handle) Gone(o *record.Owner) bool {
	me := h.Owner()
	switch {
	case o == nil || o.Host != me.Host:
		return false
	case o.Boot != me.Boot:
		return o.Boot != "" && me.Boot != ""
	case o.Namespace != me.Namespace: // another container: its process IDs mean nothing here
		return false
	case o.PID == me.PID && o.Started == me.Started:
		return false
	}
	return !alive(o.PID, o.Started)
}
