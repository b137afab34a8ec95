//go:build !linux && !darwin && !windows

package localfs

import (
	"io/fs"
	"os"
	"time"
)

// bootID is not known here.
func bootID() string { return "" }

// fileIdentity is not known here: each system keeps times of birth, if any, in
// its own way.
func fileIdentity(*os.File) string { return "" }

// changeTime is not known here.
func changeTime(fs.FileInfo) time.Time { return time.Time{} }
