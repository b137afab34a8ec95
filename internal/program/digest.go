package program

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"
)

// digest is what a file's content was known by, and how the file looked then.
type digest struct {
	size     int64
	modified time.Time
	sum      string
}

// Digest gives the SHA-256 of a file, in hexadecimal. It reads a file once for as
// long as that looks the same: a program has tens of megabytes.
func (f *Finder) Digest(file *os.File) (string, error) {
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.digests[file.Name()]
	if known.sum != "" && known.size == info.Size() && known.modified.Equal(info.ModTime()) {
		return known.sum, nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(file, 0, info.Size())); err != nil {
		return "", fmt.Errorf("read the program %s: %w", file.Name(), err)
	}
	if f.digests == nil {
		f.digests = map[string]digest{}
	}
	known = digest{info.Size(), info.ModTime(), hex.EncodeToString(sum.Sum(nil))}
	f.digests[file.Name()] = known
	return known.sum, nil
}
