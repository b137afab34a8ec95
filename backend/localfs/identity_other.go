//go:build !linux && !darwin && !windows

package localfs

import "os"

// bootID is not known here.
func bootID() string { return "" }

// fileIdentity is not known here: each system keeps times of birth, if any, in
// its own way.
func fileIdentity(*os.File) string { return "" }
