package datastore

// Transfer says what Upload or Download has done.
type Transfer struct {
	// Files is the number of files that were moved.
	Files int `json:"files"`
	// Bytes is their size.
	Bytes int64 `json:"bytes"`
	// Skipped is the number of files that were there already.
	Skipped int `json:"skipped"`
	// Differing are those of the skipped whose size is another than that of
	// what would have been moved, at most 100.
	Differing []string `json:"differing,omitempty"`
}

// Progress is told now and then how many files and bytes are done, those that
// were skipped included, and how many there are in all. Calls don't overlap.
type Progress func(files, totalFiles int, bytes, totalBytes int64)
